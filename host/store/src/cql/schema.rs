//! The schema: numbered migrations, run once each, and what is fixed with the first of them.
//!
//! `schema/cql/*.cql` are built into the program. Each start looks how far the keyspace is
//! (`schema_migrations`) and, if it may, runs what is missing under a lease that ends by itself
//! (`schema_lease`). Migrations only add, so that the release before the newest keeps working; a
//! schema that is too new for this program is refused. The sizes behind the tables stand in
//! `schema/README.md`.

mod at_rest;
mod door;
mod error;
mod flavour;
mod keyspace;
mod lease;
mod ledger;
mod migrations;
mod params;
mod present;
mod run;
#[cfg(test)]
mod sample;
mod script;
#[cfg(test)]
mod sizes;
mod status;
#[cfg(test)]
mod tests;
mod version;
mod wanted;

pub use error::SchemaError;
pub use flavour::Flavour;
pub use params::Fixed;
pub use status::{MigrationState, MigrationStatus, SchemaStatus};
pub use wanted::{AtRest, Migrate, PartitionRate, SchemaSettings, Tablets, TombstoneGc};

use self::door::Door;
use self::run::Runner;
pub(super) use self::version::Version;
use super::connect;
use super::home::Params;
use super::settings::CqlSettings;
use crate::Result;
use scylla::client::session::Session;

/// Brings the schema of a keyspace up to date, and tells how it is then.
///
/// # Errors
/// A cluster that does not answer, and everything of [`SchemaError`].
pub async fn up(settings: &CqlSettings) -> Result<SchemaStatus> {
    let session = connect::session(settings).await?;
    let runner = Runner::open(&session, settings).await?;
    runner.run().await?;
    params::settle(&runner.door, settings).await?;
    Ok(status::of(&runner).await?)
}

/// Tells how the schema of a keyspace is, and changes nothing.
///
/// # Errors
/// A cluster that does not answer, or whose answer cannot be read.
pub async fn status(settings: &CqlSettings) -> Result<SchemaStatus> {
    let session = connect::session(settings).await?;
    let runner = Runner::open(&session, settings).await?;
    Ok(status::of(&runner).await?)
}

/// Brings the schema up to date, or refuses one that is behind, as the configuration says; answers
/// what was fixed when the keyspace was first used, and the version that there is now.
pub(super) async fn bring_up(
    session: &Session,
    settings: &CqlSettings,
) -> Result<(Params, Version)> {
    let runner = Runner::open(session, settings).await?;
    match settings.schema.migrate {
        Migrate::Auto => runner.run().await?,
        Migrate::Check => runner.must_be_current().await?,
    }
    at_rest::verify(&runner.door, settings).await?;
    let fixed = params::settle(&runner.door, settings).await?;
    let found = keyspace::find(&runner.door, &settings.keyspace).await?;
    let differences = [
        found.and_then(|is| keyspace::difference(&is, settings)),
        params::difference(&fixed, settings),
    ];
    for difference in differences.into_iter().flatten() {
        tracing::warn!("{difference}");
    }
    Ok((fixed.into(), Version::new(runner.newest())))
}

impl<'s> Runner<'s> {
    /// Finds out whom we speak to.
    async fn open(session: &'s Session, settings: &'s CqlSettings) -> Result<Self> {
        settings.check()?;
        let door = Door::new(session, settings.timeouts.schema);
        let flavour = Flavour::of(&door).await?;
        Ok(Self {
            door,
            settings,
            flavour,
            known: migrations::embedded()?,
        })
    }

    /// Refuses a schema that is behind.
    async fn must_be_current(&self) -> std::result::Result<(), SchemaError> {
        at_rest::can_be(self.settings, self.flavour)?;
        let keyspace = &self.settings.keyspace;
        let at = self.look().await?;
        if at == self.newest() {
            return Ok(());
        }
        let keyspace = keyspace.clone();
        match keyspace::find(&self.door, &keyspace).await? {
            None => Err(SchemaError::NoKeyspace { keyspace }),
            Some(_) => Err(SchemaError::Behind {
                keyspace,
                at,
                needed: self.newest(),
            }),
        }
    }

    /// The server's version, as it says.
    async fn server(&self) -> std::result::Result<String, SchemaError> {
        let doing = "ask for the server's version";
        let query = match self.flavour {
            Flavour::Cassandra => "SELECT release_version FROM system.local WHERE key = 'local'",
            // Its `release_version` is that of the Cassandra it is like.
            Flavour::Scylla => "SELECT version FROM system.versions WHERE key = 'local'",
        };
        let rows = self.door.own::<(Option<String>,)>(doing, query, ()).await?;
        let version = rows.into_iter().find_map(|(version,)| version);
        Ok(version.unwrap_or_default())
    }
}

impl Flavour {
    /// Asks a node: only ScyllaDB has `system_schema.scylla_tables`.
    async fn of(door: &Door<'_>) -> std::result::Result<Self, SchemaError> {
        let query = "SELECT table_name FROM system_schema.scylla_tables LIMIT 1";
        match door
            .own::<(String,)>("ask which database it is", query, ())
            .await
        {
            Ok(_) => Ok(Self::Scylla),
            Err(error) if error.is_unknown_name() => Ok(Self::Cassandra),
            Err(error) => Err(error),
        }
    }
}

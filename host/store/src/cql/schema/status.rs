//! What `holdfast schema status` shows.

use super::flavour::Flavour;
use super::ledger::Entry;
use super::migrations::{self, Migration};
use super::params::{self, Fixed};
use super::run::Runner;
use super::{SchemaError, at_rest, keyspace, lease};
use holdfast_model::UnixMillis;
use serde::Serialize;
use std::collections::BTreeMap;

/// The schema of a keyspace, as it is.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaStatus {
    /// The keyspace.
    pub keyspace: String,
    /// The database.
    pub flavour: Flavour,
    /// Its version, as it says.
    pub server: String,
    /// Replicas by datacenter; nothing if there is no keyspace.
    pub replication: BTreeMap<String, String>,
    /// Tables that there are.
    pub tables: usize,
    /// Up to which migration all are done.
    pub version: u32,
    /// Which this program needs.
    pub needed: u32,
    /// Each migration that was run or is known.
    pub migrations: Vec<MigrationStatus>,
    /// Who is migrating now.
    pub running: Option<String>,
    /// What was fixed when the keyspace was first used.
    pub layout: Option<Fixed>,
    /// Why this program cannot work with the schema.
    pub refused: Option<String>,
    /// What differs from the configuration and is left as it is.
    pub findings: Vec<String>,
}

/// One migration.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationStatus {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: MigrationState,
    /// When it was begun.
    pub started: Option<UnixMillis>,
    /// When it was done.
    pub finished: Option<UnixMillis>,
    /// Who ran it.
    pub run_by: String,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MigrationState {
    /// It was run.
    Done,
    /// It was begun: it is running, or the next runner goes on with it.
    Running,
    /// It has not been run.
    Missing,
    /// It was run with another text.
    Drifted,
    /// It was run by a newer program; this one does not know it.
    Unknown,
}

impl MigrationState {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Running => "running",
            Self::Missing => "missing",
            Self::Drifted => "drifted",
            Self::Unknown => "unknown",
        }
    }
}

impl SchemaStatus {
    /// Whether this program can work with the schema now.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.refused.is_none() && self.version == self.needed
    }
}

/// Looks at everything and changes nothing.
pub(super) async fn of(runner: &Runner<'_>) -> Result<SchemaStatus, SchemaError> {
    let (door, settings) = (&runner.door, runner.settings);
    let name = &settings.keyspace;
    let found = keyspace::find(door, name).await?;
    let present = runner.present().await?;
    let ledger = runner.ledger(&present).await?;
    let mut findings = Vec::new();
    findings.extend(
        found
            .as_ref()
            .and_then(|is| keyspace::difference(is, settings)),
    );
    let mut refused = None;
    let version = migrations::position(name, &ledger, &runner.known).unwrap_or_else(|error| {
        refused = Some(error.to_string());
        0
    });
    if version == runner.newest() {
        findings.extend(present.complaint(&runner.known));
    }
    let at_rest = match at_rest::can_be(settings, runner.flavour) {
        Ok(()) => at_rest::verify(door, settings).await,
        refused => refused,
    };
    refused = refused.or(at_rest.err().map(|error| error.to_string()));
    let layout = match present.has_table("store_params") {
        true => params::read(door, name).await?,
        false => None,
    };
    findings.extend(
        layout
            .as_ref()
            .and_then(|is| params::difference(is, settings)),
    );
    let running = match present.has_table("schema_lease") {
        true => lease::holder(door, name).await?.map(|holder| holder.run_by),
        false => None,
    };
    Ok(SchemaStatus {
        keyspace: name.clone(),
        flavour: runner.flavour,
        server: runner.server().await?,
        replication: found
            .map(|keyspace| keyspace.replication)
            .unwrap_or_default(),
        tables: present.tables(),
        version,
        needed: runner.newest(),
        migrations: each(&runner.known, &ledger),
        running,
        layout,
        refused,
        findings,
    })
}

fn each(known: &[Migration], ledger: &[Entry]) -> Vec<MigrationStatus> {
    let of_known = known.iter().map(|migration| {
        let entry = ledger.iter().find(|e| e.version == migration.version);
        let state = match entry {
            None => MigrationState::Missing,
            Some(entry) if entry.checksum != migration.checksum => MigrationState::Drifted,
            Some(entry) if entry.done => MigrationState::Done,
            Some(_) => MigrationState::Running,
        };
        one(migration.version, &migration.name, state, entry)
    });
    let is_known = |entry: &&Entry| known.iter().any(|m| m.version == entry.version);
    let unknown = ledger.iter().filter(|entry| !is_known(entry));
    let of_unknown = unknown.map(|entry| {
        one(
            entry.version,
            &entry.name,
            MigrationState::Unknown,
            Some(entry),
        )
    });
    of_known.chain(of_unknown).collect()
}

fn one(version: u32, name: &str, state: MigrationState, entry: Option<&Entry>) -> MigrationStatus {
    let time = |millis: Option<i64>| {
        millis
            .and_then(|m| u64::try_from(m).ok())
            .map(UnixMillis::new)
    };
    MigrationStatus {
        version,
        name: name.to_owned(),
        state,
        started: time(entry.and_then(|entry| entry.started)),
        finished: time(entry.and_then(|entry| entry.finished)),
        run_by: entry.map(|entry| entry.run_by.clone()).unwrap_or_default(),
    }
}

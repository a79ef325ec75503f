//! `holdfast schema …`: the tables of a CQL store.

use super::host::{cluster_of, inspect};
use super::recorded::record_deed;
use super::sources::Where;
use super::{Failure, terminal};
use crate::config::{self, StoreKind};
use anyhow::{anyhow, bail};
use clap::Subcommand;
use holdfast_model::UnixMillis;
use holdfast_store::schema::{self, MigrationStatus, SchemaStatus};
use holdfast_store::{CqlSettings, Store};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make the keyspace and run the migrations that are missing.
    Up {
        #[command(flatten)]
        place: Where,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Show how far the keyspace is; 1 if this program cannot work with it.
    Status {
        #[command(flatten)]
        place: Where,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let (status, json) = match self {
            Self::Up { place, json } => (up(&named(&place)?).await?, json),
            Self::Status { place, json } => (schema::status(&named(&place)?.settings).await?, json),
        };
        match json {
            true => terminal::json(&status)?,
            false => show(&status)?,
        }
        Ok(match status.is_good() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// The cluster that the configuration names.
struct Named {
    settings: CqlSettings,
    /// Whether changes stand in the audit log.
    is_audited: bool,
}

/// Runs the migrations that are missing. Which they were stands in the audit log afterwards, for
/// its tables come with them; that one is begun stands in a table of its own before.
async fn up(cluster: &Named) -> Result<SchemaStatus, Failure> {
    let before = schema::status(&cluster.settings).await?;
    let status = schema::up(&cluster.settings).await?;
    let ran = ran(&before, &status);
    if cluster.is_audited && status.is_good() && !ran.is_empty() {
        let what = format!("schema up of {} ran {}", status.keyspace, ran.join(", "));
        if let Err(error) = record(&cluster.settings, &what).await {
            terminal::complain(&format!(
                "the migrations are done, and the audit log does not take it: {error:#}"
            ));
        }
    }
    Ok(status)
}

/// The migrations that were not done before.
fn ran(before: &SchemaStatus, after: &SchemaStatus) -> Vec<String> {
    let is_new = |migration: &&MigrationStatus| migration.version > before.version;
    let new = after.migrations.iter().filter(is_new);
    new.filter(|migration| migration.version <= after.version)
        .map(|migration| format!("{} {}", migration.version, migration.name))
        .collect()
}

async fn record(settings: &CqlSettings, what: &str) -> Result<(), Failure> {
    let store = Store::cql(settings.clone()).await?;
    let recorded = record_deed(&store, what).await;
    store.close().await?;
    recorded
}

fn named(place: &Where) -> Result<Named, Failure> {
    let loaded = match config::load(&place.sources(Vec::new()), inspect) {
        Ok(loaded) => loaded,
        Err(problems) => bail!("the configuration cannot be used\n{problems}"),
    };
    if loaded.config.store.kind != StoreKind::Cql {
        bail!("store.kind is not `cql`, and no other store has a schema to look after");
    }
    let cluster = cluster_of(&loaded.config)
        .map_err(|complaint| anyhow!("{}: {}", complaint.key, complaint.wrong))?;
    let settings =
        cluster.ok_or_else(|| anyhow!("no cluster is named; run `holdfast config check`"))?;
    Ok(Named {
        settings,
        is_audited: loaded.config.audit.enabled,
    })
}

fn show(status: &SchemaStatus) -> Result<(), Failure> {
    terminal::say(&about(status))?;
    let rows: Vec<[String; 6]> = status.migrations.iter().map(row).collect();
    terminal::table(
        ["VERSION", "NAME", "STATE", "STARTED", "FINISHED", "RUN BY"],
        &rows,
    )?;
    for finding in &status.findings {
        terminal::say(&format!("\n{finding}"))?;
    }
    if let Some(refused) = &status.refused {
        terminal::complain(refused);
    } else if !status.is_good() {
        terminal::complain("migrations are missing; run `holdfast schema up`");
    }
    Ok(())
}

fn about(status: &SchemaStatus) -> String {
    let replicas = status.replication.iter();
    let replicas: Vec<String> = replicas
        .filter(|(name, _)| *name != "class")
        .map(|(name, count)| format!("{name}:{count}"))
        .collect();
    let mut text = format!(
        "{} on {} {}: version {} of {}, {} tables, replicated {}\n",
        status.keyspace,
        status.flavour,
        status.server,
        status.version,
        status.needed,
        status.tables,
        match replicas.is_empty() {
            true => "nowhere yet".to_owned(),
            false => replicas.join(","),
        }
    );
    if let Some(by) = &status.running {
        text.push_str(&format!("{by} is migrating it now\n"));
    }
    text.push('\n');
    text
}

fn row(migration: &MigrationStatus) -> [String; 6] {
    let time = |time: Option<UnixMillis>| time.map_or_else(String::new, |time| time.to_string());
    [
        migration.version.to_string(),
        migration.name.clone(),
        migration.state.as_str().to_owned(),
        time(migration.started),
        time(migration.finished),
        migration.run_by.clone(),
    ]
}

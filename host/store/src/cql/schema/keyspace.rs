//! The keyspace: made once, never changed.
//!
//! Another replication takes effect only with the repair that belongs to it, so that changing it is
//! an operator's work; a difference is told together with the statement to run.

use super::door::Door;
use super::flavour::Flavour;
use super::wanted::Tablets;
use super::{CqlSettings, SchemaError};
use std::collections::BTreeMap;

/// What `system_schema` says of a keyspace: replicas by datacenter, or the name of a strategy that
/// does not know datacenters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyspace {
    pub(super) replication: BTreeMap<String, String>,
}

/// Looks for the keyspace.
pub(super) async fn find(door: &Door<'_>, name: &str) -> Result<Option<Keyspace>, SchemaError> {
    let rows = door.own::<(BTreeMap<String, String>,)>(
        "look for the keyspace",
        "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?",
        (name,),
    );
    let row = rows.await?.into_iter().next();
    Ok(row.map(|(replication,)| Keyspace { replication }))
}

/// Makes it. Two processes that do so at once write the same.
pub(super) async fn make(
    door: &Door<'_>,
    settings: &CqlSettings,
    flavour: Flavour,
) -> Result<(), SchemaError> {
    tracing::info!(keyspace = settings.keyspace, "making the keyspace");
    let text = statement(settings, flavour);
    match door.define("make the keyspace", &text).await {
        Err(error) if !error.is_there_already() => return Err(error),
        _ => (),
    }
    door.agree().await?;
    door.learn().await;
    Ok(())
}

/// `CREATE KEYSPACE …`.
pub(super) fn statement(settings: &CqlSettings, flavour: Flavour) -> String {
    let tablets = match (flavour, settings.schema.tablets) {
        (Flavour::Cassandra, _) | (Flavour::Scylla, Tablets::Server) => "",
        (Flavour::Scylla, Tablets::On) => " AND tablets = {'enabled': true}",
        (Flavour::Scylla, Tablets::Off) => " AND tablets = {'enabled': false}",
    };
    format!(
        "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {} AND durable_writes = true{tablets}",
        settings.keyspace,
        replication(&settings.replication)
    )
}

/// How the keyspace differs from what the configuration says, and what an operator can run.
pub(super) fn difference(keyspace: &Keyspace, settings: &CqlSettings) -> Option<String> {
    let wanted: BTreeMap<String, String> = settings
        .replication
        .iter()
        .map(|(datacenter, replicas)| (datacenter.clone(), replicas.to_string()))
        .collect();
    let mut is = keyspace.replication.clone();
    let class = is.remove("class").unwrap_or_default();
    if class.ends_with("NetworkTopologyStrategy") && is == wanted {
        return None;
    }
    let class = class.rsplit('.').next().unwrap_or_default();
    Some(format!(
        "keyspace {0} is replicated by {class} as {is:?} and store.cql.replication says {wanted:?}; \
         either write there what is, or run `ALTER KEYSPACE {0} WITH replication = {1}` and then \
         `nodetool repair -full {0}` on every node (`nodetool cluster repair {0}` with tablets)",
        settings.keyspace,
        replication(&settings.replication)
    ))
}

fn replication(wanted: &[(String, u16)]) -> String {
    let each = wanted
        .iter()
        .map(|(name, replicas)| format!(", '{}': {replicas}", name.replace('\'', "''")));
    format!(
        "{{'class': 'NetworkTopologyStrategy'{}}}",
        each.collect::<String>()
    )
}

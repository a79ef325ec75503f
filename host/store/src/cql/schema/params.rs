//! What is fixed when a keyspace is first used: the table `store_params`.
//!
//! Conditional writes only: one row, written once. It decides in which partition a key lies, so
//! whatever a configuration says later, what stands here counts.

use super::door::Door;
use super::{CqlSettings, SchemaError};
use crate::cql::home::Params;
use serde::{Deserialize, Serialize};

/// The row.
const NAME: &str = "layout";

/// The row's value, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Bits of a pin's prefix.
    pub prefix_bits: u8,
    /// Bits of a prefix that make a peer's bucket.
    pub peer_bucket_bits: u8,
    /// Partitions of one slot of the feed.
    pub feed_shards: u16,
    /// Partitions of one slot of an expiry index.
    pub expiry_shards: u16,
    /// Datacenters that keys have their homes in.
    pub homes: Vec<String>,
}

impl From<Fixed> for Params {
    fn from(fixed: Fixed) -> Self {
        Self {
            prefix_bits: fixed.prefix_bits,
            peer_bucket_bits: fixed.peer_bucket_bits,
            feed_shards: fixed.feed_shards,
            expiry_shards: fixed.expiry_shards,
            homes: fixed.homes,
        }
    }
}

/// What stands in the table, if anything does.
pub(super) async fn read(door: &Door<'_>, keyspace: &str) -> Result<Option<Fixed>, SchemaError> {
    parse(
        door.read("read store_params", &select(keyspace), (NAME,))
            .await?,
    )
}

/// What stands in the table; written from the configuration if nothing does.
pub(super) async fn settle(door: &Door<'_>, settings: &CqlSettings) -> Result<Fixed, SchemaError> {
    let keyspace = &settings.keyspace;
    if let Some(fixed) = read(door, keyspace).await? {
        return Ok(fixed);
    }
    let wanted = of(settings);
    let value = serde_json::to_string(&wanted).map_err(|e| SchemaError::Odd {
        doing: "the layout".to_owned(),
        why: e.to_string(),
    })?;
    let insert =
        format!("INSERT INTO {keyspace}.store_params (name, value) VALUES (?, ?) IF NOT EXISTS");
    if door
        .condition("fix the layout", &insert, (NAME, &value))
        .await?
    {
        tracing::info!(keyspace, layout = value, "the layout is fixed from now on");
        return Ok(wanted);
    }
    let read = door
        .read_serially("read store_params", &select(keyspace), (NAME,))
        .await?;
    parse(read)?.ok_or_else(|| damaged("it has no layout".to_owned()))
}

/// How the configuration differs from what was fixed.
pub(super) fn difference(fixed: &Fixed, settings: &CqlSettings) -> Option<String> {
    let mut wanted = of(settings);
    if settings.layout.homes.is_empty() {
        wanted.homes.clone_from(&fixed.homes);
    }
    (wanted != *fixed).then(|| {
        format!(
            "the layout of {} was fixed when it was first used and stays {}; what the configuration \
             says otherwise is not used",
            settings.keyspace,
            serde_json::to_string(fixed).unwrap_or_default()
        )
    })
}

fn of(settings: &CqlSettings) -> Fixed {
    let layout = &settings.layout;
    Fixed {
        prefix_bits: layout.prefix_bits,
        peer_bucket_bits: layout.peer_bucket_bits,
        feed_shards: layout.feed_shards,
        expiry_shards: layout.expiry_shards,
        homes: settings.homes(),
    }
}

fn select(keyspace: &str) -> String {
    format!("SELECT value FROM {keyspace}.store_params WHERE name = ?")
}

fn parse(rows: Vec<(Option<String>,)>) -> Result<Option<Fixed>, SchemaError> {
    let Some(value) = rows.into_iter().find_map(|(value,)| value) else {
        return Ok(None);
    };
    let fixed: Fixed = serde_json::from_str(&value).map_err(|e| damaged(e.to_string()))?;
    match fixed.homes.is_empty() {
        true => Err(damaged("it names no home".to_owned())),
        false => Ok(Some(fixed)),
    }
}

fn damaged(why: String) -> SchemaError {
    SchemaError::Odd {
        doing: "the layout in store_params".to_owned(),
        why,
    }
}

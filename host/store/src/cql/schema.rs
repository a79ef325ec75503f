//! The schema: brought up to date at start.

use super::home::Params;
use super::settings::CqlSettings;
use crate::Result;
use crate::error::StoreError;
use scylla::client::session::Session;

const MIGRATIONS: &[&str] = &[
    include_str!("../../../../schema/cql/0001_bookkeeping.cql"),
    include_str!("../../../../schema/cql/0002_pins.cql"),
    include_str!("../../../../schema/cql/0003_requests.cql"),
    include_str!("../../../../schema/cql/0004_feed.cql"),
    include_str!("../../../../schema/cql/0005_keys.cql"),
];

/// Makes what is missing, and answers what was fixed when the keyspace was first used.
pub(crate) async fn bring_up(session: &Session, settings: &CqlSettings) -> Result<Params> {
    let keyspace = &settings.keyspace;
    let of_dc = |(dc, factor): &(String, u16)| format!("'{dc}': {factor}");
    let replication: Vec<_> = settings.replication.iter().map(of_dc).collect();
    let replication = replication.join(", ");
    run(
        session,
        &format!(
            "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
             {{'class': 'NetworkTopologyStrategy', {replication}}}"
        ),
    )
    .await?;
    for migration in MIGRATIONS {
        let plain: Vec<_> = migration
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect();
        for statement in plain.join("\n").split(';') {
            if !statement.trim().is_empty() {
                run(session, &statement.replace("{keyspace}", keyspace)).await?;
            }
        }
    }
    let layout = &settings.layout;
    Ok(Params {
        prefix_bits: layout.prefix_bits,
        peer_bucket_bits: layout.peer_bucket_bits,
        feed_shards: layout.feed_shards,
        expiry_shards: layout.expiry_shards,
        homes: settings.homes(),
    })
}

async fn run(session: &Session, statement: &str) -> Result<()> {
    let done = session.query_unpaged(statement, ()).await;
    done.map(drop).map_err(|error| StoreError::Unavailable {
        doing: format!("run {statement:?}"),
        source: std::io::Error::other(error.to_string()),
    })
}

//! The driver alone, as whoever has no store would use it: the store's own texts, prepared, sent
//! with the store's levels to the store's datacenter.

use crate::server::DEADLINE;
use anyhow::{Context, Result};
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use holdfast_model::Cid;
use holdfast_store::{CqlSettings, Layout, cql_outside};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

/// Ranges of the ring that are streamed at the same time: what a node of two cores has use for.
const RANGES: i64 = 6;

/// Rows of a page of a stream, as the store asks for.
const STREAM_PAGE: i32 = 5_000;

/// A session with every statement of the store prepared.
pub(crate) struct Bare {
    pub(crate) session: Session,
    prepared: HashMap<&'static str, PreparedStatement>,
    layout: Layout,
}

impl Bare {
    /// Connects to where the store is. As the store does for a key at home: a majority there, and
    /// no retries of the driver's.
    pub(crate) async fn connect(settings: &CqlSettings) -> Result<Self> {
        let nodes = DefaultPolicy::builder()
            .prefer_datacenter(settings.local_datacenter.clone())
            .token_aware(true)
            .build();
        let profile = ExecutionProfile::builder()
            .load_balancing_policy(nodes)
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::LocalSerial))
            .request_timeout(Some(DEADLINE))
            .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.contact_points)
            .use_keyspace(&settings.keyspace, false)
            .default_execution_profile_handle(profile.into_handle());
        if let Some(login) = &settings.login {
            builder = builder.user(&login.username, &login.password);
        }
        let session = builder.build().await?;
        let mut prepared = HashMap::new();
        for (label, text) in cql_outside::statements() {
            prepared.insert(label, session.prepare(text).await?);
        }
        Ok(Self {
            session,
            prepared,
            layout: settings.layout.clone(),
        })
    }

    /// The prefix under which a pin lies.
    pub(crate) fn prefix(&self, cid: &Cid) -> i32 {
        cql_outside::prefix(&self.layout, cid)
    }

    /// Sends a statement of the store, by its name in metrics, and answers its rows.
    pub(crate) async fn send(
        &self,
        label: &str,
        values: impl SerializeRow,
    ) -> Result<QueryRowsResult> {
        let answer = self.session.execute_unpaged(self.named(label)?, values);
        Ok(answer.await?.into_rows_result()?)
    }

    /// Sends a statement that answers nothing.
    pub(crate) async fn write(&self, label: &str, values: impl SerializeRow) -> Result<()> {
        let answer = self.session.execute_unpaged(self.named(label)?, values);
        answer.await?;
        Ok(())
    }

    fn named(&self, label: &str) -> Result<&PreparedStatement> {
        let found = self.prepared.get(label);
        found.with_context(|| format!("the store has no statement {label}"))
    }
}

/// Streams every pin by ranges of tokens, and counts them.
pub(crate) async fn stream(bare: &Arc<Bare>) -> Result<u64> {
    let text = "SELECT token(prefix), prefix, cid, version, op, requests, by_cluster, expires, \
                body FROM pins WHERE token(prefix) >= ? AND token(prefix) <= ?";
    let mut ranges = bare.session.prepare(text).await?;
    ranges.set_page_size(STREAM_PAGE);
    let width = i64::MAX / RANGES * 2;
    let parts = (0..RANGES).map(|n| {
        let (bare, ranges) = (Arc::clone(bare), ranges.clone());
        let first = i64::MIN + n * width;
        let is_last = n + 1 == RANGES;
        let last = if is_last { i64::MAX } else { first + width - 1 };
        tokio::spawn(async move { count(&bare, ranges, (first, last)).await })
    });
    try_join_all(parts).await?.into_iter().sum()
}

/// A pin as a stream gives it.
type Streamed = (
    i64,
    i32,
    Vec<u8>,
    i64,
    Uuid,
    i64,
    bool,
    Option<i64>,
    Vec<u8>,
);

async fn count(bare: &Bare, ranges: PreparedStatement, range: (i64, i64)) -> Result<u64> {
    let pages = bare.session.execute_iter(ranges, range).await?;
    let mut rows = pages.rows_stream::<Streamed>()?;
    let mut count = 0;
    while rows.try_next().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

//! The schema's version as operators see it, while processes of several releases run.

use super::ledger::COMPONENT;
use crate::Result;
use crate::cql::Shared;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use prometheus::core::Collector;
use prometheus::{IntGauge, IntGaugeVec, Opts};

const CONSTANT_NAMES: &str = "the name and the label are constants and well-formed";

/// What the program needs and what there is.
#[derive(Debug)]
pub(in crate::cql) struct Version {
    versions: IntGaugeVec,
    keyspace: IntGauge,
}

impl Version {
    /// For a program that needs a version, and has just found or made it.
    #[expect(
        clippy::expect_used,
        reason = "fails on a misspelt constant only; tests make every metric"
    )]
    pub(in crate::cql) fn new(needed: u32) -> Self {
        let options = Opts::new(
            "holdfast_cql_schema_version",
            "Version of the schema, of: program (the one that it needs), keyspace (the newest that \
             is done there; more once a newer release has started).",
        );
        let versions = IntGaugeVec::new(options, &["of"]).expect(CONSTANT_NAMES);
        let of = |of: &str| versions.with_label_values(&[of]);
        of("program").set(i64::from(needed));
        let keyspace = of("keyspace");
        keyspace.set(i64::from(needed));
        Self { versions, keyspace }
    }

    pub(in crate::cql) fn collector(&self) -> Box<dyn Collector> {
        Box::new(self.versions.clone())
    }
}

impl Shared {
    /// Looks how far the keyspace's schema is by now.
    pub(in crate::cql) async fn look_at_schema(&self) -> Result<()> {
        let rows: Vec<(i32, Option<String>)> = self
            .calls
            .rows(Statement::SchemaVersions, Home::default(), (COMPONENT,))
            .await?;
        let is_done = |state: &Option<String>| state.as_deref() == Some("done");
        let done = rows.iter().filter(|(_, state)| is_done(state));
        let newest = done.map(|(version, _)| *version).max().unwrap_or(0);
        self.schema.keyspace.set(i64::from(newest));
        Ok(())
    }
}

//! The rows, one file each kind of peer.

mod cql;
mod go;
mod http;
mod identity;
mod opa;
mod plugins;
mod policy;
mod state;
mod store;

use crate::host::Host;
use crate::table::Row;
use anyhow::Result;
use holdfast_runtime::PluginKind;
use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

/// Pairs that are measured in turn for each row.
const ROUNDS: u32 = 3;

/// What all rows need.
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    /// The program that measures the CQL store.
    pub(crate) cql: PathBuf,
    /// How long each measured stretch lasts.
    pub(crate) stretch: Duration,
    /// Of which the names of the hostile kit's cases must have one in them, if there are any.
    pub(crate) cases: Vec<String>,
    /// How many pins there are where there are many.
    pub(crate) pins: u32,
    /// A store that has them, once a row has made one.
    pub(crate) loaded: OnceCell<state::Loaded>,
}

impl Plan {
    /// Whether a case of the hostile kit is asked for.
    pub(crate) fn has_case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|part| name.contains(part))
    }
}

/// What measures a row.
type Measure = fn(&Plan) -> Result<Row>;

const ROWS: &[(&str, Measure)] = &[
    ("get_pin", http::get_pin),
    ("list_first_page", http::list_first_page),
    ("post_pin", store::post_pin),
    ("authorizer_warm", plugins::authorizer_warm),
    ("authorizer_isolated", plugins::authorizer_isolated),
    ("start_cached", plugins::start_cached),
    ("rate_day", plugins::rate_day),
    ("quote_extism", plugins::quote_extism),
    ("fuel_cost", plugins::fuel_cost),
    ("hostile_neighbour", plugins::hostile_neighbour),
    ("hostile_get", plugins::hostile_get),
    ("hostile_kit_pricing", |plan| {
        plugins::hostile_kit(plan, "hostile_kit_pricing", PluginKind::Pricing)
    }),
    ("hostile_kit_authorizer", |plan| {
        plugins::hostile_kit(plan, "hostile_kit_authorizer", PluginKind::Authorizer)
    }),
    ("hostile_kit_payment", |plan| {
        plugins::hostile_kit(plan, "hostile_kit_payment", PluginKind::Payment)
    }),
    ("hostile_kit_config", |plan| {
        plugins::hostile_kit(plan, "hostile_kit_config", PluginKind::Config)
    }),
    ("reload_p99", plugins::reload_p99),
    ("reload_pricing", plugins::reload_pricing),
    ("reload_authorizer", plugins::reload_authorizer),
    ("reload_payment", plugins::reload_payment),
    ("reload_config", plugins::reload_config),
    ("decide_10", policy::decide_10),
    ("decide_10000", policy::decide_10000),
    ("decide_new", policy::decide_new),
    ("decide_new_10000", policy::decide_new_10000),
    ("decide_opa", opa::decide_opa),
    ("hot_identity", identity::hot_identity),
    ("import", state::import),
    ("export", state::export),
    ("list_stream", state::list_stream),
    ("stream_rss_mib", state::stream_rss_mib),
    ("start_full_ms", state::start_full_ms),
    ("start_full_mib", state::start_full_mib),
    ("node_ready_ms", go::node_ready_ms),
    ("go_state_get", go::state_get),
    ("go_state_put", go::state_put),
    ("start_ms", start_ms),
];

/// Measures the rows that were asked for, or all.
pub(crate) fn measure(plan: &Plan, wanted: &[String]) -> Result<Vec<Row>> {
    let known: Vec<&str> = ROWS
        .iter()
        .map(|(name, _)| *name)
        .chain(cql::ROWS)
        .collect();
    for name in wanted {
        anyhow::ensure!(
            known.contains(&name.as_str()),
            "there is no row {name:?}; there are {}",
            known.join(", ")
        );
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let mut rows = Vec::new();
    for (_, measure) in ROWS.iter().filter(|(name, _)| is_wanted(name)) {
        rows.push(measure(plan)?);
    }
    let of_cql: Vec<&str> = cql::ROWS.into_iter().filter(|row| is_wanted(row)).collect();
    if !of_cql.is_empty() {
        rows.extend(cql::rows(plan, &of_cql)?);
    }
    Ok(rows)
}

/// From `exec` to a ready host with the shipped policies and plugins.
fn start_ms(plan: &Plan) -> Result<Row> {
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let host = Host::start(&plan.binary)?;
        let ms = u32::try_from(host.started_in.as_millis()).unwrap_or(u32::MAX);
        pairs.push((f64::from(ms), 300.0));
    }
    Ok(Row::from_pairs(
        "start_ms",
        "ms",
        "the goal itself",
        "<= 300 ms",
        &pairs,
    ))
}

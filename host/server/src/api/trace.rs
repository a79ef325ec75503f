//! What the store's servers did for one call: for an operator who asks with
//! `Holdfast-Trace: store`, in a header of the answer and, step by step, in the log.
//!
//! Only a CQL store has servers to ask. Tracing makes a call slow: each of its statements is
//! written down by the server, and read back before the call is answered.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::routes;
use axum::http::{HeaderName, HeaderValue};
use holdfast_model::Role;
use holdfast_store::{Cql, Store, Trace};

/// The header, both ways.
pub(super) const HEADER: HeaderName = HeaderName::from_static("holdfast-trace");

/// What it asks for.
const OF_STORE: &str = "store";

/// Statements that the answer's header tells of: proxies cut heads of more than 8 KiB.
const TOLD_MAX: usize = 32;

/// The cluster to trace the call in, if the caller asks and may know: traces tell of the insides of
/// the host, so it takes an operator.
pub(super) fn wanted(call: &Call) -> Option<Cql> {
    let asked = call.parts.headers.get(HEADER)?;
    let principal = call.principal.as_ref()?;
    let may_know = principal.roles.contains(Role::Operator);
    match &call.app().store {
        Store::Cql(cql) if may_know && asked == OF_STORE => Some(cql.clone()),
        _ => None,
    }
}

/// Handles a call and keeps what the servers did for it.
pub(super) async fn traced(call: &mut Call, cluster: &Cql) -> Result<Reply, Problem> {
    let (outcome, traces) = cluster.traced(routes::handle(call)).await;
    let request_id = format!("{:032x}", call.request_id);
    for trace in &traces {
        tracing::info!(
            request_id,
            ?trace,
            "a statement of a call that was to be traced"
        );
    }
    let told: Vec<_> = traces.iter().take(TOLD_MAX).map(told).collect();
    let text = serde_json::Value::from(told).to_string();
    call.traced = HeaderValue::from_str(&text).ok();
    outcome
}

fn told(trace: &Trace) -> serde_json::Value {
    serde_json::json!({
        "statement": trace.statement,
        "coordinator": trace.coordinator,
        "took_us": micros(trace.took),
        "server_us": trace.server_took.map(micros),
    })
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

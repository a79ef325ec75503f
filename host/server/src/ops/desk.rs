//! The ops listener's pages: metrics, health, flame graphs.

use crate::ops::health::{Health, State};
use crate::ops::metrics::Metrics;
use crate::ops::profile::{self, Profiler};
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

/// The router of the ops listener.
pub fn router(health: Health, metrics: Metrics, profiler: Profiler) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready).with_state(health))
        .route("/metrics", get(page).with_state(metrics))
        .route(
            "/debug/pprof/flamegraph",
            get(profile::flamegraph).with_state(profiler),
        )
}

/// The process answers: that is all that being alive means. Restarting it mends nothing that
/// `/health/ready` complains of.
async fn live() -> Response {
    Json(serde_json::json!({ "status": "live" })).into_response()
}

async fn ready(Shared(health): Shared<Health>) -> Response {
    let report = health.report().await;
    let status = match report.status {
        State::Ready | State::Degraded => StatusCode::OK,
        State::Unready => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report)).into_response()
}

async fn page(Shared(metrics): Shared<Metrics>) -> Response {
    match metrics.page() {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response(),
        Err(e) => {
            tracing::error!(error = %e, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

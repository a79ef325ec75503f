//! The loaded plugins, under `/v1/plugins`.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use axum::http::StatusCode;
use holdfast_model::action::{Host, ListPlugins};
use holdfast_runtime::PluginInfo;
use serde::Serialize;
use utoipa::ToSchema;

/// All plugins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugins)]
pub(crate) struct Loaded {
    #[schema(value_type = Vec<Plugin>)]
    plugins: Vec<PluginInfo>,
}

/// One plugin, for the document only.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Plugin {
    name: String,
    /// `authorizer` or `pricing`.
    kind: String,
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// Grows with each replacement.
    generation: u64,
    /// `live`, `standby` or `refused`.
    state: String,
    /// Why it was refused.
    error: Option<String>,
}

/// See which plugins are loaded and how they fare.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", operation_id = "listPlugins",
    responses((status = 200, description = "All plugins", body = Loaded))
)]
pub(crate) fn list(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ListPlugins>(Host)?;
    let plugins = call.app().plugins.list();
    Reply::json(StatusCode::OK, &Loaded { plugins })
}

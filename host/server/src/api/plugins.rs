//! The plugins, under `/v1/plugins`: what is loaded, and how it is replaced.

mod package;
mod shapes;

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::app::App;
use axum::http::StatusCode;
use holdfast_model::Invalid;
use holdfast_model::action::{Host, InstallPlugin, ListPlugins, ReadPlugin, SwitchPlugin};
use holdfast_runtime::{LogLine, PluginInfo, Plugins, ReloadError, ShadowReport};
use package::{PACKAGE_BYTES_MAX, PACKAGE_TIMEOUT, Package};
use serde::Serialize;
use serde_json::json;
pub(crate) use shapes::{Attempt, Generation, Line, Plugin, Report};
use std::sync::Arc;
use tokio::task::JoinError;
use utoipa::ToSchema;

/// Lines of a plugin's log, unless the caller wants fewer or more.
const LINES_USUAL: usize = 100;

/// All plugins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugins)]
pub(crate) struct Loaded {
    #[schema(value_type = Vec<Plugin>)]
    plugins: Vec<PluginInfo>,
    /// Whether the host runs with `production = true`: nothing is tried out on it by accident.
    production: bool,
}

/// What a plugin logged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginLog)]
pub(crate) struct Log {
    /// The oldest first.
    #[schema(value_type = Vec<Line>)]
    lines: Vec<LogLine>,
}

/// How a candidate compares with what serves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginShadow)]
pub(crate) struct Shadow {
    /// Nothing if no candidate runs beside what serves.
    #[schema(value_type = Option<Report>)]
    report: Option<ShadowReport>,
}

/// See which plugins are loaded and how they fare.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", operation_id = "listPlugins",
    responses((status = 200, description = "All plugins", body = Loaded))
)]
pub(crate) fn list(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ListPlugins>(Host)?;
    let loaded = Loaded {
        plugins: call.app().plugins.list(),
        production: call.station.edge.settings.production,
    };
    Reply::json(StatusCode::OK, &loaded)
}

/// See one plugin with its generations.
#[utoipa::path(
    get, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "readPlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, description = "The plugin", body = Plugin))
)]
pub(crate) fn read(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ListPlugins>(Host)?;
    let found = call.app().plugins.describe(call.named());
    Reply::json(StatusCode::OK, &found.ok_or_else(Problem::not_found)?)
}

/// Put a plugin in, or a new one in the place of an old one: it is verified, compiled, started and
/// asked its golden vectors first. What is refused changes nothing.
#[utoipa::path(
    put, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "installPlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    request_body = Package,
    responses(
        (status = 200, description = "The plugin as it is now", body = Plugin),
        (status = 202, description = "It is still being compiled and tried; look again later")
    )
)]
pub(crate) async fn install(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<InstallPlugin>(Host)?;
    let package: Package = call.json_within(PACKAGE_BYTES_MAX, PACKAGE_TIMEOUT).await?;
    let name = call.named().to_owned();
    let parts = package.unpacked()?;
    call.note(format!("plugin {name}, component {}", parts.digest));
    let (app, of_task) = (call.app().clone(), name.clone());
    // A task of its own: it goes on, and is told of in the log, when nobody waits any more.
    let task = tokio::spawn(async move {
        let outcome = aside(&app, move |plugins| {
            plugins.install(&of_task, parts.into_parts())
        });
        let outcome = outcome.await;
        if let Err(problem) = &outcome {
            tracing::warn!(why = problem.note(), "a plugin was not installed");
        }
        outcome
    });
    let wait = call.station.edge.settings.install_wait;
    match tokio::time::timeout(wait, task).await {
        Ok(Ok(outcome)) => Reply::json(StatusCode::OK, &outcome?),
        Ok(Err(died)) => Err(Problem::internal("an installation died", &died)),
        Err(_elapsed) => {
            let pending = json!({ "name": name, "state": "installing" });
            Reply::json(StatusCode::ACCEPTED, &pending)
        }
    }
}

/// Take a plugin out, with its files and all its generations. Calls that run end on it.
#[utoipa::path(
    delete, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "removePlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, description = "It is gone"))
)]
pub(crate) async fn remove(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<InstallPlugin>(Host)?;
    call.query(&[])?;
    let name = call.named().to_owned();
    call.note(format!("plugin {name} removed"));
    let of_task = name.clone();
    at_once(call.app(), move |plugins| plugins.remove(&of_task)).await?;
    let gone = json!({ "name": name, "state": "removed" });
    Reply::json(StatusCode::OK, &gone)
}

/// Ask a candidate one made-up question of its kind, as it will be asked when it serves. What
/// serves is never asked: a payment plugin would collect.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/try", tag = "plugins", operation_id = "tryPlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, description = "What it said", body = Attempt))
)]
pub(crate) async fn attempt(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<InstallPlugin>(Host)?;
    call.query(&[])?;
    let name = call.named().to_owned();
    call.note(format!("plugin {name}: its candidate was tried"));
    let tried = aside(call.app(), move |plugins| plugins.try_candidate(&name)).await?;
    Reply::json(StatusCode::OK, &tried)
}

/// Have a candidate serve in the place of what serves now.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/promote", tag = "plugins", operation_id = "promotePlugin",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("generation" = Option<u64>, Query, description = "Which; the newest candidate if not named")
    ),
    responses((status = 200, description = "The plugin as it is now", body = Plugin))
)]
pub(crate) async fn promote(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<SwitchPlugin>(Host)?;
    let generation = number(call, "generation")?;
    let name = call.named().to_owned();
    call.note(match generation {
        Some(generation) => format!("plugin {name} promoted to generation {generation}"),
        None => format!("plugin {name} promoted"),
    });
    let now = at_once(call.app(), move |plugins| {
        plugins.promote(&name, generation)
    })
    .await?;
    Reply::json(StatusCode::OK, &now)
}

/// Have the generation before serve again, at once.
#[utoipa::path(
    post, path = "/v1/plugins/{name}/rollback", tag = "plugins", operation_id = "rollBackPlugin",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, description = "The plugin as it is now", body = Plugin))
)]
pub(crate) async fn rollback(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<SwitchPlugin>(Host)?;
    call.query(&[])?;
    let name = call.named().to_owned();
    call.note(format!("plugin {name} rolled back"));
    let now = at_once(call.app(), move |plugins| plugins.rollback(&name)).await?;
    Reply::json(StatusCode::OK, &now)
}

/// See how the candidate that runs beside a plugin differs from it.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/shadow", tag = "plugins", operation_id = "readPluginShadow",
    params(("name" = String, Path, description = "The plugin's name")),
    responses((status = 200, description = "The report, if there is a candidate", body = Shadow))
)]
pub(crate) fn shadow(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPlugin>(Host)?;
    let plugins = &call.app().plugins;
    let report = plugins.shadow_report(call.named());
    if report.is_none() && plugins.describe(call.named()).is_none() {
        return Err(Problem::not_found());
    }
    Reply::json(StatusCode::OK, &Shadow { report })
}

/// Read the last lines that a plugin logged.
#[utoipa::path(
    get, path = "/v1/plugins/{name}/logs", tag = "plugins", operation_id = "readPluginLogs",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("max" = Option<u64>, Query, description = "How many lines at most; 100 if not said")
    ),
    responses((status = 200, description = "The lines", body = Log))
)]
pub(crate) fn logs(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPlugin>(Host)?;
    let most = number(call, "max")?;
    let most = most.map_or(LINES_USUAL, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    let plugins = &call.app().plugins;
    let lines = plugins.logs(call.named(), most);
    if lines.is_empty() && plugins.describe(call.named()).is_none() {
        return Err(Problem::not_found());
    }
    Reply::json(StatusCode::OK, &Log { lines })
}

/// A number among the parameters, the only one that there may be.
fn number(call: &Call, name: &str) -> Result<Option<u64>, Problem> {
    let query = call.query(&[name])?;
    let text = query.one(name)?;
    let number = text.map(str::parse).transpose();
    Ok(number.map_err(|_| Invalid::new(name, "is no whole number; write digits"))?)
}

/// Compiling and trying a component takes long, and calls go before it.
async fn aside<T: Send + 'static>(
    app: &App,
    run: impl FnOnce(&Plugins) -> Result<T, ReloadError> + Send + 'static,
) -> Result<T, Problem> {
    let plugins = Arc::clone(&app.plugins);
    outcome(app.aside.run(move || run(&plugins)).await)
}

/// What changes who serves writes files, and is done at once however busy the host is.
async fn at_once<T: Send + 'static>(
    app: &App,
    run: impl FnOnce(&Plugins) -> Result<T, ReloadError> + Send + 'static,
) -> Result<T, Problem> {
    let plugins = Arc::clone(&app.plugins);
    outcome(tokio::task::spawn_blocking(move || run(&plugins)).await)
}

fn outcome<T>(done: Result<Result<T, ReloadError>, JoinError>) -> Result<T, Problem> {
    let done = done.map_err(|died| Problem::internal("a change of plugins died", &died))?;
    Ok(done?)
}

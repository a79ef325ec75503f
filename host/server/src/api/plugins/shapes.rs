//! What the runtime writes, described for the document. A test compares the names.

use serde_json::Value;
use utoipa::ToSchema;

/// One plugin.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Plugin {
    name: String,
    /// `authorizer`, `pricing`, `payment` or `config`.
    kind: String,
    /// What it says of itself.
    version: String,
    /// SHA-256 of the component.
    digest: String,
    /// Grows with each load.
    generation: u64,
    /// `warm` or `call`.
    isolation: String,
    /// `live`, `open` (live, and its breaker turns calls away), `standby`, `shadow` or `refused`.
    state: String,
    /// Why it was refused.
    error: Option<String>,
    /// What else is to be known.
    note: Option<String>,
    /// All that is loaded under this name, the newest first.
    generations: Vec<Generation>,
}

/// One generation of a plugin.
#[derive(ToSchema)]
#[schema(as = PluginGeneration)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Generation {
    generation: u64,
    version: String,
    digest: String,
    /// `live`, `open`, `standby`, `shadow`, `previous` or `draining`.
    state: String,
    /// How long it has been in this state.
    age_ms: u64,
    /// Calls that ended.
    calls: u64,
    /// Of these, those without a usable answer.
    failures: u64,
    note: Option<String>,
}

/// What a candidate said to a made-up question.
#[derive(ToSchema)]
#[schema(as = PluginAttempt)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Attempt {
    /// Which generation was asked.
    generation: u64,
    /// Whether there is an answer that can be used.
    is_answered: bool,
    /// The answer; or what a caller is told in its place.
    said: String,
}

/// One line of a plugin's log.
#[derive(ToSchema)]
#[schema(as = PluginLogLine)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Line {
    /// The generation that wrote it, or that it is about.
    generation: u64,
    /// `plugin`, or `host` where the host says it of the plugin: what became of its requests.
    by: String,
    /// `debug`, `info`, `warn` or `error`.
    level: String,
    line: String,
    age_ms: u64,
}

/// How a candidate compares with what serves, call by call.
#[derive(ToSchema)]
#[schema(as = PluginShadowReport)]
#[expect(dead_code, reason = "describes what the runtime writes")]
pub(crate) struct Report {
    name: String,
    kind: String,
    /// The candidate's.
    generation: u64,
    version: String,
    digest: String,
    running_ms: u64,
    /// Calls that were run on it.
    calls: u64,
    /// Of these, those that came out differently, failures among them.
    different: u64,
    /// Of these, those in which it failed.
    failed: u64,
    /// Calls that were left out, because more came than it could take.
    dropped: u64,
    /// Differences without a row below, because there were too many.
    unlisted: u64,
    /// How it failed, and how often.
    #[schema(value_type = Vec<Object>)]
    failures: Vec<Value>,
    /// For pricing: the accounts whose bills would change.
    #[schema(value_type = Vec<Object>)]
    bills: Vec<Value>,
    /// For an authorizer: the calls that it would decide otherwise.
    #[schema(value_type = Vec<Object>)]
    flips: Vec<Value>,
    /// The rule that decides about its promotion.
    #[schema(value_type = Object)]
    rule: Value,
    /// What the rule says now: `waiting`, `promote`, or why not.
    ruling: String,
}

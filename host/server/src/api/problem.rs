//! The one mapping from errors to HTTP, in each API's own shape.
//!
//! What a client is told is chosen here and is not an error's own text wherever that could tell of
//! others or of our insides: what is hidden answers as what is missing does, to the byte; a fault
//! of ours answers with the request id, and the cause goes to the log, once.

mod cluster;
mod errors;
mod shapes;
mod state;

use crate::api::reply::Reply;
use crate::api::routes::Shape;
use crate::ops::audit::AuditError;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use holdfast_model::ErrorKind;
use holdfast_runtime::PluginError;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// What both a missing and a hidden thing answer.
const NOT_FOUND: &str = "the specified resource was not found";

/// What went wrong, as the client is told.
///
/// Boxed, because it is large and rare, and every handler's result has room for one.
#[derive(Debug)]
pub(crate) struct Problem(Box<Told>);

#[derive(Debug)]
struct Told {
    status: StatusCode,
    /// The machine's word for it: `reason` and `code`.
    code: &'static str,
    detail: String,
    denied: Option<Denied>,
    /// What a machine is told beside it.
    members: Map<String, Value>,
    header: Option<(HeaderName, HeaderValue)>,
    /// For the log only.
    cause: Option<String>,
    /// Whether somebody said no, rather than something failing.
    is_denial: bool,
    /// The plugin that objected or failed, and what it said.
    plugin: Option<(String, String)>,
}

/// What a denial tells of itself.
#[derive(Debug, Serialize)]
struct Denied {
    decision_id: String,
    action: &'static str,
    policy_revision: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Told {
            status,
            code,
            detail: detail.into(),
            denied: None,
            members: Map::new(),
            header: None,
            cause: None,
            is_denial: false,
            plugin: None,
        }))
    }

    /// The status that is answered.
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What is behind it and only the log is told.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// What is to be told in one line to who reads the audit log.
    pub(crate) fn note(&self) -> &str {
        self.cause().unwrap_or(&self.0.detail)
    }

    /// Whether somebody said no, rather than something failing.
    pub(crate) fn is_denial(&self) -> bool {
        self.0.is_denial
    }

    /// The plugin that objected or failed, and what it said.
    pub(crate) fn plugin(&self) -> Option<&(String, String)> {
        self.0.plugin.as_ref()
    }

    pub(crate) fn saying_no(mut self) -> Self {
        self.0.is_denial = true;
        self
    }

    fn by_plugin(mut self, error: &PluginError) -> Self {
        if let PluginError::Failed { plugin, why } | PluginError::Open { plugin, why } = error {
            self.0.plugin = Some((plugin.clone(), why.clone()));
        }
        self
    }

    /// An error of some kind, with the text that the client gets.
    fn of_kind(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let (status, code) = match kind {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            ErrorKind::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            ErrorKind::Denied => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            ErrorKind::NotFound => return Self::not_found(),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "CONFLICT"),
            ErrorKind::Exhausted => (StatusCode::CONFLICT, "INSUFFICIENT_FUNDS"),
            ErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            ErrorKind::Corrupt | ErrorKind::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR")
            }
        };
        let mut problem = Self::new(status, code, detail);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.0.header = Some((header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        problem
    }

    /// There is no such thing, or the caller may not know of it.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", NOT_FOUND)
    }

    /// No route has this path.
    pub(crate) fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "there is no such path; /openapi.json lists all that there are",
        )
    }

    /// The path is there, the method is not.
    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let shown: String = method.as_str().chars().take(20).collect();
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "METHOD_NOT_ALLOWED",
            format!("{shown} cannot be done here; the Allow header lists what can"),
        )
    }

    /// Too many calls in flight.
    pub(crate) fn shed() -> Self {
        Self::of_kind(
            ErrorKind::Overloaded,
            "too many calls at once; try again in a second",
        )
    }

    /// A caller has made more calls than they may.
    pub(crate) fn too_many(seconds: u64) -> Self {
        let detail = format!("too many calls; try again in {seconds} s");
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", detail).after(seconds)
    }

    fn after(mut self, seconds: u64) -> Self {
        self.0.header = Some((header::RETRY_AFTER, seconds.into()));
        self
    }

    /// What the scopes of a key do not hold.
    pub(crate) fn out_of_scope(action: holdfast_model::Action) -> Self {
        let detail = format!("the scopes of your key do not hold {action}; use another key");
        Self::of_kind(ErrorKind::Denied, detail).saying_no()
    }

    /// The store is not there yet.
    pub(crate) fn starting() -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            "the host is starting and waits for the pin store; try again in a second",
        )
    }

    /// The call's deadline has passed.
    pub(crate) fn late() -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            "the call took too long and was given up; look whether it took effect before you try again",
        )
    }

    /// The audit log does not take what is about to be done, so it is not done.
    pub(crate) fn unrecorded(error: &AuditError) -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            format!("nothing was changed, for it could not be recorded: {error}"),
        )
    }

    /// It was done, and the audit log has only that it was begun.
    pub(crate) fn half_recorded(error: &AuditError) -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            format!(
                "the change was made, and that it was could not be recorded yet: {error}; look \
                 before you repeat it"
            ),
        )
    }

    /// There is no audit log that could be signed.
    pub(crate) fn no_notary() -> Self {
        Self::of_kind(
            ErrorKind::Conflict,
            "this host keeps no audit log; set audit.enabled",
        )
    }

    /// The chain in the store is not what was written.
    pub(crate) fn broken_chain(broken: &dyn std::fmt::Display) -> Self {
        Self::of_kind(ErrorKind::Conflict, broken.to_string())
    }

    /// The body did not arrive in time. The rest of it may still come, so the connection ends.
    pub(crate) fn slow_body(limit: Duration) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "REQUEST_TIMEOUT",
            format!("the body did not arrive within {limit:?}; send it without pauses"),
        )
        .closing()
    }

    /// The body is over the limit.
    pub(crate) fn large_body(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("the body is longer than {bytes_max} bytes; send less"),
        )
        .closing()
    }

    /// The body broke off.
    pub(crate) fn broken_body() -> Self {
        Self::of_kind(ErrorKind::Invalid, "the body broke off; send it whole").closing()
    }

    /// The body is not of a type that is understood.
    pub(crate) fn media_type(detail: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            detail,
        )
    }

    /// A fault of ours.
    pub(crate) fn internal(doing: &str, cause: &dyn std::fmt::Display) -> Self {
        let mut problem = Self::of_kind(
            ErrorKind::Internal,
            "a fault on our side; give the x-request-id of this answer to who runs this host",
        );
        problem.0.cause = Some(format!("{doing}: {cause}"));
        problem
    }

    fn closing(mut self) -> Self {
        self.0.header = Some((header::CONNECTION, HeaderValue::from_static("close")));
        self
    }

    /// A failing neighbour: the client learns that it failed and no more.
    fn neighbour(kind: ErrorKind, detail: &str, cause: &dyn std::fmt::Display) -> Self {
        let mut problem = Self::of_kind(kind, detail);
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// The answer, in the words of an API.
    pub(crate) fn into_reply(self, shape: Shape, request_id: u128) -> Reply {
        let reply = match shape {
            Shape::Pinning => self.0.as_failure(),
            Shape::Ours => self.0.as_problem_details(request_id),
            Shape::Cluster => self.0.as_error(),
        };
        match self.0.header {
            // The cluster's interface has challenges of its own.
            Some((name, _)) if shape == Shape::Cluster && name == header::WWW_AUTHENTICATE => reply,
            Some((name, value)) => reply.with_header(name, value),
            None => reply,
        }
    }
}

//! Recorded exchanges, which answer in place of the outside: so a plugin that calls out can be
//! tested without anybody to call, and answers the same each time. And how they are recorded.

use super::hooks::Inbound;
use crate::egress::{Allowance, EgressError, Guard, Outbound, Waits};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a request's body that is compared.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// One request and what was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// What the plugin must send.
    pub(crate) request: RecordedRequest,
    /// What it then gets.
    pub(crate) response: Recorded,
}

/// A request that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedRequest {
    /// In upper case.
    pub(crate) method: String,
    /// The whole address, with its scheme.
    pub(crate) url: String,
    /// Headers that must be among those sent, by names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, if it matters. JSON is compared by what it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

/// What came of a request that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Recorded {
    /// An answer.
    Response(RecordedResponse),
    /// None.
    Failure {
        /// `denied`, `timeout`, `too_large` or `failed`.
        error: Failure,
    },
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    /// The host does not let the request out.
    Denied,
    /// None came in time.
    Timeout,
    /// It was too long.
    TooLarge,
    /// Anything else.
    Failed,
}

/// A response that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedResponse {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub(crate) body: String,
}

/// Exchanges that are played again, in their order.
#[derive(Debug)]
pub(crate) struct Replay {
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    played: usize,
    wrong: Option<String>,
}

impl Replay {
    /// Plays these.
    pub(crate) fn new(exchanges: Vec<Exchange>) -> Arc<Self> {
        Arc::new(Self {
            exchanges,
            state: Mutex::default(),
        })
    }

    /// Answers a request by the next exchange.
    pub(super) async fn answer(
        &self,
        request: Request<Outbound>,
    ) -> Result<Response<Inbound>, EgressError> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|e| EgressError::Broken(e.to_string()))?;
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        let mut state = self.state.lock();
        let number = state.played.saturating_add(1);
        let Some(exchange) = self.exchanges.get(state.played) else {
            let why = format!(
                "request {number} ({} {}) is not recorded",
                parts.method, parts.uri
            );
            return Err(state.deny(why));
        };
        state.played = number;
        if let Err(why) = exchange.request.matches(&parts, &body) {
            return Err(state.deny(format!("request {number}: {why}")));
        }
        match &exchange.response {
            Recorded::Response(response) => response
                .to_http()
                .map_err(|why| state.deny(format!("response {number}: {why}"))),
            Recorded::Failure { error } => Err(error.as_error()),
        }
    }

    /// What did not go as it was recorded, if anything.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        let state = self.state.lock();
        if let Some(wrong) = &state.wrong {
            return Err(wrong.clone());
        }
        match self.exchanges.get(state.played) {
            None => Ok(()),
            Some(exchange) => Err(format!(
                "{} {} was recorded and not sent",
                exchange.request.method, exchange.request.url
            )),
        }
    }
}

/// What a job was told from outside, to be told again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// By the environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// By those whom it called.
    pub(crate) exchanges: Vec<Exchange>,
}

impl Heard {
    /// As vectors have it; nothing for what was not told.
    pub(crate) fn written(&self) -> (Option<Value>, Option<Value>) {
        let environment = (!self.environment.is_empty()).then(|| json!(self.environment));
        let exchanges = (!self.exchanges.is_empty()).then(|| json!(self.exchanges));
        (environment, exchanges)
    }
}

/// A way out that writes down what goes over it.
#[derive(Debug)]
pub(crate) struct Tape {
    guard: Arc<Guard>,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Tape {
    /// Sends through this guard.
    pub(crate) fn new(guard: Arc<Guard>) -> Arc<Self> {
        Arc::new(Self {
            guard,
            exchanges: Mutex::default(),
        })
    }

    /// What went over it.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().clone()
    }

    /// Sends a request out, and keeps it with its answer. Secrets are not among it: the guard puts
    /// them in afterwards.
    pub(super) async fn send(
        &self,
        request: Request<Outbound>,
        waits: Waits,
        allowance: Arc<Allowance>,
    ) -> Result<Response<Inbound>, EgressError> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body
            .map_err(|e| EgressError::Broken(e.to_string()))?
            .to_bytes();
        let request = RecordedRequest {
            method: parts.method.to_string(),
            url: parts.uri.to_string(),
            headers: headers(&parts.headers, &UNRECORDED_OF_REQUESTS),
            body: (!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned()),
        };
        let sent = self.pass(Request::from_parts(parts, full(body)), waits, allowance);
        let (answer, response) = match sent.await {
            Ok(answer) => (
                answer.to_http().map_err(EgressError::Broken),
                Recorded::Response(answer),
            ),
            Err(error) => {
                let recorded = Recorded::Failure {
                    error: Failure::of(&error),
                };
                (Err(error), recorded)
            }
        };
        self.exchanges.lock().push(Exchange { request, response });
        answer
    }

    async fn pass(
        &self,
        request: Request<Outbound>,
        waits: Waits,
        allowance: Arc<Allowance>,
    ) -> Result<RecordedResponse, EgressError> {
        let (response, driver) = self.guard.send(request, waits, allowance).await?;
        let driver = tokio::spawn(driver);
        let (parts, body) = response.into_parts();
        let body = body.collect().await;
        driver.abort();
        let body = String::from_utf8(body?.to_bytes().to_vec());
        Ok(RecordedResponse {
            status: parts.status.as_u16(),
            headers: headers(&parts.headers, &UNRECORDED_OF_RESPONSES),
            body: body.map_err(|_| {
                EgressError::Broken("an answer that is no text cannot be recorded".into())
            })?,
        })
    }
}

/// Headers of a request that say nothing about the question, or are a secret.
const UNRECORDED_OF_REQUESTS: [&str; 6] = [
    "authorization",
    "content-length",
    "cookie",
    "host",
    "transfer-encoding",
    "user-agent",
];

/// Headers of an answer that are other ones each time, or about the connection.
const UNRECORDED_OF_RESPONSES: [&str; 6] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "set-cookie",
    "transfer-encoding",
];

fn headers(all: &HeaderMap, but: &[&str]) -> BTreeMap<String, String> {
    let is_kept = |name: &str| !but.contains(&name);
    all.iter()
        .filter(|(name, _)| is_kept(name.as_str()))
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn full(body: Bytes) -> Outbound {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl State {
    fn deny(&mut self, why: String) -> EgressError {
        self.wrong.get_or_insert_with(|| why.clone());
        EgressError::Denied(why)
    }
}

impl Failure {
    fn of(error: &EgressError) -> Self {
        match error {
            EgressError::Denied(_) | EgressError::Closed(_) => Self::Denied,
            EgressError::Timeout(_) => Self::Timeout,
            EgressError::TooLarge(_) => Self::TooLarge,
            _ => Self::Failed,
        }
    }

    fn as_error(self) -> EgressError {
        let why = "recorded".to_owned();
        match self {
            Self::Denied => EgressError::Denied(why),
            Self::Timeout => EgressError::Timeout(why),
            Self::TooLarge => EgressError::TooLarge(why),
            Self::Failed => EgressError::Broken(why),
        }
    }
}

impl RecordedRequest {
    fn matches(&self, parts: &hyper::http::request::Parts, body: &str) -> Result<(), String> {
        if parts.method.as_str() != self.method || parts.uri.to_string() != self.url {
            return Err(format!(
                "is {} {}, and {} {} was recorded",
                parts.method, parts.uri, self.method, self.url
            ));
        }
        for (name, value) in &self.headers {
            let sent = parts.headers.get(name.as_str());
            if sent.is_none_or(|sent| sent.as_bytes() != value.as_bytes()) {
                return Err(format!(
                    "the header {name} is {sent:?}, and {value:?} was recorded"
                ));
            }
        }
        match &self.body {
            Some(recorded) if !is_same(recorded, body) => Err(format!(
                "the body is {body:?}, and {recorded:?} was recorded"
            )),
            _ => Ok(()),
        }
    }
}

fn is_same(recorded: &str, sent: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match (json(recorded), json(sent)) {
        (Some(recorded), Some(sent)) => recorded == sent,
        _ => recorded == sent,
    }
}

impl RecordedResponse {
    fn to_http(&self) -> Result<Response<Inbound>, String> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            response = response.header(name, value);
        }
        let body = full(Bytes::from(self.body.clone()));
        response.body(body).map_err(|e| e.to_string())
    }
}

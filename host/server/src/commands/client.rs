//! The small HTTP client with which commands talk to a running host.

use super::{Failure, dial};
use anyhow::{Context, anyhow};
use axum::body::{Body, Bytes};
use clap::Args;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How long a host may take to answer. Longer than its own bound on a call.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Bytes of an answer: a page of a thousand rows is far below it.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Which host, and as whom.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    /// The host.
    #[arg(
        long,
        value_name = "URL",
        env = "HOLDFAST_URL",
        default_value = "http://127.0.0.1:8420"
    )]
    url: Url,
    /// Your API key; better in the environment than in the shell's history.
    #[arg(long, value_name = "KEY", env = "HOLDFAST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Certificates to trust for https, in PEM.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CA")]
    ca: Option<PathBuf>,
    /// For machines.
    #[arg(long)]
    pub(super) json: bool,
}

impl Target {
    /// A host, where a command names it in a way of its own.
    pub(super) const fn of(url: Url, key: Option<String>, ca: Option<PathBuf>, json: bool) -> Self {
        Self { url, key, ca, json }
    }

    /// Where it is.
    pub(super) const fn url(&self) -> &Url {
        &self.url
    }

    /// Calls the host; what it refuses is an error with its own words.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        match self.try_call(method, path, body).await? {
            (status, answer) if status.is_success() => Ok(answer),
            (status, answer) => Err(refusal(status, &answer)),
        }
    }

    /// Calls the host; nothing if there is no such thing.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        match self.try_call(Method::GET, path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, answer) if status.is_success() => Ok(Some(answer)),
            (status, answer) => Err(refusal(status, &answer)),
        }
    }

    /// Calls the host; what it refuses is an answer like others.
    pub(super) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Failure> {
        let body = body
            .map(serde_json::to_vec)
            .transpose()?
            .unwrap_or_default();
        let request = self.request(method, path, Body::from(body))?;
        tokio::time::timeout(TIMEOUT, self.send(request))
            .await
            .with_context(|| {
                format!(
                    "{} does not answer within {} s",
                    self.url,
                    TIMEOUT.as_secs()
                )
            })?
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Body>, Failure> {
        let key = self.key.as_deref().ok_or_else(|| {
            anyhow!("no API key: set HOLDFAST_KEY (an administrator makes one with `holdfast key create`)")
        })?;
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.url.authority())
            .header(AUTHORIZATION, format!("Bearer {key}"))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .context("the API key has letters that cannot be sent")
    }

    /// Calls the host and answers the body as it comes; what the host refuses is an error with its
    /// own words.
    pub(super) async fn open(&self, path: &str) -> Result<Incoming, Failure> {
        let request = self.request(Method::GET, path, Body::empty())?;
        let answer = dial::send(&self.url, self.ca.as_deref(), request).await?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|e| anyhow!("{status}: {e}"))?;
        let told: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        Err(refusal(status, &told))
    }

    async fn send(&self, request: Request<Body>) -> Result<(StatusCode, Value), Failure> {
        let answer = dial::send(&self.url, self.ca.as_deref(), request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let bytes: Bytes = body
            .collect()
            .await
            .map_err(|e| anyhow!("the answer is cut off: {e}"))?
            .to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or_else(|_| text()),
        ))
    }
}

/// What the host said, in its own words.
pub(super) fn refusal(status: StatusCode, answer: &Value) -> Failure {
    let said = ["detail", "title"]
        .iter()
        .find_map(|field| answer.get(field)?.as_str());
    let decision = answer.get("decision_id").and_then(Value::as_str);
    let decision = decision
        .map(|id| format!(" (decision {id})"))
        .unwrap_or_default();
    anyhow!(
        "{}{decision}",
        said.map_or_else(|| format!("the host answered {status}"), str::to_owned)
    )
}

/// The text at a pointer into an answer, for a table's cell.
pub(super) fn cell(answer: &Value, pointer: &str) -> String {
    match answer.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            words.join(",")
        }
        Some(other) => other.to_string(),
    }
}

/// The rows at a pointer into an answer.
pub(super) fn rows<'a>(answer: &'a Value, pointer: &str) -> &'a [Value] {
    answer
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A path with parameters, those that are missing left out.
pub(super) fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    let text = text.finish();
    if text.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{text}")
    }
}

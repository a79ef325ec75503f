//! Outgoing HTTP for payment and config plugins: one request, one answer, both with bounds.
//!
//! The host lets a call through if the plugin declared it in `needs` and the operator granted it;
//! it fills in the headers that hold secrets, and it follows no redirect.

#[cfg(target_family = "wasm")]
mod wasi;

mod url;

pub use url::Url;

use std::time::Duration;

/// Bytes of an answer that are read unless a request says otherwise: a job's memory is small.
pub const RESPONSE_BYTES_MAX: usize = 256 * 1_024;

/// How long to wait for an answer unless a request says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Something that sends requests: the host, or in a test a script.
pub trait Client {
    /// Sends one and waits for its answer. Every status is an answer, also 500.
    ///
    /// # Errors
    /// No answer.
    fn send(&self, request: &Request) -> Result<Response, HttpError>;
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// Names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// What is sent; empty for none.
    pub body: Vec<u8>,
    /// How long to wait for the connection, the answer's begin, and between its parts, each.
    pub timeout: Duration,
    /// Bytes that the answer may have.
    pub response_bytes_max: usize,
}

impl Request {
    /// A request without headers or body, with the usual bounds.
    #[must_use]
    pub fn new(method: &str, url: Url) -> Self {
        Self {
            method: method.into(),
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            response_bytes_max: RESPONSE_BYTES_MAX,
        }
    }

    /// The request with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// The request with a body of JSON, and the header that says so.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        let mut request = self.header("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        request
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// 200, 404, …
    pub status: u16,
    /// Names in lower case, and their values; what is not UTF-8 is mended.
    pub headers: Vec<(String, String)>,
    /// What came.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header, its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let pair = self.headers.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `None` if it is none.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpError {
    /// The host does not let it through: it is not granted, or the address is a private one.
    Denied(String),
    /// It took too long.
    Timeout,
    /// The answer is longer than the request allows.
    TooLarge,
    /// Anything else: no such name, no connection, a broken answer.
    Failed(String),
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied(why) => write!(f, "the host does not let it through: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLarge => f.write_str("the answer is too large"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// What lies outside the host, as far as it is granted; in a test, where there is no host, nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outside;

impl Client for Outside {
    #[cfg(target_family = "wasm")]
    fn send(&self, request: &Request) -> Result<Response, HttpError> {
        wasi::send(request)
    }

    #[cfg(not(target_family = "wasm"))]
    fn send(&self, _request: &Request) -> Result<Response, HttpError> {
        Err(HttpError::Denied(
            "there is no host; hand in a script".into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_put_together() {
        let url = Url::parse("https://pay.example/charge").unwrap();
        let request = Request::new("POST", url)
            .header("Idempotency-Key", "k")
            .json(&serde_json::json!({"a": 1}));
        assert_eq!(request.headers[0].0, "idempotency-key");
        assert_eq!(request.headers[1].1, "application/json");
        assert_eq!(request.body, br#"{"a":1}"#);
    }

    #[test]
    fn answers_are_read() {
        let response = Response {
            status: 200,
            headers: vec![("retry-after".into(), "3".into())],
            body: b"[1]".to_vec(),
        };
        assert_eq!(response.header("retry-after"), Some("3"));
        assert_eq!(response.header("location"), None);
        assert_eq!(response.json(), Some(serde_json::json!([1])));
        assert_eq!(Response::default().json(), None);
    }
}

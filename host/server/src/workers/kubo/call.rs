//! One call over HTTP: the bounds on its waits and sizes, its lines, its trailer.

use super::answer::Refusal;
use super::error::KuboError;
use crate::workers::metrics::KuboMetrics;
use bytes::{Bytes, BytesMut};
use holdfast_model::Invalid;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, TE};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// A node is on this machine or in this rack.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Bytes of one line. Most are one CID and a few words; the peers that a node is connected to are
/// one line, some 120 bytes for each of up to a few thousand.
const LINE_BYTES_MAX: usize = 512 * 1024;

/// Bytes of a refusal that are read: enough for its first words.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// Connections kept open for the next call.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// For the head, and between one line that counts and the next.
    stall: Duration,
    /// For all of it.
    total: Duration,
}

impl Bounds {
    pub(super) const fn new(stall: Duration, total: Duration) -> Self {
        Self { stall, total }
    }
}

/// What a body may fail with while it is sent.
pub type Broken = Box<dyn Error + Send + Sync>;

/// A body that is sent as it comes.
pub type Content = UnsyncBoxBody<Bytes, Broken>;

/// What is sent with a call, and what it is.
#[derive(Debug)]
pub struct Upload {
    /// Its media type, with the boundary of its parts.
    pub content_type: HeaderValue,
    /// Its bytes.
    pub body: Content,
}

/// Makes calls to one node.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client<HttpConnector, Content>,
    base: Arc<Url>,
    metrics: KuboMetrics,
}

impl Caller {
    pub(super) fn new(api: &str, metrics: KuboMetrics) -> Result<Self, Invalid> {
        let base = base_url(api)?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Ok(Self {
            client,
            base: Arc::new(base),
            metrics,
        })
    }

    /// A call that is answered by one JSON object.
    pub(super) async fn one<T: DeserializeOwned>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        bounds: Bounds,
    ) -> Result<T, KuboError> {
        let mut answer = None;
        self.lines(call, query, bounds, |line: T| {
            answer.get_or_insert(line);
            true
        })
        .await?;
        answer.ok_or_else(|| KuboError::protocol(call, "it is empty"))
    }

    /// A call of which only the success matters.
    pub(super) async fn done(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        bounds: Bounds,
    ) -> Result<(), KuboError> {
        self.lines(call, query, bounds, |_: serde::de::IgnoredAny| true)
            .await
    }

    /// A call that is answered by JSON objects, one a line. `each` says whether a line counts as
    /// progress.
    pub(super) async fn lines<T: DeserializeOwned>(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        bounds: Bounds,
        mut each: impl FnMut(T) -> bool,
    ) -> Result<(), KuboError> {
        let work = async {
            let mut lines = self.open(call, query, bounds, None).await?;
            while let Some(line) = lines.next().await? {
                if each(line) {
                    lines.wait.progressed();
                }
            }
            Ok(())
        };
        self.timed(call, work).await
    }

    /// Counts what a call comes to, and how long it takes.
    pub(super) async fn timed<T>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, KuboError>>,
    ) -> Result<T, KuboError> {
        let timer = self.metrics.begin(call);
        let outcome = work.await;
        timer.end(outcome.as_ref().map_or_else(KuboError::label, |_| "ok"));
        outcome
    }

    /// A call whose lines are taken one by one. The node may answer while it still reads what is
    /// sent to it.
    pub(super) async fn open(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        bounds: Bounds,
        upload: Option<Upload>,
    ) -> Result<Lines, KuboError> {
        let wait = Wait::new(call, bounds);
        let response = self.send(call, query, &wait, upload).await?;
        Ok(Lines {
            caller: self.clone(),
            body: response.into_body(),
            buffer: BytesMut::new(),
            is_over: false,
            wait,
        })
    }

    async fn send(
        &self,
        call: &'static str,
        query: &[(&str, &str)],
        wait: &Wait,
        upload: Option<Upload>,
    ) -> Result<Response<Incoming>, KuboError> {
        let mut url = Url::clone(&self.base);
        url.set_path(&format!("{}api/v0/{call}", self.base.path()));
        url.query_pairs_mut().extend_pairs(query);
        // RFC 9110 §6.5.1: who wants trailers says so; a proxy may drop them otherwise.
        let mut request = Request::post(url.as_str()).header(TE, "trailers");
        let body = match upload {
            None => Empty::new().map_err(Into::into).boxed_unsync(),
            Some(Upload { content_type, body }) => {
                request = request.header(CONTENT_TYPE, content_type);
                body
            }
        };
        let request = request
            .body(body)
            .map_err(|e| KuboError::protocol(call, format!("no request can be made: {e}")))?;
        let sent = wait.bound(self.client.request(request)).await?;
        let response = sent.map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = wait.bound(self.whole(response)).await??;
        Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => KuboError::refused(call, &refusal.message),
            Err(_) => {
                let text = String::from_utf8_lossy(&body);
                KuboError::refused(call, &format!("status {status}: {text}"))
            }
        })
    }

    /// A refusal's body, as much of it as is worth reading.
    async fn whole(&self, response: Response<Incoming>) -> Result<BytesMut, KuboError> {
        let mut body = response.into_body();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|e| self.unreachable(&e))?.into_data() {
                whole.extend_from_slice(&data);
            }
            if whole.len() > REFUSAL_BYTES_MAX {
                break;
            }
        }
        Ok(whole)
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> KuboError {
        let mut why = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            why = format!("{why}: {cause}");
            source = cause.source();
        }
        KuboError::Unreachable {
            api: self.base.as_str().into(),
            why,
        }
    }
}

/// The lines of an answer, as they come. Dropping them ends the call.
#[derive(Debug)]
pub(super) struct Lines {
    caller: Caller,
    body: Incoming,
    buffer: BytesMut,
    is_over: bool,
    wait: Wait,
}

impl Lines {
    /// The next line; `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, KuboError> {
        let call = self.wait.call;
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if let Some(line) = parsed(call, &line)? {
                    return Ok(Some(line));
                }
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(KuboError::protocol(
                    call,
                    format!("a line is longer than {LINE_BYTES_MAX} bytes"),
                ));
            }
            if self.is_over {
                return parsed(call, &self.buffer.split());
            }
            self.read().await?;
        }
    }

    /// The next line, which sets back the clock of what stalls.
    pub(super) async fn progress<T: DeserializeOwned>(&mut self) -> Result<Option<T>, KuboError> {
        let line = self.next().await?;
        self.wait.progressed();
        Ok(line)
    }

    async fn read(&mut self) -> Result<(), KuboError> {
        let Some(frame) = self.wait.bound(self.body.frame()).await? else {
            self.is_over = true;
            return Ok(());
        };
        let frame = frame.map_err(|e| self.caller.unreachable(&e))?;
        if let Some(failed) = frame.trailers_ref().and_then(stream_error) {
            return Err(KuboError::refused(self.wait.call, &failed));
        }
        if let Ok(data) = frame.into_data() {
            self.buffer.extend_from_slice(&data);
        }
        Ok(())
    }
}

/// The two clocks of a call: one that any progress sets back, one that nothing does.
#[derive(Debug)]
struct Wait {
    call: &'static str,
    bounds: Bounds,
    stalls: Instant,
    ends: Instant,
}

impl Wait {
    fn new(call: &'static str, bounds: Bounds) -> Self {
        let now = Instant::now();
        Self {
            call,
            bounds,
            stalls: now + bounds.stall,
            ends: now + bounds.total,
        }
    }

    fn progressed(&mut self) {
        self.stalls = Instant::now() + self.bounds.stall;
    }

    async fn bound<T>(&self, future: impl Future<Output = T>) -> Result<T, KuboError> {
        timeout_at(self.stalls.min(self.ends), future)
            .await
            .map_err(|_| KuboError::Stalled {
                call: self.call,
                after: if self.ends <= self.stalls {
                    self.bounds.total
                } else {
                    self.bounds.stall
                },
            })
    }
}

/// One line's object; nothing for a blank line.
fn parsed<T: DeserializeOwned>(call: &'static str, line: &[u8]) -> Result<Option<T>, KuboError> {
    if line.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(line).map(Some).map_err(|e| {
        let shown = String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned();
        KuboError::protocol(call, format!("{e} in {shown:?}"))
    })
}

/// What the trailer says, unless it is there and empty, as on success.
fn stream_error(trailers: &hyper::HeaderMap) -> Option<String> {
    let value = trailers.get("x-stream-error")?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (!text.is_empty()).then_some(text)
}

/// `http://HOST:PORT/` from a URL or from `/ip4/…/tcp/…` (also `/ip6`, `/dns…`).
fn base_url(api: &str) -> Result<Url, Invalid> {
    let invalid = |why: &str| {
        Invalid::new(
            "kubo.api",
            format!("{api:?} {why}; write the RPC address such as http://127.0.0.1:5001"),
        )
    };
    let mut parts = api.trim_end_matches('/').split('/').skip(1);
    let text = match (api.starts_with('/'), parts.next(), parts.next()) {
        (true, Some("ip6"), Some(host)) => format!("http://[{host}]{}", port(&mut parts)),
        (true, Some("ip4" | "dns" | "dns4" | "dns6"), Some(host)) => {
            format!("http://{host}{}", port(&mut parts))
        }
        _ => api.to_owned(),
    };
    let mut url = Url::parse(&text).map_err(|e| invalid(&format!("is no address ({e})")))?;
    if url.scheme() != "http" || url.host().is_none() {
        return Err(invalid("is not reached by plain http"));
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn port<'a>(parts: &mut impl Iterator<Item = &'a str>) -> String {
    match (parts.next(), parts.next()) {
        (Some("tcp"), Some(port)) => format!(":{port}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_url_or_multiaddr() {
        for (api, url) in [
            ("http://127.0.0.1:5001", "http://127.0.0.1:5001/"),
            ("http://kubo:5001/", "http://kubo:5001/"),
            ("http://gate/kubo", "http://gate/kubo/"),
            ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001/"),
            ("/ip6/::1/tcp/5001", "http://[::1]:5001/"),
            ("/dns4/kubo/tcp/5001", "http://kubo:5001/"),
        ] {
            assert_eq!(base_url(api).unwrap().as_str(), url);
        }
        for api in [
            "",
            "127.0.0.1:5001",
            "/unix/run/kubo.sock",
            "https://kubo",
            "http://",
        ] {
            assert!(
                base_url(api).unwrap_err().why.contains("http://127"),
                "{api:?}"
            );
        }
    }

    #[test]
    fn only_a_trailer_with_words_is_a_failure() {
        let mut trailers = hyper::HeaderMap::new();
        assert_eq!(stream_error(&trailers), None);
        trailers.insert("X-Stream-Error", "".parse().unwrap());
        assert_eq!(stream_error(&trailers), None);
        trailers.insert("X-Stream-Error", "context canceled".parse().unwrap());
        assert_eq!(stream_error(&trailers).unwrap(), "context canceled");
    }
}

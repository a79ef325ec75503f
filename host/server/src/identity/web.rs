//! Calls to those who vouch for others: issuers' key sets, a chain's node.
//!
//! What comes back is bounded in time and size, redirects are not followed, and nothing goes over
//! the network in the clear.

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// How long one call may take in all: whoever waits for it is a caller of ours.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer: a key set of a hundred keys with their certificates stays below it.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Why a call brought nothing. For logs and metrics; callers of ours are not told.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address is none that is called.
    #[error("{0} is not called: write https://…, or http:// to this machine alone")]
    Address(String),
    /// Nobody there, or not the right one.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// Another status than 200; redirects are among them.
    #[error("{url} answers {status}")]
    Status {
        /// Where.
        url: String,
        /// What.
        status: StatusCode,
    },
    /// Too slow.
    #[error("{0} does not answer within 5 s")]
    Late(String),
}

/// Makes the calls. Cheap to clone.
#[derive(Clone)]
pub struct Web {
    tls: TlsConnector,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

impl Web {
    /// Calls that trust the certificates in a file; without one, those that the system trusts.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(trusted: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(holdfast_runtime::trusted_certificates(trusted)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// What an address answers.
    ///
    /// # Errors
    /// Anything but a whole answer with status 200 in time.
    pub async fn get(&self, url: &Url) -> Result<Bytes, WebError> {
        self.call(url, Method::GET, Vec::new()).await
    }

    /// What an address answers to JSON.
    ///
    /// # Errors
    /// As [`Web::get`].
    pub async fn post(&self, url: &Url, json: Vec<u8>) -> Result<Bytes, WebError> {
        self.call(url, Method::POST, json).await
    }

    async fn call(&self, url: &Url, method: Method, body: Vec<u8>) -> Result<Bytes, WebError> {
        if !is_safe(url) {
            return Err(WebError::Address(shown(url)));
        }
        let calling = self.exchange(url, method, body);
        let answer = tokio::time::timeout(CALL_TIMEOUT, calling).await;
        answer.unwrap_or_else(|_| Err(WebError::Late(shown(url))))
    }

    async fn exchange(&self, url: &Url, method: Method, body: Vec<u8>) -> Result<Bytes, WebError> {
        let failed = |why: String| WebError::Unreachable {
            url: shown(url),
            why,
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, url.authority())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "holdfast")
            .body(Body::from(body))
            .map_err(|e| failed(e.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or(443);
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|e| failed(e.to_string()))?;
        let answer = if url.scheme() == "https" {
            let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
            let stream = self.tls.connect(name, stream).await;
            send(stream.map_err(|e| failed(e.to_string()))?, request).await
        } else {
            send(stream, request).await
        };
        let (status, body) = answer.map_err(failed)?;
        if status != StatusCode::OK {
            let url = shown(url);
            return Err(WebError::Status { url, status });
        }
        Ok(body)
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
) -> Result<(StatusCode, Bytes), String> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // Dropped with this call, and the connection with it.
    let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|e| e.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let body = body.await.map_err(|e| format!("its answer: {e}"))?;
    Ok((status, body.to_bytes()))
}

/// Whether nobody can listen in: https, or this machine talks to itself.
pub(super) fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

/// An address without what may be secret in it: a node's key is often a part of its path.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}"));
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        port.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_over_the_network_in_the_clear() {
        for (address, safe) in [
            ("https://idp.example/realms/a", true),
            ("http://127.0.0.1:8080/realms/a", true),
            ("http://[::1]:8080/", true),
            ("http://localhost:8080/", true),
            ("http://idp.example/", false),
            ("http://10.0.0.1/", false),
            ("http://localhost.evil.example/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&Url::parse(address).unwrap()), safe, "{address}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_path() {
        let url = Url::parse("https://user:pass@rpc.example:8545/v3/SECRET?key=SECRET").unwrap();
        assert_eq!(shown(&url), "https://rpc.example:8545");
    }
}

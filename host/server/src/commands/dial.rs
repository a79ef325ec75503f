//! One call to a host over HTTP/1.1, in the clear or over TLS; the answer's body comes as it comes.

use super::Failure;
use anyhow::{Context, anyhow, bail};
use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// Sends a request on a connection of its own, and waits for the head of the answer.
pub(super) async fn send(
    url: &Url,
    ca: Option<&Path>,
    request: Request<Body>,
) -> Result<Response<Incoming>, Failure> {
    let host = url
        .host_str()
        .with_context(|| format!("{url} names no host"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let bare = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((bare, port)).await.with_context(|| {
        format!("no host answers at {url}; start one with `holdfast serve` or set HOLDFAST_URL")
    })?;
    match url.scheme() {
        "http" => exchange(stream, request).await,
        "https" => {
            let name = ServerName::try_from(bare.to_owned())?;
            let stream = trust(ca)?
                .connect(name, stream)
                .await
                .context("no secure connection")?;
            exchange(stream, request).await
        }
        other => bail!("{other} is not supported; write http:// or https://"),
    }
}

fn trust(ca: Option<&Path>) -> Result<TlsConnector, Failure> {
    let file = ca.ok_or_else(|| {
        anyhow!("https needs the certificates to trust: set HOLDFAST_CA to a PEM file such as /etc/ssl/certs/ca-certificates.crt")
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(file)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(file: &Path) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        bail!("{} has no certificate", file.display());
    }
    Ok(store)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Body>,
) -> Result<Response<Incoming>, Failure> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // It ends by itself once the answer has been read, or nobody wants the rest.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

//! Connections: to a vetted address and no other, few at a time.

use super::error::EgressError;
use super::target::{Scheme, Target};
use prometheus::IntGauge;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Leave to hold a connection, for as long as it lives.
#[derive(Debug)]
struct Leave {
    _own: OwnedSemaphorePermit,
    _together: OwnedSemaphorePermit,
    open: IntGauge,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    _leave: Leave,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What connecting needs.
#[derive(Debug)]
pub(crate) struct Connector<'a> {
    pub(crate) own: &'a Arc<Semaphore>,
    pub(crate) together: &'a Arc<Semaphore>,
    pub(crate) open: &'a IntGauge,
    pub(crate) tls: &'a Arc<ClientConfig>,
}

impl Connector<'_> {
    /// Connects to one of the addresses, all within one wait: for a free place, for the network
    /// and for TLS.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        addresses: &[IpAddr],
        wait: Duration,
    ) -> Result<Connection, EgressError> {
        timeout(wait, self.attempt(target, addresses))
            .await
            .map_err(|_| {
                EgressError::Timeout(format!(
                    "no connection to {} within {} ms",
                    target.authority(),
                    wait.as_millis()
                ))
            })?
    }

    async fn attempt(
        &self,
        target: &Target,
        addresses: &[IpAddr],
    ) -> Result<Connection, EgressError> {
        // The plugin's own place first: who waits for it holds none that others could use.
        let own = place(self.own).await?;
        let together = place(self.together).await?;
        self.open.inc();
        let leave = Leave {
            _own: own,
            _together: together,
            open: self.open.clone(),
        };
        let tcp = dial(target, addresses).await?;
        let stream = match target.scheme {
            Scheme::Http => Stream::Plain(tcp),
            Scheme::Https => Stream::Tls(Box::new(self.handshake(target, tcp).await?)),
        };
        Ok(Connection {
            stream,
            _leave: leave,
        })
    }

    async fn handshake(
        &self,
        target: &Target,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, EgressError> {
        let failed = |e: String| EgressError::Tls(format!("no TLS with {} ({e})", target.host));
        let name = ServerName::try_from(target.bare_host().to_owned())
            .map_err(|e| failed(e.to_string()))?;
        TlsConnector::from(Arc::clone(self.tls))
            .connect(name, tcp)
            .await
            .map_err(|e| failed(e.to_string()))
    }
}

async fn place(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, EgressError> {
    // They are never closed.
    let place = Arc::clone(places).acquire_owned().await;
    place.map_err(|_| EgressError::Exhausted("the host is stopping".into()))
}

async fn dial(target: &Target, addresses: &[IpAddr]) -> Result<TcpStream, EgressError> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(*address, target.port)).await {
            Ok(stream) => {
                // A small delay is all that a failure would cost.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(EgressError::Connect(format!(
        "no connection to {}{}",
        target.authority(),
        last.map_or_else(String::new, |e| format!(" ({e})"))
    )))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

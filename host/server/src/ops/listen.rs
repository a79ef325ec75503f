//! A listener: connections in, a router behind, a bound on everything a client may make us hold.
//!
//! Without TLS it speaks HTTP/1.1 only. Guessing the version from the first bytes would let a
//! client that sends a single byte hold a connection for ever, and nobody speaks HTTP/2 in the
//! clear to us.

mod connection;
mod patience;
mod trailers;

use axum::Router;
use holdfast_model::ErrorKind;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long to wait after the system has refused to accept (no file handles left): at once would
/// spin.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a client may hold.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Connections at once; further ones wait in the system's queue.
    pub connections_max: usize,
    /// The longest time for a TLS handshake, for the head of a request, and between requests.
    pub header_timeout: Duration,
    /// The longest time for calls to end once the host is told to stop.
    pub drain_timeout: Duration,
    /// Whether clients get trailers although they do not say that they take them, see `trailers`.
    pub announces_trailers: bool,
}

/// Why an address cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has it.
    #[error("port {port} of {ip} is in use; end the program that listens there or set {key} to another one", port = .address.port(), ip = .address.ip())]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The key that names it.
        key: &'static str,
    },
    /// The system refuses.
    #[error(
        "{address} cannot be listened at: {source}; set {key} to an address of this machine and a port that this user may have"
    )]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The key that names it.
        key: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Unavailable
    }
}

/// An address that is listened at.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Takes an address; `key` is the setting that names it, for what to say if it cannot be had.
    ///
    /// # Errors
    /// It cannot be had.
    pub async fn bind(address: SocketAddr, key: &'static str) -> Result<Self, ListenError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address, key },
            _ => ListenError::Refused {
                address,
                key,
                source,
            },
        };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that the system chose if none was named.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then lets the calls under way end, for a while. Says whether all did.
    pub async fn serve(
        self,
        router: Router,
        tls: Option<Arc<ServerConfig>>,
        bounds: Bounds,
        stop: CancellationToken,
    ) -> bool {
        let graceful = self.answer(router, tls, &bounds, &stop).await;
        drop(self.socket);
        drain(graceful, &bounds).await
    }

    /// Answers until `until` and keeps the address, for another router to go on with. Connections
    /// end with the call that is under way on them.
    pub async fn serve_meanwhile(
        self,
        router: Router,
        tls: Option<Arc<ServerConfig>>,
        bounds: Bounds,
        until: CancellationToken,
    ) -> Self {
        let graceful = self.answer(router, tls, &bounds, &until).await;
        tokio::spawn(async move { drain(graceful, &bounds).await });
        self
    }

    async fn answer(
        &self,
        router: Router,
        tls: Option<Arc<ServerConfig>>,
        bounds: &Bounds,
        until: &CancellationToken,
    ) -> GracefulShutdown {
        let places = Arc::new(Semaphore::new(bounds.connections_max));
        let graceful = GracefulShutdown::new();
        let door = connection::Door::new(router, tls, bounds);
        let accepting = async {
            loop {
                // The semaphore is never closed, so there always is a permit in the end.
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let (stream, remote) = self.accept().await;
                let served = door.serve(stream, remote, graceful.watcher());
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = until.cancelled() => {}
        }
        graceful
    }

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(e) if is_of_one_connection(&e) => {}
                Err(e) => {
                    tracing::warn!(error = %e, "no connection can be accepted; are there too few file handles?");
                    tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
}

/// Lets calls end, for a while. Says whether all did.
async fn drain(graceful: GracefulShutdown, bounds: &Bounds) -> bool {
    tokio::time::timeout(bounds.drain_timeout, graceful.shutdown())
        .await
        .is_ok()
}

/// Whether the failure is of the one connection that was to be accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

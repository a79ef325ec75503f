//! One connection, from the first byte to the last.

use super::Bounds;
use super::patience::Patient;
use super::trailers::{Announcing, Turns};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, server::conn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// Bytes of a request's head. Bearer tokens of 8 KiB fit twice.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Calls at once on one HTTP/2 connection: what hyper and nginx allow is of this size.
const STREAMS_MAX: u32 = 128;

/// How often an HTTP/2 client that is silent is asked whether it still is there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long a client may take nothing of an answer: as long as the reader of a stream may.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// What stands between a socket and the router.
#[derive(Clone)]
pub(super) struct Door {
    router: Router,
    tls: Option<TlsAcceptor>,
    header_timeout: Duration,
    announces_trailers: bool,
}

impl Door {
    pub(super) fn new(router: Router, tls: Option<Arc<ServerConfig>>, bounds: &Bounds) -> Self {
        Self {
            router,
            tls: tls.map(TlsAcceptor::from),
            header_timeout: bounds.header_timeout,
            announces_trailers: bounds.announces_trailers,
        }
    }

    /// Serves a connection to its end. What goes wrong on it is its own client's affair.
    pub(super) fn serve(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + 'static {
        let door = self.clone();
        async move {
            // Answers are small and written whole: waiting for more only delays them.
            let _ = stream.set_nodelay(true);
            let Some(tls) = &door.tls else {
                return door.http1(stream, remote, watcher).await;
            };
            match tokio::time::timeout(door.header_timeout, tls.accept(stream)).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    door.http2(stream, remote, watcher).await;
                }
                Ok(Ok(stream)) => door.http1(stream, remote, watcher).await,
                Ok(Err(e)) => tracing::debug!(%remote, error = %e, "tls handshake failed"),
                Err(_) => tracing::debug!(%remote, "tls handshake took too long"),
            }
        }
    }

    async fn http1(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        remote: SocketAddr,
        watcher: Watcher,
    ) {
        let turns = self.announces_trailers.then(Turns::default);
        let stream = Announcing::new(stream, turns.clone());
        let service = self.service(remote, turns);
        let connection = conn::http1::Builder::new()
            .timer(TokioTimer::new())
            // It also ends connections that are idle for so long.
            .header_read_timeout(self.header_timeout)
            .max_buf_size(HEAD_BYTES_MAX)
            // A client may close its sending half and still wait for the answer (`nc -N` does).
            .half_close(true)
            .serve_connection(TokioIo::new(Patient::new(stream, WRITE_PATIENCE)), service);
        if let Err(e) = watcher.watch(connection).await {
            tracing::debug!(%remote, error = %e, "connection ended early");
        }
    }

    async fn http2(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        remote: SocketAddr,
        watcher: Watcher,
    ) {
        let service = self.service(remote, None);
        let connection = conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(self.header_timeout)
            .serve_connection(TokioIo::new(Patient::new(stream, WRITE_PATIENCE)), service);
        if let Err(e) = watcher.watch(connection).await {
            tracing::debug!(%remote, error = %e, "connection ended early");
        }
    }

    fn service(
        &self,
        remote: SocketAddr,
        turns: Option<Turns>,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = std::convert::Infallible,
        Future: Send + 'static,
    > + Send
    + use<> {
        let router = self.router.clone();
        service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(remote));
            let turns = turns.clone();
            turns.iter().for_each(Turns::begin);
            let answering = router.clone().call(request);
            async move {
                let response = answering.await?;
                Ok(match turns {
                    Some(turns) => response.map(|body| turns.ending_with(body)),
                    None => response,
                })
            }
        })
    }
}

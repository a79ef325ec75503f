//! A stand-in for a Kubo node's RPC API, for answers that a real node gives only on a bad day.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

type Frames = BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>;

/// What is answered to every call.
#[derive(Clone)]
pub(crate) struct Script {
    status: u16,
    pieces: Vec<Bytes>,
    then: Then,
}

#[derive(Clone)]
enum Then {
    End,
    Cut,
    Trailer(String),
    Repeat(Bytes, Duration),
    Growing(Duration),
    Silence,
}

impl Script {
    /// These pieces, one after the other, and the end.
    pub(crate) fn body(pieces: &[&str]) -> Self {
        Self {
            status: 200,
            pieces: pieces
                .iter()
                .map(|piece| Bytes::copy_from_slice(piece.as_bytes()))
                .collect(),
            then: Then::End,
        }
    }

    /// Nothing, not even a head.
    pub(crate) fn silence() -> Self {
        Self {
            then: Then::Silence,
            ..Self::body(&[])
        }
    }

    /// One more block every so often, for ever.
    pub(crate) fn growing(every: Duration) -> Self {
        Self {
            then: Then::Growing(every),
            ..Self::body(&[])
        }
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// And then this in `X-Stream-Error`.
    pub(crate) fn with_trailer(self, text: &str) -> Self {
        Self {
            then: Then::Trailer(text.into()),
            ..self
        }
    }

    /// And then this for ever.
    pub(crate) fn then_repeat(self, piece: &str, every: Duration) -> Self {
        let piece = Bytes::copy_from_slice(piece.as_bytes());
        Self {
            then: Then::Repeat(piece, every),
            ..self
        }
    }

    /// And then the connection breaks.
    pub(crate) fn then_cut(self) -> Self {
        Self {
            then: Then::Cut,
            ..self
        }
    }

    async fn answer(self) -> Response {
        let pieces = stream::iter(self.pieces.into_iter().map(|piece| Ok(Frame::data(piece))));
        let rest: Frames = match self.then {
            Then::End => stream::empty().boxed(),
            Then::Cut => stream::once(async { Err(std::io::Error::other("cut")) }).boxed(),
            Then::Trailer(text) => stream::iter([Ok(Frame::trailers(stream_error(&text)))]).boxed(),
            Then::Repeat(piece, every) => each(every, move |_| piece.clone()),
            Then::Growing(every) => each(every, |n| Bytes::from(format!("{{\"Progress\":{n}}}\n"))),
            Then::Silence => std::future::pending().await,
        };
        let mut response = Response::new(Body::new(StreamBody::new(pieces.chain(rest))));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        response
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("X-Stream-Error"));
        response
    }
}

fn each(every: Duration, piece: impl Fn(u64) -> Bytes + Send + Sync + 'static) -> Frames {
    stream::unfold(1, move |n| async move {
        tokio::time::sleep(every).await;
        Some((n, n + 1))
    })
    .map(move |n| Ok(Frame::data(piece(n))))
    .boxed()
}

fn stream_error(text: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-stream-error", text.parse().unwrap());
    trailers
}

/// A stand-in, listening. Gone when dropped.
pub(crate) struct StandIn {
    pub(crate) api: String,
    server: JoinHandle<()>,
}

impl StandIn {
    /// One that answers every call as the script says.
    pub(crate) async fn start(script: Script) -> Self {
        Self::serve(Router::new().fallback(move || script.clone().answer())).await
    }

    async fn serve(router: Router) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { api, server }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A node that pins nothing before it is told to, and counts how much it is asked to do at once.
pub(crate) struct SlowNode {
    pub(crate) node: StandIn,
    counts: Arc<Counts>,
}

struct Counts {
    gate: Semaphore,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl SlowNode {
    pub(crate) async fn start() -> Self {
        let counts = Arc::new(Counts {
            gate: Semaphore::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(slow).with_state(counts.clone());
        Self {
            node: StandIn::serve(router).await,
            counts,
        }
    }

    /// Lets so many pins be made.
    pub(crate) fn allow(&self, pins: usize) {
        self.counts.gate.add_permits(pins);
    }

    /// Pins that are waited for now.
    pub(crate) fn now(&self) -> usize {
        self.counts.now.load(Ordering::SeqCst)
    }

    /// The most that were ever waited for at once.
    pub(crate) fn most(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }
}

async fn slow(State(counts): State<Arc<Counts>>, uri: Uri) -> Response {
    let body = match uri.path() {
        "/api/v0/id" => {
            "{\"ID\":\"12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M\",\"Addresses\":null}"
        }
        "/api/v0/pin/add" => {
            let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
            counts.most.fetch_max(now, Ordering::SeqCst);
            let begun = stream::iter([Ok("{\"Progress\":3}\n")]);
            let done = stream::once(async move {
                counts.gate.acquire().await.unwrap().forget();
                counts.now.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>("{\"Pins\":[\"x\"]}\n")
            });
            return Response::new(Body::from_stream(begun.chain(done)));
        }
        "/api/v0/dag/stat" => "{\"TotalSize\":5}",
        _ => "",
    };
    Response::new(Body::from(body))
}

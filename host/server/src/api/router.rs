//! The router: the list of what stands between the wire and a handler.
//!
//! From the outside in, each with the reason why it stands there. All but the first are steps of
//! one wrapper (`context::run`), not boxed layers: a layer costs an allocation and a virtual call
//! on every request, and here they would be most of what a cached read costs.
//!
//! 0. **Pages of other sites** (`cors`), where they may call: what a browser asks beforehand names
//!    nobody and is no call.
//! 1. **Connection limits** (slow headers, number of connections, TLS) are the listener's: they
//!    must hold before there is a request at all.
//! 2. **Request id**: first, so that everything after it can be named, refusals too.
//! 3. **Admission**: a bound on the calls in flight. Before authentication, because what overloads
//!    us need not know a key. Over the bound: 503 with `Retry-After`, at once.
//! 4. **Panic fence and deadline** around all that follows, so that a fault or a hang costs its own
//!    call, and counts.
//! 5. **Authentication**: before any byte of a body is read. Then the caller's own bound.
//! 6. **Body limit and body deadline**: when the handler asks for the body, so after
//!    authentication; nobody unknown makes us hold a megabyte.
//! 7. **Audit, metrics, trace** on the way out, where the outcome is known.
//!
//! An answer that is a stream (`stream`) has passed all of these when its first byte is sent. From
//! then on it has a place among the streams instead of one among the calls, and no deadline: a
//! reader that takes nothing is cut off, and the host's stop ends it.

use crate::api::ApiMetrics;
use crate::api::context::{self, Edge, Station};
use crate::api::cors::Cors;
use crate::api::problem::Problem;
use crate::api::routes::{ROUTES, Route, Shape};
use crate::api::trail::{self, Deed};
use crate::app::App;
use crate::identity::Authenticator;
use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What an operator may set of the edge.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of a request's body. The largest legal one (1,000 `meta` pairs in 64 KiB, 20 origins)
    /// is far below the default of 1 MiB.
    pub body_bytes_max: usize,
    /// How long a body may take to arrive. 10 s carries 1 MiB over a bad mobile line.
    pub body_timeout: Duration,
    /// How long a call may take in all. Clients give up at 30 s (Kubo's default is longer).
    pub call_timeout: Duration,
    /// Calls a second that one caller may make; 0 is without bound.
    pub calls_per_second: u32,
    /// Calls that one caller may make at once after a rest.
    pub calls_burst: u32,
    /// What pages of other sites may do.
    pub cors: Cors,
    /// Calls in flight. Each holds a few KiB; at 4,096 the store's queue is what waits, not memory.
    pub calls_max: usize,
    /// How long a call waits for a plugin to be compiled and tried; then it answers that this goes
    /// on. Below the usual bound on a call, which would say less.
    pub install_wait: Duration,
    /// Whether the host runs with `production = true`, for those who would try something on it.
    pub production: bool,
    /// How long the reader of a stream may take nothing: longer than the pauses of a bad line, far
    /// shorter than what would let forgotten readers gather.
    pub reader_patience: Duration,
    /// Ends the answers that have no end of their own, when the host stops.
    pub stop: CancellationToken,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            body_bytes_max: 1024 * 1024,
            body_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            calls_per_second: 0,
            calls_burst: 1,
            cors: Cors::default(),
            calls_max: 4_096,
            install_wait: Duration::from_secs(20),
            production: false,
            reader_patience: Duration::from_secs(60),
            stop: CancellationToken::new(),
        }
    }
}

/// The router of the main listener.
pub fn router(
    app: App,
    authenticator: Authenticator,
    settings: Settings,
    metrics: &ApiMetrics,
) -> Router {
    let cors = settings.cors.clone();
    let edge = Arc::new(Edge::new(app, authenticator, settings, metrics.clone()));
    cors.around(of_routes(&edge, ROUTES, metrics))
}

/// The router of some routes.
pub(super) fn of_routes(
    edge: &Arc<Edge>,
    routes: &'static [Route],
    metrics: &ApiMetrics,
) -> Router {
    let strays = Arc::clone(edge);
    let misused = Arc::clone(edge);
    let mut router = Router::new();
    for route in routes {
        let station = Arc::new(Station {
            edge: Arc::clone(edge),
            route,
            meters: metrics.of(route),
        });
        let handler = move |request: Request| context::run(Arc::clone(&station), request);
        router = router.route(route.path, on(filter(&route.method), handler));
    }
    router
        .fallback(move |request: Request| async move { stray(&strays, request, false).await })
        .method_not_allowed_fallback(move |request: Request| async move {
            stray(&misused, request, true).await
        })
}

fn filter(method: &Method) -> MethodFilter {
    match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    }
}

/// The shape of the API that a path looks like.
pub(super) fn shape_of(path: &str) -> Shape {
    if path == "/psa" || path.starts_with("/psa/") {
        Shape::Pinning
    } else {
        Shape::Ours
    }
}

/// Answers what no route takes, in the shape of the API that it looks like.
async fn stray(edge: &Edge, request: Request, has_path: bool) -> Response {
    let (request, _body) = request.into_parts();
    let of_cluster = edge.cluster.is_some();
    let shape = match of_cluster {
        true => Shape::Cluster,
        false => shape_of(request.uri.path()),
    };
    // IPFS Cluster lets nobody in who does not say who it is, not even to learn what is not there.
    let unknown = match of_cluster {
        true => {
            let address = trail::remote(&request).map(|remote| remote.ip());
            let approach = context::approach(&request, address);
            edge.authenticate(approach).await.err()
        }
        false => None,
    };
    let request_id = edge.request_id(&request.headers);
    let problem = if let Some(unknown) = unknown {
        let event = trail::turned_away(&edge.app, &request, request_id, &unknown);
        if let Err(error) = trail::record(&edge.app.audit, Some(event), Deed::Read).await {
            tracing::error!(%error, "a refusal is not in the audit log");
        }
        unknown
    } else if has_path {
        Problem::method_not_allowed(&request.method)
    } else if of_cluster {
        Problem::no_cluster_route()
    } else {
        Problem::no_route()
    };
    edge.metrics.strayed();
    problem
        .into_reply(shape, request_id)
        .into_response(request_id)
}

//! The wrapper that every call runs in: admit, name, authenticate, time, audit, shape.
//!
//! A handler gets a [`Call`] and gives a [`Reply`] or a [`Problem`]; everything else is here,
//! once. A change runs in a task of its own: when its caller hangs up it is still carried through,
//! audited and counted, because half of the work may be done already.

use crate::api::body::LARGE_BODIES_MAX;
use crate::api::cluster::Cluster;
use crate::api::delegates::{Delegates, Written};
use crate::api::limits::Limits;
use crate::api::metrics::{ApiMetrics, RouteMeters};
use crate::api::problem::Problem;
use crate::api::reply::{REQUEST_ID, Reply};
use crate::api::router::Settings;
use crate::api::routes::{self, Access, Route};
use crate::api::stream::STREAMS_MAX;
use crate::api::trace;
use crate::api::trail::{self, Decided, Deed};
use crate::app::App;
use crate::identity::{Approach, AuthError, Authenticator, Caller, block};
use crate::policies::Recorded;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::FutureExt;
use holdfast_model::action::{Act, Resource};
use holdfast_model::{Action, Cid, Invalid, Principal, Scopes, TenantId, UnixMillis};
use holdfast_policy::{Context, Permit, TenantSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The longest time for an answer to begin that may begin late: content that is uploaded for a day.
const LATE_BEGIN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What all calls share.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) app: App,
    authenticator: Authenticator,
    pub(crate) settings: Settings,
    pub(crate) metrics: ApiMetrics,
    delegates: Delegates,
    limits: Limits,
    in_flight: AtomicUsize,
    /// Places for answers that are streams.
    pub(crate) streams: Arc<Semaphore>,
    /// Places for bodies that are larger than others.
    pub(crate) large_bodies: Arc<Semaphore>,
    /// What calls of IPFS Cluster's interface share, where it is served.
    pub(crate) cluster: Option<Cluster>,
    /// Request ids are this process's random half and a count.
    process: u64,
    count: AtomicU64,
}

/// A route with what serving it takes.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) edge: Arc<Edge>,
    pub(crate) route: &'static Route,
    pub(crate) meters: RouteMeters,
}

/// One call, as its handler sees it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) station: Arc<Station>,
    pub(crate) route: &'static Route,
    pub(crate) request_id: u128,
    pub(crate) parts: Parts,
    pub(crate) body: Option<Body>,
    pub(crate) principal: Option<Arc<Principal>>,
    /// What their tenant says for itself.
    pub(crate) own: Option<Arc<TenantSet>>,
    pub(crate) decided: Option<Decided>,
    /// What the audit log is to know of what was done.
    pub(crate) noted: Option<String>,
    /// Whose business the call is, if neither who calls nor what is decided says so.
    pub(crate) concerns: Option<TenantId>,
    /// What the proof of who calls is good for, and what came with it.
    pub(crate) caller: Option<Arc<Caller>>,
    /// More headers of the answer, whatever it is.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The name under which the audit log has what the call is about to change.
    pub(crate) intent: Option<u128>,
    /// What the store's servers did for the call, if somebody who may know asked.
    pub(crate) traced: Option<HeaderValue>,
}

/// A place among the calls in flight; given back when it is dropped.
#[derive(Debug)]
struct Place(Arc<Station>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.edge.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.edge.metrics.left();
    }
}

/// Serves one request.
pub(crate) async fn run(station: Arc<Station>, request: Request) -> Response {
    let request_id = station.edge.request_id(request.headers());
    let shape = station.route.shape;
    let Some(place) = admit(&station) else {
        station.edge.metrics.shed();
        let shed = Problem::shed().into_reply(shape, request_id);
        return shed.into_response(request_id);
    };
    if !station.route.is_change() {
        return serve(place, request, request_id).await;
    }
    match tokio::spawn(serve(place, request, request_id)).await {
        Ok(response) => response,
        Err(died) => Problem::internal("the call's task died", &died)
            .into_reply(shape, request_id)
            .into_response(request_id),
    }
}

fn admit(station: &Arc<Station>) -> Option<Place> {
    let edge = &station.edge;
    let before = edge.in_flight.fetch_add(1, Ordering::Relaxed);
    edge.metrics.entered();
    let place = Place(Arc::clone(station));
    (before < edge.settings.calls_max).then_some(place)
}

async fn serve(place: Place, request: Request, request_id: u128) -> Response {
    let started = Instant::now();
    let station = Arc::clone(&place.0);
    let (parts, body) = request.into_parts();
    let mut call = Call {
        route: station.route,
        station,
        request_id,
        parts,
        body: Some(body),
        principal: None,
        own: None,
        decided: None,
        noted: None,
        concerns: None,
        caller: None,
        headers: Vec::new(),
        intent: None,
        traced: None,
    };
    let deadline = match call.route.begins_late() {
        true => LATE_BEGIN_MAX,
        false => call.station.edge.settings.call_timeout,
    };
    let answer = AssertUnwindSafe(tokio::time::timeout(deadline, answer(&mut call)));
    let mut outcome = match answer.catch_unwind().await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_elapsed)) => Err(Problem::late()),
        Err(_panic) => Err(Problem::internal(
            "a handler panicked",
            &"see the line before",
        )),
    };
    let event = trail::event(&mut call, &outcome);
    let deed = match call.route.is_change() {
        true => Deed::Change,
        false => Deed::Read,
    };
    if let Err(error) = trail::record(&call.app().audit, event, deed).await {
        tracing::error!(%error, "a decision is not in the audit log");
        if deed == Deed::Change && outcome.is_ok() {
            outcome = Err(Problem::half_recorded(&error));
        }
    }
    let reply = outcome.unwrap_or_else(|problem| call.shaped(problem));
    call.station
        .meters
        .answered(reply.status, started.elapsed());
    tracing::debug!(
        request_id = %format_args!("{:032x}", call.request_id),
        method = %call.route.method,
        route = call.route.path,
        status = reply.status.as_u16(),
        "answered"
    );
    let mut response = reply.into_response(call.request_id);
    for (name, value) in call.headers {
        response.headers_mut().insert(name, value);
    }
    if let Some(traced) = call.traced {
        response.headers_mut().insert(trace::HEADER, traced);
    }
    response
}

async fn answer(call: &mut Call) -> Result<Reply, Problem> {
    let address = trail::remote(&call.parts).map(|remote| remote.ip());
    if call.route.access == Access::Open {
        call.count(address.map(block))?;
    } else {
        let edge = Arc::clone(&call.station.edge);
        let caller = edge.authenticate(approach(&call.parts, address)).await?;
        call.own = Some(edge.app.policies.of(caller.principal.tenant()).await?);
        call.principal = Some(Arc::clone(&caller.principal));
        call.count(caller.principal.id.as_str())?;
        call.warn_of_rotation(&caller);
        call.caller = Some(caller);
    }
    if call.route.is_administrative() {
        trail::intend(call).await?;
    } else if call.route.is_change() {
        // Nor is anything else changed that cannot be written down.
        let writable = call.app().audit.check();
        writable.map_err(|error| Problem::unrecorded(&error))?;
    }
    match trace::wanted(call) {
        Some(cluster) => trace::traced(call, &cluster).await,
        None => routes::handle(call).await,
    }
}

/// What of a call tells who makes it.
pub(super) fn approach(parts: &Parts, address: Option<IpAddr>) -> Approach<'_> {
    Approach {
        headers: &parts.headers,
        method: &parts.method,
        uri: &parts.uri,
        address,
    }
}

impl Edge {
    pub(crate) fn new(
        app: App,
        authenticator: Authenticator,
        settings: Settings,
        metrics: ApiMetrics,
    ) -> Self {
        Self {
            app,
            authenticator,
            limits: Limits::new(settings.calls_per_second, settings.calls_burst),
            settings,
            metrics,
            delegates: Delegates::default(),
            in_flight: AtomicUsize::new(0),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
            cluster: None,
            process: rand::random(),
            count: AtomicU64::new(0),
        }
    }

    pub(crate) fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// Who calls.
    pub(crate) async fn authenticate(
        &self,
        approach: Approach<'_>,
    ) -> Result<Arc<Caller>, Problem> {
        match &self.cluster {
            Some(cluster) => {
                let known = cluster.door.authenticate(approach).await;
                known.map_err(Problem::not_let_in)
            }
            None => Ok(self.authenticator.authenticate(approach).await?),
        }
    }

    /// The caller's own id for the call if it is a UUID, in any spelling, else a fresh one.
    pub(crate) fn request_id(&self, headers: &HeaderMap) -> u128 {
        if let Some(id) = given_id(headers) {
            return id;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        u128::from(self.process) << 64 | u128::from(count)
    }
}

/// The caller's own id for the call, if it is a UUID.
pub(super) fn given_id(headers: &HeaderMap) -> Option<u128> {
    let given = headers.get(REQUEST_ID).map(HeaderValue::as_bytes)?;
    Uuid::try_parse_ascii(given).ok().map(|id| id.as_u128())
}

impl Call {
    /// The handles.
    pub(crate) fn app(&self) -> &App {
        &self.station.edge.app
    }

    /// Where clients may send content, as text.
    pub(crate) fn delegates(&self) -> Arc<Written> {
        let edge = &self.station.edge;
        edge.delegates.written(&edge.app.peers)
    }

    /// Who calls.
    pub(crate) fn principal(&self) -> Result<&Arc<Principal>, Problem> {
        self.principal
            .as_ref()
            .ok_or_else(|| AuthError::Missing.into())
    }

    /// Who lets callers in.
    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.station.edge.authenticator
    }

    /// Where the call comes from, as the listener says.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        trail::remote(&self.parts).map(|remote| remote.ip())
    }

    /// What the proof of who calls is good for.
    pub(crate) fn scopes(&self) -> Scopes {
        let caller = self.caller.as_ref();
        caller.map_or(Scopes::ALL, |caller| caller.scopes)
    }

    /// Refuses what the scopes of the caller's proof do not hold.
    pub(crate) fn must_hold(&self, action: Action) -> Result<(), Problem> {
        if self.scopes().holds(action) {
            return Ok(());
        }
        self.station.edge.metrics.denied(action);
        Err(Problem::out_of_scope(action))
    }

    /// Counts the call among its caller's.
    fn count(&mut self, caller: impl Hash) -> Result<(), Problem> {
        let edge = &self.station.edge;
        match edge.limits.count(caller, edge.app.clock.now()) {
            Ok(told) => {
                self.headers.extend(told.into_iter().flatten());
                Ok(())
            }
            Err((told, problem)) => {
                self.headers.extend(*told);
                Err(problem)
            }
        }
    }

    /// Tells who uses a key that has another in its place until when it may (RFC 9745, RFC 8594).
    fn warn_of_rotation(&mut self, caller: &Caller) {
        let Some(retiring) = &caller.retiring else {
            return;
        };
        let since = HeaderValue::try_from(format!("@{}", retiring.since.as_seconds()));
        let end = HeaderValue::try_from(http_date(retiring.end));
        let names = ["deprecation", "sunset"].map(HeaderName::from_static);
        let told = names.into_iter().zip([since, end]);
        let told = told.filter_map(|(name, value)| Some((name, value.ok()?)));
        self.headers.extend(told);
    }

    /// Asks the policies; what they decide goes to the audit log.
    pub(crate) fn permit<A: Act>(&mut self, on: A::On) -> Result<Permit<A>, Problem> {
        self.permit_about(on, None)
    }

    /// Asks the policies about something to do with some content.
    pub(crate) fn permit_about<A: Act>(
        &mut self,
        on: A::On,
        cid: Option<Cid>,
    ) -> Result<Permit<A>, Problem> {
        self.must_hold(A::ACTION)?;
        let context = self.circumstances(cid);
        let principal = self.principal()?;
        let resource: Resource = on.clone().into();
        let app = &self.station.edge.app;
        let answer = app.gate.permit::<A>(principal, on, &context);
        let decision = match &answer {
            Ok(permit) => permit.decision().clone(),
            Err(denial) => {
                self.station.edge.metrics.denied(A::ACTION);
                denial.decision.clone()
            }
        };
        app.policies.remember(Recorded {
            id: decision.id,
            at: app.clock.now(),
            principal: Arc::clone(principal),
            action: A::ACTION,
            resource: resource.clone(),
            context,
            revision: decision.revision.clone(),
            is_allowed: answer.is_ok(),
            components: Arc::default(),
        });
        self.decided = Some(Decided {
            action: A::ACTION,
            resource,
            cid,
            decision,
            is_allowed: answer.is_ok(),
        });
        answer.map_err(Problem::from)
    }

    /// The facts of this call that policies may look at.
    pub(crate) fn circumstances(&self, cid: Option<Cid>) -> Context {
        Context {
            cid,
            address: trail::remote(&self.parts).map(|remote| remote.ip()),
            own: self.own.clone(),
        }
    }

    /// The last segment of the path: the `{…}` of the route. Ids need no escapes, so one that has
    /// them is not one.
    pub(crate) fn segment(&self) -> &str {
        let path = self.parts.uri.path();
        path.rsplit_once('/').map_or(path, |(_, last)| last)
    }

    /// The third part of the path: the `{name}` of a route that has more behind it.
    pub(crate) fn named(&self) -> &str {
        self.parts.uri.path().split('/').nth(3).unwrap_or_default()
    }

    /// Tells the audit log what was done, where the action and its object do not say it.
    pub(crate) fn note(&mut self, what: String) {
        self.noted = Some(what);
    }

    /// The query parameters, whatever they are.
    pub(crate) fn any_query(&self) -> super::query::Query {
        super::query::Query::all(self.parts.uri.query())
    }

    /// The query parameters, each one of `known`.
    pub(crate) fn query(&self, known: &[&str]) -> Result<super::query::Query, Invalid> {
        super::query::Query::parse(self.parts.uri.query(), known)
    }

    /// A problem in the words of the route's API; its cause is logged here, once.
    fn shaped(&self, problem: Problem) -> Reply {
        if let Some(cause) = problem.cause() {
            let request_id = format!("{:032x}", self.request_id);
            let route = self.route.path;
            if problem.status() == StatusCode::INTERNAL_SERVER_ERROR {
                tracing::error!(request_id, route, cause, "call failed");
            } else {
                tracing::warn!(request_id, route, cause, "call failed");
            }
        }
        problem.into_reply(self.route.shape, self.request_id)
    }
}

/// An instant as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.as_seconds()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

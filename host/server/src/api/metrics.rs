//! What the API tells of itself.

mod state;

pub(crate) use state::Item;
pub(crate) use state::StateMetrics;

use crate::api::routes::{ROUTES, Route};
use crate::workers::metrics::KuboMetrics;
use axum::http::StatusCode;
use holdfast_model::Action;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
};
use std::time::Duration;

/// Status classes, in the order of [`RouteMeters::by_class`].
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// 50 µs (a cached read) to 10 s (far beyond what anybody waits for), about three to a decade.
const SECONDS: [f64; 12] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

/// The API's metrics.
#[derive(Debug, Clone)]
pub struct ApiMetrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    shed: IntCounter,
    strays: IntCounter,
    denials: IntCounterVec,
    pub(crate) state: StateMetrics,
    /// Calls to Kubo that a call makes; the workers' own, who register them.
    pub(crate) kubo: KuboMetrics,
}

/// One route's share of them, looked up once.
#[derive(Debug)]
pub(crate) struct RouteMeters {
    by_class: [IntCounter; 4],
    seconds: Histogram,
}

impl ApiMetrics {
    /// Makes them; nothing is registered yet. Calls to Kubo are counted among others'.
    ///
    /// # Errors
    /// A name that `prometheus` refuses.
    pub fn new(kubo: KuboMetrics) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("holdfast_api_requests_total", "calls answered"),
                &["route", "method", "class"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "holdfast_api_request_seconds",
                    "from the request's head to its answer",
                )
                .buckets(SECONDS.to_vec()),
                &["route", "method"],
            )?,
            in_flight: IntGauge::new("holdfast_api_in_flight_calls", "calls being served")?,
            shed: IntCounter::new(
                "holdfast_api_shed_total",
                "calls refused because too many were in flight",
            )?,
            strays: IntCounter::new(
                "holdfast_api_strays_total",
                "calls that no route takes, by path or by method",
            )?,
            denials: IntCounterVec::new(
                Opts::new(
                    "holdfast_api_denials_total",
                    "calls that the policies denied",
                ),
                &["action"],
            )?,
            state: StateMetrics::new()?,
            kubo,
        };
        // A route or an action that was never called shows a zero and not a gap.
        for route in ROUTES {
            metrics.of(route);
        }
        for action in Action::ALL {
            metrics.denials.with_label_values(&[action.as_str()]);
        }
        Ok(metrics)
    }

    /// All of them, to be registered.
    #[must_use]
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all: Vec<Box<dyn Collector>> = vec![
            Box::new(self.requests.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.shed.clone()),
            Box::new(self.strays.clone()),
            Box::new(self.denials.clone()),
        ];
        all.extend(self.state.collectors());
        all
    }

    pub(crate) fn of(&self, route: &Route) -> RouteMeters {
        let labels = [route.path, route.method.as_str()];
        let by_class = CLASSES.map(|class| {
            let [path, method] = labels;
            self.requests.with_label_values(&[path, method, class])
        });
        RouteMeters {
            by_class,
            seconds: self.seconds.with_label_values(&labels),
        }
    }

    pub(crate) fn entered(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn left(&self) {
        self.in_flight.dec();
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn strayed(&self) {
        self.strays.inc();
    }

    pub(crate) fn denied(&self, action: Action) {
        self.denials.with_label_values(&[action.as_str()]).inc();
    }
}

impl RouteMeters {
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        let [ok, redirected, refused, failed] = &self.by_class;
        let class = match status.as_u16() {
            ..300 => ok,
            300..400 => redirected,
            400..500 => refused,
            500.. => failed,
        };
        class.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

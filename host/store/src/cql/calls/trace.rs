//! Tracing by the server: of calls that somebody asks about, and of one in so many.

use crate::cql::connect::Connected;
use crate::cql::statement::Statement;
use parking_lot::Mutex;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Statements of one recording that are traced; what a single request needs and some more.
const TRACES_MAX: usize = 64;

/// The server writes traces behind its answers: who asks waits for them no longer than this.
const FETCH_TIME: Duration = Duration::from_secs(3);

/// What the server did for one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The statement's name, as in the metrics.
    pub statement: &'static str,
    /// The node that was asked.
    pub coordinator: Option<IpAddr>,
    /// How long the answer took, as seen from here.
    pub took: Duration,
    /// How long the server took, if its trace could be read.
    pub server_took: Option<Duration>,
    /// The steps, oldest first.
    pub events: Vec<TraceEvent>,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// When, since the server received the statement.
    pub at: Duration,
    /// The node that says so.
    pub source: Option<IpAddr>,
    /// What it did.
    pub activity: String,
}

/// A statement that has been traced, before its trace is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced {
    statement: Statement,
    id: Uuid,
    took: Duration,
}

/// Statements that were traced on behalf of somebody.
type Recording = Arc<Mutex<Vec<Traced>>>;

tokio::task_local! {
    static RECORDING: Recording;
}

/// Runs a future and says which statements it has sent. Tasks that it spawns are not part of it,
/// but for those of [`spawn`].
pub(crate) async fn recording<F: Future>(future: F) -> (F::Output, Vec<Traced>) {
    let recording = Recording::default();
    let output = RECORDING.scope(Arc::clone(&recording), future).await;
    let traced = std::mem::take(&mut *recording.lock());
    (output, traced)
}

/// Runs a future in a task of its own, which records for whoever is recording here.
///
/// Boxed: a task is moved about whole until it lies where it runs.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    let future = Box::pin(future);
    let _task = match RECORDING.try_with(Arc::clone) {
        Ok(recording) => tokio::spawn(RECORDING.scope(recording, future)),
        Err(_) => tokio::spawn(future),
    };
}

/// Whether the next statement is to be traced.
pub(super) fn wanted(connected: &Connected) -> bool {
    let recorded = RECORDING.try_with(|recording| recording.lock().len() < TRACES_MAX);
    recorded.unwrap_or(false) || connected.samples.is_due()
}

/// The statement, asking for a trace.
pub(super) fn switched_on(prepared: &PreparedStatement) -> PreparedStatement {
    let mut prepared = prepared.clone();
    prepared.set_tracing(true);
    prepared
}

/// A traced statement was answered: into the recording, or into the log.
pub(super) fn answered(connected: &Connected, statement: Statement, id: Uuid, took: Duration) {
    let traced = Traced {
        statement,
        id,
        took,
    };
    if RECORDING.try_with(|of| of.lock().push(traced)).is_ok() {
        return;
    }
    // While one sample is being read, others are let go: it is a sample.
    let Ok(reading) = Arc::clone(&connected.samples.reading).try_acquire_owned() else {
        return;
    };
    let session = Arc::clone(&connected.session);
    tokio::spawn(async move {
        let _reading = reading;
        let trace = fetch_one(&session, traced).await;
        tracing::info!(?trace, "a sampled statement");
    });
}

/// Reads the traces of what was recorded. What cannot be read is told without its events.
pub(crate) async fn fetch(connected: &Connected, traced: Vec<Traced>) -> Vec<Trace> {
    let one = |traced| fetch_one(&connected.session, traced);
    futures_util::future::join_all(traced.into_iter().map(one)).await
}

async fn fetch_one(session: &Session, traced: Traced) -> Trace {
    let mut trace = Trace {
        statement: traced.statement.label(),
        coordinator: None,
        took: traced.took,
        server_took: None,
        events: Vec::new(),
    };
    let micros = |n: Option<i32>| n.and_then(|n| u64::try_from(n).ok());
    match timeout(FETCH_TIME, session.get_tracing_info(&traced.id)).await {
        Ok(Ok(info)) => {
            trace.coordinator = info.coordinator;
            trace.server_took = micros(info.duration).map(Duration::from_micros);
            let event = |event: scylla::observability::tracing::TracingEvent| TraceEvent {
                at: Duration::from_micros(micros(event.source_elapsed).unwrap_or(0)),
                source: event.source,
                activity: event.activity.unwrap_or_default(),
            };
            trace.events = info.events.into_iter().map(event).collect();
        }
        Ok(Err(error)) => tracing::debug!(%error, id = %traced.id, "a trace cannot be read"),
        Err(_) => tracing::debug!(id = %traced.id, "a trace was not there in time"),
    }
    trace
}

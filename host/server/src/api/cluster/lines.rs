//! Answers of one JSON value a line, as IPFS Cluster streams them.
//!
//! Nothing is answered before the first line is there: no line at all is 204 without a body, and a
//! failure before it is an answer of its own. A failure afterwards stands in the trailer
//! `X-Stream-Error`, which is sent, empty, when all went well: clients in browsers can then tell an
//! end from an interruption.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::stream::{self, Gone, Outlet};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::oneshot;

/// Where a failure stands that comes after the first line.
const STREAM_ERROR: HeaderName = HeaderName::from_static("x-stream-error");

/// Characters of a failure in a trailer: proxies drop what is longer than they expect.
const TRAILER_CHARS_MAX: usize = 500;

/// Why a stream ends early.
pub(super) enum Ended {
    /// Nobody reads it any more.
    Gone,
    /// It cannot go on.
    Failed(Problem),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl<E: Into<Problem>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a handler answers.
type Answer = Result<Reply, Problem>;

/// Whether there is anything to answer.
type Begun = Result<bool, Problem>;

/// Where lines are written.
pub(super) struct Lines {
    outlet: Outlet,
    begun: Option<oneshot::Sender<Begun>>,
}

impl Lines {
    /// Begins the answer before there is a line.
    pub(super) fn begin(&mut self) {
        if let Some(begun) = self.begun.take() {
            // Who waited for it and is gone has the outlet closed too.
            drop(begun.send(Ok(true)));
        }
    }

    /// Writes a line; it is sent when there are enough of them.
    pub(super) async fn line<T: Serialize>(&mut self, value: &T) -> Result<(), Ended> {
        serde_json::to_writer(&mut self.outlet.buffer, value)
            .map_err(|e| Problem::internal("cannot write a line", &e))?;
        self.outlet.buffer.push(b'\n');
        self.raw().await
    }

    /// Writes a line and sends it at once.
    pub(super) async fn line_now<T: Serialize>(&mut self, value: &T) -> Result<(), Ended> {
        self.line(value).await?;
        Ok(self.outlet.flush().await?)
    }

    /// Writes text as it is.
    pub(super) async fn text(&mut self, text: &str) -> Result<(), Ended> {
        self.outlet.buffer.extend_from_slice(text.as_bytes());
        self.raw().await
    }

    /// Sends what has been written.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        Ok(self.outlet.flush().await?)
    }

    async fn raw(&mut self) -> Result<(), Ended> {
        self.begin();
        if self.outlet.is_stopped() {
            return Err(Ended::Failed(Problem::stopping()));
        }
        Ok(self.outlet.pace().await?)
    }

    async fn end(mut self, outcome: Result<(), Ended>) {
        let failed = match outcome {
            Err(Ended::Gone) => return,
            Err(Ended::Failed(problem)) => Some(problem),
            Ok(()) => None,
        };
        if let Some(begun) = self.begun.take() {
            drop(begun.send(failed.map_or(Ok(false), Err)));
            return;
        }
        let words = failed.as_ref().map_or(String::new(), words);
        let value = HeaderValue::try_from(words).unwrap_or_else(|_| HeaderValue::from_static(""));
        // Nobody is left to tell if this fails.
        drop(
            self.outlet
                .end_with(HeaderMap::from_iter([(STREAM_ERROR, value)]))
                .await,
        );
    }
}

/// What stands in the trailer; the cause goes to the log, once.
fn words(problem: &Problem) -> String {
    tracing::warn!(cause = problem.note(), "a stream broke off");
    let text = problem.detail().chars().take(TRAILER_CHARS_MAX);
    text.map(|c| if c.is_ascii_graphic() { c } else { ' ' })
        .collect()
}

/// Answers with what `write` writes. It gives the lines back together with how it ended. When
/// nobody listens any more, it is stopped wherever it is.
pub(super) fn answer<F, W>(call: &Call, write: W) -> impl Future<Output = Answer> + Send + use<F, W>
where
    W: FnOnce(Lines) -> F,
    F: Future<Output = (Lines, Result<(), Ended>)> + Send + 'static,
{
    begun(started(call, write, true))
}

/// The same for a change, which goes on when nobody listens any more.
pub(super) fn carry_through<F, W>(
    call: &Call,
    write: W,
) -> impl Future<Output = Answer> + Send + use<F, W>
where
    W: FnOnce(Lines) -> F,
    F: Future<Output = (Lines, Result<(), Ended>)> + Send + 'static,
{
    begun(started(call, write, false))
}

/// A body, and who tells whether there is anything in it.
type Started = Result<(Body, oneshot::Receiver<Begun>), Problem>;

fn started<F, W>(call: &Call, write: W, may_stop: bool) -> Started
where
    W: FnOnce(Lines) -> F,
    F: Future<Output = (Lines, Result<(), Ended>)> + Send + 'static,
{
    let (body, outlet) = stream::open(&call.station.edge)?;
    let (begun, beginning) = oneshot::channel();
    let lines = Lines {
        outlet,
        begun: Some(begun),
    };
    let hung_up = lines.outlet.hung_up();
    let writing = write(lines);
    tokio::spawn(async move {
        tokio::select! {
            (lines, outcome) = writing => lines.end(outcome).await,
            () = hung_up, if may_stop => {}
        }
    });
    Ok((body, beginning))
}

async fn begun(started: Started) -> Answer {
    let (body, beginning) = started?;
    match beginning.await {
        Ok(Ok(true)) => Ok(Reply::stream("application/json", body)
            .with_header(header::TRAILER, HeaderValue::from_static("X-Stream-Error"))),
        Ok(Ok(false)) => Ok(Reply::empty(StatusCode::NO_CONTENT)
            .with_header(header::TRAILER, HeaderValue::from_static("X-Stream-Error"))),
        Ok(Err(problem)) => Err(problem),
        Err(_died) => Err(Problem::internal(
            "a stream's writer died",
            &"see the line before",
        )),
    }
}

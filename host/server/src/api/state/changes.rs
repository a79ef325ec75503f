//! Following what changes: a long poll, or a stream.

use super::wire::{Control, Fault, Form, line};
use super::{JSON, LINES, accepted};
use crate::api::context::{Call, Edge};
use crate::api::metrics::Item;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::reply::Reply;
use crate::api::stream::{self, Gone, Outlet};
use crate::pins::state::{self, Changed};
use axum::http::StatusCode;
use holdfast_model::action::{Host, ReadPins};
use holdfast_model::limits::PAGE_ROWS_MAX;
use holdfast_model::{Cid, Cursor, Invalid};
use holdfast_policy::Permit;
use holdfast_store::{Store, StoreError};
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The longest wait that can be asked for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What a call keeps of its deadline to answer in after it has waited.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Silence after which a stream says that it is still there: shorter than what usual proxies
/// suffer.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How often the feed is read again although nothing was heard of a change. That its head has
/// moved is a hint, and hints may be lost.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// One change, as it is told.
#[derive(Serialize)]
struct Told<'a> {
    cursor: u64,
    cid: &'a Cid,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    pin: Option<&'a holdfast_model::Pin>,
}

/// A page of changes.
#[derive(Serialize)]
struct Page<'a> {
    changes: Vec<Told<'a>>,
    cursor: u64,
    head: u64,
}

/// Where and how a caller follows.
struct Asked {
    after: Option<Cursor>,
    limit: u32,
    wait: Duration,
}

/// Follow what changes, from a cursor on.
#[utoipa::path(
    get, path = "/v1/state/changes", tag = "state", operation_id = "followPins",
    params(
        ("after" = String, Query, description = "The last cursor that was dealt with; 0 is the \
            beginning, `head` the end"),
        ("limit" = Option<u32>, Query, description = "Changes of a page",
            minimum = 1, maximum = 1000),
        ("wait" = Option<String>, Query, description = "How long to wait for a change, such as 30s")),
    responses(
        (status = 200, description = "A page, or a stream of one change a line", content(
            (super::ChangePage = "application/json"), (String = "application/x-ndjson"))),
        (status = 400, description = "The cursor lies in the future: it is another store's"),
        (status = 410, description = "What follows the cursor has been trimmed: list all pins"))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<ReadPins>(Host)?;
    let asked = asked(&call.query(&["after", "limit", "wait"])?)?;
    let store = call.app().store.clone();
    let after = asked.after.unwrap_or_else(|| *store.head().borrow());
    if accepted(call, &[JSON, LINES])? == LINES {
        return follow(&call.station.edge, store, permit, (after, asked.limit)).await;
    }
    let edge = &call.station.edge;
    let deadline = edge.settings.call_timeout.saturating_sub(ANSWER_WITHIN);
    let until = Instant::now() + asked.wait.min(deadline);
    let mut head = store.head();
    loop {
        // Seen before the page is read, so that what comes after it wakes us.
        let seen = *head.borrow_and_update();
        let page = state::changes(&store, &permit, after, asked.limit).await;
        let page = page.map_err(|error| Problem::of_feed(error, seen))?;
        if !page.is_empty() || Instant::now() >= until {
            return answer(&page, after, *head.borrow());
        }
        tokio::select! {
            _ = head.changed() => {}
            () = tokio::time::sleep_until(until.min(Instant::now() + LOOK_AGAIN)) => {}
            () = edge.settings.stop.cancelled() => return answer(&page, after, seen),
        }
    }
}

fn asked(query: &Query) -> Result<Asked, Invalid> {
    let after = match query.one("after")? {
        Some("head") => None,
        Some(text) => Some(Cursor(text.parse().map_err(|_| {
            Invalid::new(
                "after",
                "is no cursor; send one as the feed told it, 0, or head",
            )
        })?)),
        None => {
            let why = "is missing; send the last cursor, 0 for the beginning, or head";
            return Err(Invalid::new("after", why));
        }
    };
    let limit = query.one("limit")?;
    let limit = limit.map_or(PAGE_ROWS_MAX, |text| text.parse().unwrap_or_default());
    if !(1..=PAGE_ROWS_MAX).contains(&limit) {
        let why = format!("is out of bounds; send 1 to {PAGE_ROWS_MAX}");
        return Err(Invalid::new("limit", why));
    }
    let wait = query.one("wait")?.map_or(Ok(Duration::ZERO), duration)?;
    Ok(Asked { after, limit, wait })
}

/// A number of seconds or milliseconds with its unit.
fn duration(text: &str) -> Result<Duration, Invalid> {
    let wrong = || {
        Invalid::new(
            "wait",
            "is no time up to 30s; send one such as 30s or 500ms",
        )
    };
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, Duration::from_millis as fn(u64) -> Duration),
        None => (
            text.strip_suffix('s').ok_or_else(wrong)?,
            Duration::from_secs as fn(u64) -> Duration,
        ),
    };
    let wait = unit(number.parse().map_err(|_| wrong())?);
    if wait > WAIT_MAX {
        Err(wrong())
    } else {
        Ok(wait)
    }
}

fn told(changed: &Changed) -> Told<'_> {
    Told {
        cursor: changed.cursor.0,
        cid: &changed.cid,
        version: changed.pin.as_ref().map(|stored| stored.version),
        pin: changed.pin.as_ref().map(|stored| &stored.pin),
    }
}

fn answer(page: &[Changed], after: Cursor, head: Cursor) -> Result<Reply, Problem> {
    let cursor = page.last().map_or(after, |last| last.cursor);
    let page = Page {
        changes: page.iter().map(told).collect(),
        cursor: cursor.0,
        head: head.0.max(cursor.0),
    };
    Reply::json(StatusCode::OK, &page)
}

/// Answers with a stream. What is wrong with the cursor is told before it begins.
async fn follow(
    edge: &Edge,
    store: Store,
    permit: Permit<ReadPins>,
    (after, limit): (Cursor, u32),
) -> Result<Reply, Problem> {
    let mut head = store.head();
    let seen = *head.borrow_and_update();
    let first = state::changes(&store, &permit, after, limit).await;
    let first = first.map_err(|error| Problem::of_feed(error, seen))?;
    let (body, mut outlet) = stream::open(edge)?;
    let mut feed = Feed {
        store,
        permit,
        head,
        at: after,
        limit,
    };
    tokio::spawn(async move {
        let Ok(broken) = feed.write(first, &mut outlet).await else {
            return;
        };
        let (status, code, detail) = broken.as_member();
        let fault = Control::Error(Fault {
            status,
            code,
            detail,
        });
        LINE.control(&fault, &mut outlet.buffer);
        // The reader may have gone; there is nobody to tell.
        let _ = outlet.end().await;
    });
    Ok(Reply::stream(LINES, body))
}

const LINE: Form = Form {
    is_protobuf: false,
    is_bare: false,
};

/// One reader's place in the feed.
struct Feed {
    store: Store,
    permit: Permit<ReadPins>,
    head: watch::Receiver<Cursor>,
    at: Cursor,
    limit: u32,
}

impl Feed {
    /// Writes changes until something breaks; answers what.
    async fn write(&mut self, first: Vec<Changed>, outlet: &mut Outlet) -> Result<Problem, Gone> {
        let mut page = first;
        let mut spoken = Instant::now();
        loop {
            let was_empty = page.is_empty();
            for changed in &page {
                line(&told(changed), &mut outlet.buffer);
                outlet.pace().await?;
                self.at = changed.cursor;
            }
            let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
            outlet.metrics().streamed(Item::Change, count);
            if was_empty && spoken.elapsed() >= HEARTBEAT {
                LINE.control(&Control::Heartbeat(self.at.0), &mut outlet.buffer);
            }
            if !outlet.buffer.is_empty() {
                outlet.flush().await?;
                spoken = Instant::now();
            }
            if outlet.is_stopped() {
                return Ok(Problem::stopping());
            }
            if was_empty {
                self.wait(spoken, outlet).await?;
            }
            let seen = *self.head.borrow_and_update();
            page = match state::changes(&self.store, &self.permit, self.at, self.limit).await {
                Ok(page) => page,
                Err(error) => return Ok(broken(error, seen)),
            };
        }
    }

    /// Waits until there may be something to say.
    async fn wait(&mut self, spoken: Instant, outlet: &Outlet) -> Result<(), Gone> {
        let until = (spoken + HEARTBEAT).min(Instant::now() + LOOK_AGAIN);
        tokio::select! {
            _ = self.head.changed() => Ok(()),
            () = tokio::time::sleep_until(until) => Ok(()),
            () = outlet.stopped() => Ok(()),
            () = outlet.hung_up() => Err(Gone),
        }
    }
}

fn broken(error: StoreError, head: Cursor) -> Problem {
    tracing::warn!(%error, "a feed broke off");
    Problem::of_feed(error, head)
}

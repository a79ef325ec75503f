//! Listing all pins as a stream.

use super::wire::{Control, Fault, Form};
use super::{LINES, PROTOBUF, accepted, mark};
use crate::api::context::Call;
use crate::api::metrics::Item;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::stream::{self, Gone, Outlet};
use crate::pins::state;
use axum::http::{HeaderName, HeaderValue};
use holdfast_model::StoredPin;
use holdfast_model::action::{Host, ReadPins};
use holdfast_model::pin::PinWriter;
use holdfast_store::{PinScan, StoreError};
use tokio::sync::mpsc;

/// The feed's head before the first pin was read.
const HEAD: HeaderName = HeaderName::from_static("holdfast-head");

/// Pins after which a mark is told: a reader that was cut off reads fewer than these again.
const PINS_PER_MARK: u64 = 10_000;

/// The same in bytes: a reader that must not tell a pin twice holds what came since the last mark.
const BYTES_PER_MARK: usize = 16 * 1024 * 1024;

/// Pages that are read ahead while others are written out, so that both have a core each.
const PAGES_AHEAD: usize = 2;

/// A page of pins, the mark behind it and how much is done then, or nothing more.
type Page = Result<Option<(Vec<StoredPin>, String, Option<u32>)>, StoreError>;

/// List all pins, as a stream.
#[utoipa::path(
    get, path = "/v1/state/pins", tag = "state", operation_id = "listPins",
    params(
        ("from" = Option<String>, Query, description = "A mark of an earlier list: goes on there"),
        ("bare" = Option<bool>, Query, description = "Pins only: no version, mark or end")),
    responses((status = 200, description = "One `api.Pin` a line or message, with marks between \
        and an end or an error last; the header `holdfast-head` is the cursor to follow the feed \
        from", content((String = "application/x-ndjson"), (super::Protobuf = "application/x-protobuf"))))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<ReadPins>(Host)?;
    let query = call.query(&["from", "bare"])?;
    let content_type = accepted(call, &[LINES, PROTOBUF])?;
    let form = Form {
        is_protobuf: content_type == PROTOBUF,
        is_bare: query.flag("bare")?,
    };
    let from = query.one("from")?.map(mark::parse).transpose()?;
    let store = &call.app().store;
    let head = *store.head().borrow();
    let scan = state::scan(store, &permit, from)?;
    let (body, outlet) = stream::open(&call.station.edge)?;
    tokio::spawn(write(scan, outlet, form));
    let reply = Reply::stream(content_type, body);
    Ok(reply.with_header(HEAD, HeaderValue::from(head.0)))
}

/// Writes the list. That the reader has gone ends it, and is no fault.
async fn write(scan: PinScan, mut outlet: Outlet, form: Form) {
    let (send, mut pages) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(read(scan, send));
    match each_page(&mut pages, &mut outlet, form).await {
        Ok(None) => {}
        // A bare list has no words for it: it breaks off.
        Ok(Some(_)) if form.is_bare => return,
        Ok(Some(problem)) => {
            let (status, code, detail) = problem.as_member();
            let fault = Fault {
                status,
                code,
                detail,
            };
            form.control(&Control::Error(fault), &mut outlet.buffer);
        }
        Err(Gone) => return,
    }
    // The reader may have gone; there is nobody to tell.
    let _ = outlet.end().await;
}

/// Writes pages to their end; answers what broke the list, if something did.
async fn each_page(
    pages: &mut mpsc::Receiver<Page>,
    outlet: &mut Outlet,
    form: Form,
) -> Result<Option<Problem>, Gone> {
    let (mut pins, mut marked, mut bytes) = (0, 0, 0);
    let mut writer = PinWriter::default();
    let mut stopped = std::pin::pin!(outlet.stopped());
    loop {
        let page = tokio::select! {
            page = pages.recv() => page,
            () = &mut stopped => return Ok(Some(Problem::stopping())),
        };
        let (page, mark, done_millionths) = match page {
            Some(Ok(Some(page))) => page,
            Some(Ok(None)) => break,
            Some(Err(error)) => {
                tracing::warn!(%error, "a list of pins broke off");
                return Ok(Some(error.into()));
            }
            None => return Ok(Some(Problem::stopping())),
        };
        for pin in &page {
            let before = outlet.buffer.len();
            form.pin(pin, &mut writer, &mut outlet.buffer);
            bytes += outlet.buffer.len() - before;
            outlet.pace().await?;
        }
        let count = u64::try_from(page.len()).unwrap_or(u64::MAX);
        outlet.metrics().streamed(Item::Pin, count);
        pins += count;
        let is_due = pins - marked >= PINS_PER_MARK || bytes >= BYTES_PER_MARK;
        if is_due && !form.is_bare {
            let control = Control::Mark {
                mark: &mark,
                done_millionths,
            };
            form.control(&control, &mut outlet.buffer);
            (marked, bytes) = (pins, 0);
        }
    }
    if !form.is_bare {
        form.control(&Control::End { pins }, &mut outlet.buffer);
    }
    Ok(None)
}

/// Reads ahead, until the end, an error, or nobody wants more.
async fn read(mut scan: PinScan, pages: mpsc::Sender<Page>) {
    loop {
        let page = scan.next().await;
        let is_last = !matches!(page, Ok(Some(_)));
        let (mark, done) = (mark::text(&scan.mark()), scan.millionths());
        let page = page.map(|page| page.map(|pins| (pins, mark, done)));
        if pages.send(page).await.is_err() || is_last {
            return;
        }
    }
}

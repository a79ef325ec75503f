//! A chain as a stream of CloudEvents.

use super::chain;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::stream::{self, Gone, Outlet};
use crate::ops::audit::CloudEvent;
use holdfast_model::Invalid;
use holdfast_store::{Store, StoreError};

/// Lines of JSON.
const LINES: &str = "application/x-ndjson";

/// Entries that are read at once: half a MiB, of which one page is held.
const PAGE_ENTRIES: u32 = 1_000;

/// Checkpoints that are read at once.
const PAGE_CHECKPOINTS: u32 = 100;

/// Export a chain as CloudEvents, one a line: its checkpoints, and its entries, the oldest first.
#[utoipa::path(
    get, path = "/v1/audit/export", tag = "audit", operation_id = "exportAudit",
    params(("tenant" = Option<String>, Query, description = "Whose chain; the caller's own tenant's when it is missing, the host's if it is `@host`"),
        ("after" = Option<u64>, Query, description = "The `sequence` of the last entry that one has: goes on behind it")),
    responses((status = 200, description = "CloudEvents 1.0 in JSON, one a line; a stream that \
        breaks off is not the whole", content((String = "application/x-ndjson"))))
)]
pub(crate) async fn export(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["tenant", "after"])?;
    let after = query.one("after")?.map(|text| {
        let wrong = || Invalid::new("after", "is no place in a chain; send a `sequence`");
        text.parse::<u64>().map_err(|_| wrong())
    });
    let after = after.transpose()?.unwrap_or_default();
    let tenant = chain(call, query.one("tenant")?)?;
    let store = call.app().store.clone();
    // Asked before the stream begins, so that a store that fails is told by a status.
    store.audit_head(&tenant).await?;
    let (body, outlet) = stream::open(&call.station.edge)?;
    tokio::spawn(write(store, tenant, after, outlet));
    Ok(Reply::stream(LINES, body))
}

/// Why an export ended early. The stream breaks off, and its reader goes on behind what it has.
enum Broken {
    Gone,
    Stopping,
    Store(StoreError),
}

impl From<Gone> for Broken {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn write(store: Store, tenant: String, after: u64, mut outlet: Outlet) {
    // First, so that whoever verifies knows them in time, and that all they cover follows.
    let written = match checkpoints(&store, &tenant, &mut outlet).await {
        Ok(()) => entries(&store, &tenant, after, &mut outlet).await,
        broken => broken,
    };
    match written {
        Ok(()) => {
            // The reader may have gone; there is nobody to tell.
            let _ = outlet.end().await;
        }
        Err(Broken::Store(error)) => {
            tracing::warn!(%error, "an export of the audit log broke off");
        }
        Err(Broken::Gone | Broken::Stopping) => {}
    }
}

async fn entries(
    store: &Store,
    tenant: &str,
    mut after: u64,
    outlet: &mut Outlet,
) -> Result<(), Broken> {
    let head = store.audit_head(tenant).await?.seq;
    while after < head {
        if outlet.is_stopped() {
            return Err(Broken::Stopping);
        }
        let page = store.audit_entries(tenant, after + 1, PAGE_ENTRIES).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for entry in &page {
            line(CloudEvent::of_entry(tenant, entry), outlet);
            outlet.pace().await?;
        }
    }
    Ok(())
}

async fn checkpoints(store: &Store, tenant: &str, outlet: &mut Outlet) -> Result<(), Broken> {
    let mut before = None;
    loop {
        let page = store
            .audit_checkpoints(tenant, before, PAGE_CHECKPOINTS)
            .await?;
        for checkpoint in &page {
            line(CloudEvent::of_checkpoint(tenant, &checkpoint.value), outlet);
            outlet.pace().await?;
        }
        match page.last() {
            Some(last) if last.value.segment > 0 => before = Some(last.value.segment),
            _ => return Ok(()),
        }
    }
}

fn line(event: Option<CloudEvent<'_>>, outlet: &mut Outlet) {
    // An entry that is no JSON was not entered by a host: the verifier tells that it is missing.
    let Some(event) = event else { return };
    let before = outlet.buffer.len();
    match serde_json::to_writer(&mut outlet.buffer, &event) {
        Ok(()) => outlet.buffer.push(b'\n'),
        Err(_) => outlet.buffer.truncate(before),
    }
}

//! The audit log, under `/v1/audit`: who did what, chain by chain.

pub(super) mod export;
pub(super) mod sign;

pub(crate) use export::export;
pub(crate) use sign::sign;

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::reply::Reply;
use crate::ops::audit::{HOST_CHAIN, chain_name, hex};
use axum::http::StatusCode;
use holdfast_model::action::{Host, ReadAudit, ReadTenantAudit};
use holdfast_model::audit::{AuditCheckpoint, AuditEntry, AuditHead};
use holdfast_model::{Invalid, TenantId, UnixMillis};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// Entries that are looked at for one page, however few of them the filter means: some 20 ms.
const LOOKED_AT_MAX: u64 = 20_000;

/// Entries that are read at once.
const PAGE_ENTRIES: u32 = 1_000;

/// How much later an entry may be entered than one that happened after it: callers wait to be
/// written down, and processes' clocks differ.
const OUT_OF_ORDER_MILLIS: u64 = 10 * 60 * 1_000;

/// An entry.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct EntryView {
    /// Its place in the chain.
    seq: u64,
    /// The event's name.
    id: String,
    #[schema(value_type = String, format = "date-time")]
    time: UnixMillis,
    /// What was tried.
    action: String,
    /// `allow`, `deny`, `error`, `begun` or `unknown`.
    outcome: String,
    /// Who tried it; empty if nobody knows.
    actor: String,
    /// On what: `type:account/id`, as far as it has them.
    resource: String,
    /// Its hash, which every later one depends on.
    hash: String,
    /// All that is known of it.
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
}

/// A page of a chain, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(crate) struct Page {
    /// The chain: a tenant, or `@host`.
    tenant: String,
    entries: Vec<EntryView>,
    /// Send it as `cursor` to go on; null at the chain's beginning. A page may have few entries, or
    /// none, and still not be the last.
    next: Option<String>,
}

/// A chain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditChain)]
pub(crate) struct ChainView {
    /// A tenant, or `@host`.
    tenant: String,
    /// Its last entry.
    seq: u64,
    /// That entry's hash.
    hash: String,
}

/// A page of chains.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditChains)]
pub(crate) struct Chains {
    chains: Vec<ChainView>,
    /// Send it as `after` to get the next page; null on the last one.
    next: Option<String>,
}

/// A checkpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCheckpoint)]
pub(crate) struct CheckpointView {
    segment: u64,
    /// The last entry that it covers.
    seq: u64,
    /// That entry's hash.
    hash: String,
    #[schema(value_type = String, format = "date-time")]
    time: UnixMillis,
    /// The signed note.
    note: String,
    /// Where the note is pinned.
    cid: Option<String>,
}

/// A page of checkpoints, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCheckpoints)]
pub(crate) struct Checkpoints {
    /// The chain.
    tenant: String,
    checkpoints: Vec<CheckpointView>,
    /// Send it as `before` to get the next page; null on the last one.
    next: Option<u64>,
}

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `list` takes apart")]
struct Parameters {
    /// Whose chain; the caller's own tenant's when it is missing, the host's if it is `@host`.
    tenant: Option<String>,
    /// Not before this instant.
    from: Option<String>,
    /// Not after this instant.
    to: Option<String>,
    /// Only this action.
    action: Option<String>,
    /// Only this outcome.
    outcome: Option<String>,
    /// Only by this principal.
    actor: Option<String>,
    /// Only on this thing.
    resource: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows at most, 1 to 1000; 100 when it is missing.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// Which entries are meant.
struct Filter<'q> {
    from: Option<UnixMillis>,
    to: Option<UnixMillis>,
    names: [Option<&'q str>; 4],
}

impl<'q> Filter<'q> {
    fn of(query: &'q Query) -> Result<Self, Invalid> {
        let time = |name| query.one(name)?.map(UnixMillis::parse).transpose();
        Ok(Self {
            from: time("from")?,
            to: time("to")?,
            names: [
                query.one("action")?,
                query.one("outcome")?,
                query.one("actor")?,
                query.one("resource")?,
            ],
        })
    }

    fn means(&self, entry: &AuditEntry) -> bool {
        let has = [&entry.action, &entry.outcome, &entry.actor, &entry.resource];
        let mut names = self.names.iter().zip(has);
        names.all(|(wanted, has)| wanted.is_none_or(|wanted| wanted == has))
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at <= to)
    }

    /// Whether nothing that is meant lies behind an entry, on the way back.
    fn ends_at(&self, entry: &AuditEntry) -> bool {
        let is_long_before = |from: UnixMillis| entry.at.plus_millis(OUT_OF_ORDER_MILLIS) < from;
        self.from.is_some_and(is_long_before)
    }
}

/// Asks whether the caller may read the chain that a query names.
pub(super) fn chain(call: &mut Call, named: Option<&str>) -> Result<String, Problem> {
    let tenant = match named {
        Some(HOST_CHAIN) => {
            call.permit::<ReadAudit>(Host)?;
            return Ok(String::new());
        }
        Some(tenant) => TenantId::parse(tenant)?,
        None => call.principal()?.tenant().clone(),
    };
    call.permit::<ReadTenantAudit>(tenant.clone())?;
    Ok(tenant.as_str().to_owned())
}

/// Read the audit log, the newest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", operation_id = "readAudit", params(Parameters),
    responses((status = 200, description = "A page of the chain", body = Page))
)]
pub(crate) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&[
        "tenant", "from", "to", "action", "outcome", "actor", "resource", "cursor", "limit",
    ])?;
    let filter = Filter::of(&query)?;
    let limit = super::keys::limit(query.one("limit")?)?;
    let before = query.one("cursor")?.map(cursor).transpose()?;
    let tenant = chain(call, query.one("tenant")?)?;
    let (mut before, mut looked_at) = (before.unwrap_or(u64::MAX), 0);
    let mut found = Vec::new();
    let mut next = None;
    'pages: while before > 1 {
        let store = &call.app().store;
        let page = store
            .audit_entries_before(&tenant, before, PAGE_ENTRIES)
            .await?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            looked_at += 1;
            before = entry.seq;
            if filter.ends_at(&entry) {
                break 'pages;
            }
            if filter.means(&entry) {
                found.push(EntryView::of(entry));
            }
            if found.len() == limit || looked_at == LOOKED_AT_MAX {
                next = Some(before.to_string()).filter(|_| before > 1);
                break 'pages;
            }
        }
    }
    let page = Page {
        tenant: chain_name(&tenant).to_owned(),
        entries: found,
        next,
    };
    Reply::json(StatusCode::OK, &page)
}

fn cursor(text: &str) -> Result<u64, Invalid> {
    let wrong = || Invalid::new("cursor", "is none; send `next` of the page before");
    text.parse().map_err(|_| wrong())
}

/// List the chains.
#[utoipa::path(
    get, path = "/v1/audit/chains", tag = "audit", operation_id = "listAuditChains",
    params(("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Rows at most; 100 when it is missing",
            minimum = 1, maximum = 1000)),
    responses((status = 200, description = "A page of chains", body = Chains))
)]
pub(crate) async fn chains(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["after", "limit"])?;
    let limit = super::keys::limit(query.one("limit")?)?;
    call.permit::<ReadAudit>(Host)?;
    let after = query.one("after")?.map(|after| match after {
        HOST_CHAIN => "",
        tenant => tenant,
    });
    let store = &call.app().store;
    let rows = u32::try_from(limit).unwrap_or(u32::MAX);
    let tenants = store.audit_tenants(after, rows).await?;
    let mut chains = Vec::new();
    for tenant in &tenants {
        let AuditHead { seq, hash } = store.audit_head(tenant).await?;
        chains.push(ChainView {
            tenant: chain_name(tenant).to_owned(),
            seq,
            hash: hex(&hash),
        });
    }
    let last = chains.last().filter(|_| chains.len() == limit);
    let next = last.map(|last| last.tenant.clone());
    Reply::json(StatusCode::OK, &Chains { chains, next })
}

/// List a chain's checkpoints, the newest first.
#[utoipa::path(
    get, path = "/v1/audit/checkpoints", tag = "audit", operation_id = "listAuditCheckpoints",
    params(("tenant" = Option<String>, Query, description = "Whose chain; the caller's own tenant's when it is missing"),
        ("before" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Rows at most; 100 when it is missing",
            minimum = 1, maximum = 1000)),
    responses((status = 200, description = "A page of checkpoints", body = Checkpoints))
)]
pub(crate) async fn checkpoints(call: &mut Call) -> Result<Reply, Problem> {
    let query = call.query(&["tenant", "before", "limit"])?;
    let limit = super::keys::limit(query.one("limit")?)?;
    let before = query.one("before")?.map(cursor).transpose()?;
    let tenant = chain(call, query.one("tenant")?)?;
    let store = &call.app().store;
    let rows = u32::try_from(limit).unwrap_or(u32::MAX);
    let found = store.audit_checkpoints(&tenant, before, rows).await?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.map(|last| last.value.segment);
    let listed = Checkpoints {
        tenant: chain_name(&tenant).to_owned(),
        checkpoints: found
            .iter()
            .map(|kept| CheckpointView::of(&kept.value))
            .collect(),
        next,
    };
    Reply::json(StatusCode::OK, &listed)
}

impl EntryView {
    fn of(entry: AuditEntry) -> Self {
        let body = String::from_utf8(entry.body).ok();
        Self {
            seq: entry.seq,
            id: format!("{:032x}", entry.id),
            time: entry.at,
            action: entry.action,
            outcome: entry.outcome,
            actor: entry.actor,
            resource: entry.resource,
            hash: hex(&entry.hash),
            event: body.and_then(|body| RawValue::from_string(body).ok()),
        }
    }
}

impl CheckpointView {
    pub(super) fn of(checkpoint: &AuditCheckpoint) -> Self {
        Self {
            segment: checkpoint.segment,
            seq: checkpoint.last_seq,
            hash: hex(&checkpoint.last_hash),
            time: checkpoint.last_at,
            note: String::from_utf8_lossy(&checkpoint.signature).into_owned(),
            cid: checkpoint.anchor.map(|cid| cid.to_string()),
        }
    }
}

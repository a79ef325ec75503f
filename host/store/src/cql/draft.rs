//! What a batch is about to do to an account: its operations run one after the other on what was
//! read, and what comes out of it is the next head and the effects.

use super::account::{Head, OpId};
use super::effect::Effect;
use super::usage::usage_slot;
use crate::error::StoreError;
use crate::row::{MarkRow, encode_request};
use crate::rules::{REQUEST, begin_pin, begin_request, created_after};
use crate::{Outcome, RequestDraft, Result};
use holdfast_model::{AccountId, Operation, PinRequest, RequestId, UnixMillis, UsageMark};
use std::collections::{BTreeMap, HashMap};

/// Requests of one partition of an account's list, never to be changed. Servers refuse to read over
/// 100,000 tombstones, and a bucket whose requests were all deleted has as many as it had rows.
pub(super) const BUCKET_ROWS: u64 = 32_768;

/// One operation on an account's requests.
#[derive(Debug, Clone)]
pub(crate) enum RequestOp {
    Create(RequestDraft, UnixMillis),
    Replace(RequestId, RequestDraft, UnixMillis),
    Delete(RequestId, UnixMillis),
    Settle(RequestId, u64, Outcome, UnixMillis),
}

impl RequestOp {
    /// The requests that must be read before it.
    pub(super) fn names(&self) -> impl Iterator<Item = RequestId> {
        let (first, second) = match self {
            Self::Create(draft, _) => (draft.id, None),
            Self::Replace(old, draft, _) => (*old, Some(draft.id)),
            Self::Delete(id, _) | Self::Settle(id, ..) => (*id, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// A request and the bucket that it is listed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) bucket: i32,
    pub(super) request: PinRequest,
}

/// One request, before the batch and after it.
#[derive(Debug, Default)]
struct Entry {
    before: Option<Kept>,
    after: Option<Kept>,
    /// When it was made, if it was made by the batch.
    begun: Option<UnixMillis>,
}

/// An account and those of its requests that a batch names.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    account: &'a AccountId,
    head: Option<Head>,
    next: Head,
    entries: HashMap<RequestId, Entry>,
    /// The requests that were changed, in the order in which they first were.
    order: Vec<RequestId>,
    buckets: Vec<Effect>,
    marks: BTreeMap<UnixMillis, UsageMark>,
    is_empty: bool,
    bucket_rows: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        account: &'a AccountId,
        head: Option<Head>,
        found: HashMap<RequestId, Kept>,
        bucket_rows: u64,
    ) -> Self {
        let begin = |(id, kept): (RequestId, Kept)| {
            let entry = Entry {
                before: Some(kept.clone()),
                after: Some(kept),
                begun: None,
            };
            (id, entry)
        };
        Self {
            account,
            head,
            next: head.unwrap_or_else(Head::before_the_first),
            entries: found.into_iter().map(begin).collect(),
            order: Vec::new(),
            buckets: Vec::new(),
            marks: BTreeMap::new(),
            is_empty: true,
            bucket_rows,
        }
    }

    /// Runs one operation. One that is refused changes nothing.
    pub(super) fn run(&mut self, op: RequestOp) -> Result<Option<PinRequest>> {
        let answer = match op {
            RequestOp::Create(draft, now) => self.create(draft, now).map(Some),
            RequestOp::Replace(old, draft, now) => self.replace(old, draft, now).map(Some),
            RequestOp::Delete(id, now) => self.delete(id, now).map(|()| None),
            RequestOp::Settle(id, version, outcome, now) => {
                self.settle(id, version, outcome, now).map(Some)
            }
        }?;
        self.is_empty = false;
        Ok(answer)
    }

    /// Whether no operation went through.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The next head and what is to be written with it.
    pub(super) fn into_effects(self, op: OpId, version: u64) -> Result<(Head, Vec<Effect>)> {
        let mut effects = self.buckets;
        for id in &self.order {
            if let Some(entry) = self.entries.get(id) {
                effects.extend(effect_of(*id, entry)?);
            }
        }
        let mut slot = self.head.and_then(|head| {
            let at = head.account.mark.at;
            (head.made > 0).then(|| usage_slot(at))
        });
        for mark in self.marks.values() {
            let its = usage_slot(mark.at);
            if slot != Some(its) {
                effects.push(Effect::UsageSlot(its));
                slot = Some(its);
            }
            effects.push(Effect::Mark(MarkRow::from(mark)));
        }
        let head = Head {
            version,
            op,
            ..self.next
        };
        Ok((head, effects))
    }

    fn create(&mut self, draft: RequestDraft, now: UnixMillis) -> Result<PinRequest> {
        let request = self.insert(draft, now)?;
        self.mark(now, 0, 0, Some(Operation::Pin));
        Ok(request)
    }

    fn replace(
        &mut self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let replaced = self.own(old)?.clone();
        let request = self.insert(draft, now)?;
        self.remove(&replaced);
        let freed = replaced.billable_bytes();
        self.mark(now, freed, 0, Some(Operation::Replace));
        Ok(request)
    }

    fn delete(&mut self, id: RequestId, now: UnixMillis) -> Result<()> {
        let request = self.own(id)?.clone();
        self.remove(&request);
        let freed = request.billable_bytes();
        self.mark(now, freed, 0, Some(Operation::Unpin));
        Ok(())
    }

    fn settle(
        &mut self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let old = self.own(id)?.clone();
        if old.version != version {
            return Err(StoreError::Conflict(REQUEST));
        }
        let settled = PinRequest {
            status: outcome.status,
            dag_size: outcome.dag_size.or(old.dag_size),
            details: outcome.details,
            updated: now,
            version: version + 1,
            ..old.clone()
        };
        self.count_down(&old);
        *self.next.account.counts.get_mut(settled.status) += 1;
        let (before, after) = (old.billable_bytes(), settled.billable_bytes());
        if before != after {
            self.mark(now, before, after, None);
        }
        self.change(id, |entry| {
            if let Some(kept) = &mut entry.after {
                kept.request = settled.clone();
            }
        });
        Ok(settled)
    }

    fn own(&self, id: RequestId) -> Result<&PinRequest> {
        let kept = self.entries.get(&id).and_then(|entry| entry.after.as_ref());
        kept.map(|kept| &kept.request)
            .filter(|request| request.account == *self.account)
            .ok_or(StoreError::NotFound(REQUEST))
    }

    fn insert(&mut self, draft: RequestDraft, now: UnixMillis) -> Result<PinRequest> {
        let id = draft.id;
        let known = self.entries.get(&id);
        // Nor one that this batch removes: both rows would have one stamp, and the removal wins.
        if known.is_some_and(|entry| entry.before.is_some() || entry.after.is_some()) {
            return Err(StoreError::Conflict(REQUEST));
        }
        let created = created_after(self.next.account.newest, now)?;
        // What cannot become a pin must be refused now, not when the pin is made.
        begin_pin(&draft.asked, now)?;
        let request = begin_request(draft, created, now);
        let bucket = bucket_of(self.next.made, self.bucket_rows);
        if self.next.made.is_multiple_of(self.bucket_rows) {
            let first = created.as_millis();
            self.buckets.push(Effect::Bucket { first, bucket });
        }
        self.next.made += 1;
        self.next.account.newest = Some(created);
        *self.next.account.counts.get_mut(request.status) += 1;
        self.change(id, |entry| {
            entry.begun = Some(now);
            entry.after = Some(Kept {
                bucket,
                request: request.clone(),
            });
        });
        Ok(request)
    }

    fn remove(&mut self, request: &PinRequest) {
        self.count_down(request);
        self.change(request.id, |entry| entry.after = None);
    }

    fn count_down(&mut self, request: &PinRequest) {
        let count = self.next.account.counts.get_mut(request.status);
        *count = count.saturating_sub(1);
    }

    fn change(&mut self, id: RequestId, change: impl FnOnce(&mut Entry)) {
        if !self.order.contains(&id) {
            self.order.push(id);
        }
        change(self.entries.entry(id).or_default());
    }

    fn mark(&mut self, now: UnixMillis, before: u64, after: u64, operation: Option<Operation>) {
        let mark = self.next.account.mark.next(now, before, after, operation);
        self.next.account.mark = mark;
        self.marks.insert(mark.at, mark);
    }
}

/// The bucket of the request that is made after `made` others.
pub(super) fn bucket_of(made: u64, bucket_rows: u64) -> i32 {
    i32::try_from(made / bucket_rows.max(1)).unwrap_or(i32::MAX)
}

/// What a request's changes come to; one that has come and gone within the batch leaves nothing.
fn effect_of(id: RequestId, entry: &Entry) -> Result<Option<Effect>> {
    Ok(Some(match (&entry.before, &entry.after) {
        (None, None) => return Ok(None),
        (None, Some(made)) => Effect::Made {
            id: id.0,
            bucket: made.bucket,
            begun: entry.begun.unwrap_or(made.request.created).as_millis(),
            body: encode_request(&made.request)?,
        },
        (Some(_), Some(changed)) => Effect::Changed {
            id: id.0,
            bucket: changed.bucket,
            body: encode_request(&changed.request)?,
        },
        (Some(gone), None) => Effect::Removed {
            id: id.0,
            bucket: gone.bucket,
            created: gone.request.created.as_millis(),
            cid: gone.request.asked.cid,
            expires: gone.request.asked.expires.map(UnixMillis::as_millis),
        },
    }))
}

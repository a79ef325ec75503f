//! Lists and counts under load, held against what was acknowledged before they were asked for.
//!
//! Many write to an account, so nobody knows all that is in it. But of a request whose writer is
//! idle all the while everything is known: it is listed as it was acknowledged, or, if its end was,
//! not at all; and it is counted.

use crate::load::World;
use crate::timeline::Call;
use holdfast_model::{
    AccountId, PinRequest, RequestFilter, RequestId, RequestStatus, StatusCounts,
};
use holdfast_store::Store;
use std::collections::{BTreeMap, BTreeSet};

/// Requests of a page: fewer than an account has after a few seconds.
const PAGE: u32 = 10;

/// What is sure of an account's requests at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sure {
    /// Those that are there, each as it was acknowledged, with nothing open.
    pub(crate) there: BTreeMap<RequestId, PinRequest>,
    /// Those whose end was acknowledged.
    pub(crate) gone: BTreeSet<RequestId>,
}

impl Sure {
    /// What was sure before and is the same afterwards, so was so all the while.
    fn and_still(mut self, after: &Self) -> Self {
        self.there
            .retain(|id, request| after.there.get(id) == Some(request));
        self
    }
}

/// Asks for the newest requests of an account.
pub(crate) async fn list(world: &World, store: &Store, account: &AccountId) {
    let before = world.ledger.sure_of(account);
    let filter = RequestFilter::default();
    let page = store.requests(account, &filter, PAGE);
    let Ok(page) = world.timeline.note(Call::Read, page).await else {
        return;
    };
    let sure = before.and_still(&world.ledger.sure_of(account));
    complain(world, account, wrong_in_page(&sure, &page));
}

/// Asks for a page and how many requests there are.
pub(crate) async fn list_and_count(world: &World, store: &Store, account: &AccountId) {
    let before = world.ledger.sure_of(account);
    let filter = RequestFilter::default();
    let asked = store.page_of_requests(account, &filter, PAGE);
    let Ok((count, page)) = world.timeline.note(Call::Read, asked).await else {
        return;
    };
    let sure = before.and_still(&world.ledger.sure_of(account));
    let wrong = wrong_in_page(&sure, &page).or_else(|| wrong_in_count(&sure, count, &page));
    complain(world, account, wrong);
}

/// Asks for counts by status.
pub(crate) async fn count(world: &World, store: &Store, account: &AccountId) {
    let before = world.ledger.sure_of(account);
    let held = store.holdings(account);
    let Ok(held) = world.timeline.note(Call::Read, held).await else {
        return;
    };
    let sure = before.and_still(&world.ledger.sure_of(account));
    // Asked for last: whatever was counted has been begun by now.
    let begun = world.ledger.begun_in(account);
    complain(world, account, wrong_in_counts(&sure, begun, &held.counts));
}

fn complain(world: &World, account: &AccountId, wrong: Option<String>) {
    if let Some(wrong) = wrong {
        world.ledger.wrong(format!("{account}: {wrong}"));
    }
}

/// What a page of the newest requests lacks, or has and must not have.
pub(crate) fn wrong_in_page(sure: &Sure, page: &[PinRequest]) -> Option<String> {
    if !page.is_sorted_by(|one, next| one.created > next.created) {
        return Some("a page is not newest first".to_owned());
    }
    if let Some(ended) = page.iter().find(|request| sure.gone.contains(&request.id)) {
        return Some(format!("request {} was listed after its end", ended.id));
    }
    let listed: BTreeMap<_, _> = page.iter().map(|r| (r.id, r)).collect();
    // Older ones are on the next page, if this one is full.
    let is_full = page.len() >= PAGE as usize;
    let oldest = page.last().map(|r| r.created).filter(|_| is_full);
    let here = sure.there.values();
    let mut here = here.filter(|request| oldest.is_none_or(|oldest| request.created >= oldest));
    here.find_map(|request| match listed.get(&request.id) {
        None => Some(format!("request {} is not listed", request.id)),
        Some(listed) if *listed != request => Some(format!(
            "request {} is listed at version {} and was acknowledged at {}",
            request.id, listed.version, request.version
        )),
        Some(_) => None,
    })
}

/// What a count says that its page, or what was acknowledged, does not.
pub(crate) fn wrong_in_count(sure: &Sure, count: u64, page: &[PinRequest]) -> Option<String> {
    let shown = page.len() as u64;
    let is_full = page.len() >= PAGE as usize;
    if count < shown || (!is_full && count != shown) {
        return Some(format!("{count} are counted beside a page of {shown}"));
    }
    let least = sure.there.len() as u64;
    (count < least).then(|| format!("{count} are counted of {least} that were acknowledged"))
}

/// What counts by status say that was not acknowledged, or lack of what was.
pub(crate) fn wrong_in_counts(sure: &Sure, begun: u64, counts: &StatusCounts) -> Option<String> {
    let all = RequestStatus::ALL.into_iter();
    let of = |status: RequestStatus| {
        let there = sure.there.values().filter(|r| r.status == status);
        (status, there.count() as u64)
    };
    if let Some((status, least)) = all.clone().map(of).find(|(s, n)| counts.get(*s) < *n) {
        let counted = counts.get(status);
        return Some(format!(
            "{counted} are counted as {status} of {least} that were acknowledged"
        ));
    }
    let counted: u64 = all.map(|status| counts.get(status)).sum();
    let most = begun - sure.gone.len() as u64;
    (counted > most).then(|| format!("{counted} are counted, and {most} can be there"))
}

//! What is there after a run, held against what was acknowledged: by content, row by row.

use crate::ledger::{KnownPin, KnownRequest, PinStep, Step};
use crate::load::{World, now};
use holdfast_model::time::DAY_MILLIS;
use holdfast_model::usage::Operations;
use holdfast_model::{
    AccountId, Cid, ErrorKind, Period, Pin, PinRequest, RequestFilter, RequestId, StatusCounts,
    StoredPin, UnixMillis,
};
use holdfast_store::{Outcome, Result, Store};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Rows of a page when everything is listed.
const PAGE: u32 = 100;

/// How long what was left half done may take until it is finished or dropped. Intents are dropped
/// when they are a minute old.
const SETTLE: Duration = Duration::from_secs(120);

/// How often a read is tried: a cluster that was hurt a moment ago may fail one.
const TRIES: u32 = 5;

/// Waits until nothing is left half done, and complains if that does not come.
pub(crate) async fn settle(world: &World, store: &Store) {
    let begun = Instant::now();
    loop {
        meet_all(store).await;
        let found = store.check().await;
        match found {
            Ok(found) if found.is_empty() => return,
            _ if begun.elapsed() < SETTLE => tokio::time::sleep(Duration::from_secs(1)).await,
            Ok(found) => {
                let count = found.len();
                world.ledger.wrong(format!("check: {count} complaints"));
                for told in found.iter().take(10) {
                    world.ledger.wrong(format!("check: {told}"));
                }
                return;
            }
            Err(error) => return world.ledger.wrong(format!("check: {error}")),
        }
    }
}

/// Meets every pin, as the reconciler does: rows that nobody wants, left by a deletion whose last
/// step failed, are removed by whoever meets them.
async fn meet_all(store: &Store) {
    if let Ok(mut scan) = store.scan_pins(None) {
        while let Ok(Some(_)) = scan.next().await {}
    }
}

/// Reads everything back through one store.
pub(crate) async fn all(world: &World, store: &Store) {
    let verify = Verify { world, store };
    if let Err(error) = verify.everything().await {
        world.ledger.wrong(format!("reading back: {error}"));
    }
}

struct Verify<'a> {
    world: &'a World,
    store: &'a Store,
}

impl Verify<'_> {
    async fn everything(&self) -> Result<()> {
        let mut found = Vec::new();
        let mut wanted: BTreeMap<Vec<u8>, (Cid, Vec<RequestId>)> = BTreeMap::new();
        let known = self.world.ledger.requests();
        for known in &known {
            let cid = known.draft.asked.cid;
            let wants = wanted
                .entry(cid.to_bytes())
                .or_insert_with(|| (cid, Vec::new()));
            if let Some(request) = self.request(known).await? {
                wants.1.push(request.id);
                found.push(request);
            }
        }
        for account in self.world.accounts() {
            self.account(&account, &known, &found).await?;
        }
        for (cid, wants) in wanted.values() {
            self.wanted(cid, wants).await?;
        }
        for known in self.world.ledger.pins() {
            self.pin(&known).await?;
        }
        for (cid, won) in self.world.ledger.contended() {
            let there = self.read(|| self.store.pin(&cid)).await?;
            self.contended(&cid, &won, there.as_ref());
        }
        Ok(())
    }

    async fn read<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> Result<T> {
        let mut tried = 1;
        loop {
            match ask().await {
                Err(error) if tried < TRIES && error.kind() == ErrorKind::Unavailable => {
                    tried += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn request(&self, known: &KnownRequest) -> Result<Option<PinRequest>> {
        let id = known.draft.id;
        let found = self.read(|| self.store.request(id)).await?;
        if !may_be(known, found.as_ref()) {
            self.world.ledger.wrong(format!(
                "request {id} is {}; acknowledged: {}{}, open: {:?}",
                told(found.as_ref()),
                told(known.acknowledged.as_ref()),
                if known.is_gone { ", then its end" } else { "" },
                known.open
            ));
        }
        if let Some(Step::Replace(new)) = &known.open {
            let new = self.read(|| self.store.request(*new)).await?;
            if found.is_some() == new.is_some() {
                self.world.ledger.wrong(format!(
                    "a replacement of {id} was done by half: old {}, new {}",
                    told(found.as_ref()),
                    told(new.as_ref())
                ));
            }
        }
        Ok(found)
    }

    /// An account's list, counts and usage are those of its requests.
    async fn account(
        &self,
        account: &AccountId,
        known: &[KnownRequest],
        found: &[PinRequest],
    ) -> Result<()> {
        let mut own: Vec<_> = found.iter().filter(|r| r.account == *account).collect();
        own.sort_by_key(|r| std::cmp::Reverse(r.created));
        let listed = self.listed(account).await?;
        if listed.iter().ne(own.iter().copied()) {
            let text = format!(
                "{account} lists {} requests and has {}",
                listed.len(),
                own.len()
            );
            self.world.ledger.wrong(text);
        }
        let mut counts = StatusCounts::default();
        for request in &own {
            *counts.get_mut(request.status) += 1;
        }
        let held = self.read(|| self.store.holdings(account)).await?;
        let counted = held.counts;
        if counted != counts {
            let text = format!("{account} counts {counted:?} and has {counts:?}");
            self.world.ledger.wrong(text);
        }
        let bytes: u128 = own.iter().map(|r| u128::from(r.billable_bytes())).sum();
        let pinned = held.pinned_bytes;
        let ever = Period {
            start: UnixMillis::EPOCH,
            end: now().plus_millis(DAY_MILLIS),
        };
        let usage = self.read(|| self.store.usage(account, ever)).await?;
        let operations = operations(account, known, found);
        if (pinned, usage.level_bytes, usage.operations) != (bytes, bytes, operations) {
            self.world.ledger.wrong(format!(
                "{account} has {bytes} bytes after {operations:?}; it is said to have {pinned}, \
                 its usage says {} after {:?}",
                usage.level_bytes, usage.operations
            ));
        }
        Ok(())
    }

    async fn listed(&self, account: &AccountId) -> Result<Vec<PinRequest>> {
        let mut filter = RequestFilter::default();
        let mut all: Vec<PinRequest> = Vec::new();
        loop {
            let page = self.read(|| self.store.requests(account, &filter, PAGE));
            let page = page.await?;
            let Some(last) = page.last() else {
                return Ok(all);
            };
            filter.before = Some(last.created);
            all.extend(page);
        }
    }

    /// A pin that requests want is there, and one that nobody wants is not.
    async fn wanted(&self, cid: &Cid, wants: &[RequestId]) -> Result<()> {
        let pin = self.read(|| self.store.pin(cid)).await?;
        let count = wants.len() as u64;
        let counted = pin.as_ref().map(|pin| pin.requests);
        if counted != (count > 0).then_some(count) {
            self.world.ledger.wrong(format!(
                "{count} requests want {cid}; its pin says {counted:?}"
            ));
        }
        Ok(())
    }

    async fn pin(&self, known: &KnownPin) -> Result<()> {
        let found = self.read(|| self.store.pin(&known.cid)).await?;
        if !pin_may_be(known, found.as_ref()) {
            self.world.ledger.wrong(format!(
                "pin {} is {found:?}; acknowledged: {:?}, open: {:?}",
                known.cid, known.acknowledged, known.open
            ));
        }
        Ok(())
    }

    fn contended(&self, cid: &Cid, won: &BTreeMap<u64, String>, there: Option<&StoredPin>) {
        let Some((newest, name)) = won.last_key_value() else {
            return;
        };
        let is_kept = there.is_some_and(|there| {
            there.version > *newest || (there.version == *newest && there.pin.options.name == *name)
        });
        if !is_kept {
            self.world.ledger.wrong(format!(
                "pin {cid} is {there:?}; version {newest} ({name}) was acknowledged"
            ));
        }
    }
}

fn told(request: Option<&PinRequest>) -> String {
    match request {
        Some(r) => format!("{} at version {}", r.status, r.version),
        None => "not there".to_owned(),
    }
}

/// Whether a request's writer may find this.
fn may_be(known: &KnownRequest, found: Option<&PinRequest>) -> bool {
    let as_acknowledged = found == known.acknowledged.as_ref().filter(|_| !known.is_gone);
    let as_opened = match (&known.open, found, &known.acknowledged) {
        (Some(Step::Create | Step::InPlaceOf(_)), Some(found), _) => {
            found.asked == known.draft.asked
                && found.account == known.draft.account
                && found.version == 1
        }
        (Some(Step::Settle(outcome)), Some(found), Some(before)) => {
            is_settled(before, outcome, found)
        }
        (Some(Step::Delete | Step::Replace(_)), None, _) => true,
        _ => false,
    };
    as_acknowledged || as_opened
}

fn is_settled(before: &PinRequest, outcome: &Outcome, found: &PinRequest) -> bool {
    let mut after = before.clone();
    after.status = outcome.status;
    after.dag_size = outcome.dag_size.or(after.dag_size);
    after.details.clone_from(&outcome.details);
    after.updated = found.updated;
    after.version += 1;
    after == *found
}

fn pin_may_be(known: &KnownPin, found: Option<&StoredPin>) -> bool {
    let is_put = |pin: &Pin| {
        found.is_some_and(|found| {
            let grew = known
                .acknowledged
                .as_ref()
                .is_none_or(|before| found.version > before.version);
            let there = (&found.pin.options.name, &found.pin.allocations);
            grew && there == (&pin.options.name, &pin.allocations)
        })
    };
    let as_opened = match &known.open {
        Some(PinStep::Put(pin)) => is_put(pin),
        Some(PinStep::Delete) => found.is_none(),
        None => false,
    };
    found == known.acknowledged.as_ref() || as_opened
}

/// Operations that an account's requests have gone through, by what is known and what is there.
fn operations(account: &AccountId, known: &[KnownRequest], found: &[PinRequest]) -> Operations {
    let is_there = |id: &RequestId| found.iter().any(|r| r.id == *id);
    let mut operations = Operations::default();
    let own = known.iter().filter(|k| k.draft.account == *account);
    for known in own {
        let id = known.draft.id;
        let was_made = known.acknowledged.is_some() || is_there(&id);
        let in_place = known.is_replacement;
        operations.pin += u64::from(was_made && !in_place);
        operations.replace += u64::from(was_made && in_place);
        let is_gone = known.is_gone || (was_made && !is_there(&id));
        operations.unpin += u64::from(is_gone && !known.is_replaced);
    }
    operations
}

//! What the store has acknowledged, and what it was asked for and did not answer.

use crate::lists::Sure;
use holdfast_model::{AccountId, Cid, Pin, PinRequest, RequestId, StoredPin};
use holdfast_store::{Outcome, RequestDraft};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Display;

/// A step of a request that was begun and not acknowledged: it may have happened or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// To make it.
    Create,
    /// To settle it so.
    Settle(Outcome),
    /// To delete it.
    Delete,
    /// To put another in its place.
    Replace(RequestId),
    /// To put it in the place of another.
    InPlaceOf(RequestId),
}

/// A request as far as its writer knows.
#[derive(Debug, Clone)]
pub(crate) struct KnownRequest {
    /// What was asked.
    pub(crate) draft: RequestDraft,
    /// The newest acknowledged state.
    pub(crate) acknowledged: Option<PinRequest>,
    /// Whether its end was acknowledged.
    pub(crate) is_gone: bool,
    /// What is open.
    pub(crate) open: Option<Step>,
    /// Whether it was to take the place of another.
    pub(crate) is_replacement: bool,
    /// Whether another was to take its place.
    pub(crate) is_replaced: bool,
}

/// A step of a pin that was begun and not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PinStep {
    /// To put it, or to place it.
    Put(Box<Pin>),
    /// To delete it.
    Delete,
}

/// A pin that one task alone changes, as far as that task knows.
#[derive(Debug, Clone)]
pub(crate) struct KnownPin {
    /// What it is of.
    pub(crate) cid: Cid,
    /// The newest acknowledged state.
    pub(crate) acknowledged: Option<StoredPin>,
    /// What is open.
    pub(crate) open: Option<PinStep>,
    /// Acknowledged changes that the feed must tell of.
    pub(crate) announced: usize,
}

/// The greatest acknowledged version of a pin that many change, and the name it was given.
pub(crate) type Contended = BTreeMap<u64, String>;

/// Everything known of one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    requests: Mutex<BTreeMap<RequestId, KnownRequest>>,
    pins: Mutex<BTreeMap<Vec<u8>, KnownPin>>,
    contended: Mutex<BTreeMap<Vec<u8>, (Cid, Contended)>>,
    acknowledged: Mutex<u64>,
    wrong: Mutex<Vec<String>>,
}

/// Complaints that are kept; the rest is counted.
const WRONG_MAX: usize = 40;

impl Ledger {
    /// Notes what must never be.
    pub(crate) fn wrong(&self, what: impl Display) {
        self.wrong.lock().push(what.to_string());
    }

    /// What must never be and was, and how much of it.
    pub(crate) fn complaints(&self) -> (usize, Vec<String>) {
        let wrong = self.wrong.lock();
        (wrong.len(), wrong.iter().take(WRONG_MAX).cloned().collect())
    }

    /// Writes that were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        *self.acknowledged.lock()
    }

    /// Begins a request's first step.
    pub(crate) fn begin(&self, draft: &RequestDraft, open: Step) {
        let known = KnownRequest {
            draft: draft.clone(),
            acknowledged: None,
            is_gone: false,
            is_replacement: matches!(open, Step::InPlaceOf(_)),
            is_replaced: false,
            open: Some(open),
        };
        self.requests.lock().insert(draft.id, known);
    }

    /// Begins another step of a request.
    pub(crate) fn step(&self, id: RequestId, open: Step) {
        if let Some(known) = self.requests.lock().get_mut(&id) {
            known.is_replaced |= matches!(open, Step::Replace(_));
            known.open = Some(open);
        }
    }

    /// The open step was acknowledged with this state.
    pub(crate) fn reached(&self, state: PinRequest) {
        *self.acknowledged.lock() += 1;
        if let Some(known) = self.requests.lock().get_mut(&state.id) {
            known.acknowledged = Some(state);
            known.open = None;
        }
    }

    /// The request's end was acknowledged.
    pub(crate) fn ended(&self, id: RequestId) {
        *self.acknowledged.lock() += 1;
        if let Some(known) = self.requests.lock().get_mut(&id) {
            known.is_gone = true;
            known.open = None;
        }
    }

    /// Everything known of requests.
    pub(crate) fn requests(&self) -> Vec<KnownRequest> {
        self.requests.lock().values().cloned().collect()
    }

    /// What is sure of an account's requests now.
    pub(crate) fn sure_of(&self, account: &AccountId) -> Sure {
        let requests = self.requests.lock();
        let own = requests.values().filter(|k| k.draft.account == *account);
        let idle = own.clone().filter(|k| k.open.is_none() && !k.is_gone);
        let there = idle.filter_map(|k| Some((k.draft.id, k.acknowledged.clone()?)));
        let gone = own.filter(|k| k.is_gone).map(|k| k.draft.id);
        Sure {
            there: there.collect(),
            gone: gone.collect(),
        }
    }

    /// Requests of an account that were ever asked for.
    pub(crate) fn begun_in(&self, account: &AccountId) -> u64 {
        let requests = self.requests.lock();
        let own = requests.values().filter(|k| k.draft.account == *account);
        own.count() as u64
    }

    /// Some request whose state is sure.
    pub(crate) fn settled_request(&self, chance: usize) -> Option<KnownRequest> {
        let requests = self.requests.lock();
        let near = requests.values().skip(chance % requests.len().max(1));
        let mut sure = near.filter(|known| known.open.is_none());
        sure.next().cloned()
    }

    /// Begins a step of a pin.
    pub(crate) fn pin_step(&self, cid: Cid, open: PinStep) {
        let mut pins = self.pins.lock();
        let known = pins.entry(cid.to_bytes()).or_insert_with(|| KnownPin {
            cid,
            acknowledged: None,
            open: None,
            announced: 0,
        });
        known.open = Some(open);
    }

    /// The open step was acknowledged; nothing is left of a pin that was deleted.
    pub(crate) fn pin_reached(&self, cid: &Cid, state: Option<StoredPin>, is_announced: bool) {
        *self.acknowledged.lock() += 1;
        if let Some(known) = self.pins.lock().get_mut(&cid.to_bytes()) {
            known.acknowledged = state;
            known.open = None;
            known.announced += usize::from(is_announced);
        }
    }

    /// Everything known of pins that one task alone changes.
    pub(crate) fn pins(&self) -> Vec<KnownPin> {
        self.pins.lock().values().cloned().collect()
    }

    /// A put that others contended for was acknowledged.
    pub(crate) fn won(&self, state: &StoredPin) {
        *self.acknowledged.lock() += 1;
        let mut contended = self.contended.lock();
        let cid = state.pin.cid;
        let won = contended
            .entry(cid.to_bytes())
            .or_insert_with(|| (cid, Contended::new()));
        let name = state.pin.options.name.clone();
        if let Some(other) = won.1.insert(state.version, name.clone()) {
            self.wrong(format!(
                "{cid} was given version {} twice: as {other} and as {name}",
                state.version
            ));
        }
    }

    /// Everything known of pins that many change.
    pub(crate) fn contended(&self) -> Vec<(Cid, Contended)> {
        self.contended.lock().values().cloned().collect()
    }
}

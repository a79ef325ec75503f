//! What a migration remembers of pins between its rounds: 16 bytes of each.
//!
//! A digest of the CID finds the pin; beside it stand a digest of the pin, of which the last byte
//! gives way to when the cluster listed it last. One table for both, since at millions of pins it
//! is most of what the program holds.

use super::compare::digest;
use holdfast_model::{Cid, Pin};
use std::collections::HashMap;

/// Somebody else's, as far as is known: it was there before, and the cluster has not listed it.
const OTHERS: u64 = 0;

/// Written by an earlier run, and not met in the target yet.
const WRITTEN: u64 = 3;

/// Listed by the cluster in a round before the first of this run.
const LISTED_BEFORE: u64 = 1;

/// The byte that holds the mark.
const MARK: u64 = 0xff;

/// Bytes of a [`Record`].
pub(super) const RECORD_BYTES: usize = 16;

/// A pin that is written, or of which the CID is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    key: u64,
    /// The pin's digest; 0 if it is removed.
    value: u64,
}

impl Record {
    pub(super) fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let both = u128::from(self.key) << 64 | u128::from(self.value);
        both.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; RECORD_BYTES]) -> Self {
        let both = u128::from_be_bytes(bytes);
        let half = |both: u128| u64::try_from(both & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            key: half(both >> 64),
            value: half(both),
        }
    }
}

/// Pins of the target, and which of them are the cluster's.
#[derive(Debug, Default)]
pub(super) struct Known {
    pins: HashMap<u64, u64>,
    /// The mark of the round that runs: one of two, as only the last round matters.
    turn: u64,
    /// Pins that the cluster has listed in this round, or in the one before while none runs.
    listed: u64,
}

impl Known {
    /// What an earlier run has written or removed, before the target's pins are met.
    pub(super) fn wrote(&mut self, record: Record) {
        match record.value {
            0 => self.pins.remove(&record.key),
            value => self.pins.insert(record.key, value & !MARK | WRITTEN),
        };
    }

    /// Meets a pin that the target has: the cluster's if an earlier run has written it, and just
    /// so; else it is of [`OTHERS`], who have put it or changed it since.
    pub(super) fn meet(&mut self, pin: &Pin) {
        let (key, value) = (key(&pin.cid), value(pin));
        let before = self.pins.get(&key);
        let is_ours =
            before.is_some_and(|before| before & MARK != OTHERS && before & !MARK == value);
        let mark = if is_ours { LISTED_BEFORE } else { OTHERS };
        self.pins.insert(key, value | mark);
    }

    /// All that the target has is met. What was written and is not there is forgotten.
    pub(super) fn are_met(&mut self) {
        self.pins.retain(|_, value| *value & MARK != WRITTEN);
        let of_cluster = self.pins.values().filter(|value| *value & MARK != OTHERS);
        self.listed = u64::try_from(of_cluster.count()).unwrap_or(u64::MAX);
        self.turn = LISTED_BEFORE;
    }

    /// How many pins the cluster has listed last.
    pub(super) const fn listed(&self) -> u64 {
        self.listed
    }

    /// The cluster is about to list all that it has.
    pub(super) const fn next_round(&mut self) {
        self.turn = if self.turn == 1 { 2 } else { 1 };
        self.listed = 0;
    }

    /// The cluster lists a pin; answers what is to be written down of it if the target has it
    /// otherwise, or not at all.
    pub(super) fn list(&mut self, pin: &Pin) -> Option<Record> {
        let (key, value) = (key(&pin.cid), value(pin));
        let before = self.pins.insert(key, value | self.turn);
        let is_again = before.is_some_and(|before| before & MARK == self.turn);
        self.listed += u64::from(!is_again);
        let is_new = before.is_none_or(|before| before & !MARK != value);
        is_new.then_some(Record { key, value })
    }

    /// Forgets a pin that the target did not take: what it has of it, if anything, stays.
    pub(super) fn forget(&mut self, cid: &Cid) {
        self.pins.remove(&key(cid));
    }

    /// Forgets what the cluster has listed before and not in this round, and answers it.
    pub(super) fn take_gone(&mut self) -> Gone {
        let turn = self.turn;
        let is_gone = |_: &u64, value: &mut u64| ![OTHERS, turn].contains(&(*value & MARK));
        let gone = self.pins.extract_if(is_gone);
        Gone(gone.map(|(key, value)| (key, value & !MARK)).collect())
    }
}

/// Pins that the cluster has no more, as it had them.
#[derive(Debug)]
pub(super) struct Gone(HashMap<u64, u64>);

impl Gone {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is this pin that has gone, and not what somebody else has made of it since.
    pub(super) fn contains(&self, pin: &Pin) -> bool {
        self.0.get(&key(&pin.cid)) == Some(&value(pin))
    }
}

/// What is to be written down of a pin that is removed.
pub(super) fn removed(cid: &Cid) -> Record {
    Record {
        key: key(cid),
        value: 0,
    }
}

fn half(bytes: &[u8]) -> u64 {
    u64::try_from(digest(bytes) >> 64).unwrap_or_default()
}

fn key(cid: &Cid) -> u64 {
    half(&cid.to_bytes())
}

fn value(pin: &Pin) -> u64 {
    half(&pin.to_proto()) & !MARK
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::UnixMillis;

    fn pin(cid: &str, name: &str) -> Pin {
        let mut pin = Pin::recursive(Cid::parse(cid).unwrap(), UnixMillis::from_seconds(1));
        pin.options.name = name.to_owned();
        pin
    }

    fn record(pin: &Pin) -> Record {
        Record {
            key: key(&pin.cid),
            value: value(pin),
        }
    }

    #[test]
    fn only_what_the_cluster_has_listed_before_can_be_gone() {
        let (others, stays, goes) = (
            pin("bafkqaaa", "others"),
            pin("bafkqaaik", "stays"),
            pin("bafkqaalb", "goes"),
        );
        let mut known = Known::default();
        known.meet(&others);
        known.are_met();
        known.next_round();
        assert_eq!(known.list(&stays), Some(record(&stays)));
        assert!(known.list(&goes).is_some() && known.list(&goes).is_none());
        assert_eq!(known.listed(), 2);
        assert!(known.take_gone().is_empty());
        for _ in 0..3 {
            known.next_round();
            assert!(known.list(&stays).is_none());
            let gone = known.take_gone();
            assert!(!gone.contains(&others) && !gone.contains(&stays));
        }
        assert!(
            known.list(&goes).is_some(),
            "what has gone and comes again is new"
        );
        assert!(known.list(&pin("bafkqaaik", "changed")).is_some());
    }

    #[test]
    fn what_an_earlier_run_wrote_may_go_while_it_is_as_it_was_written() {
        let [stays, goes, changed, back, lost] = [
            "bafkqaaa",
            "bafkqaaik",
            "bafkqaalb",
            "bafkqaamm",
            "bafkqaan2",
        ]
        .map(|cid| pin(cid, "ours"));
        let mut known = Known::default();
        for pin in [&stays, &goes, &changed, &back, &lost] {
            known.wrote(record(pin));
        }
        known.wrote(removed(&back.cid));
        let theirs = pin("bafkqaalb", "theirs");
        for pin in [&stays, &goes, &theirs, &back] {
            known.meet(pin);
        }
        known.are_met();
        assert_eq!(known.listed(), 2);
        known.next_round();
        assert!(known.list(&stays).is_none());
        let gone = known.take_gone();
        assert!(gone.contains(&goes));
        let mut now = goes.clone();
        now.options.name = "put again by somebody else".to_owned();
        for other in [&stays, &theirs, &changed, &back, &lost, &now] {
            assert!(!gone.contains(other), "{other:?}");
        }
        assert!(known.take_gone().is_empty(), "it is told once");
    }
}

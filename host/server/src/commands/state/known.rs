//! What a migration remembers of pins between its rounds: 16 bytes of each.
//!
//! A digest of the CID finds the pin; beside it stand a digest of the pin, of which the last byte
//! gives way to when the cluster listed it last. One table for both, since at millions of pins it
//! is most of what the program holds.

use super::compare::digest;
use holdfast_model::{Cid, Pin};
use std::collections::{HashMap, HashSet};

/// Somebody else's, as far as is known: it was there before, and the cluster has not listed it.
const OTHERS: u64 = 0;

/// The byte that holds the mark.
const MARK: u64 = 0xff;

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
    /// A pin that the target has: marked as [`OTHERS`], whose mark is 0.
    pub(super) fn add(&mut self, pin: &Pin) {
        self.pins.insert(key(&pin.cid), value(pin));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    /// All of them have come from the cluster: then those that it lists no more may go.
    pub(super) fn are_the_clusters(&mut self) {
        self.next_round();
        for value in self.pins.values_mut() {
            *value = *value & !MARK | self.turn;
        }
        self.listed = u64::try_from(self.pins.len()).unwrap_or(u64::MAX);
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

    /// The cluster lists a pin; says whether the target has it otherwise, or not at all.
    pub(super) fn list(&mut self, pin: &Pin) -> bool {
        let value = value(pin);
        let before = self.pins.insert(key(&pin.cid), value | self.turn);
        let is_again = before.is_some_and(|before| before & MARK == self.turn);
        self.listed += u64::from(!is_again);
        before.is_none_or(|before| before & !MARK != value)
    }

    /// Forgets what the cluster has listed before and not in this round, and answers it.
    pub(super) fn take_gone(&mut self) -> Gone {
        let turn = self.turn;
        let is_gone = |_: &u64, value: &mut u64| ![OTHERS, turn].contains(&(*value & MARK));
        Gone(self.pins.extract_if(is_gone).map(|(key, _)| key).collect())
    }
}

/// Pins that the cluster has no more.
#[derive(Debug)]
pub(super) struct Gone(HashSet<u64>);

impl Gone {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, cid: &Cid) -> bool {
        self.0.contains(&key(cid))
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

    #[test]
    fn only_what_the_cluster_has_listed_before_can_be_gone() {
        let (others, stays, goes) = (
            pin("bafkqaaa", "others"),
            pin("bafkqaaik", "stays"),
            pin("bafkqaalb", "goes"),
        );
        let mut known = Known::default();
        known.add(&others);
        known.next_round();
        assert!(known.list(&stays) && known.list(&goes) && !known.list(&goes));
        assert_eq!(known.listed(), 2);
        assert!(known.take_gone().is_empty());
        for _ in 0..3 {
            known.next_round();
            assert!(!known.list(&stays));
            let gone = known.take_gone();
            assert!(!gone.contains(&others.cid) && !gone.contains(&stays.cid));
        }
        assert!(known.list(&goes), "what has gone and comes again is new");
        assert!(known.list(&pin("bafkqaaik", "changed")));
    }

    #[test]
    fn a_target_that_was_empty_has_the_cluster_s_pins_only() {
        let (stays, goes) = (pin("bafkqaaa", "stays"), pin("bafkqaaik", "goes"));
        let mut known = Known::default();
        known.add(&stays);
        known.add(&goes);
        known.are_the_clusters();
        assert_eq!(known.listed(), 2);
        known.next_round();
        assert!(!known.list(&stays));
        let gone = known.take_gone();
        assert!(gone.contains(&goes.cid) && !gone.contains(&stays.cid));
        assert!(known.take_gone().is_empty(), "it is told once");
    }
}

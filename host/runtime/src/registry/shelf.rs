//! What is known of each name: what serves, what it can go back to, what wants to take its place.

use super::loaded::{Candidacy, Loaded};
use super::refusal::Refusal;
use crate::generation::{Member, Sample};
use crate::kind::Kind;
use crate::package::Fingerprint;
use crate::promotion::Health;
use crate::shadow::ShadowReport;
use crate::state::{Kept, Rejected};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime};

/// All names, and the last number given to a load.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) slots: BTreeMap<String, Slot>,
    /// What the folder held when it was last looked at.
    pub(super) names: BTreeSet<String>,
    pub(super) generation: u64,
    pub(super) draining: Vec<Draining>,
}

/// One name.
#[derive(Debug)]
pub(super) struct Slot {
    /// What serves, if anything under this name was ever good.
    pub(super) live: Option<Loaded>,
    /// Since when.
    pub(super) since: Instant,
    /// What it can be rolled back to.
    pub(super) previous: Option<Previous>,
    /// What wants to take its place.
    pub(super) candidate: Option<Candidacy>,
    /// How the one that serves fares since its promotion.
    pub(super) watch: Option<Watched>,
    /// What was last tried, good or bad, so that it is not tried again.
    pub(super) tried: Option<Fingerprint>,
    /// What the last look saw.
    pub(super) seen: Option<Fingerprint>,
    /// Why the last candidate was refused.
    pub(super) refused: Option<Refusal>,
    /// What must not come back by itself.
    pub(super) rejected: Option<Rejected>,
    /// The report of the last candidate that is none any more.
    pub(super) report: Option<ShadowReport>,
    /// What else is to be told.
    pub(super) note: Option<String>,
    /// Whether what was kept of it over a restart was looked at.
    pub(super) is_restored: bool,
    /// Whether its breaker was open at the last look.
    pub(super) was_open: bool,
    /// When the component was last written.
    pub(super) modified: SystemTime,
    /// What served under this name before a restart, until something does again.
    pub(super) missed: Option<Missed>,
}

/// What served before a restart.
#[derive(Debug)]
pub(super) struct Missed {
    /// Its fingerprint.
    fingerprint: String,
    /// As what, if calls must not be answered without it.
    duty: Option<Kind>,
}

/// A generation that can be gone back to.
#[derive(Debug)]
pub(super) enum Previous {
    /// Its instances are still there.
    Warm(Loaded),
    /// Only its files are, under this fingerprint.
    Kept(String),
}

/// A promotion that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    /// For how long.
    pub(super) until: Instant,
    /// How the one before fared.
    pub(super) before: Health,
    /// What the promoted one had counted by then, as a candidate.
    pub(super) from: Sample,
}

/// A generation that serves no more.
#[derive(Debug)]
pub(super) struct Draining {
    pub(super) name: String,
    pub(super) member: Weak<dyn Member>,
    pub(super) since: Instant,
    is_overdue: bool,
}

impl Previous {
    /// The generation, if it is loaded.
    pub(super) fn loaded(self) -> Option<Loaded> {
        match self {
            Self::Warm(loaded) => Some(loaded),
            Self::Kept(_) => None,
        }
    }
}

impl Shelf {
    /// The slot of a name, made if there is none.
    pub(super) fn slot(&mut self, name: &str) -> &mut Slot {
        self.slots.entry(name.to_owned()).or_insert_with(Slot::new)
    }

    /// Lets a generation end: it drains as soon as nobody holds it.
    pub(super) fn retire(&mut self, name: &str, loaded: &Loaded) {
        self.draining.push(Draining {
            name: name.to_owned(),
            member: loaded.weak(),
            since: Instant::now(),
            is_overdue: false,
        });
    }

    /// Looks which generations have drained; the answer is how many have now become overdue.
    pub(super) fn sweep(&mut self, deadline: Duration) -> u64 {
        let mut overdue = 0_u64;
        self.draining.retain_mut(|draining| {
            let Some(member) = draining.member.upgrade() else {
                return false;
            };
            if !draining.is_overdue && draining.since.elapsed() > deadline {
                draining.is_overdue = true;
                overdue = overdue.saturating_add(1);
                tracing::warn!(
                    plugin = draining.name,
                    generation = member.number(),
                    seconds = draining.since.elapsed().as_secs(),
                    "calls still run on a generation that was replaced"
                );
            }
            true
        });
        overdue
    }

    /// The pricing plugin whose file is the newest; of equally old ones, the last by name.
    pub(super) fn live_pricing(&self) -> Option<&String> {
        self.slots
            .iter()
            .filter(|(_, slot)| matches!(slot.live, Some(Loaded::Pricing(_))))
            .max_by(|(a, x), (b, y)| (x.modified, a).cmp(&(y.modified, b)))
            .map(|(name, _)| name)
    }

    /// What is to be kept beyond a restart, starting from what was kept before: a plugin that could
    /// not be loaded keeps its record.
    pub(super) fn kept(&self, mut before: BTreeMap<String, Kept>) -> BTreeMap<String, Kept> {
        before.retain(|name, _| self.names.contains(name));
        let prices = self.live_pricing();
        for (name, slot) in &self.slots {
            let duty = slot.duty(prices == Some(name));
            if slot.live.is_some() || slot.candidate.is_some() {
                before.insert(name.clone(), slot.kept(duty));
            } else if let Some(record) = before.get_mut(name) {
                record.duty = duty;
            }
        }
        before
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            live: None,
            since: Instant::now(),
            previous: None,
            candidate: None,
            watch: None,
            tried: None,
            seen: None,
            refused: None,
            rejected: None,
            report: None,
            note: None,
            is_restored: false,
            was_open: false,
            modified: SystemTime::UNIX_EPOCH,
            missed: None,
        }
    }

    /// Remembers what served before a restart.
    pub(super) fn miss(&mut self, kept: &Kept) {
        self.missed = kept.live.clone().map(|fingerprint| Missed {
            fingerprint,
            duty: kept.duty,
        });
    }

    /// Nobody needs to wait for it any more: another has been chosen in its place.
    pub(super) fn excuse(&mut self, kind: Kind) {
        if let Some(missed) = &mut self.missed {
            missed.duty = missed.duty.filter(|duty| *duty != kind);
        }
    }

    /// As what something served before a restart that does not serve now, and without which calls
    /// must not be answered.
    pub(super) fn missing(&self) -> Option<Kind> {
        let missed = self.missed.as_ref().filter(|_| self.live.is_none());
        missed.and_then(|missed| missed.duty)
    }

    /// As what it serves, or has to, if calls must not be answered without it. Payments are not
    /// among it: they wait in their queue.
    fn duty(&self, is_live_pricing: bool) -> Option<Kind> {
        match &self.live {
            Some(Loaded::Authorizer(_)) => Some(Kind::Authorizer),
            Some(Loaded::Config(_)) => Some(Kind::Config),
            Some(Loaded::Pricing(_)) if is_live_pricing => Some(Kind::Pricing),
            Some(Loaded::Pricing(_) | Loaded::Payment(_)) => None,
            None => self.missing(),
        }
    }

    /// Whether these files are new and were not yet seen by the look before.
    pub(super) fn sees_first(&mut self, fingerprint: Fingerprint) -> bool {
        let before = self.seen.replace(fingerprint);
        self.tried != Some(fingerprint) && before != Some(fingerprint)
    }

    /// What is kept of it beyond a restart.
    fn kept(&self, duty: Option<Kind>) -> Kept {
        let hex = |loaded: &Loaded| loaded.member().fingerprint().hex();
        let missed = self.missed.as_ref();
        Kept {
            live: self
                .live
                .as_ref()
                .map(hex)
                .or_else(|| missed.map(|missed| missed.fingerprint.clone())),
            previous: self.previous.as_ref().map(|previous| match previous {
                Previous::Warm(loaded) => hex(loaded),
                Previous::Kept(fingerprint) => fingerprint.clone(),
            }),
            candidate: self.candidate.as_ref().map(|c| hex(&c.loaded())),
            rejected: self.rejected.clone(),
            duty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Breaker;
    use crate::plugin::Candidate;
    use crate::promotion::Promotion;
    use crate::world::Description;
    use std::sync::Arc;
    use wasmtime::component::Component;

    /// A generation of which only its number is asked.
    #[derive(Debug)]
    struct Numbered(u64);

    impl Member for Numbered {
        fn number(&self) -> u64 {
            self.0
        }

        fn kind(&self) -> Kind {
            unreachable!()
        }

        fn candidate(&self) -> &Candidate {
            unreachable!()
        }

        fn description(&self) -> &Description {
            unreachable!()
        }

        fn component(&self) -> &Component {
            unreachable!()
        }

        fn breaker(&self) -> &Breaker {
            unreachable!()
        }

        fn promotion(&self) -> &Promotion {
            unreachable!()
        }

        fn fingerprint(&self) -> Fingerprint {
            unreachable!()
        }

        fn sample(&self) -> Sample {
            unreachable!()
        }
    }

    #[test]
    fn what_does_not_drain_is_told_once_and_is_gone_when_its_calls_end() {
        let called: Arc<dyn Member> = Arc::new(Numbered(3));
        let mut shelf = Shelf::default();
        shelf.draining.push(Draining {
            name: "price".to_owned(),
            member: Arc::downgrade(&called),
            since: Instant::now().checked_sub(Duration::from_secs(31)).unwrap(),
            is_overdue: false,
        });
        assert_eq!(shelf.sweep(Duration::from_secs(60)), 0);
        assert_eq!(shelf.sweep(Duration::from_secs(30)), 1);
        assert_eq!(
            shelf.sweep(Duration::from_secs(30)),
            0,
            "it was told before"
        );
        assert_eq!(shelf.draining.len(), 1);
        drop(called);
        assert_eq!(shelf.sweep(Duration::from_secs(30)), 0);
        assert!(shelf.draining.is_empty());
    }
}

//! Into service, out of it, and back.

use super::Registry;
use super::loaded::{Candidacy, Loaded};
use super::refusal::{Refusal, ReloadError, Stage};
use super::shelf::{Previous, Shelf, Slot, Watched};
use crate::folder;
use crate::generation::Sample;
use crate::kind::Kind;
use crate::promotion::Ruling;
use crate::state::Rejected;
use std::time::{Duration, Instant};

/// How often what is promoted, or drains, is looked at.
const TICK: Duration = Duration::from_millis(100);

/// A replaced generation should have drained by then: longer than any call into a hot plugin may
/// take.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// What a round finds to be done for a name.
enum Due {
    Promote,
    Refuse(String),
    GoBack(String),
}

impl Registry {
    /// Promotes the candidate under a name. Without a generation it must not differ by more than
    /// its rule allows; with one, the caller has seen the report and decides.
    pub(crate) fn promote(&self, name: &str, number: Option<u64>) -> Result<(), ReloadError> {
        let mut shelf = self.shelf.lock();
        let slot = shelf
            .slots
            .get_mut(name)
            .ok_or_else(|| ReloadError::NotFound(name.to_owned()))?;
        let Some(candidacy) = &slot.candidate else {
            let refused = slot.refused.clone();
            drop(shelf);
            return self.promote_refused(name, number, refused);
        };
        let candidate = candidacy.loaded();
        let is = candidate.member().number();
        if let Some(number) = number
            && number != is
        {
            let why = format!("generation {is} is the candidate, not {number}");
            return Err(ReloadError::conflict(name, why));
        }
        if let (None, Some(why)) = (number, candidacy.objection()) {
            return Err(ReloadError::Refused {
                plugin: name.to_owned(),
                stage: Stage::Shadow.as_str(),
                why,
            });
        }
        self.promote_candidate(&mut shelf, name, "hand");
        self.publish(&shelf);
        drop(shelf);
        self.bell.ring();
        self.persist();
        Ok(())
    }

    /// What was rolled back, or did not pass its shadow, can be tried again by hand.
    fn promote_refused(
        &self,
        name: &str,
        number: Option<u64>,
        refused: Option<Refusal>,
    ) -> Result<(), ReloadError> {
        let refused = refused.filter(|r| matches!(r.stage, Stage::Shadow | Stage::Watch));
        let Some(refusal) = refused else {
            let why = "there is no candidate; install one, or look at `holdfast plugin list`";
            return Err(ReloadError::conflict(name, why));
        };
        match number {
            None => return Err(ReloadError::refused(name, &refusal)),
            Some(number) if refusal.generation != 0 && number != refusal.generation => {
                let why = format!(
                    "generation {} was refused, not {number}",
                    refusal.generation
                );
                return Err(ReloadError::conflict(name, why));
            }
            Some(_) => {}
        }
        let _intake = self.intake.lock();
        let found = folder::read(&self.ground.dir, name).map_err(|unread| {
            ReloadError::conflict(name, format!("its files cannot be read now ({unread:?})"))
        })?;
        let package = found.package;
        {
            let mut shelf = self.shelf.lock();
            let slot = shelf.slot(name);
            slot.rejected = None;
            slot.tried = Some(package.fingerprint);
            slot.modified = found.modified;
        }
        self.try_package(name, &package, true);
        self.persist();
        let shelf = self.shelf.lock();
        match shelf.slots.get(name).and_then(|slot| slot.refused.as_ref()) {
            Some(refusal) => Err(ReloadError::refused(name, refusal)),
            None => Ok(()),
        }
    }

    /// Goes back to the generation before.
    pub(crate) fn rollback(&self, name: &str) -> Result<(), ReloadError> {
        let mut shelf = self.shelf.lock();
        let slot = shelf
            .slots
            .get_mut(name)
            .ok_or_else(|| ReloadError::NotFound(name.to_owned()))?;
        match &slot.previous {
            Some(Previous::Warm(_)) => {}
            Some(Previous::Kept(fingerprint)) => {
                let fingerprint = fingerprint.clone();
                drop(shelf);
                self.warm(name, &fingerprint)?;
                shelf = self.shelf.lock();
            }
            None => {
                let why = "there is no generation before this one; to take it out of service, remove its files from the plugins folder";
                return Err(ReloadError::conflict(name, why));
            }
        }
        self.go_back(&mut shelf, name, "rolled back by hand", "hand");
        self.publish(&shelf);
        drop(shelf);
        self.persist();
        Ok(())
    }

    /// Loads the generation before, of which only the files were kept.
    fn warm(&self, name: &str, fingerprint: &str) -> Result<(), ReloadError> {
        let _intake = self.intake.lock();
        let package = self.ground.keep.get(fingerprint).map_err(|why| {
            ReloadError::conflict(name, format!("the files of the generation before: {why}"))
        })?;
        let loaded = self
            .prepare(name, &package)
            .map_err(|refusal| ReloadError::refused(name, &refusal))?;
        self.shelf.lock().slot(name).previous = Some(Previous::Warm(loaded));
        Ok(())
    }

    /// Puts the candidate into service.
    fn promote_candidate(&self, shelf: &mut Shelf, name: &str, by: &str) {
        let slot = shelf.slot(name);
        if let Some(candidacy) = slot.candidate.take() {
            slot.report = candidacy.report();
            let loaded = candidacy.loaded();
            self.promote_slot(shelf, name, loaded, by);
        }
    }

    /// Puts a generation into service. The one that served is kept, the one before it drains.
    pub(super) fn promote_slot(&self, shelf: &mut Shelf, name: &str, loaded: Loaded, by: &str) {
        let number = loaded.member().number();
        let promotion = *loaded.member().promotion();
        let from = loaded.member().sample();
        let has_served =
            self.ground.keep.of(name).live == Some(loaded.member().fingerprint().hex());
        if matches!(loaded, Loaded::Pricing(_)) && !has_served {
            // It was chosen anew: what priced before a restart need not come back first.
            let all = shelf.slots.values_mut();
            all.for_each(|slot| slot.excuse(Kind::Pricing));
        }
        let slot = shelf.slot(name);
        let before = slot.live.replace(loaded);
        slot.since = Instant::now();
        slot.note = None;
        slot.rejected = None;
        slot.refused = None;
        slot.watch = None;
        tracing::info!(plugin = name, generation = number, by, "plugin promoted");
        self.metrics.promoted(by);
        let Some(before) = before else { return };
        if !promotion.watch().is_zero()
            && let Some(until) = Instant::now().checked_add(promotion.watch())
        {
            slot.watch = Some(Watched {
                until,
                before: before.member().sample().since(&Sample::default()),
                from,
            });
        }
        if let Some(Previous::Warm(older)) = slot.previous.replace(Previous::Warm(before)) {
            shelf.retire(name, &older);
        }
    }

    /// Swaps what serves for the generation before, which must be warm.
    fn go_back(&self, shelf: &mut Shelf, name: &str, why: &str, by: &str) {
        let slot = shelf.slot(name);
        let previous = match slot.previous.take() {
            Some(Previous::Warm(loaded)) => loaded,
            other => {
                slot.previous = other;
                return;
            }
        };
        let to = previous.member().number();
        let Some(bad) = slot.live.replace(previous) else {
            return;
        };
        let from = bad.member().number();
        let told = format!(
            "{why}; the folder's file is not tried again by itself: replace it, or promote generation {from} by hand"
        );
        slot.since = Instant::now();
        slot.watch = None;
        slot.note = Some(format!("rolled back from generation {from}: {why}"));
        slot.rejected = Some(Rejected {
            fingerprint: bad.member().fingerprint().hex(),
            why: told.clone(),
        });
        if slot.tried == Some(bad.member().fingerprint()) {
            slot.refused = Some(Refusal {
                stage: Stage::Watch,
                kind: Some(bad.member().kind()),
                digest: bad.member().candidate().digest.to_string(),
                generation: from,
                why: told,
            });
        }
        tracing::warn!(plugin = name, from, to, by, why, "plugin rolled back");
        self.metrics.rolled_back(by);
        shelf.retire(name, &bad);
    }

    /// One round: rules of candidates, promotions that are watched, breakers, what drains. The
    /// answer is when to come again; none if nothing changes by itself.
    pub(crate) fn look_after(&self) -> Option<Duration> {
        let mut shelf = self.shelf.lock();
        let names: Vec<String> = shelf.slots.keys().cloned().collect();
        let (mut is_changed, mut is_told) = (false, false);
        for name in &names {
            let slot = shelf.slot(name);
            let is_open = slot
                .live
                .as_ref()
                .is_some_and(|live| live.member().breaker().is_open());
            if slot.was_open != is_open {
                slot.was_open = is_open;
                is_told = true;
                self.metrics.breaker(name, is_open);
            }
            let Some(due) = due(slot) else { continue };
            is_changed = true;
            match due {
                Due::Promote => self.promote_candidate(&mut shelf, name, "shadow"),
                Due::Refuse(why) => self.refuse_candidate(&mut shelf, name, why),
                Due::GoBack(why) => self.go_back(&mut shelf, name, &why, "watch"),
            }
        }
        if is_changed {
            self.publish(&shelf);
        }
        self.metrics.overdue.inc_by(shelf.sweep(DRAIN_DEADLINE));
        let draining = i64::try_from(shelf.draining.len()).unwrap_or(i64::MAX);
        self.metrics.draining.set(draining);
        let is_busy = draining > 0 || shelf.slots.values().any(|slot| slot.watch.is_some());
        drop(shelf);
        if is_changed {
            self.persist();
        } else if is_told {
            self.tell();
        }
        is_busy.then_some(TICK)
    }

    fn refuse_candidate(&self, shelf: &mut Shelf, name: &str, why: String) {
        let slot = shelf.slot(name);
        let Some(candidacy) = slot.candidate.take() else {
            return;
        };
        slot.report = candidacy.report();
        let loaded = candidacy.loaded();
        let member = loaded.member();
        slot.rejected = Some(Rejected {
            fingerprint: member.fingerprint().hex(),
            why: why.clone(),
        });
        let refusal = Refusal {
            stage: Stage::Shadow,
            kind: Some(member.kind()),
            digest: member.candidate().digest.to_string(),
            generation: member.number(),
            why,
        };
        self.refuse(name, slot, refusal);
        shelf.retire(name, &loaded);
    }
}

/// What is to be done for a name now.
fn due(slot: &mut Slot) -> Option<Due> {
    match slot.candidate.as_ref().map(Candidacy::ruling) {
        Some(Ruling::Promote) => return Some(Due::Promote),
        Some(Ruling::Refuse(why)) => return Some(Due::Refuse(why)),
        Some(Ruling::Wait) | None => {}
    }
    if !matches!(slot.previous, Some(Previous::Warm(_))) {
        // It gave way to another candidate, so there is nothing to go back to at once.
        slot.watch = None;
    }
    let (watch, live) = (slot.watch.as_ref()?, slot.live.as_ref()?);
    let member = live.member();
    if let Some(why) = member.breaker().why(Instant::now()) {
        return Some(Due::GoBack(why));
    }
    let health = member.sample().since(&watch.from);
    if let Some(why) = member.promotion().complaint(watch.before, health) {
        return Some(Due::GoBack(why));
    }
    if Instant::now() >= watch.until {
        slot.watch = None;
    }
    None
}

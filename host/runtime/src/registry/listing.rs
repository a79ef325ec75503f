//! How what is known of each name is listed.

use super::loaded::{Candidacy, Loaded};
use super::refusal::Refusal;
use super::shelf::{Previous, Shelf, Slot};
use crate::generation::Member;
use crate::info::{GenerationInfo, PluginInfo};
use crate::kind::Kind;
use crate::promotion::PromoteBy;
use std::time::Instant;

impl Shelf {
    /// Everything as it is listed, in the order of names.
    pub(super) fn infos(&self) -> Vec<PluginInfo> {
        let live = self.live_pricing();
        let mut infos = Vec::new();
        for (name, slot) in &self.slots {
            let is_standby = matches!(slot.live, Some(Loaded::Pricing(_))) && live != Some(name);
            infos.extend(self.served(name, slot, is_standby));
            let missing = slot.missing();
            let refused = |refusal| refused(name, refusal, missing);
            infos.extend(slot.refused.as_ref().map(refused));
        }
        infos
    }

    fn served(&self, name: &str, slot: &Slot, is_standby: bool) -> Option<PluginInfo> {
        let candidate = slot.candidate.as_ref().map(Candidacy::loaded);
        let (shown, state) = match (&slot.live, &candidate) {
            (Some(live), _) => (live.member(), state(live.member(), is_standby)),
            (None, Some(candidate)) => (candidate.member(), "shadow"),
            (None, None) => return None,
        };
        let waiting = candidate.as_ref().map(|candidate| {
            let number = candidate.member().number();
            match candidate.member().promotion().by {
                PromoteBy::Shadow => {
                    format!("generation {number} shadows, and is promoted by its rule")
                }
                PromoteBy::AtOnce | PromoteBy::Hand => {
                    format!("generation {number} waits for `holdfast plugin promote {name}`")
                }
            }
        });
        Some(PluginInfo {
            name: name.to_owned(),
            kind: shown.kind().to_string(),
            version: shown.description().version.clone(),
            digest: shown.candidate().digest.to_string(),
            generation: shown.number(),
            isolation: shown.candidate().isolation.to_string(),
            state: state.to_owned(),
            error: shown.breaker().why(Instant::now()),
            note: waiting.or_else(|| slot.note.clone()),
            generations: self.generations(name, slot, is_standby),
        })
    }

    fn generations(&self, name: &str, slot: &Slot, is_standby: bool) -> Vec<GenerationInfo> {
        let mut all = Vec::new();
        if let Some(candidacy) = &slot.candidate {
            let loaded = candidacy.loaded();
            all.push(info(loaded.member(), "shadow", candidacy.since(), None));
        }
        if let Some(live) = &slot.live {
            let state = state(live.member(), is_standby);
            all.push(info(live.member(), state, slot.since, slot.note.clone()));
        }
        match &slot.previous {
            Some(Previous::Warm(loaded)) => {
                all.push(info(loaded.member(), "previous", slot.since, None));
            }
            // Not loaded, so it has no number yet.
            Some(Previous::Kept(_)) => all.push(GenerationInfo {
                generation: 0,
                version: String::new(),
                digest: String::new(),
                state: "previous".to_owned(),
                age_ms: millis(slot.since),
                calls: 0,
                failures: 0,
                note: Some("only its files are kept: a rollback loads it first".to_owned()),
            }),
            None => {}
        }
        for draining in self
            .draining
            .iter()
            .filter(|draining| draining.name == name)
        {
            if let Some(member) = draining.member.upgrade() {
                all.push(info(&*member, "draining", draining.since, None));
            }
        }
        all.sort_by_key(|info| std::cmp::Reverse(info.generation));
        all
    }
}

/// How what serves is listed.
fn state(member: &dyn Member, is_standby: bool) -> &'static str {
    match (is_standby, member.breaker().is_open()) {
        (true, _) => "standby",
        (false, true) => "open",
        (false, false) => "live",
    }
}

fn info(member: &dyn Member, state: &str, since: Instant, note: Option<String>) -> GenerationInfo {
    let sample = member.sample();
    GenerationInfo {
        generation: member.number(),
        version: member.description().version.clone(),
        digest: member.candidate().digest.to_string(),
        state: state.to_owned(),
        age_ms: millis(since),
        calls: sample.calls,
        failures: sample.failures,
        note,
    }
}

fn refused(name: &str, refusal: &Refusal, missing: Option<Kind>) -> PluginInfo {
    let stage = refusal.stage.as_str();
    let note = match missing {
        Some(kind) => format!(
            "refused at the stage {stage}; it served as {kind} before the restart, and what it had a say in is refused until it is mended or its files are removed"
        ),
        None => format!("refused at the stage {stage}"),
    };
    PluginInfo {
        name: name.to_owned(),
        kind: refusal
            .kind
            .or(missing)
            .map_or_else(String::new, |kind| kind.to_string()),
        version: String::new(),
        digest: refusal.digest.clone(),
        generation: refusal.generation,
        isolation: String::new(),
        state: "refused".to_owned(),
        error: Some(refusal.why.clone()),
        note: Some(note),
        generations: Vec::new(),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

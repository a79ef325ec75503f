//! One made-up question to a candidate: what does not serve yet can be tried on the very host that
//! it is for, and nobody else waits for its answer.

use super::Registry;
use super::loaded::{Candidacy, Loaded};
use super::refusal::ReloadError;
use crate::attack::questions;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::breaker::End;
use crate::call::Verdict;
use crate::generation::Generation;
use crate::job::{JobPlugin, Snapshot};
use serde::Serialize;

/// What a candidate said to a made-up question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Which generation was asked.
    pub generation: u64,
    /// Whether there is an answer that can be used.
    pub is_answered: bool,
    /// The answer; or what a caller is told in its place.
    pub said: String,
}

impl Registry {
    /// Asks the candidate under a name one made-up question of its kind, as it is asked when it
    /// serves: with its limits, and by its breaker's leave. It blocks.
    pub(crate) fn try_candidate(&self, name: &str) -> Result<Tried, ReloadError> {
        let candidate = {
            let shelf = self.shelf.lock();
            let slot = shelf.slots.get(name);
            let slot = slot.ok_or_else(|| ReloadError::NotFound(name.to_owned()))?;
            slot.candidate.as_ref().map(Candidacy::loaded)
        };
        let candidate = candidate.ok_or_else(|| {
            let why = "it has no candidate to try; what serves is not asked made-up questions. \
                       Install one whose NAME.toml has by = \"hand\" under [promote]";
            ReloadError::conflict(name, why)
        })?;
        let said = match &candidate {
            Loaded::Authorizer(generation) => questions::authorizer(|call| {
                let verdict = generation.call(|plugin| plugin.authorize(call));
                verdict.map(word).map_err(|e| e.to_string())
            }),
            Loaded::Pricing(generation) => questions::pricing(|call| {
                let quote = generation.call(|plugin| plugin.quote(call));
                let quote = quote.map_err(|e| e.to_string())?;
                Ok(format!("the price is {}", quote.total.micros))
            }),
            Loaded::Payment(generation) => collect(generation),
            Loaded::Config(generation) => configure(generation),
        };
        Ok(Tried {
            generation: candidate.member().number(),
            is_answered: said.is_ok(),
            said: said.unwrap_or_else(|why| why),
        })
    }
}

fn word(verdict: Verdict) -> String {
    match verdict {
        Verdict::Allow => "allow".into(),
        Verdict::Deny { message, .. } => format!("no: {message}"),
    }
}

fn collect(generation: &Generation<JobPlugin<Payment>>) -> Result<String, String> {
    let (invoice, progress) = questions::payment()?;
    let pass = generation.enter().map_err(|e| e.to_string())?;
    let step = generation.plugin.collect_blocking(&invoice, &progress);
    generation.leave(pass, End::of_step(&step));
    step.map(|_| "a step".into()).map_err(|e| e.to_string())
}

fn configure(generation: &Generation<JobPlugin<Config>>) -> Result<String, String> {
    let current = Snapshot::default();
    let supplied = generation.call(|plugin| plugin.supply(&current));
    supplied.map_err(|e| e.to_string())?;
    let checked = generation.call(|plugin| plugin.check(&current, None));
    checked.map_err(|e| e.to_string())?;
    Ok("nothing amiss".into())
}

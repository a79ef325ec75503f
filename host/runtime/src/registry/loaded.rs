//! What the kinds have in common once they are loaded.

use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::generation::{Generation, Member};
use crate::job::JobPlugin;
use crate::plugin::Plugin;
use crate::promotion::Ruling;
use crate::shadow::{AuthorizerTrial, PricingTrial, ShadowReport, Trial};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// A generation of one of the kinds.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// An authorizer.
    Authorizer(Arc<Generation<Plugin<Authorizer>>>),
    /// A pricing plugin.
    Pricing(Arc<Generation<Plugin<Pricing>>>),
    /// A payment plugin.
    Payment(Arc<Generation<JobPlugin<Payment>>>),
    /// A config plugin.
    Config(Arc<Generation<JobPlugin<Config>>>),
}

impl Loaded {
    /// What all kinds have.
    pub(crate) fn member(&self) -> &dyn Member {
        match self {
            Self::Authorizer(generation) => &**generation,
            Self::Pricing(generation) => &**generation,
            Self::Payment(generation) => &**generation,
            Self::Config(generation) => &**generation,
        }
    }

    /// A look at it that does not hold it.
    pub(super) fn weak(&self) -> Weak<dyn Member> {
        // Typed, so that each is looked at as what all kinds have in common.
        fn of<M: Member + 'static>(generation: &Arc<M>) -> Weak<dyn Member> {
            let weak: Weak<M> = Arc::downgrade(generation);
            weak
        }
        match self {
            Self::Authorizer(generation) => of(generation),
            Self::Pricing(generation) => of(generation),
            Self::Payment(generation) => of(generation),
            Self::Config(generation) => of(generation),
        }
    }
}

/// A generation that wants to serve.
#[derive(Debug)]
pub(super) enum Candidacy {
    /// An authorizer beside the one of its name, or beside none, which allows all.
    Authorizer(Arc<AuthorizerTrial>),
    /// A pricing plugin beside the one that is live.
    Pricing(Arc<PricingTrial>),
    /// A kind whose calls change the world: they cannot be run twice, so it only waits.
    Waiting(Loaded, Instant),
}

impl Candidacy {
    /// Begins.
    pub(super) fn of(loaded: Loaded) -> Self {
        match loaded {
            Loaded::Authorizer(generation) => Self::Authorizer(Arc::new(Trial::new(generation))),
            Loaded::Pricing(generation) => Self::Pricing(Arc::new(Trial::new(generation))),
            job @ (Loaded::Payment(_) | Loaded::Config(_)) => Self::Waiting(job, Instant::now()),
        }
    }

    /// The generation.
    pub(super) fn loaded(&self) -> Loaded {
        match self {
            Self::Authorizer(trial) => Loaded::Authorizer(Arc::clone(&trial.generation)),
            Self::Pricing(trial) => Loaded::Pricing(Arc::clone(&trial.generation)),
            Self::Waiting(loaded, _) => loaded.clone(),
        }
    }

    /// Since when.
    pub(super) fn since(&self) -> Instant {
        match self {
            Self::Authorizer(trial) => trial.since(),
            Self::Pricing(trial) => trial.since(),
            Self::Waiting(_, since) => *since,
        }
    }

    /// What its rule says.
    pub(super) fn ruling(&self) -> Ruling {
        match self {
            Self::Authorizer(trial) => trial.ruling(),
            Self::Pricing(trial) => trial.ruling(),
            Self::Waiting(..) => Ruling::Wait,
        }
    }

    /// Why it should not be promoted without a second thought.
    pub(super) fn objection(&self) -> Option<String> {
        match self {
            Self::Authorizer(trial) => trial.generation.promotion.objection(&trial.tally()),
            Self::Pricing(trial) => trial.generation.promotion.objection(&trial.tally()),
            Self::Waiting(..) => None,
        }
    }

    /// What is told of it, if it shadows.
    pub(super) fn report(&self) -> Option<ShadowReport> {
        match self {
            Self::Authorizer(trial) => Some(trial.report()),
            Self::Pricing(trial) => Some(trial.report()),
            Self::Waiting(..) => None,
        }
    }
}

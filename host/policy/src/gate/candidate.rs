//! A candidate for the platform's policies, or for a tenant's own: tried on live decisions, then
//! promoted or dropped.

use super::{Gate, Revision, one};
use crate::bundle::compile;
use crate::error::{Finding, PolicyError};
use crate::shadow::{Candidate, ShadowReport, Trial};
use crate::source::Source;
use crate::tenant::TenantSet;
use holdfast_model::{TenantId, UnixMillis};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Tenants whose candidates are tried at once. Each has a thread, and a queue of some MiB at worst.
const OWN_TRIALS_MAX: usize = 32;

/// How long a tenant's candidate keeps its place when others want one: long enough to have seen a
/// day's calls of every kind.
const STAYS_MILLIS: u64 = 24 * 3600 * 1_000;

/// Policies that a tenant tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCandidate {
    /// All of them, in Cedar.
    pub policies: String,
    /// Those that were in force when it began.
    pub instead_of: String,
}

/// The candidates of tenants.
pub(super) type OwnTrials = HashMap<TenantId, OwnTrial>;

/// A tenant's candidate at work.
#[derive(Debug, Clone)]
pub(super) struct OwnTrial {
    pub(super) trial: Arc<Trial>,
    since: UnixMillis,
}

impl Gate {
    /// Tries a candidate, in the place of one that is tried already: file names with their text, as
    /// they would lie in the folder. It has to pass all that the folder has to pass.
    ///
    /// # Errors
    /// Files that could not be used: everything that is wrong with them.
    pub fn shadow(&self, files: BTreeMap<String, String>) -> Result<Revision, PolicyError> {
        let source = Source::of_files(files).map_err(one)?;
        if let Some(seal) = &self.settings.seal {
            seal.check(&source)?;
        }
        let bundle = compile(&source).map_err(one)?;
        let revision = bundle.revision.clone();
        let beside = self.revision().0.to_string();
        let bundle = Box::new(bundle);
        let candidate = Candidate::Platform { bundle, source };
        let trial = begun(candidate, &revision, beside)?;
        self.trial.store(Some(trial));
        Ok(revision)
    }

    /// How the candidate differs; `None` if there is none.
    #[must_use]
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.trial.load().as_ref().map(|trial| trial.report())
    }

    /// Drops the candidate; whether there was one.
    pub fn drop_shadow(&self) -> bool {
        self.trial.swap(None).is_some()
    }

    /// Puts the candidate's files into the folder and has them decide from now on.
    ///
    /// # Errors
    /// There is no candidate or no folder, or it cannot be written; what was in force stays.
    pub fn promote_shadow(&self) -> Result<Revision, PolicyError> {
        let refused = |why: &str, mend: &str| Finding::whole("the candidate", why, mend).into();
        let Some(trial) = self.trial.load_full() else {
            return Err(refused(
                "is not there",
                "begin with `holdfast policy shadow start`",
            ));
        };
        let Some(dir) = &self.settings.dir else {
            let mend = "set policies.dir to a folder that the host may write";
            return Err(refused(
                "cannot be kept, for the policies are built in",
                mend,
            ));
        };
        let Candidate::Platform { source, .. } = &*trial.candidate else {
            return Err(refused("is a tenant's", "begin again"));
        };
        let _one_at_a_time = self.reloading.lock();
        source.write(dir)?;
        self.swap(source)?;
        self.trial.store(None);
        Ok(self.revision())
    }

    /// Tries other policies of a tenant's own on what its people do among its things, in the place
    /// of those that are tried already; its grants stay. They have to pass what its policies have
    /// to pass, and are not compiled again if they have passed it already.
    ///
    /// # Errors
    /// Policies that could not be used: everything that is wrong with them; or as many tenants'
    /// candidates are tried already as can be.
    pub fn shadow_own(
        &self,
        live: &TenantSet,
        tried: &TenantSet,
        now: UnixMillis,
    ) -> Result<Revision, PolicyError> {
        self.check_own(tried)?;
        let (tenant, policies) = (live.tenant().clone(), tried.policies().to_owned());
        // Whatever its grants are, they cannot make it one that could not be used.
        let set = TenantSet::new(tenant.clone(), policies.clone(), live.grants().to_vec());
        let candidate = Candidate::Own {
            policies,
            instead_of: live.policies().to_owned(),
        };
        let beside = live.revision().0.to_string();
        let _one_at_a_time = self.reloading.lock();
        let mut trials = OwnTrials::clone(&self.own_trials.load());
        if trials.len() >= OWN_TRIALS_MAX && !trials.contains_key(&tenant) {
            trials.retain(|_, own| now.millis_since(own.since) < STAYS_MILLIS);
        }
        if trials.len() >= OWN_TRIALS_MAX && !trials.contains_key(&tenant) {
            let why = format!("would be one too many: {OWN_TRIALS_MAX} tenants try theirs here");
            let mend = "try again when one of them has dropped or promoted its candidate";
            return Err(Finding::whole("the candidate", why, mend).into());
        }
        let trial = begun(candidate, set.revision(), beside)?;
        trials.insert(tenant, OwnTrial { trial, since: now });
        self.own_trials.store(Arc::new(trials));
        Ok(set.revision().clone())
    }

    /// How a tenant's candidate differs; `None` if there is none.
    #[must_use]
    pub fn shadow_own_report(&self, tenant: &TenantId) -> Option<ShadowReport> {
        let trials = self.own_trials.load();
        trials.get(tenant).map(|own| own.trial.report())
    }

    /// What a tenant tries; `None` if it tries nothing.
    #[must_use]
    pub fn shadow_own_candidate(&self, tenant: &TenantId) -> Option<OwnCandidate> {
        let trials = self.own_trials.load();
        let own = trials.get(tenant)?;
        match &*own.trial.candidate {
            Candidate::Own {
                policies,
                instead_of,
            } => Some(OwnCandidate {
                policies: policies.clone(),
                instead_of: instead_of.clone(),
            }),
            Candidate::Platform { .. } => None,
        }
    }

    /// Drops a tenant's candidate; whether there was one.
    pub fn drop_shadow_own(&self, tenant: &TenantId) -> bool {
        let _one_at_a_time = self.reloading.lock();
        let mut trials = OwnTrials::clone(&self.own_trials.load());
        let was_there = trials.remove(tenant).is_some();
        self.own_trials.store(Arc::new(trials));
        was_there
    }
}

fn begun(
    candidate: Candidate,
    revision: &Revision,
    beside: String,
) -> Result<Arc<Trial>, PolicyError> {
    let trial = Trial::begin(candidate, revision.0.to_string(), beside);
    let no_thread = |e| PolicyError::Setup(format!("no thread for a candidate: {e}"));
    trial.map(Arc::new).map_err(no_thread)
}

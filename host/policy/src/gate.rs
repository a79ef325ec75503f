//! The door.

mod candidate;
mod told;

use crate::bundle::{Bundle, Outcome, Verdict, check_grant, compile};
use crate::cases::{self, CaseReport};
use crate::error::PolicyError;
use crate::keeper::Keeper;
use crate::metrics::{PolicyMetrics, Reload};
use crate::permit::Permit;
use crate::seal::Seal;
use crate::shadow::{Question, Trial};
use crate::source::Source;
use crate::tenant::{self, Compiled, Grant, TenantSet};
use arc_swap::{ArcSwap, ArcSwapOption};
pub use candidate::OwnCandidate;
use candidate::OwnTrials;
use holdfast_model::action::{Act, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{Action, Cid, Principal, TenantId};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Sets that were in force before and are kept so that a decision of theirs can be explained. Each
/// may be 100 MiB where ten thousand policies are in force.
const FORMER_MAX: usize = 2;

/// Names one decision in answers and in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecisionId(pub u128);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which set of policies decided: the SHA-256 of schema and policies, its first 8 bytes in hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision(pub Arc<str>);

/// Facts of this one call that policies may look at. Decisions that look at none are remembered, so
/// filling this in costs nothing as long as no policy reads it.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The content that it is about.
    pub cid: Option<Cid>,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// What the caller's tenant says for itself; must be there if the gate asks tenants at all.
    pub own: Option<Arc<TenantSet>>,
}

/// What a gate is opened with.
#[derive(Debug, Default)]
pub struct GateSettings {
    /// The folder (`schema.cedarschema` and `*.cedar`); without it the built-in policies.
    pub dir: Option<PathBuf>,
    /// Who looks at the folder's signature, if somebody does.
    pub seal: Option<Seal>,
    /// Who is told of every set that comes into force.
    pub keeper: Option<Keeper>,
    /// Whether tenants say something for themselves. Then a call of somebody from outside about
    /// their own tenant's things is denied unless the context has the tenant's set.
    pub asks_tenants: bool,
}

/// What was decided, and by what.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Its name.
    pub id: DecisionId,
    /// The policies in force.
    pub revision: Revision,
    /// The ids of the policies that determined it; empty when nothing allowed it.
    pub determined_by: Arc<[String]>,
}

/// That something is not allowed.
#[derive(Debug, Clone)]
pub struct Denial {
    /// What was tried.
    pub action: Action,
    /// The decision behind it.
    pub decision: Decision,
    /// Whether the caller may not even know that the thing exists: answer 404, as if it were not
    /// there, and none of the messages.
    pub hidden: bool,
    /// What the policies' authors want callers to be told; static text.
    pub messages: Vec<String>,
}

/// The door.
#[derive(Debug)]
pub struct Gate {
    settings: GateSettings,
    pub(crate) bundle: ArcSwap<Bundle>,
    /// What was in force before, the newest first.
    former: Mutex<VecDeque<Arc<Bundle>>>,
    /// A candidate that is tried beside them.
    trial: ArcSwapOption<Trial>,
    /// Candidates of tenants, tried beside what they say now.
    own_trials: ArcSwap<OwnTrials>,
    /// Held while policies are read, so that the last reload wins.
    reloading: Mutex<()>,
    /// Decisions are numbered within a process, and processes told apart by a random part.
    process: u64,
    decisions: AtomicU64,
    /// Hides the number: whoever knows one decision's name must not know the next one's.
    names: RandomState,
    metrics: PolicyMetrics,
}

impl Gate {
    /// Opens with the policies of a folder (`schema.cedarschema` and `*.cedar`), or with the
    /// built-in ones; no tenant says anything for itself.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn open(dir: Option<&Path>) -> Result<Self, PolicyError> {
        Self::open_with(GateSettings {
            dir: dir.map(Into::into),
            ..GateSettings::default()
        })
    }

    /// Opens with settings.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn open_with(settings: GateSettings) -> Result<Self, PolicyError> {
        let source = read(&settings)?;
        Self::of_source(settings, &source)
    }

    /// Opens with policies that lie nowhere: those that decided something once. Tenants say
    /// something for themselves.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn of_files(files: BTreeMap<String, String>) -> Result<Self, PolicyError> {
        let settings = GateSettings {
            asks_tenants: true,
            ..GateSettings::default()
        };
        Self::of_source(settings, &Source::of_files(files).map_err(one)?)
    }

    fn of_source(settings: GateSettings, source: &Source) -> Result<Self, PolicyError> {
        let bundle = compile(source).map_err(one)?;
        if let Some(keeper) = &settings.keeper {
            keeper.keep(source);
        }
        let metrics = PolicyMetrics::new().map_err(|e| PolicyError::Setup(e.to_string()))?;
        metrics.policies.set(count(&bundle));
        Ok(Self {
            settings,
            bundle: ArcSwap::from_pointee(bundle),
            former: Mutex::default(),
            trial: ArcSwapOption::empty(),
            own_trials: ArcSwap::default(),
            reloading: Mutex::new(()),
            process: rand::random(),
            decisions: AtomicU64::new(0),
            names: RandomState::new(),
            metrics,
        })
    }

    /// Everything that is wrong with the policies of a folder; nothing if they could be used.
    #[must_use]
    pub fn check(dir: &Path) -> Vec<PolicyError> {
        match Source::read(dir) {
            Ok(source) => compile(&source).err().unwrap_or_default(),
            Err(problems) => problems,
        }
    }

    /// Asks whether `principal` may do `A` to `on`. The only maker of permits.
    ///
    /// # Errors
    /// That they may not, with what may be told of it.
    pub fn permit<A: Act>(
        &self,
        principal: &Arc<Principal>,
        on: A::On,
        context: &Context,
    ) -> Result<Permit<A>, Denial> {
        let resource = on.clone().into();
        let decision = self.decide(principal, A::ACTION, &resource, context)?;
        Ok(Permit::new(Arc::clone(principal), on, decision))
    }

    /// Asks the same without making a permit: for explaining, for testing policies.
    ///
    /// # Errors
    /// That they may not, with what may be told of it.
    pub fn decide(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &Context,
    ) -> Result<Decision, Denial> {
        let begun = Instant::now();
        let bundle = self.bundle.load();
        let own = self.own(&bundle, principal, action, resource, context);
        let (verdict, revision) = match own.as_deref().map(|own| &own.overlay) {
            // Why was logged when it was found.
            Some(Err(_)) => (Arc::new(Verdict::unknown()), bundle.revision.clone()),
            Some(Ok(Some(own))) => {
                let view = bundle.view(Some(own));
                let verdict = view.decide(action, principal, resource, context);
                (verdict, own.revision.clone())
            }
            Some(Ok(None)) | None => {
                let verdict = bundle.decide(action, principal, resource, context);
                (verdict, bundle.revision.clone())
            }
        };
        self.metrics.decided(action, verdict.outcome);
        if verdict.errors > 0 {
            self.metrics.evaluation_errors.inc_by(verdict.errors);
        }
        let question = || Question {
            principal: principal.clone(),
            action,
            resource: resource.clone(),
            context: context.clone(),
            outcome: verdict.outcome,
            determined_by: Arc::clone(&verdict.determined_by),
            bundle: Arc::clone(&bundle),
        };
        if let Some(trial) = &*self.trial.load() {
            trial.offer(question());
        }
        // Where the tenant has a say, so has its candidate.
        if let (Some(_), Some(live)) = (&own, &context.own)
            && live.tenant() == principal.tenant()
            && let Some(own) = self.own_trials.load().get(live.tenant())
        {
            own.trial.offer(question());
        }
        let decision = Decision {
            id: self.next_id(),
            revision,
            determined_by: Arc::clone(&verdict.determined_by),
        };
        let answer = if verdict.outcome == Outcome::Allow {
            Ok(decision)
        } else {
            let own = own
                .as_deref()
                .and_then(|own| own.overlay.as_ref().ok()?.as_ref());
            let view = bundle.view(own);
            Err(Denial {
                action,
                decision,
                hidden: told::is_hidden(view, principal, action, resource, context),
                messages: told::messages(&bundle, &verdict, action),
            })
        };
        self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        answer
    }

    /// What the caller's tenant says about something of its own.
    pub(crate) fn own(
        &self,
        bundle: &Bundle,
        principal: &Principal,
        action: Action,
        resource: &Resource,
        context: &Context,
    ) -> Option<Arc<Compiled>> {
        if resource.tenant() != Some(principal.tenant()) || tenant::is_above_tenants(action) {
            return None;
        }
        match &context.own {
            Some(set) if set.tenant() == principal.tenant() => Some(set.above(bundle)),
            // The host's own workers are of no tenant that says anything.
            None if principal.proof == Proof::Internal => None,
            None if !self.settings.asks_tenants => None,
            _ => Some(Arc::new(Compiled::unknown(bundle))),
        }
    }

    /// The bundle in force.
    pub(crate) fn current(&self) -> Arc<Bundle> {
        self.bundle.load_full()
    }

    /// A bundle that was in force before, if it is kept.
    pub(crate) fn former(&self, revision: &str) -> Option<Arc<Bundle>> {
        let former = self.former.lock();
        former
            .iter()
            .find(|bundle| *bundle.revision.0 == *revision)
            .cloned()
    }

    /// Compiles a tenant's set, so that the first call that needs it need not. What is wrong with
    /// it is logged, and the tenant's calls are denied.
    pub fn prepare(&self, set: &TenantSet) {
        set.above(&self.bundle.load());
    }

    /// Whether a tenant's set could be used. One that was found good is not compiled again while
    /// the platform's policies are the same.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_own(&self, set: &TenantSet) -> Result<(), PolicyError> {
        set.checked(&self.bundle.load()).map(drop).map_err(one)
    }

    /// Whether a grant would give something.
    ///
    /// # Errors
    /// Why it would not: no such template, or a thing of another tenant.
    pub fn check_grant(&self, tenant: &TenantId, grant: &Grant) -> Result<(), String> {
        check_grant(&self.bundle.load(), tenant, grant)
    }

    /// What can be granted: each template's id, and what its author says of it (`@doc`).
    #[must_use]
    pub fn templates(&self) -> Vec<(String, String)> {
        let bundle = self.bundle.load();
        let told = bundle.templates.iter().map(|(id, template)| {
            let doc = template.annotation("doc").unwrap_or_default();
            (id.clone(), doc.to_owned())
        });
        told.collect()
    }

    /// What is to be signed of a folder: the SHA-256 of its schema and policies.
    ///
    /// # Errors
    /// Policies that could not be used.
    pub fn digest(dir: &Path) -> Result<[u8; 32], PolicyError> {
        let source = Source::read(dir).map_err(one)?;
        compile(&source).map_err(one)?;
        Ok(source.digest())
    }

    /// Reads the folder again; a bad set leaves the good one in force. Reading what is in force
    /// already changes nothing and costs a hash of the files.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn reload(&self) -> Result<Revision, PolicyError> {
        let _one_at_a_time = self.reloading.lock();
        let reloaded = read(&self.settings).and_then(|source| self.swap(&source));
        self.metrics
            .reloaded(reloaded.as_ref().map_or(Reload::Refused, |how| *how));
        reloaded.map(|_| self.revision())
    }

    /// The policies in force.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.bundle.load().revision.clone()
    }

    /// Runs the cases of a file in the format of `cedar run-tests` against the policies in force.
    /// The one difference: a forbid that fails denies.
    ///
    /// # Errors
    /// A file that cannot be read or is no list of cases. A case that fails is in the answer.
    pub fn run_cases(&self, file: &Path) -> Result<Vec<CaseReport>, PolicyError> {
        cases::run(&self.bundle.load(), file)
    }

    /// The gate's metrics, to be registered once.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn prometheus::core::Collector>> {
        self.metrics.collectors()
    }

    fn swap(&self, source: &Source) -> Result<Reload, PolicyError> {
        if source.revision() == self.revision() {
            return Ok(Reload::Unchanged);
        }
        let bundle = compile(source).map_err(one)?;
        if let Some(keeper) = &self.settings.keeper {
            keeper.keep(source);
        }
        self.metrics.policies.set(count(&bundle));
        let former = self.bundle.swap(Arc::new(bundle));
        let mut kept = self.former.lock();
        kept.push_front(former);
        kept.truncate(FORMER_MAX);
        Ok(Reload::Swapped)
    }

    fn next_id(&self) -> DecisionId {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed);
        let name = self.names.hash_one(number);
        DecisionId(u128::from(self.process) << 64 | u128::from(name))
    }
}

fn read(settings: &GateSettings) -> Result<Source, PolicyError> {
    let Some(dir) = settings.dir.as_deref() else {
        return Ok(Source::built_in());
    };
    let source = Source::read(dir).map_err(one)?;
    if let Some(seal) = &settings.seal {
        seal.check(&source)?;
    }
    Ok(source)
}

fn one(problems: Vec<PolicyError>) -> PolicyError {
    PolicyError::of_all(problems)
        .unwrap_or_else(|| PolicyError::Setup("policies were refused without a reason".into()))
}

fn count(bundle: &Bundle) -> i64 {
    i64::try_from(bundle.len()).unwrap_or(i64::MAX)
}

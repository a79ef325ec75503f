//! The door.

use crate::bundle::{Bundle, Outcome, Verdict, compile};
use crate::cases::{self, CaseReport};
use crate::error::PolicyError;
use crate::metrics::{PolicyMetrics, Reload};
use crate::permit::Permit;
use crate::source::Source;
use arc_swap::ArcSwap;
use holdfast_model::action::{Act, KeyRef, RequestRef, Resource};
use holdfast_model::{Action, Cid, Principal};
use parking_lot::Mutex;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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
    dir: Option<PathBuf>,
    bundle: ArcSwap<Bundle>,
    /// Held while policies are read, so that the last reload wins.
    reloading: Mutex<()>,
    /// Decisions are numbered within a process, and processes told apart by a random part.
    process: u64,
    decisions: AtomicU64,
    metrics: PolicyMetrics,
}

impl Gate {
    /// Opens with the policies of a folder (`schema.cedarschema` and `*.cedar`), or with the
    /// built-in ones.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn open(dir: Option<&Path>) -> Result<Self, PolicyError> {
        let source = read(dir)?;
        let bundle = compile(&source).map_err(one)?;
        let metrics = PolicyMetrics::new().map_err(|e| PolicyError::Setup(e.to_string()))?;
        metrics.policies.set(count(&bundle));
        Ok(Self {
            dir: dir.map(Into::into),
            bundle: ArcSwap::from_pointee(bundle),
            reloading: Mutex::new(()),
            process: rand::random(),
            decisions: AtomicU64::new(0),
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
        let verdict = bundle.decide(action, principal, resource, context);
        self.metrics.decided(action, verdict.outcome);
        if verdict.errors > 0 {
            self.metrics.evaluation_errors.inc_by(verdict.errors);
        }
        let decision = Decision {
            id: self.next_id(),
            revision: bundle.revision.clone(),
            determined_by: Arc::clone(&verdict.determined_by),
        };
        let answer = if verdict.outcome == Outcome::Allow {
            Ok(decision)
        } else {
            Err(Denial {
                action,
                decision,
                hidden: is_hidden(&bundle, principal, action, resource, context),
                messages: messages(&bundle, &verdict, action),
            })
        };
        self.metrics.seconds.observe(begun.elapsed().as_secs_f64());
        answer
    }

    /// Reads the folder again; a bad set leaves the good one in force. Reading what is in force
    /// already changes nothing and costs a hash of the files.
    ///
    /// # Errors
    /// Policies that cannot be used: everything that is wrong with them.
    pub fn reload(&self) -> Result<Revision, PolicyError> {
        let _one_at_a_time = self.reloading.lock();
        let reloaded = read(self.dir.as_deref()).and_then(|source| self.swap(&source));
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
        self.metrics.policies.set(count(&bundle));
        self.bundle.store(Arc::new(bundle));
        Ok(Reload::Swapped)
    }

    fn next_id(&self) -> DecisionId {
        let number = self.decisions.fetch_add(1, Ordering::Relaxed);
        DecisionId(u128::from(self.process) << 64 | u128::from(number))
    }
}

fn read(dir: Option<&Path>) -> Result<Source, PolicyError> {
    match dir {
        Some(dir) => Source::read(dir).map_err(one),
        None => Ok(Source::built_in()),
    }
}

fn one(problems: Vec<PolicyError>) -> PolicyError {
    PolicyError::of_all(problems)
        .unwrap_or_else(|| PolicyError::Setup("policies were refused without a reason".into()))
}

fn count(bundle: &Bundle) -> i64 {
    i64::try_from(bundle.len()).unwrap_or(i64::MAX)
}

/// Whether the caller may not know that the thing exists: they may not read it either. That the
/// host is there is no secret, nor are one's own tenant and its accounts.
fn is_hidden(
    bundle: &Bundle,
    principal: &Principal,
    action: Action,
    resource: &Resource,
    context: &Context,
) -> bool {
    let (read, of) = match resource {
        Resource::Host => return false,
        Resource::Request(RequestRef { .. }) => (Action::ReadRequest, resource.clone()),
        Resource::Key(KeyRef { account, .. }) => (Action::ListKeys, account.clone().into()),
        Resource::Tenant(_) | Resource::Account(_)
            if resource.tenant() == Some(principal.tenant()) =>
        {
            return false;
        }
        Resource::Tenant(_) => (Action::ReadTenant, resource.clone()),
        Resource::Account(_) => (Action::ReadUsage, resource.clone()),
    };
    read == action || bundle.decide(read, principal, &of, context).outcome != Outcome::Allow
}

/// What a caller may be told. Nothing of it depends on the thing or on anybody else.
fn messages(bundle: &Bundle, verdict: &Verdict, action: Action) -> Vec<String> {
    if verdict.outcome == Outcome::Error {
        return vec![
            "a policy could not be evaluated, so nothing is allowed; tell the operator".into(),
        ];
    }
    if !verdict.messages.is_empty() {
        return verdict.messages.clone();
    }
    if !verdict.determined_by.is_empty() {
        return vec![format!("a policy forbids {action} here")];
    }
    let roles: Vec<&str> = bundle
        .roles_that_can(action)
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|role| *role != "system")
        .collect();
    if roles.is_empty() {
        return vec![format!("no policy grants {action} to anybody who calls")];
    }
    let roles = roles.join(", ");
    vec![format!(
        "no policy grants {action} here; roles that can, within their reach: {roles}"
    )]
}

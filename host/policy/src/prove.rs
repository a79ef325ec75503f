//! What can be proved of policies, for every request that there could ever be: `cedar-policy-symcc`
//! turns a claim into formulas, and a solver (cvc5, a program of its own) finds a request that
//! breaks it or shows that there is none.
//!
//! | claim | means |
//! | --- | --- |
//! | never fails | no policy's evaluation can fail; a forbid that fails denies everything that it is about |
//! | keeps tenants apart | nothing that is allowed reaches from one tenant into another, except what the group `acrossTenants`, `readUsage` and `readTenantAudit` leave to the host's staff |
//! | grants nothing new | whatever the new policies allow the old ones allowed |
//!
//! A claim is looked at in each environment by itself: one kind of principal, one action, one kind
//! of thing.

use crate::bundle::{Bundle, compile};
use crate::error::PolicyError;
use crate::gate::Gate;
use crate::source::Source;
use crate::tenant::TenantSet;
use cedar_policy::{PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use serde::Serialize;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio::process::Command;

/// How long one formula may take. Those of the shipped policies take some milliseconds.
const FORMULA_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the solver may take to answer at all, before it is taken to hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What crosses from one tenant to another for the host's staff.
const STAFF: &str = r#"permit (principal, action, resource) when {
  resource.tenant == principal.tenant ||
  principal in Role::"operator" || principal in Role::"auditor"
};"#;

/// What never does.
const NOBODY: &str =
    "permit (principal, action, resource) when { resource.tenant == principal.tenant };";

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// No policy's evaluation can fail.
    NeverFails,
    /// Tenants are kept apart.
    KeepsTenantsApart,
    /// Nothing is allowed that was not allowed before.
    GrantsNothingNew,
}

impl Claim {
    /// The claim in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverFails => "never fails",
            Self::KeepsTenantsApart => "keeps tenants apart",
            Self::GrantsNothingNew => "grants nothing new",
        }
    }
}

/// A claim that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refuted {
    /// The claim.
    pub claim: Claim,
    /// The policy, if it is about one.
    pub policy: Option<String>,
    /// The environment: kind of principal, action, kind of thing.
    pub environment: String,
    /// A request and entities that break it.
    pub counterexample: String,
}

/// How a proof ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProofReport {
    /// Formulas that the solver has shown to hold.
    pub proved: usize,
    /// What does not hold.
    pub refuted: Vec<Refuted>,
    /// What the solver could not tell, and why.
    pub unknown: Vec<String>,
}

impl ProofReport {
    /// Whether everything holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.refuted.is_empty() && self.unknown.is_empty()
    }
}

/// Proves what there is to prove of a folder's policies (the built-in ones without one), and,
/// beside the policies of a folder `old`, that they grant nothing new.
///
/// # Errors
/// Policies that cannot be used, or no solver.
pub async fn prove(
    dir: Option<&Path>,
    old: Option<&Path>,
    solver: &Path,
) -> Result<ProofReport, PolicyError> {
    let read = |dir: &Path| Source::read(dir).map_err(all);
    let source = match dir {
        Some(dir) => read(dir)?,
        None => Source::built_in(),
    };
    let new = compile(&source).map_err(all)?;
    let mut prover = Prover::start(solver, &new)?;
    prover.never_fails(&new.all_policies()?).await;
    prover.keeps_tenants_apart(&new.all_policies()?).await?;
    if let Some(old) = old {
        let old = compile(&read(old)?).map_err(all)?;
        prover.grants_nothing_new(&new, &old).await?;
    }
    Ok(prover.report)
}

impl Gate {
    /// Proves that none of a tenant's own policies can fail. That they keep to the tenant follows
    /// from where they are asked at all.
    ///
    /// # Errors
    /// Policies that cannot be used, or no solver.
    pub async fn prove_own(
        &self,
        set: &TenantSet,
        solver: &Path,
    ) -> Result<ProofReport, PolicyError> {
        let bundle = self.current();
        let compiled = set.checked(&bundle).map_err(all)?;
        let mut prover = Prover::start(solver, &bundle)?;
        if let Ok(Some(overlay)) = &compiled.overlay {
            prover.never_fails(&overlay.all_policies()?).await;
        }
        Ok(prover.report)
    }
}

fn all(problems: Vec<PolicyError>) -> PolicyError {
    let problem = PolicyError::of_all(problems);
    problem.unwrap_or_else(|| PolicyError::Setup("refused without a reason".into()))
}

/// A solver at work, and what it said so far.
struct Prover<'a> {
    schema: &'a Schema,
    compiler: CedarSymCompiler<LocalSolver>,
    program: &'a Path,
    report: ProofReport,
}

impl<'a> Prover<'a> {
    fn start(program: &'a Path, bundle: &'a Bundle) -> Result<Self, PolicyError> {
        Ok(Self {
            schema: &bundle.schema,
            compiler: compiler(program)?,
            program,
            report: ProofReport::default(),
        })
    }

    async fn never_fails(&mut self, policies: &PolicySet) {
        let mut sorted: Vec<_> = policies.policies().collect();
        sorted.sort_by(|a, b| a.id().cmp(b.id()));
        for policy in sorted {
            for env in policy.get_valid_request_envs(self.schema) {
                let name = (
                    Claim::NeverFails,
                    Some(policy.id().to_string()),
                    named(&env),
                );
                let compiled = CompiledPolicy::compile(policy, &env, self.schema);
                let found = match compiled {
                    Ok(compiled) => {
                        let asked = self
                            .compiler
                            .check_never_errors_with_counterexample_opt(&compiled);
                        in_time(asked).await
                    }
                    Err(why) => Err(why.to_string()),
                };
                self.note(name, found);
            }
        }
    }

    async fn keeps_tenants_apart(&mut self, policies: &PolicySet) -> Result<(), PolicyError> {
        let (staff, nobody) = (claimed(STAFF)?, claimed(NOBODY)?);
        let envs: Vec<RequestEnv> = self.schema.request_envs().collect();
        for env in envs {
            let is_of_tenant = ["Tenant", "Account", "PinRequest", "ApiKey"]
                .contains(&env.resource().to_string().as_str());
            if !is_of_tenant {
                continue;
            }
            let action = env.action().id().unescaped().to_owned();
            let bound = match is_pinning(&action) {
                true => &nobody,
                false => &staff,
            };
            self.implies(Claim::KeepsTenantsApart, &env, policies, bound)
                .await;
        }
        Ok(())
    }

    async fn grants_nothing_new(&mut self, new: &Bundle, old: &Bundle) -> Result<(), PolicyError> {
        let (new, old) = (new.all_policies()?, old.all_policies()?);
        let envs: Vec<RequestEnv> = self.schema.request_envs().collect();
        for env in envs {
            self.implies(Claim::GrantsNothingNew, &env, &new, &old)
                .await;
        }
        Ok(())
    }

    /// That what `these` allow `those` allow.
    async fn implies(
        &mut self,
        claim: Claim,
        env: &RequestEnv,
        these: &PolicySet,
        those: &PolicySet,
    ) {
        let compiled = |policies| {
            let compiled = CompiledPolicySet::compile(policies, env, self.schema);
            compiled.map_err(|e| chain(&e))
        };
        let found = match (compiled(these), compiled(those)) {
            (Ok(these), Ok(those)) => {
                let asked = self
                    .compiler
                    .check_implies_with_counterexample_opt(&these, &those);
                in_time(asked).await
            }
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        self.note((claim, None, named(env)), found);
    }

    fn note(
        &mut self,
        (claim, policy, environment): (Claim, Option<String>, String),
        found: Result<Option<Env>, String>,
    ) {
        match found {
            Ok(None) => self.report.proved += 1,
            Ok(Some(broken)) => self.report.refuted.push(Refuted {
                claim,
                policy,
                environment,
                counterexample: broken.to_string(),
            }),
            Err(why) => {
                let about = policy
                    .map(|policy| format!("{policy}, "))
                    .unwrap_or_default();
                let line = format!("{about}{environment}: {}: {why}", claim.as_str());
                self.report.unknown.push(line);
                // It may have died, or still be at it.
                if let Ok(fresh) = compiler(self.program) {
                    self.compiler = fresh;
                }
            }
        }
    }
}

fn compiler(program: &Path) -> Result<CedarSymCompiler<LocalSolver>, PolicyError> {
    let none = |why: String| {
        let program = program.display();
        PolicyError::Setup(format!(
            "{program} cannot be started: {why}; install cvc5 1.3 or newer and name it with --solver or policies.solver"
        ))
    };
    let mut command = Command::new(program);
    command
        .args(["--lang", "smt"])
        .arg(format!("--tlimit-per={}", FORMULA_TIMEOUT.as_millis()))
        .kill_on_drop(true);
    let solver = LocalSolver::from_command(&mut command).map_err(|e| none(chain(&e)))?;
    CedarSymCompiler::new(solver).map_err(|e| none(chain(&e)))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn in_time(
    asked: impl Future<Output = Result<Option<Env>, cedar_policy_symcc::err::Error>>,
) -> Result<Option<Env>, String> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(|e| chain(&e)),
        Err(_elapsed) => Err("the solver does not answer".into()),
    }
}

/// A claim as policies have it.
fn claimed(text: &str) -> Result<PolicySet, PolicyError> {
    PolicySet::from_str(text).map_err(|e| PolicyError::Setup(e.to_string()))
}

fn named(env: &RequestEnv) -> String {
    let action = env.action().id().unescaped();
    format!("{} {action} {}", env.principal(), env.resource())
}

/// Whether an action is about what tenants pin.
fn is_pinning(action: &str) -> bool {
    crate::bundle::PINNING
        .iter()
        .any(|one| one.as_str() == action)
}

#[cfg(test)]
mod tests;

//! `holdfast audit replay`: decides again what was decided, by the policies that decided it.

use super::lines::Lines;
use super::{chains, open};
use crate::commands::client::Target;
use crate::commands::{Failure, terminal};
use crate::ops::audit::{CloudEvent, Exported, POLICIES_MAX};
use crate::policies::Archive;
use anyhow::{anyhow, bail};
use clap::Args;
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::audit::AuditEntry;
use holdfast_model::principal::Proof;
use holdfast_model::{
    AccountId, Action, Cid, KeyId, Principal, PrincipalId, RequestId, Role, Roles, TenantId,
};
use holdfast_policy::{Context, Gate, TenantSet};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(in crate::commands) struct Replay {
    #[command(flatten)]
    target: Target,
    /// The decision: the `decision_id` of an answer or of an entry.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    decision: Option<String>,
    /// Every decision that there is.
    #[arg(long)]
    all: bool,
    /// Only of this chain: a tenant, or `@host`. Of all of them if it is not said.
    #[arg(long)]
    tenant: Option<String>,
    /// Read what was exported into this file (`-` for standard input) instead of asking a host.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where hosts keep policies that have decided something: `policies-kept` in their data
    /// directories. May be given more than once.
    #[arg(long, value_name = "DIR", default_value = "data/policies-kept")]
    policies: Vec<PathBuf>,
}

/// As much of a line as a decision depends on.
#[derive(Debug, Deserialize)]
struct Decided {
    decision_id: String,
    decided: String,
    policy_revision: String,
    determined_by: Vec<String>,
    actor: Actor,
    action: String,
    resource: On,
    #[serde(default)]
    cid: Option<Cid>,
    #[serde(default)]
    remote: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    id: String,
    account: AccountId,
    roles: Vec<Role>,
    proof: String,
    #[serde(default)]
    issuer: Option<String>,
}

#[derive(Debug, Deserialize)]
struct On {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    account: Option<AccountId>,
    #[serde(default)]
    id: Option<String>,
}

/// What came out of a decision.
#[derive(Debug, Serialize)]
struct Replayed {
    decision: String,
    tenant: String,
    seq: u64,
    /// `same`, `different` or `unknown`: its policies are not kept, or it cannot be asked again.
    result: &'static str,
    was: String,
    is: Option<&'static str>,
    why: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    ok: bool,
    same: u64,
    /// All that are not the same, and the one that was asked for.
    decisions: Vec<Replayed>,
}

/// Policies that have decided something, opened.
struct Kept {
    archives: Vec<Archive>,
    gates: HashMap<String, Option<Arc<Gate>>>,
    own: HashMap<(String, String), Option<Arc<TenantSet>>>,
}

impl Replay {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let mut kept = Kept {
            archives: self.policies.iter().map(Archive::new).collect(),
            gates: HashMap::new(),
            own: HashMap::new(),
        };
        let mut report = Report::default();
        match (&self.file, &self.tenant) {
            (Some(file), _) => {
                let lines = Lines::of_file(file)?;
                self.of_lines(lines, &mut kept, &mut report).await?;
            }
            (None, tenant) => {
                let tenants = match tenant {
                    Some(tenant) => vec![tenant.clone()],
                    None => chains(&self.target).await?,
                };
                for tenant in tenants {
                    let lines = open(&self.target, Some(&tenant), None).await?;
                    self.of_lines(lines, &mut kept, &mut report).await?;
                }
            }
        }
        self.tell(report)
    }

    async fn of_lines(
        &self,
        mut lines: Lines,
        kept: &mut Kept,
        report: &mut Report,
    ) -> Result<(), Failure> {
        while let Some(line) = lines.next().await? {
            let exported = CloudEvent::parse(&line).map_err(|why| anyhow!("{why}"))?;
            let Exported::Entry { tenant, entry } = exported else {
                continue;
            };
            // Most that are no decisions have no such field.
            let Ok(decided) = serde_json::from_slice::<Decided>(&entry.body) else {
                continue;
            };
            let wanted = self.decision.as_deref();
            if wanted.is_some_and(|wanted| wanted != decided.decision_id) {
                continue;
            }
            let replayed = kept.replay(&tenant, &entry, &decided);
            let is_same = replayed.result == "same";
            report.same += u64::from(is_same);
            if !is_same || wanted.is_some() {
                report.decisions.push(replayed);
            }
        }
        Ok(())
    }

    fn tell(&self, mut report: Report) -> Result<ExitCode, Failure> {
        if let (Some(wanted), true) = (&self.decision, report.decisions.is_empty()) {
            bail!("no entry has the decision {wanted}; look with `holdfast audit list`");
        }
        report.ok = report.decisions.iter().all(|one| one.result == "same");
        if self.target.json {
            terminal::json(&report)?;
            return Ok(terminal::code(report.ok));
        }
        let rows: Vec<[String; 6]> = report.decisions.iter().map(row).collect();
        if !rows.is_empty() {
            terminal::table(["DECISION", "CHAIN", "SEQ", "WAS", "IS", "WHY"], &rows)?;
        }
        terminal::say(&format!(
            "{} came out the same, {} did not or could not be asked again",
            report.same,
            report.decisions.len() - usize::from(report.ok && self.decision.is_some())
        ))?;
        Ok(terminal::code(report.ok))
    }
}

fn row(one: &Replayed) -> [String; 6] {
    [
        one.decision.clone(),
        crate::ops::audit::chain_name(&one.tenant).to_owned(),
        one.seq.to_string(),
        one.was.clone(),
        one.is.unwrap_or("-").to_owned(),
        one.why.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

impl Kept {
    fn replay(&mut self, tenant: &str, entry: &AuditEntry, decided: &Decided) -> Replayed {
        let (result, is, why) = match self.decide(decided) {
            Err(why) => ("unknown", None, Some(why)),
            Ok((is, by)) if is == decided.decided && by == decided.determined_by => {
                ("same", Some(is), None)
            }
            Ok((is, by)) => {
                let (was, by) = (decided.determined_by.join(","), by.join(","));
                (
                    "different",
                    Some(is),
                    Some(format!("by [{by}], was by [{was}]")),
                )
            }
        };
        Replayed {
            decision: decided.decision_id.clone(),
            tenant: tenant.to_owned(),
            seq: entry.seq,
            result,
            was: decided.decided.clone(),
            is,
            why,
        }
    }

    fn decide(&mut self, decided: &Decided) -> Result<(&'static str, Vec<String>), String> {
        let (platform, own) = match decided.policy_revision.split_once('+') {
            Some((platform, own)) => (platform, Some(own)),
            None => (decided.policy_revision.as_str(), None),
        };
        let gate = self.gate(platform)?;
        let who = decided.actor.principal()?;
        let tenant = who.tenant().clone();
        let own = match own {
            Some(own) => self.own(tenant.as_str(), own)?,
            None => Arc::new(TenantSet::new(tenant, String::new(), Vec::new())),
        };
        let context = Context {
            cid: decided.cid,
            address: decided.remote.map(|remote| remote.ip()),
            own: Some(own),
        };
        let mut actions = Action::ALL.iter().copied();
        let action = actions.find(|action| action.as_str() == decided.action);
        let action = action.ok_or_else(|| format!("no action {} is known", decided.action))?;
        let on = decided.resource.resource()?;
        let (decided, decision) = match gate.decide(&who, action, &on, &context) {
            Ok(decision) => ("allow", decision),
            Err(denial) => ("deny", denial.decision),
        };
        let policies = decision.determined_by.iter().take(POLICIES_MAX);
        Ok((decided, policies.cloned().collect()))
    }

    fn gate(&mut self, revision: &str) -> Result<Arc<Gate>, String> {
        if !self.gates.contains_key(revision) {
            let mut found = None;
            for archive in &self.archives {
                if let Some(files) = archive.platform(revision).map_err(|e| e.to_string())? {
                    let gate = Gate::of_files(files).map_err(|e| e.to_string())?;
                    found = Some(Arc::new(gate));
                }
            }
            self.gates.insert(revision.to_owned(), found);
        }
        let found = self.gates.get(revision).cloned().flatten();
        found.ok_or_else(|| not_kept(revision))
    }

    fn own(&mut self, tenant: &str, revision: &str) -> Result<Arc<TenantSet>, String> {
        let name = (tenant.to_owned(), revision.to_owned());
        if !self.own.contains_key(&name) {
            let mut found = None;
            for archive in &self.archives {
                let own = archive.own(tenant, revision).map_err(|e| e.to_string())?;
                found = found.or(own.map(Arc::new));
            }
            self.own.insert(name.clone(), found);
        }
        let found = self.own.get(&name).cloned().flatten();
        found.ok_or_else(|| not_kept(revision))
    }
}

fn not_kept(revision: &str) -> String {
    format!("policies {revision} are not kept there; name each host's folder with --policies")
}

impl Actor {
    fn principal(&self) -> Result<Principal, String> {
        let id = PrincipalId::parse(&self.id).map_err(|e| e.to_string())?;
        let proof = match self.proof.as_str() {
            "key" => {
                // Which key it was decides nothing; that it was one does.
                let key = self.id.strip_prefix("key:").unwrap_or("unknown");
                Proof::Key(KeyId::parse(key).map_err(|e| e.to_string())?)
            }
            "token" => Proof::Token {
                issuer: self.issuer.clone().unwrap_or_default(),
            },
            "password" => Proof::Password,
            "did" => Proof::Did,
            "internal" => Proof::Internal,
            other => return Err(format!("no proof {other} is known")),
        };
        Ok(Principal {
            id,
            account: self.account.clone(),
            roles: self.roles.iter().copied().collect::<Roles>(),
            proof,
        })
    }
}

impl On {
    fn resource(&self) -> Result<Resource, String> {
        let missing = || format!("a {} without its names", self.kind);
        let id = || self.id.as_deref().ok_or_else(missing);
        let account = || self.account.clone().ok_or_else(missing);
        let wrong = |e: holdfast_model::Invalid| e.to_string();
        Ok(match self.kind.as_str() {
            "host" => Resource::Host,
            "tenant" => Resource::Tenant(TenantId::parse(id()?).map_err(wrong)?),
            "account" => Resource::Account(account()?),
            "request" => Resource::Request(RequestRef {
                account: account()?,
                id: RequestId::parse(id()?).map_err(wrong)?,
            }),
            "key" => Resource::Key(KeyRef {
                account: account()?,
                id: KeyId::parse(id()?).map_err(wrong)?,
            }),
            other => return Err(format!("no type {other} is known")),
        })
    }
}

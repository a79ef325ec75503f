//! Cedar's own integration tests (cedar-policy/cedar-integration-tests) through our index
//! and our way of asking: the same decisions, the same reasons, the same errors.
//!
//! Their entities and actions are not ours, so what turns our principals and things into entities
//! has no part in this; that is held against Cedar by made-up policies (see `tests`). Nor have
//! their schemas: they spell everything out, so that an answer needs none.
//! The one difference is a rule of ours: where a forbid fails, the answer is no, for that reason.

use super::memory::Memory;
use super::{Bundle, Outcome};
use crate::facts::{ActionFacts, Kinds};
use crate::gate::Revision;
use crate::index::{ActionIndex, Rule, RuleNumber};
use cedar_policy::{
    Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request, Schema,
};
use holdfast_model::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use std::sync::Mutex;

/// How many there are in the release that is pinned, each with some requests.
const CASES: u64 = 7_750;

/// One file of the corpus, with the text of those that it names.
#[derive(Deserialize)]
struct Case {
    name: String,
    policies: String,
    entities: Value,
    requests: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    principal: Named,
    action: Named,
    resource: Named,
    context: Value,
    decision: Answer,
    reason: Vec<String>,
    errors: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Allow,
    Deny,
}

/// What was met, so that a corpus that tries nothing is no success.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    cases: u64,
    requests: u64,
    /// Requests that the index left a policy out of.
    narrowed: u64,
    allowed: u64,
    failed_permits: u64,
    failed_forbids: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.requests += other.requests;
        self.narrowed += other.narrowed;
        self.allowed += other.allowed;
        self.failed_permits += other.failed_permits;
        self.failed_forbids += other.failed_forbids;
    }
}

impl Named {
    fn uid(&self) -> EntityUid {
        let kind = EntityTypeName::from_str(&self.kind).unwrap();
        EntityUid::from_type_name_and_id(kind, EntityId::new(&self.id))
    }
}

/// A bundle without policies, which knows no action of ours.
fn empty() -> Bundle {
    Bundle {
        revision: Revision("corpus".into()),
        numbers: HashMap::new(),
        schema: Schema::from_json_value(json!({})).unwrap(),
        kinds: Kinds::new().unwrap(),
        rules: Vec::new(),
        templates: BTreeMap::new(),
        actions: HashMap::new(),
        authorizer: Authorizer::new(),
        memory: Memory::of_tenant(),
    }
}

/// Puts the policies of a case in the place of those of another.
fn fill(bundle: &mut Bundle, policies: &PolicySet) {
    bundle.rules = policies.policies().cloned().map(Rule::new).collect();
    let ids = bundle.rules.iter().map(|rule| rule.policy.id().to_string());
    bundle.numbers = ids.zip(0..).collect();
    bundle.memory = Memory::of_tenant();
}

/// What a scope may name: the entity itself, and what it is in.
fn closure(uid: &EntityUid, entities: &Entities) -> Vec<EntityUid> {
    let above = entities.ancestors(uid).into_iter().flatten();
    std::iter::once(uid).chain(above).cloned().collect()
}

/// Who does what to what. Reading names is most of what a request takes, so it is done once.
struct Uids {
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
}

impl Uids {
    fn of(asked: &Asked) -> Self {
        Self {
            principal: asked.principal.uid(),
            action: asked.action.uid(),
            resource: asked.resource.uid(),
        }
    }

    fn request(&self, context: &Value) -> Result<Request, String> {
        let context = Context::from_json_value(context.clone(), None)
            .map_err(|e| format!("the context: {e}"))?;
        let (principal, resource) = (self.principal.clone(), self.resource.clone());
        Request::new(principal, self.action.clone(), resource, context, None)
            .map_err(|e| e.to_string())
    }

    /// The policies that the index finds.
    fn found(&self, bundle: &Bundle, entities: &Entities) -> Result<Vec<RuleNumber>, String> {
        let action = ActionFacts::of(self.action.clone(), entities).ok_or("no such action")?;
        let kinds = Kinds {
            user: self.principal.type_name().clone(),
            ..bundle.kinds.clone()
        };
        let index = ActionIndex::new(&bundle.rules, &action, &kinds, self.resource.type_name());
        Ok(index.matching(
            &closure(&self.principal, entities),
            &closure(&self.resource, entities),
        ))
    }
}

impl Asked {
    /// What we must say: what Cedar does, but that a forbid that fails denies.
    fn expected(&self, bundle: &Bundle) -> (Outcome, Vec<String>, u64) {
        let errors = u64::try_from(self.errors.len()).unwrap();
        let failed = self.failed_forbids(bundle);
        let outcome = match self.decision {
            _ if !failed.is_empty() => Outcome::Error,
            Answer::Allow => Outcome::Allow,
            Answer::Deny => Outcome::Deny,
        };
        let by = if failed.is_empty() {
            self.reason.clone()
        } else {
            failed
        };
        (outcome, by, errors)
    }

    fn failed_forbids(&self, bundle: &Bundle) -> Vec<String> {
        let forbids = |id: &&String| {
            let number = bundle.numbers[*id] as usize;
            bundle.rules[number].forbids
        };
        self.errors.iter().filter(forbids).cloned().collect()
    }

    fn ask(&self, bundle: &Bundle, entities: &Entities, count: &mut Count) -> Result<(), String> {
        let uids = Uids::of(self);
        let request = uids.request(&self.context)?;
        let found = uids.found(bundle, entities)?;
        count.requests += 1;
        count.narrowed += u64::from(found.len() < bundle.len());
        let view = bundle.view(None);
        // The action only tells slices apart, and here is no other.
        let slice = view.slice(Action::ReadRequest, found)?;
        let verdict = view.ask(&request, &slice.policies, entities);
        let (outcome, mut by, errors) = self.expected(bundle);
        by.sort_unstable();
        let ours = (
            verdict.outcome,
            verdict.determined_by.to_vec(),
            verdict.errors,
        );
        if ours != (outcome, by.clone(), errors) {
            return Err(format!("{ours:?} instead of {outcome:?} {by:?} {errors}"));
        }
        count.allowed += u64::from(outcome == Outcome::Allow);
        count.failed_forbids += u64::from(outcome == Outcome::Error);
        count.failed_permits += u64::from(outcome != Outcome::Error && errors > 0);
        Ok(())
    }
}

impl Case {
    fn run(&self, bundle: &mut Bundle) -> Result<Count, String> {
        let policies = PolicySet::from_str(&self.policies).map_err(|e| e.to_string())?;
        let entities = Entities::from_json_value(self.entities.clone(), None)
            .map_err(|e| format!("the entities: {e}"))?;
        fill(bundle, &policies);
        let mut count = Count {
            cases: 1,
            ..Count::default()
        };
        for (number, asked) in self.requests.iter().enumerate() {
            asked
                .ask(bundle, &entities, &mut count)
                .map_err(|why| format!("request {number}: {why}"))?;
        }
        Ok(count)
    }
}

/// The corpus, one case in a line, installed if it is not there yet.
fn corpus() -> PathBuf {
    let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/install");
    let said = Command::new(installer)
        .arg("cedar-corpus")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{told}");
    let said = String::from_utf8(said.stdout).unwrap();
    said.trim().strip_prefix("cedar-corpus ").unwrap().into()
}

#[test]
fn cedars_own_tests_come_out_the_same() {
    let lines = BufReader::new(File::open(corpus()).unwrap()).lines();
    let lines = Mutex::new(lines);
    let next = || lines.lock().unwrap().next();
    let work = || {
        let (mut bundle, mut count, mut wrong) = (empty(), Count::default(), Vec::new());
        while let Some(line) = next() {
            let case: Case = serde_json::from_str(&line.unwrap()).unwrap();
            match case.run(&mut bundle) {
                Ok(more) => count += more,
                Err(why) => wrong.push(format!("{}: {why}", case.name)),
            }
        }
        (count, wrong)
    };
    let (mut count, mut wrong) = (Count::default(), Vec::new());
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (more, told) = worker.join().unwrap();
            count += more;
            wrong.extend(told);
        }
    });
    let few: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} went wrong: {few:#?}", wrong.len());
    // Each of the ways that an answer can come about was gone.
    assert_eq!(count.cases, CASES, "{count:?}");
    let least = [
        count.narrowed,
        count.allowed,
        count.failed_permits,
        count.failed_forbids,
    ];
    assert!(least.iter().all(|met| *met > 100), "{count:?}");
}

//! Decisions beside Cedar called plainly with the same policies and questions.

use super::{Plan, ROUNDS};
use crate::host::repository;
use crate::table::Row;
use anyhow::{Context as _, Result, anyhow, ensure};
use cedar_policy::{
    Authorizer, Context as CedarContext, Decision, Entities, Entity, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use holdfast_model::action::{ReadRequest, RequestRef};
use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Principal, PrincipalId, RequestId, Role, Roles, TenantId};
use holdfast_policy::{Context, Gate};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tenants whose principals ask in turn, each about a request of its own: as many as are busy at
/// once. The gate remembers what it decided about them as far as no policy can tell.
const BUSY_TENANTS: usize = 500;

/// Many more tenants than the gate remembers, so that each is new when its turn comes again.
const NEW_TENANTS: usize = 50_000;

/// A decision with ten policies in force.
pub(super) fn decide_10(plan: &Plan) -> Result<Row> {
    decide("decide_10", "<= 5 us", (10, BUSY_TENANTS), plan)
}

/// A decision with ten thousand tenants' policies in force.
pub(super) fn decide_10000(plan: &Plan) -> Result<Row> {
    decide(
        "decide_10000",
        "<= 2 x decide_10",
        (10_000, BUSY_TENANTS),
        plan,
    )
}

/// A decision with ten policies in force, about tenants that were not asked about lately.
pub(super) fn decide_new(plan: &Plan) -> Result<Row> {
    decide("decide_new", "-", (10, NEW_TENANTS), plan)
}

/// The same with ten thousand policies, all of them about what is asked.
pub(super) fn decide_new_10000(plan: &Plan) -> Result<Row> {
    decide(
        "decide_new_10000",
        "<= 2 x decide_new",
        (10_000, NEW_TENANTS),
        plan,
    )
}

fn decide(
    name: &'static str,
    goal: &'static str,
    (policies, tenants): (usize, usize),
    plan: &Plan,
) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let text = with_policies(dir.path(), policies)?;
    let gate = Gate::open(Some(dir.path())).map_err(|e| anyhow!("{e}"))?;
    let plain = Plain::new(&text)?;
    let questions: Vec<Question> = (0..tenants).map(Question::new).collect::<Result<_>>()?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let ours = micros_each(plan.stretch, &questions, |question| {
            let permit = gate.permit::<ReadRequest>(
                &question.principal,
                question.on.clone(),
                &Context::default(),
            );
            ensure!(permit.is_ok(), "the gate denies what it must allow");
            Ok(())
        })?;
        let theirs = micros_each(plan.stretch, &questions, |question| plain.permits(question))?;
        pairs.push((ours, theirs));
    }
    Ok(Row::from_pairs(
        name,
        "us",
        "cedar-policy called plainly",
        goal,
        &pairs,
    ))
}

/// The shipped policies and as many of single tenants as make up `count`, each about the action
/// that is asked about.
fn with_policies(dir: &std::path::Path, count: usize) -> Result<String> {
    let mut all = String::new();
    let mut shipped = 0;
    for entry in std::fs::read_dir(repository().join("policies"))? {
        let path = entry?.path();
        let file = path.file_name().context("a file without a name")?;
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("cedar") => {
                let text = std::fs::read_to_string(&path)?;
                shipped += text.matches("@id(").count();
                all.push_str(&text);
            }
            Some("cedarschema") => {
                std::fs::copy(&path, dir.join(file))?;
            }
            _ => {}
        }
    }
    for n in shipped..count {
        write!(
            all,
            "\n@id(\"tenant-{n}\")\npermit (principal, action == Action::\"readRequest\", \
             resource in Tenant::\"tenant-{n}\");\n\
             "
        )?;
    }
    // Files have a size limit of their own; many small ones are read as one set.
    for (n, chunk) in all
        .split_inclusive(";\n")
        .collect::<Vec<_>>()
        .chunks(64)
        .enumerate()
    {
        std::fs::write(dir.join(format!("{n:05}.cedar")), chunk.concat())?;
    }
    Ok(all)
}

/// May this principal read this request? Always yes.
struct Question {
    principal: Arc<Principal>,
    on: RequestRef,
}

impl Question {
    fn new(n: usize) -> Result<Self> {
        let account = AccountId::new(&TenantId::parse(&format!("tenant-{n}"))?, "web")?;
        let principal = Principal {
            id: PrincipalId::of_token("https://idp.example", &n.to_string()),
            account: account.clone(),
            roles: Roles::NONE.with(Role::TenantUser),
            proof: Proof::Token {
                issuer: "https://idp.example".into(),
            },
        };
        let id = RequestId(uuid::Uuid::from_u128(n as u128));
        Ok(Self {
            principal: Arc::new(principal),
            on: RequestRef { account, id },
        })
    }
}

/// Cedar as its documentation shows it: one policy set, entities made for each question.
struct Plain {
    authorizer: Authorizer,
    policies: PolicySet,
}

impl Plain {
    fn new(text: &str) -> Result<Self> {
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: text.parse()?,
        })
    }

    fn permits(&self, question: &Question) -> Result<()> {
        let account = &question.on.account;
        let tenant = uid("Tenant", account.tenant().as_str())?;
        let owner = uid("Account", account.as_str())?;
        let user = uid("User", question.principal.id.as_str())?;
        let role = uid("Role", "tenant-user")?;
        let thing = uid("PinRequest", &question.on.id.to_string())?;
        let action = uid("Action", "readRequest")?;
        let of_tenant = || {
            HashMap::from([(
                "tenant".to_owned(),
                RestrictedExpression::new_entity_uid(tenant.clone()),
            )])
        };
        let mut of_account = of_tenant();
        let own = RestrictedExpression::new_entity_uid(owner.clone());
        of_account.insert("account".to_owned(), own);
        let mut of_user = of_account.clone();
        of_user.insert(
            "proof".to_owned(),
            RestrictedExpression::new_string("token".to_owned()),
        );
        let groups = HashSet::from([uid("Action", "read")?, uid("Action", "pinning")?]);
        let entities = Entities::from_entities(
            [
                Entity::new(tenant.clone(), of_tenant(), HashSet::new())?,
                Entity::new(owner.clone(), of_tenant(), HashSet::from([tenant]))?,
                Entity::new_no_attrs(role.clone(), HashSet::new()),
                Entity::new_no_attrs(action.clone(), groups),
                Entity::new(user.clone(), of_user, HashSet::from([role, owner.clone()]))?,
                Entity::new(thing.clone(), of_account, HashSet::from([owner]))?,
            ],
            None,
        )?;
        let request = Request::new(user, action, thing, CedarContext::empty(), None)?;
        let answer = self
            .authorizer
            .is_authorized(&request, &self.policies, &entities);
        ensure!(
            answer.decision() == Decision::Allow,
            "plain Cedar denies what it must allow"
        );
        Ok(())
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(
        kind.parse()?,
        cedar_policy::EntityId::new(id),
    ))
}

/// Microseconds of one call, on one thread, over the questions in turn.
fn micros_each(
    stretch: Duration,
    questions: &[Question],
    ask: impl Fn(&Question) -> Result<()>,
) -> Result<f64> {
    let begin = Instant::now();
    let mut calls = 0_u32;
    for question in questions.iter().cycle() {
        ask(question)?;
        calls += 1;
        if begin.elapsed() > stretch {
            break;
        }
    }
    #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
    let micros = begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls);
    Ok(micros)
}

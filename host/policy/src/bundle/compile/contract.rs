//! Whether a schema fits what the host will ask, and whether policies keep tenants apart.
//!
//! The schema lies in the operator's folder, and policies are validated against it; that is worth
//! something only if the host's own questions keep to it too. So each is asked once at load, with
//! every fact that a call can have and with none, and Cedar checks it against the schema.

use crate::bundle::{Bundle, Outcome};
use crate::error::Finding;
use crate::facts::{self, ActionFacts, Facts, Kinds, Named};
use crate::gate::Context;
use crate::source::Text;
use cedar_policy::{Entities, EntityTypeName, Request, Schema};
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{
    AccountId, Action, Cid, Invalid, KeyId, Principal, PrincipalId, RequestId, Role, Roles,
};
use std::net::{IpAddr, Ipv4Addr};

/// What to do about a schema that does not fit.
const MEND: &str =
    "start from the schema that comes with this release; types and actions may be added";

/// What never crosses from one tenant to another.
pub(crate) const PINNING: [Action; 5] = [
    Action::CreateRequest,
    Action::ListRequests,
    Action::ReadRequest,
    Action::ReplaceRequest,
    Action::DeleteRequest,
];

/// An action as the schema has it, and the kind of thing that it is done to.
type Known = (Action, ActionFacts, EntityTypeName);

/// Asks every question once.
pub(super) fn check(
    file: &Text,
    schema: &Schema,
    kinds: &Kinds,
) -> Result<Vec<Known>, Vec<Finding>> {
    let wrong = |why: String| Finding::whole(&file.name, why, MEND);
    let all = schema
        .action_entities()
        .map_err(|e| vec![wrong(e.to_string())])?;
    let mut known = Vec::new();
    let mut problems = Vec::new();
    for action in Action::ALL.iter().copied() {
        let Some(found) = ActionFacts::find(action, schema, &all) else {
            problems.push(wrong(format!("action {action} is missing")));
            continue;
        };
        let on = other(action).map_err(|e| e.to_string());
        let asked = on.and_then(|on| {
            ask(schema, kinds, &found, &on)?;
            Ok(kinds.of(&on).clone())
        });
        match asked {
            Ok(on) => known.push((action, found, on)),
            Err(why) => problems.push(wrong(format!(
                "does not fit how the host asks about {action}: {why}"
            ))),
        }
    }
    if problems.is_empty() {
        Ok(known)
    } else {
        Err(problems)
    }
}

/// Tries the wall between tenants: whoever gets over it to what another tenant pins, whatever their
/// roles, makes the whole set unusable. It cannot prove that the wall is tight, but it finds that
/// it is missing, and a file that was read while it was being written looks just like that.
pub(super) fn wall(bundle: &Bundle) -> Result<(), Finding> {
    let setup = |e: Invalid| Finding::whole("policies", e.to_string(), MEND);
    let alone = Role::ALL.map(|role| Roles::NONE.with(role));
    let all = Role::ALL.into_iter().collect::<Roles>();
    for roles in alone.into_iter().chain([all]) {
        let stranger = Principal {
            account: AccountId::parse("stranger/account").map_err(setup)?,
            roles,
            ..anybody().map_err(setup)?
        };
        for action in PINNING {
            let theirs = other(action).map_err(setup)?;
            let context = Context::default();
            if bundle.decide(action, &stranger, &theirs, &context).outcome == Outcome::Allow {
                return Err(Finding::whole(
                    "policies",
                    format!("{roles:?} of one tenant may {action} in any other"),
                    "keep isolation.cedar, or forbid it in your own words",
                ));
            }
        }
    }
    Ok(())
}

fn ask(schema: &Schema, kinds: &Kinds, action: &ActionFacts, on: &Resource) -> Result<(), String> {
    let principal = anybody().map_err(|e| e.to_string())?;
    let facts = Facts::new(kinds, action, &principal, on, Named::BOTH)?;
    let entities = facts.entities.iter().cloned();
    Entities::from_entities(entities, Some(schema)).map_err(|e| e.to_string())?;
    let full = Context {
        cid: Some(Cid::parse("bafkqaaa").map_err(|e| e.to_string())?),
        address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        own: None,
    };
    for context in [Context::default(), full] {
        Request::new(
            facts.principal.clone(),
            action.uid.clone(),
            facts.resource.clone(),
            facts::context(&context)?,
            Some(schema),
        )
        .map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Somebody with every role.
fn anybody() -> Result<Principal, Invalid> {
    Ok(Principal {
        id: PrincipalId::of_worker("contract"),
        account: AccountId::parse("tenant/account")?,
        roles: Role::ALL.into_iter().collect::<Roles>(),
        proof: Proof::Internal,
    })
}

fn other(action: Action) -> Result<Resource, Invalid> {
    sample(action, &AccountId::parse("tenant/other")?)
}

/// A thing of an account, of the kind that an action is done to.
pub(crate) fn sample(action: Action, account: &AccountId) -> Result<Resource, Invalid> {
    let account = account.clone();
    Ok(match action {
        Action::CreateRequest
        | Action::ListRequests
        | Action::ReadUsage
        | Action::ReadQuote
        | Action::CreateKey
        | Action::ListKeys => account.into(),
        Action::ReadRequest | Action::ReplaceRequest | Action::DeleteRequest => {
            let id = RequestId::parse("00000000-0000-7000-8000-000000000000")?;
            RequestRef { account, id }.into()
        }
        Action::RevokeKey => {
            let id = KeyId::parse("sample")?;
            KeyRef { account, id }.into()
        }
        Action::ReadTenant
        | Action::WriteTenant
        | Action::ReadPolicies
        | Action::WritePolicies
        | Action::GrantAccess
        | Action::ExplainDecision
        | Action::ListUsers
        | Action::WriteUsers
        | Action::ReadTenantAudit => account.tenant().clone().into(),
        Action::ReviewPolicies
        | Action::SwitchPolicies
        | Action::ListPlugins
        | Action::ReadPlugin
        | Action::InstallPlugin
        | Action::SwitchPlugin
        | Action::ReadPins
        | Action::WritePins
        | Action::ReadAudit
        | Action::SignAudit
        | Action::DriveWork => Resource::Host,
    })
}

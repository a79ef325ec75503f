//! The wall between tenants, tried from every side.

use crate::people::{holder, thing};
use holdfast_model::action::Resource;
use holdfast_model::{Action, Role};
use holdfast_policy::{Context, Gate};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::OnceLock;

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::open(None).unwrap())
}

fn is_pinning(action: Action) -> bool {
    matches!(
        action,
        Action::CreateRequest
            | Action::ListRequests
            | Action::ReadRequest
            | Action::ReplaceRequest
            | Action::DeleteRequest
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever roles somebody has, they never touch what another tenant pins, and without a role
    /// of the host's staff they touch nothing of it and are not told that it exists.
    #[test]
    fn nobody_reaches_over_the_wall(
        roles in prop::collection::vec(select(&Role::ALL[..]), 0..=6),
        action in select(Action::ALL).prop_filter("of a tenant", |action| {
            thing(*action, "acme/web") != Resource::Host
        }),
        mine in select(&["acme/web", "acme/app"][..]),
        theirs in select(&["umbra/web", "umbra/app", "acme.web/web", "acm/web"][..]),
    ) {
        let staff = roles.contains(&Role::Operator) || roles.contains(&Role::Auditor);
        let caller = holder(mine, roles);
        let on = thing(action, theirs);
        match gate().decide(&caller, action, &on, &Context::default()) {
            Ok(_) => prop_assert!(staff && !is_pinning(action)),
            Err(denial) => prop_assert!(denial.hidden || staff),
        }
    }

    /// An auditor changes nothing anywhere, whatever else they are.
    #[test]
    fn an_auditor_changes_nothing(
        roles in prop::collection::vec(select(&Role::ALL[..]), 0..=6),
        action in select(Action::ALL),
        theirs in select(&["acme/web", "acme/app", "umbra/web"][..]),
    ) {
        let reads = ["read", "list", "review", "explain"];
        let writes = !reads.iter().any(|verb| action.as_str().starts_with(verb));
        let caller = holder("acme/web", roles.into_iter().chain([Role::Auditor]));
        let decided = gate().decide(&caller, action, &thing(action, theirs), &Context::default());
        prop_assert!(!writes || decided.is_err());
    }
}

#[test]
fn a_role_from_the_inside_is_worth_nothing_outside() {
    let forged = holder("holdfast/system", [Role::System]);
    let denial = gate()
        .decide(
            &forged,
            Action::DriveWork,
            &Resource::Host,
            &Context::default(),
        )
        .unwrap_err();
    assert_eq!(
        denial.messages,
        ["the role system is for the host's own workers"]
    );
    assert_eq!(
        &*denial.decision.determined_by,
        ["system-is-internal".to_owned()]
    );
}

#[test]
fn a_denial_names_roles_and_nothing_of_the_other_side() {
    let caller = holder("acme/web", [Role::ClusterNode]);
    let on = thing(Action::CreateKey, "acme/web");
    let denial = gate()
        .decide(&caller, Action::CreateKey, &on, &Context::default())
        .unwrap_err();
    assert_eq!(
        denial.messages,
        [
            "no policy grants createKey here; roles that can, within their reach: operator, tenant-admin"
        ]
    );
    assert!(denial.decision.determined_by.is_empty());
}

#[test]
fn permits_carry_what_was_decided() {
    use holdfast_model::action::{CreateRequest, DeleteRequest, RequestRef};
    use std::sync::Arc;
    let caller = Arc::new(holder("acme/web", [Role::TenantUser]));
    let permit = gate()
        .permit::<CreateRequest>(&caller, caller.account.clone(), &Context::default())
        .unwrap();
    assert_eq!(permit.on(), &caller.account);
    assert_eq!(
        &*permit.decision().determined_by,
        ["tenant-user-account".to_owned()]
    );
    let Resource::Request(request @ RequestRef { .. }) = thing(Action::DeleteRequest, "umbra/web")
    else {
        unreachable!()
    };
    let denial = gate()
        .permit::<DeleteRequest>(&caller, request, &Context::default())
        .unwrap_err();
    assert!(denial.hidden);
    assert_ne!(denial.decision.id, permit.decision().id);
}

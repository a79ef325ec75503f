//! Why something was decided.

use crate::people::{holder, thing};
use crate::refusal::copy;
use holdfast_model::{Action, Principal, Role};
use holdfast_policy::{Asked, Context, Explained, Explanation, Gate, Revision};
use std::fs;

fn explain(gate: &Gate, who: &Principal, action: Action, of: &str) -> Explanation {
    gate.explain(&Asked {
        principal: who,
        action,
        resource: &thing(action, of),
        context: &Context::default(),
        revision: None,
    })
    .unwrap()
}

fn one<'a>(explanation: &'a Explanation, id: &str) -> &'a Explained {
    let found = explanation.policies.iter().find(|policy| policy.id == id);
    found.unwrap_or_else(|| panic!("{id} is not in {explanation:#?}"))
}

#[test]
fn the_conditions_that_were_not_met_are_told() {
    let gate = Gate::open(None).unwrap();
    let user = holder("acme/web", [Role::TenantUser]);
    let told = explain(&gate, &user, Action::DeleteRequest, "acme/app");
    assert_eq!((told.outcome, told.determined_by.len()), ("deny", 0));
    let mine = one(&told, "tenant-user-requests");
    assert_eq!((mine.effect, mine.result), ("permit", "false"));
    assert_eq!(mine.unmet.len(), 1);
    assert!(
        mine.unmet[0].contains("resource.account == principal.account"),
        "{mine:?}"
    );
    // What they would need another role for.
    let admin = one(&told, "tenant-admin");
    assert_eq!(
        (admin.result, &*admin.unmet[0]),
        ("scope", "principal in Role::\"tenant-admin\"")
    );
    let wall = one(&told, "tenant-isolation");
    assert_eq!(
        (wall.effect, wall.result, wall.determines),
        ("forbid", "false", false)
    );
    let across = explain(&gate, &user, Action::DeleteRequest, "umbra/web");
    assert_eq!(across.determined_by, ["tenant-isolation"]);
    assert!(across.policies[0].determines && across.policies[0].unmet.is_empty());
    let allowed = explain(&gate, &user, Action::DeleteRequest, "acme/web");
    assert_eq!(
        (allowed.outcome, &*allowed.determined_by[0]),
        ("allow", "tenant-user-requests")
    );
}

#[test]
fn what_failed_is_told_and_what_was_replaced_is_remembered() {
    let dir = copy();
    let gate = Gate::open(Some(dir.path())).unwrap();
    let first = gate.revision();
    let fails = "@id(\"fails\") forbid (principal, action == Action::\"listRequests\", resource) \
                 when { 9223372036854775807 + 1 > 0 };";
    fs::write(dir.path().join("fails.cedar"), fails).unwrap();
    gate.reload().unwrap();
    let user = holder("acme/web", [Role::TenantUser]);
    let now = explain(&gate, &user, Action::ListRequests, "acme/web");
    assert_eq!((now.outcome, now.by_the_same_policies), ("error", true));
    let failed = one(&now, "fails");
    assert_eq!(failed.result, "error");
    assert!(
        failed.error.as_deref().unwrap().contains("overflow"),
        "{failed:?}"
    );
    let by = |revision: &Revision| {
        gate.explain(&Asked {
            principal: &user,
            action: Action::ListRequests,
            resource: &thing(Action::ListRequests, "acme/web"),
            context: &Context::default(),
            revision: Some(revision),
        })
        .unwrap()
    };
    let then = by(&first);
    assert_eq!((then.outcome, then.by_the_same_policies), ("allow", true));
    let forgotten = by(&Revision("0123456789abcdef".into()));
    assert_eq!(
        (forgotten.outcome, forgotten.by_the_same_policies),
        ("error", false)
    );
}

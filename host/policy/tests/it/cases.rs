//! The cases of `policies/tests`, and how failing ones are told.

use crate::people::policies_dir;
use holdfast_policy::Gate;
use std::fs;

#[test]
fn the_cases_beside_the_policies_hold() {
    let gate = Gate::open(None).unwrap();
    let mut cases = 0;
    for entry in fs::read_dir(policies_dir().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "entities.json") {
            continue;
        }
        for report in gate.run_cases(&path).unwrap() {
            assert_eq!(report.failure, None, "{}: {}", path.display(), report.name);
            cases += 1;
        }
    }
    assert!(cases >= 20, "only {cases} cases were found");
}

#[test]
fn a_case_that_does_not_hold_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.json");
    let gate = Gate::open(None).unwrap();
    let check = |decision: &str, reason: &str, errors: u64, principal: &str, expected: &str| {
        let case = serde_json::json!([{
            "request": {
                "principal": principal,
                "action": "Action::\"listPlugins\"",
                "resource": "Host::\"host\"",
            },
            "entities": [],
            "decision": decision,
            "reason": [reason],
            "num_errors": errors,
        }]);
        fs::write(&file, case.to_string()).unwrap();
        let reports = gate.run_cases(&file).unwrap();
        assert_eq!((reports.len(), &*reports[0].name), (1, "#1"));
        let failure = reports[0].failure.clone().unwrap();
        assert!(failure.contains(expected), "{failure}");
    };
    let user = "User::\"key:a\"";
    check(
        "allow",
        "operator-host",
        0,
        user,
        "expected Allow, got Deny",
    );
    check(
        "deny",
        "operator-host",
        0,
        user,
        "operator-host is not among",
    );
    check("deny", "operator-host", 0, "nobody", "names no entity");
    check("deny", "operator-host", 0, "Tenant::\"acme\"", "Tenant");
    fs::write(&file, "{}").unwrap();
    let refused = gate.run_cases(&file).unwrap_err().to_string();
    assert!(refused.contains("mine.json: no list of cases"), "{refused}");
}

/// Entities that a host never makes, but a file of cases may have.
#[test]
fn entities_that_cannot_be_are_refused_and_missing_ones_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.json");
    let gate = Gate::open(None).unwrap();
    let run = |entities: serde_json::Value, errors: u64| {
        let case = serde_json::json!([{
            "request": {
                "principal": "User::\"key:a\"",
                "action": "Action::\"listRequests\"",
                "resource": "Account::\"acme/web\"",
            },
            "entities": entities,
            "decision": "deny",
            "reason": [],
            "num_errors": errors,
        }]);
        fs::write(&file, case.to_string()).unwrap();
        gate.run_cases(&file).unwrap().remove(0).failure
    };
    let tenant = serde_json::json!({"__entity": {"type": "Tenant", "id": "acme"}});
    let account = |id: &str, parent: &str| {
        serde_json::json!({
            "uid": {"type": "Account", "id": id},
            "attrs": {"tenant": tenant},
            "parents": [{"type": "Tenant", "id": parent}],
        })
    };
    let cyclic = serde_json::json!([
        {"uid": {"type": "User", "id": "a"}, "attrs": {"tenant": tenant,
            "account": {"__entity": {"type": "Account", "id": "acme/web"}}, "proof": "key"},
            "parents": [{"type": "User", "id": "a"}]},
    ]);
    let refused = run(cyclic, 0).unwrap();
    assert!(refused.contains("User::\"a\""), "{refused}");
    let twice = serde_json::json!([account("acme/web", "acme"), account("acme/web", "umbra")]);
    let refused = run(twice, 0).unwrap();
    assert!(refused.contains("duplicate"), "{refused}");
    // The wall reads the principal's tenant; a principal that is not there fails it, which denies.
    assert_eq!(
        run(serde_json::json!([account("acme/web", "acme")]), 1),
        None
    );
}

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

//! Bad policies: each is refused with the place, the reason and the mend.

use crate::people::policies_dir;
use holdfast_model::ErrorKind;
use holdfast_policy::{Gate, PolicyError};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A folder with the default policies, to be spoilt.
pub(crate) fn copy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(policies_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|end| end == "cedar" || end == "cedarschema")
        {
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    dir
}

fn problems(dir: &Path) -> Vec<String> {
    let problems: Vec<String> = Gate::check(dir).iter().map(ToString::to_string).collect();
    assert_eq!(Gate::open(Some(dir)).is_err(), !problems.is_empty());
    problems
}

/// Adds a file with `text` to good policies; the one problem must hold every one of `expected`.
fn check(text: &str, expected: &[&str]) {
    let dir = copy();
    fs::write(dir.path().join("mine.cedar"), text).unwrap();
    let problems = problems(dir.path());
    assert_eq!(problems.len(), 1, "{problems:#?}");
    for part in expected {
        assert!(
            problems[0].contains(part),
            "{part:?} is not in:\n{}",
            problems[0]
        );
    }
}

#[test]
fn the_default_policies_are_good() {
    assert_eq!(problems(copy().path()), [""; 0]);
}

#[test]
fn a_syntax_error_is_shown_where_it_is() {
    check(
        "@id(\"a\")\npermit (principal, action, resource\nwhen { true };\n",
        &["mine.cedar:3:1: ", "\n  3 | when { true };\n    | ^"],
    );
}

#[test]
fn a_type_error_is_shown_where_it_is() {
    check(
        "@id(\"a\")\npermit (principal, action == Action::\"readAudit\", resource)\nwhen { principal.proof == 1 };",
        &["mine.cedar:3:8: ", "^"],
    );
    check(
        "@id(\"a\") permit (principal, action, resource) when { principal.prof == \"key\" };",
        &["mine.cedar:1:54: ", "prof", "did you mean"],
    );
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    check(
        "@id(\"a\") permit (principal, action == Action::\"readAudits\", resource);",
        &["mine.cedar:1:", "Action::\"readAudits\"", "did you mean"],
    );
    check(
        "@id(\"a\") permit (principal in Role::\"operater\", action, resource);",
        &["mine.cedar:1:", "operater"],
    );
    check(
        "@id(\"a\") permit (principal in Group::\"x\", action, resource);",
        &["mine.cedar:1:", "Group"],
    );
}

#[test]
fn a_policy_that_can_never_apply_is_refused() {
    check(
        "@id(\"a\") permit (principal, action == Action::\"readAudit\", resource is Account);",
        &["mine.cedar:1:", "refused"],
    );
}

#[test]
fn every_policy_has_an_id_of_its_own() {
    check(
        "// First.\npermit (principal, action == Action::\"readAudit\", resource);",
        &["mine.cedar:2:1: a policy without an id; write @id("],
    );
    check(
        "@id(\" \") permit (principal, action == Action::\"readAudit\", resource);",
        &["mine.cedar:1:1: a policy without an id"],
    );
    check(
        "\n@id(\"tenant-isolation\")\nforbid (principal, action, resource) when { false };",
        &[
            "mine.cedar:2:1: @id(\"tenant-isolation\") is taken already by ",
            "isolation.cedar:5; give it an id of its own",
        ],
    );
}

#[test]
fn two_policies_with_one_id_are_refused() {
    let one = "@id(\"twice\") permit (principal, action == Action::\"readAudit\", resource);";
    check(
        &format!("{one}\n\n{one}"),
        &[
            "mine.cedar:3:1: @id(\"twice\") is taken already by ",
            "mine.cedar:1; give it an id",
        ],
    );
}

#[test]
fn templates_give_what_tenants_may_give() {
    check(
        "@id(\"a\") permit (principal == ?principal, action == Action::\"writeTenant\", resource);",
        &["mine.cedar:1:1: writeTenant is not a tenant's to give"],
    );
    check(
        "@id(\"a\") forbid (principal == ?principal, action, resource);",
        &["mine.cedar:1:1: a template that forbids"],
    );
    check(
        "permit (principal == ?principal, action == Action::\"readRequest\", resource);",
        &["mine.cedar:1:1: a policy without an id"],
    );
    check(
        "@id(\"reader\") permit (principal == ?principal, action == Action::\"readRequest\", resource);",
        &["@id(\"reader\") is taken already by ", "grants.cedar:"],
    );
    let many: Vec<String> = (0..40)
        .map(|n| format!("@id(\"t{n}\") permit (principal == ?principal, action == Action::\"readRequest\", resource);"))
        .collect();
    check(&many.join("\n"), &["44 templates, 40 at most"]);
}

#[test]
fn an_entity_that_happens_not_to_be_there_cannot_be_read() {
    check(
        "@id(\"a\") forbid (principal, action, resource) when { Account::\"acme/web\".tenant == principal.tenant };",
        &["mine.cedar:1:"],
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let long = "x".repeat(10_000);
    check(
        &format!(
            "@id(\"a\") permit (principal, action, resource) when {{ principal.proof == \"{long}\" }};"
        ),
        &["mine.cedar:1:1: a policy of 100", "10000 at most"],
    );
    check(
        &" ".repeat(5 << 20),
        &["mine.cedar: longer than 4194304 bytes"],
    );
    let dir = copy();
    let schema = dir.path().join("schema.cedarschema");
    let mut text = fs::read_to_string(&schema).unwrap();
    text.push_str(&"//\n".repeat(40_000));
    fs::write(&schema, text).unwrap();
    assert!(problems(dir.path())[0].contains("longer than 100000 bytes"));
    let dir = copy();
    for n in 0..256 {
        fs::write(dir.path().join(format!("{n}.cedar")), "").unwrap();
    }
    assert!(problems(dir.path())[0].contains("260 files of policies, 256 at most"));
}

#[test]
fn a_schema_that_does_not_fit_the_host_is_refused() {
    let spoil = |from: &str, to: &str| {
        let dir = copy();
        let path = dir.path().join("schema.cedarschema");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(&path, text.replace(from, to)).unwrap();
        for entry in [
            "grants.cedar",
            "host.cedar",
            "tenant.cedar",
            "isolation.cedar",
        ] {
            fs::remove_file(dir.path().join(entry)).unwrap();
        }
        problems(dir.path()).join("\n")
    };
    let renamed = spoil("action readAudit ", "action readAuditLog ");
    assert!(
        renamed.contains("schema.cedarschema: action readAudit is missing; start from"),
        "{renamed}"
    );
    let retyped = spoil("proof: String", "proof: Long");
    assert!(
        retyped.contains("does not fit how the host asks about createRequest"),
        "{retyped}"
    );
    let demanding = spoil("cid?: String", "cid: String");
    assert!(
        demanding.contains("does not fit how the host asks about createRequest"),
        "{demanding}"
    );
    let broken = spoil("entity Host;", "entity Host");
    assert!(
        broken.contains("schema.cedarschema:") && broken.contains('^'),
        "{broken}"
    );
}

#[test]
fn policies_without_the_wall_are_refused() {
    let open = "@id(\"open\") permit (principal, action in Action::\"pinning\", resource);";
    let dir = copy();
    fs::write(dir.path().join("open.cedar"), open).unwrap();
    assert_eq!(problems(dir.path()), [""; 0]);
    fs::write(dir.path().join("isolation.cedar"), "").unwrap();
    let problems = problems(dir.path());
    let hole =
        "policies: {TenantUser} of one tenant may createRequest in any other; keep isolation";
    assert!(
        problems.len() == 1 && problems[0].starts_with(hole),
        "{problems:#?}"
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let dir = copy();
    let bad = "@id(\"a\") permit (principal, action, resource) when { principal.prof };\n\
               permit (principal, action, resource);\n";
    fs::write(dir.path().join("bad.cedar"), bad).unwrap();
    fs::write(dir.path().join("worse.cedar"), "permit").unwrap();
    let problems = problems(dir.path());
    assert_eq!(problems.len(), 2, "{problems:#?}");
    let error = Gate::open(Some(dir.path())).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("2 problems in the policies:\n")
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_folder_without_a_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Gate::open(Some(dir.path())).unwrap_err();
    assert!(matches!(error, PolicyError::Read { .. }));
    assert!(error.to_string().contains("schema.cedarschema"));
    fs::write(dir.path().join("schema.cedarschema"), [0xff, 0xfe]).unwrap();
    assert!(problems(dir.path())[0].contains("is not UTF-8"));
}

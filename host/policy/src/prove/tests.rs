//! Proofs with the real solver.

use super::{Claim, ProofReport, prove};
use crate::{Gate, TenantSet};
use holdfast_model::TenantId;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The solver, installed if it is not there yet.
fn solver() -> &'static Path {
    static SOLVER: OnceLock<PathBuf> = OnceLock::new();
    SOLVER.get_or_init(|| {
        let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/install");
        let said = Command::new(installer).arg("cvc5").output().unwrap();
        assert!(
            said.status.success(),
            "{}",
            String::from_utf8_lossy(&said.stderr)
        );
        let said = String::from_utf8(said.stdout).unwrap();
        said.trim().strip_prefix("cvc5 ").unwrap().into()
    })
}

/// The shipped policies with one file more, or another text in one of them.
fn folder(name: &str, text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    for entry in fs::read_dir(shipped).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|end| end == "cedar" || end == "cedarschema")
        {
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    fs::write(dir.path().join(name), text).unwrap();
    dir
}

async fn proved(dir: &tempfile::TempDir, old: Option<&Path>) -> ProofReport {
    prove(Some(dir.path()), old, solver()).await.unwrap()
}

#[tokio::test]
async fn the_shipped_policies_never_fail_and_keep_tenants_apart() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies");
    let report = prove(None, Some(Path::new(shipped)), solver())
        .await
        .unwrap();
    assert!(report.holds(), "{report:#?}");
    assert!(report.proved > 60, "only {} formulas", report.proved);
}

#[tokio::test]
async fn what_can_overflow_is_refused_with_a_request_that_does() {
    let dir = folder(
        "mine.cedar",
        "@id(\"overflows\") forbid (principal, action == Action::\"listRequests\", resource) \
         when { context has size && context.size * 2 > 100 };",
    );
    let schema = dir.path().join("schema.cedarschema");
    let text = fs::read_to_string(&schema).unwrap();
    fs::write(
        &schema,
        text.replace("cid?: String,", "cid?: String, size?: Long,"),
    )
    .unwrap();
    let report = proved(&dir, None).await;
    assert_eq!(
        (report.refuted.len(), report.unknown.len()),
        (1, 0),
        "{report:#?}"
    );
    let refuted = &report.refuted[0];
    assert_eq!(refuted.claim, Claim::NeverFails);
    assert_eq!(refuted.policy.as_deref(), Some("overflows"));
    assert_eq!(refuted.environment, "User listRequests Account");
    assert!(refuted.counterexample.contains("size"), "{refuted:?}");
}

#[tokio::test]
async fn a_hole_in_the_wall_is_shown() {
    let isolation = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../policies/isolation.cedar"
    );
    let text = fs::read_to_string(isolation).unwrap();
    let hole = "principal.proof == \"token\" || (principal in Role::\"operator\" &&";
    let text = text.replace("(principal in Role::\"operator\" &&", hole);
    let dir = folder("isolation.cedar", &text);
    let open = "@id(\"open\") permit (principal, action == Action::\"readRequest\", resource);";
    fs::write(dir.path().join("open.cedar"), open).unwrap();
    let report = proved(&dir, None).await;
    let all = |claim| report.refuted.iter().all(|one| one.claim == claim);
    assert!(all(Claim::KeepsTenantsApart), "{report:#?}");
    let is_it = |one: &&super::Refuted| one.environment == "User readRequest PinRequest";
    let refuted = report.refuted.iter().find(is_it).unwrap();
    assert!(
        refuted.counterexample.contains("token"),
        "{}",
        refuted.counterexample
    );
}

#[tokio::test]
async fn what_is_newly_granted_is_shown() {
    let old = folder("mine.cedar", "");
    let fewer = folder(
        "mine.cedar",
        "@id(\"closed\") forbid (principal, action == Action::\"readAudit\", resource);",
    );
    assert!(proved(&fewer, Some(old.path())).await.holds());
    let more = folder(
        "mine.cedar",
        "@id(\"more\") permit (principal in Role::\"tenant-user\", action == Action::\"readAudit\", resource);",
    );
    let report = proved(&more, Some(old.path())).await;
    assert_eq!(report.refuted.len(), 1, "{report:#?}");
    assert_eq!(report.refuted[0].claim, Claim::GrantsNothingNew);
    assert_eq!(report.refuted[0].environment, "User readAudit Host");
    assert!(report.refuted[0].counterexample.contains("tenant-user"));
}

#[tokio::test]
async fn a_tenants_own_policies_are_proved_too() {
    let gate = Gate::open(None).unwrap();
    let set =
        |text: &str| TenantSet::new(TenantId::parse("acme").unwrap(), text.into(), Vec::new());
    let fails = set(
        "@id(\"fails\") forbid (principal, action == Action::\"readUsage\", resource) \
         when { 9223372036854775807 + 1 > 0 };",
    );
    let report = gate.prove_own(&fails, solver()).await.unwrap();
    assert_eq!(report.refuted[0].policy.as_deref(), Some("acme:fails"));
    let good = set("@id(\"good\") forbid (principal, action == Action::\"readUsage\", resource);");
    assert!(gate.prove_own(&good, solver()).await.unwrap().holds());
    let absent = gate
        .prove_own(&good, Path::new("/nowhere/cvc5"))
        .await
        .unwrap_err();
    assert!(absent.to_string().contains("install cvc5"), "{absent}");
}

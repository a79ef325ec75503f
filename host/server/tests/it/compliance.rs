//! The Pinning Service compliance suite, unmodified, against the real binary: all nine checks.

use crate::support::process::{Holdfast, Plan, repository, until};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The specification that the suite checks answers against, by its file name. Where none lies near
/// the repository, the suite loads it from the network itself.
const SPEC: &str = "ipfs-pinning-service.v1.0.0.yaml";

/// Folders below the repository's parent that are searched for [`SPEC`].
const SEARCH_DEPTH: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_compliance_suite_passes_nine_of_nine() {
    nine_of_nine(Plan::default()).await;
}

/// Runs the suite against a host. It keeps its report by the host's IP address, so that two hosts
/// that are tried at the same time must have two.
pub(crate) async fn nine_of_nine(plan: Plan) {
    // The suite pins content that exists nowhere; the node is there for its address, because every
    // answer must have a delegate.
    let kubo = crate::support::kubo::KuboNode::start().await;
    let host = Holdfast::start_with(Plan {
        kubo_api: kubo.api(),
        ..plan
    });
    let made = serde_json::json!({ "cid": "bafkqaaa" });
    let (_, made) = host.ask(&host.key, "POST", "/psa/pins", Some(&made));
    let made = format!("/psa/pins/{}", made["requestid"].as_str().unwrap());
    until(
        "a delegate",
        || host.ask(&host.key, "GET", &made, None).1,
        |seen| {
            seen["delegates"]
                .as_array()
                .is_some_and(|delegates| !delegates.is_empty())
        },
    );
    let suite = install();
    let report_dir = suite.ancestors().nth(2).unwrap().join("docs");
    let report = report_dir.join(format!("{}.json", host.addr.ip()));
    std::fs::remove_file(&report).ok();

    let mut node = Command::new("node");
    if let Some(spec) = find(repository().parent().unwrap(), SEARCH_DEPTH) {
        node.env("HOLDFAST_PSA_SPEC", spec);
    }
    let run = node
        .arg("--import")
        .arg(repository().join(".ci/tools/compliance/spec.mjs"))
        .arg(&suite)
        .args(["-s", &format!("http://{}/psa", host.addr), &host.key])
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    // Its exit code is always 0; the report is what counts.
    let report = std::fs::read_to_string(&report).unwrap_or_else(|e| {
        panic!(
            "no report at {}: {e}; the suite says: {said}",
            report.display()
        )
    });
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["total"], 9, "{report}\n{said}");
    assert_eq!(report["passed"], 9, "{report}\n{said}");
}

/// Installs the suite if need be and gives the path of its program.
fn install() -> PathBuf {
    let installed = Command::new(repository().join(".ci/tools/install"))
        .arg("compliance")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&installed.stdout);
    let path = said.split_whitespace().nth(1).unwrap_or_else(|| {
        panic!(
            "the suite is not installed: {}",
            String::from_utf8_lossy(&installed.stderr)
        )
    });
    PathBuf::from(path)
}

fn find(dir: &Path, depth: usize) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("HOLDFAST_PSA_SPEC") {
        return Some(named.into());
    }
    let here = dir.join(SPEC);
    if here.is_file() {
        return Some(here);
    }
    let deeper = depth.checked_sub(1)?;
    let folders = std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    folders
        .filter(|path| path.is_dir())
        .find_map(|folder| find(&folder, deeper))
}

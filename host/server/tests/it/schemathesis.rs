//! Schemathesis over `/openapi.json`: it calls every route that the document describes, with what
//! the document allows and with what it does not, and must find no fault of the host and no answer
//! that the document lacks. As the first administrator, and as a tenant's user.
//!
//! By hand and for longer: `.ci/tools/install schemathesis` says where the program is.

use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan, repository};
use crate::support::tools::tool;
use holdfast::api::ROUTES;
use serde_json::json;
use std::path::Path;
use std::process::Command;

/// What must hold of every answer: a status, a type, headers and a body that are described, and no
/// fault of the host.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance";

/// Where the made-up calls come from, so that what failed once fails again.
const SEED: &str = "20261121";

/// Made-up calls of each route, beside those that the bounds in the document make.
const EXAMPLES: &str = "6";

/// Made-up passwords by the hundred must not close the door to the rest.
const NO_END_OF_REFUSALS: &str = "[limits]\nrefused_per_minute = 0\n";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_fault_and_nothing_undescribed() {
    let kubo = KuboNode::start().await;
    let host = Holdfast::start_with(Plan {
        kubo_api: kubo.api(),
        file: NO_END_OF_REFUSALS.to_owned(),
        ..Plan::default()
    });
    let wanted =
        json!({ "account": "acme/web", "roles": ["tenant-user"], "label": "schemathesis" });
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let user = made["secret"].as_str().unwrap();
    let program = tool("schemathesis");
    let callers = [("administrator", host.key.as_str()), ("user", user)];
    let kept = callers.map(|(_, key)| id_of(&host, key)).join(",");
    let (program, kept, on) = (&program, kept.as_str(), &host);
    std::thread::scope(|scope| {
        let runs =
            callers.map(|(who, key)| scope.spawn(move || run((program, kept), on, who, key)));
        for run in runs {
            run.join().unwrap();
        }
    });
    for key in [&host.key, user] {
        let (status, _) = host.ask(key, "GET", "/v1/whoami", None);
        assert_eq!(
            status, 200,
            "a key went lost, so that most calls were nobody's"
        );
    }
    let log = host.log();
    assert!(!log.contains("panicked"), "{log}");
}

fn id_of(host: &Holdfast, key: &str) -> String {
    let (_, caller) = host.ask(key, "GET", "/v1/whoami", None);
    let name = caller["principal"].as_str().unwrap();
    name.strip_prefix("key:").unwrap().to_owned()
}

/// Calls every route as the holder of a key; the keys that are `kept` are not revoked.
fn run((program, kept): (&Path, &str), host: &Holdfast, who: &str, key: &str) {
    let run = Command::new(program)
        .arg("run")
        .arg(format!("http://{}/openapi.json", host.addr))
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args([
            "--checks",
            CHECKS,
            "--seed",
            SEED,
            "--max-examples",
            EXAMPLES,
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--continue-on-failure",
        ])
        .args(["--generation-database", "none", "--request-timeout", "60"])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
        ])
        .env("PYTHONPATH", repository().join(".ci/tools/schemathesis"))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("HOLDFAST_KEPT_KEYS", kept)
        .current_dir(host.dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let complained = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "as {who}: {said}{complained}");
    // The one that it has read the document from is not tried again.
    let tried = format!("Tested: {}\n", ROUTES.len() - 1);
    assert!(
        said.contains(&tried),
        "not every route was tried as {who}: {said}"
    );
}

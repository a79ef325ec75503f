//! What callers and operators read when a plugin misbehaves: one deed of each class, over HTTP.

use crate::psa::{CID, pin_named};
use crate::support::host::Host;
use crate::support::plugins::install;
use holdfast_model::Role;
use serde_json::{Value, json};
use std::fs;

/// What the audit log says last of a plugin.
async fn audited(host: &Host) -> String {
    host.app.audit.flush().await.unwrap();
    let log = fs::read_to_string(host.audit_file()).unwrap();
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut of_plugins =
        lines.filter(|line| line.get("plugin").is_some_and(|plugin| !plugin.is_null()));
    let last = of_plugins.next_back();
    last.map(|line| line.to_string()).unwrap_or_default()
}

/// A manifest that gives a deed time enough, but for a loop, which takes what there is.
fn manifest(deed: &str) -> String {
    let cpu_ms = if deed == "loop" { 20 } else { 200 };
    format!(
        "[settings]\ndo = \"{deed}\"\n[limits]\nwall_ms = 30000\ncpu_ms = {cpu_ms}\n\
         [promote]\nwatch_ms = 0\n"
    )
}

/// Deeds and how the operator reads of them; the caller reads the same of all.
const DEEDS: [(&str, &str); 7] = [
    (
        "loop",
        "ran over its deadline (it used up its processor time) and was stopped",
    ),
    ("trap", "trapped: it panicked or aborted"),
    ("memory", "asked for more than its 16777216 bytes of memory"),
    ("stack", "overflowed its stack"),
    ("panic-control-characters", "ERROR all is lost"),
    ("giant-string", "more bytes than one call may carry"),
    ("handles", "holds more handles at once than it may"),
];

#[tokio::test]
async fn callers_read_that_there_is_no_price_and_operators_why() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    pin_named(&host, &user, "one").await;
    let deeds = DEEDS.iter().chain(&[
        (
            "wrong-sum",
            "the total is 0.000002 EUR, and the lines sum up to 0.000001 EUR",
        ),
        (
            "rating-error",
            "it answered with an error: invalid usage: no such usage",
        ),
        ("control-characters", "line 1: item has control characters"),
    ]);
    for (deed, why) in deeds {
        let manifest = manifest(deed);
        install(&host, "hostile-pricing", "hostile", &manifest).await;
        let mut problem = host.get("/v1/quote", &user).await.with(502);
        for own in ["request_id", "instance"] {
            problem.as_object_mut().unwrap().remove(own);
        }
        assert_eq!(
            problem,
            json!({
                "type": "about:blank", "title": "Bad Gateway", "status": 502,
                "code": "PRICING_FAILED",
                "detail": "the pricing component failed, so there is no price; none was made up",
            }),
            "{deed}"
        );
        let line = audited(&host).await;
        assert!(
            line.contains("hostile") && line.contains(why),
            "{deed}: {line}"
        );
        assert!(
            !line.contains('\u{1b}') && !line.contains('\n'),
            "{deed}: {line}"
        );
    }
}

#[tokio::test]
async fn callers_read_that_nothing_was_changed_and_operators_why() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let deeds = DEEDS
        .iter()
        .filter(|(deed, _)| *deed != "giant-string")
        .chain(&[
            (
                "call-storm",
                "ran over its deadline (it used up its processor time) and was stopped",
            ),
            ("giant-message", "more bytes than one call may carry"),
            (
                "control-characters",
                "a refusal's message has control characters",
            ),
            (
                "empty-message",
                "a refusal's message has 0 bytes; write 1 to 1024",
            ),
        ]);
    for (deed, why) in deeds {
        let manifest = manifest(deed);
        install(&host, "hostile-authorizer", "hostile", &manifest).await;
        let refused = host
            .post("/psa/pins", &user, json!({"cid": CID}))
            .await
            .with(503);
        assert_eq!(
            refused,
            json!({"error": {
                "reason": "UNAVAILABLE",
                "details": "an authorizer component failed, so nothing was changed; try again",
            }}),
            "{deed}"
        );
        let line = audited(&host).await;
        assert!(
            line.contains("hostile") && line.contains(why),
            "{deed}: {line}"
        );
    }
    let page = host.get("/psa/pins", &user).await.with(200);
    assert_eq!(page["count"], 0);
}

#[tokio::test]
async fn what_a_plugin_logs_is_read_over_http_without_what_it_forges() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    install(
        &host,
        "hostile-authorizer",
        "talks",
        "[settings]\ndo = \"log-lines\"\n",
    )
    .await;
    pin_named(&host, &user, "one").await;
    let log = host
        .get("/v1/plugins/talks/logs?max=3", &operator)
        .await
        .with(200);
    let lines = log["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 3, "{log}");
    for line in lines {
        assert_eq!(
            (&line["level"], &line["generation"], &line["by"]),
            (&json!("info"), &json!(1), &json!("plugin"))
        );
        assert_eq!(line["line"], "a\\u{1b}[2J\\r\\nERROR all is lost");
    }
    // Eight lines of one call are kept; what was over is counted.
    let all = host
        .get("/v1/plugins/talks/logs", &operator)
        .await
        .with(200);
    assert_eq!(all["lines"].as_array().unwrap().len(), 8, "{all}");
    host.get("/v1/plugins/talks/logs", &user).await.with(403);
    host.get("/v1/plugins/absent/logs", &operator)
        .await
        .with(404);
}

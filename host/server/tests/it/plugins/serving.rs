//! Plugins of a running host, from the command line: put in, compared, promoted, rolled back, read.

use super::{call, put};
use crate::psa::pin_named;
use crate::support::host::{Host, Options};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast::api::Settings;
use holdfast_model::Role;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// What the only pin of an account costs, in millionths.
async fn price(host: &Host, key: &str) -> Value {
    let quote = host.get("/v1/quote", key).await.with(200);
    quote["total"]["micros"].clone()
}

fn priced(dir: &Path, micros: u64, rest: &str) {
    let manifest = format!("[settings.operations]\npin_micros = {micros}\n{rest}");
    fs::write(dir.join("price.toml"), manifest).unwrap();
}

#[tokio::test]
async fn a_candidate_is_compared_promoted_and_rolled_back() {
    let (host, dir) = (Host::start().await, tempdir().unwrap());
    let dir = dir.path();
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    pin_named(&host, &user, "one").await;
    put(dir, "pricing-tiered", "price");
    priced(dir, 100, "");
    let shown = call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .good();
    assert!(shown.contains("live"), "{shown}");
    assert_eq!(price(&host, &user).await, 100);

    // A candidate that waits for a hand: it is asked beside the live one, and answers nobody.
    priced(dir, 250, "[promote]\nby = \"hand\"\n");
    let shown = call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .good();
    assert!(shown.contains("shadow"), "{shown}");
    let report = loop {
        assert_eq!(price(&host, &user).await, 100);
        let answer = call(&host, &operator, dir, &["shadow", "price", "--json"])
            .await
            .json();
        if answer["report"]["different"].as_u64().unwrap() > 0 {
            break answer["report"].clone();
        }
    };
    let bill = &report["bills"][0];
    assert_eq!(bill["account"], "acme/web", "{report}");
    assert!(bill["difference_micros"].as_i64().unwrap() > 0, "{report}");
    let shown = call(&host, &operator, dir, &["shadow", "price"])
        .await
        .good();
    assert!(
        shown.contains("acme/web") && shown.contains("bills that would change"),
        "{shown}"
    );

    // Who promotes what differs must say which generation it is: then it is no mistake.
    let told = call(&host, &operator, dir, &["promote", "price"]).await;
    assert!(told.failed().contains("differently"));
    let generation = report["generation"].to_string();
    let promote = ["promote", "price", "--generation", &generation];
    call(&host, &operator, dir, &promote).await.good();
    assert_eq!(price(&host, &user).await, 250);
    let shown = call(&host, &operator, dir, &["rollback", "price"])
        .await
        .good();
    assert!(
        shown.contains("previous") || shown.contains("live"),
        "{shown}"
    );
    assert_eq!(price(&host, &user).await, 100);
    let listed = call(&host, &operator, dir, &["list"]).await.good();
    assert!(
        listed.contains("price") && listed.contains("pricing"),
        "{listed}"
    );
    call(&host, &operator, dir, &["logs", "price"]).await.good();
    for (command, name) in [
        ("logs", "absent"),
        ("list", "absent"),
        ("promote", "absent"),
    ] {
        call(&host, &operator, dir, &[command, name]).await.failed();
    }
}

#[tokio::test]
async fn what_is_refused_is_said_and_changes_nothing() {
    let (host, dir) = (Host::start().await, tempdir().unwrap());
    let dir = dir.path();
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    pin_named(&host, &user, "one").await;
    put(dir, "pricing-tiered", "price");
    priced(dir, 100, "");
    let told = call(&host, &user, dir, &["install", "price.wasm"])
        .await
        .failed();
    assert!(told.contains("installPlugin"), "{told}");
    call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .good();

    priced(dir, 250, "[setings]\n");
    let told = call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .failed();
    assert!(told.contains("setings"), "{told}");
    priced(dir, 250, "");
    let vectors = json!({"kind": "pricing", "vectors": [{
        "name": "a pin costs nothing",
        "input": {"account": "acme/web", "meters": [{"measure": "pin", "quantity": "1"}]},
        "output": {"ok": {"lines": [], "total": {"micros": 0, "currency": "EUR"}}},
    }]});
    fs::write(dir.join("price.vectors.json"), vectors.to_string()).unwrap();
    let told = call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .failed();
    assert!(told.contains("a pin costs nothing"), "{told}");
    assert_eq!(price(&host, &user).await, 100);

    // Who did what to which plugin stands in the audit log.
    host.app.audit.flush().await.unwrap();
    let log = fs::read_to_string(host.audit_file()).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let installs: Vec<_> = lines
        .iter()
        .filter(|line| line["action"] == "installPlugin")
        .map(|line| {
            (
                line["outcome"].as_str().unwrap(),
                line["note"].as_str().unwrap(),
            )
        })
        .collect();
    let outcomes: Vec<&str> = installs.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, ["deny", "allow", "error", "error"]);
    assert!(
        installs[1].1.contains("plugin price, component "),
        "{installs:?}"
    );
}

#[tokio::test]
async fn a_package_that_makes_no_sense_is_told_so() {
    let host = Host::start().await;
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    for (name, body, said) in [
        ("p", json!({"wasm": "!"}), "base64"),
        ("p", json!({"wasm": "", "more": 1}), "more"),
        ("p", json!({}), "wasm"),
        ("p", json!({"wasm": ""}), "empty"),
        ("p%20q", json!({"wasm": "AGFzbQ=="}), "name"),
    ] {
        let path = format!("/v1/plugins/{name}");
        let problem = host
            .call("PUT", &path, Some(&operator), Some(body))
            .await
            .with(400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    assert_eq!(host.app.plugins.list(), []);
}

#[tokio::test]
async fn an_installation_that_takes_its_time_is_answered_before_it_is_over_and_goes_on() {
    let host = Host::start_with(Options {
        settings: Settings {
            install_wait: Duration::ZERO,
            ..Settings::default()
        },
        ..Options::default()
    });
    let (host, dir) = (host.await, tempdir().unwrap());
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    put(dir.path(), "pricing-tiered", "price");
    let wasm = STANDARD.encode(fs::read(dir.path().join("price.wasm")).unwrap());
    let body = json!({ "wasm": wasm });
    let path = "/v1/plugins/price";
    let answer = host
        .call("PUT", path, Some(&operator), Some(body))
        .await
        .with(202);
    assert_eq!(answer, json!({"name": "price", "state": "installing"}));
    let start = Instant::now();
    loop {
        let now = host.get(path, &operator).await;
        if now.status == 200 && now.json()["state"] == "live" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{now:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

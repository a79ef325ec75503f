//! The hostile kit against a running host, from the command line.

use super::{Ended, call, call_at, plugin, put};
use crate::psa::pin_named;
use crate::support::host::{Host, Options};
use crate::support::plugins::dist;
use crate::support::process::{Holdfast, Plan};
use holdfast::api::Settings;
use holdfast_model::Role;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::tempdir;

/// Runs `holdfast plugin attack` against a host.
async fn attack(host: &Host, key: &str, dir: &Path, arguments: &[&str]) -> Ended {
    attack_at(host.address, key, dir, arguments).await
}

/// The same against whatever host listens at an address.
async fn attack_at(address: SocketAddr, key: &str, dir: &Path, arguments: &[&str]) -> Ended {
    let kit = dist().to_str().unwrap().to_owned();
    let url = format!("http://{address}");
    let of_all = ["attack", "--kit", &kit, "--host", &url];
    call_at(address, key, dir, &[&of_all, arguments].concat()).await
}

#[tokio::test]
async fn each_case_is_put_into_a_running_host_and_taken_out_and_nobody_notices() {
    let (host, dir) = (Host::start().await, tempdir().unwrap());
    let dir = dir.path();
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    put(dir, "pricing-tiered", "price");
    call(&host, &operator, dir, &["install", "price.wasm"])
        .await
        .good();
    let before = host.get("/v1/plugins", &operator).await.with(200);
    for only in [
        "pricing: a trap in",
        "authorizer: an endless loop in",
        "payment: a stack bomb",
        "config: a million",
        "payment: a flood of log lines",
    ] {
        let arguments = ["--yes", "--json", "--only", only];
        let report = attack(&host, &operator, dir, &arguments).await.json();
        let attacks = report["attacks"].as_array().unwrap();
        assert!(!attacks.is_empty(), "{report}");
        assert!(
            attacks.iter().all(|one| one["is_held"] == true),
            "{report:#}"
        );
        assert_eq!(
            (&report["broken"], &report["left_out"]),
            (&json!(0), &json!([]))
        );
    }
    // Whoever calls meanwhile or after is served by what served before.
    pin_named(&host, &user, "one").await;
    host.get("/v1/quote", &user).await.with(200);
    let after = host.get("/v1/plugins", &operator).await.with(200);
    let names = |listed: &Value| -> Vec<Value> {
        let plugins = listed["plugins"].as_array().unwrap();
        plugins.iter().map(|one| one["name"].clone()).collect()
    };
    assert_eq!(
        (names(&before), names(&after)),
        (vec![json!("price")], vec![json!("price")])
    );
    // What needs the kit's own resolver is left out, and said to be.
    let arguments = [
        "--yes",
        "--json",
        "--only",
        "a redirect to a metadata address",
    ];
    let report = attack(&host, &operator, dir, &arguments).await.json();
    assert_eq!(report["attacks"], json!([]), "{report}");
    assert_eq!(report["left_out"].as_array().unwrap().len(), 4, "{report}");
}

#[tokio::test]
async fn an_attack_wants_to_be_meant() {
    let settings = Settings {
        production: true,
        ..Settings::default()
    };
    let options = Options {
        settings,
        ..Options::default()
    };
    let (host, dir) = (Host::start_with(options).await, tempdir().unwrap());
    let dir = dir.path();
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let only = ["--only", "pricing: a trap in rate"];
    let said = attack(&host, &operator, dir, &only).await.failed();
    assert!(said.contains("--yes"), "{said}");
    let meant = [&only[..], &["--yes"]].concat();
    let said = attack(&host, &operator, dir, &meant).await.failed();
    assert!(
        said.contains("in production") && said.contains("--production"),
        "{said}"
    );
    assert_eq!(host.app.plugins.list(), []);
    let meant = [&meant[..], &["--production"]].concat();
    let said = attack(&host, &operator, dir, &meant).await.good();
    assert!(said.contains("1 attacks, 0 not held"), "{said}");
    // Who may not install may not attack.
    attack(&host, &user, dir, &meant).await.failed();
    // A plugin of that name is somebody's.
    put(dir, "hostile-pricing", "hostile");
    call(&host, &operator, dir, &["install", "hostile.wasm"])
        .await
        .good();
    let said = attack(&host, &operator, dir, &meant).await.failed();
    assert!(said.contains("holdfast plugin remove hostile"), "{said}");
    call(&host, &operator, dir, &["remove", "hostile"])
        .await
        .good();
    assert_eq!(host.app.plugins.list(), []);
    call(&host, &operator, dir, &["remove", "hostile"])
        .await
        .failed();
}

#[tokio::test]
async fn a_candidate_alone_is_asked_made_up_questions() {
    let (host, dir) = (Host::start().await, tempdir().unwrap());
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let ask = "/v1/plugins/price/try";
    put(dir.path(), "hostile-pricing", "price");
    let install = async |rest: &str| {
        let manifest = format!("[settings]\ndo = \"price-12\"\n{rest}");
        fs::write(dir.path().join("price.toml"), manifest).unwrap();
        call(&host, &operator, dir.path(), &["install", "price.wasm"])
            .await
            .good();
    };
    install("").await;
    let problem = host
        .call("POST", ask, Some(&operator), None)
        .await
        .with(409);
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("by = \"hand\""), "{said}");
    install("[promote]\nby = \"hand\"\n").await;
    let tried = host
        .call("POST", ask, Some(&operator), None)
        .await
        .with(200);
    assert_eq!(
        (&tried["is_answered"], &tried["said"]),
        (&json!(true), &json!("the price is 12"))
    );
}

/// A host that takes signed plugins only, and an operator's key for it. In the folder there are
/// private keys: `ours.key`, which it trusts for all kinds, `prices.key`, which it trusts for
/// pricing alone, and `theirs.key`, which it does not know. A plugin that is signed serves.
fn strict(dir: &Path) -> (Holdfast, String) {
    let made = |name: &str| {
        let made = plugin(dir, &["keygen", name, "--json"]).json();
        made["public_key"].as_str().unwrap().to_owned()
    };
    let [ours, prices, _] = ["ours.key", "prices.key", "theirs.key"].map(made);
    let served = dir.join("served");
    fs::create_dir(&served).unwrap();
    put(&served, "pricing-tiered", "price");
    plugin(
        &served,
        &["sign", "price.wasm", "--key-file", "../ours.key"],
    )
    .good();
    let host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        file: format!(
            "[plugins]\nrequire_signatures = true\n[plugins.trusted_keys]\n\
             authorizer = [\"{ours}\"]\npricing = [\"{ours}\", \"{prices}\"]\n\
             payment = [\"{ours}\"]\nconfig = [\"{ours}\"]\n"
        ),
        variables: vec![(
            "HOLDFAST_PLUGINS__DIR".to_owned(),
            served.display().to_string(),
        )],
        ..Plan::default()
    });
    let wanted = json!({"account": "default/ops", "roles": ["operator"], "label": "operator"});
    let (status, key) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{key}");
    (host, key["secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_host_that_wants_signatures_is_attacked_by_whom_it_trusts() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let (host, operator) = strict(dir);
    let (_, before) = host.ask(&operator, "GET", "/v1/plugins", None);
    assert_eq!(before["plugins"][0]["state"], "live", "{before}");
    for only in [
        "file: ",
        "pricing: a trap in",
        "authorizer: an endless loop in",
        "authorizer: a flood of log lines",
        "payment: a million",
        "config: a refusal",
    ] {
        let arguments = ["--yes", "--json", "--key-file", "ours.key", "--only", only];
        let ended = attack_at(host.addr, &operator, dir, &arguments).await;
        let report = ended.json();
        let attacks = report["attacks"].as_array().unwrap();
        assert!(!attacks.is_empty(), "{report}");
        let is_held = |one: &Value| one["is_held"] == true;
        assert!(attacks.iter().all(is_held), "{report:#}");
        assert_eq!((ended.code, &report["broken"]), (0, &json!(0)));
    }
    let (_, after) = host.ask(&operator, "GET", "/v1/plugins", None);
    let fields = ["name", "state", "generation", "digest", "error"];
    let told = |listed: &Value| fields.map(|field| listed["plugins"][0][field].clone());
    assert_eq!(told(&after), told(&before));
    assert_eq!(after["plugins"].as_array().unwrap().len(), 1, "{after}");
}

#[tokio::test]
async fn a_host_that_wants_signatures_is_not_taken_for_one_that_was_attacked() {
    let dir = tempdir().unwrap();
    let dir = dir.path();
    let (host, operator) = strict(dir);
    // One whose answer may be any, one that must be refused, and one that must answer well.
    let cases = [
        "authorizer: a flood of log lines",
        "authorizer: a trap in init",
        "payment: a flood of log lines",
    ];
    for (key, said) in [
        (
            &[][..],
            &["--key-file", "hostile.sig is missing", "nothing was tried"][..],
        ),
        (
            &["--key-file", "theirs.key"],
            &["not trusted", "all four kinds"],
        ),
        (&["--key-file", "prices.key"], &["not trusted for its kind"]),
    ] {
        for case in cases {
            for form in [&[][..], &["--json"]] {
                let arguments = [&["--yes", "--only", case], key, form].concat();
                let ended = attack_at(host.addr, &operator, dir, &arguments).await;
                assert_eq!(ended.out, "", "{case}: nothing is told of as an attack");
                let told = ended.failed();
                assert!(said.iter().all(|said| told.contains(said)), "{told}");
            }
        }
    }
    let signed = ["--key-file", "prices.key"];
    let prices = ["--yes", "--only", "pricing: a trap in rate"];
    let prices = [&prices[..], &signed].concat();
    let told = attack_at(host.addr, &operator, dir, &prices).await.good();
    assert!(told.contains("1 attacks, 0 not held"), "{told}");
    let (_, listed) = host.ask(&operator, "GET", "/v1/plugins", None);
    assert_eq!(listed["plugins"].as_array().unwrap().len(), 1, "{listed}");
}

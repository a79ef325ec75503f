//! Real clients against the real binary: Kubo's own `ipfs pin remote`, two Kubo nodes that really
//! transfer content, two tenants, and a price that changes while requests keep coming.

use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan, component, until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A Kubo node that is a client, with the host as its remote service, and the node the host drives.
struct Scene {
    client: KuboNode,
    _node: KuboNode,
    host: Holdfast,
}

async fn scene(plan: Plan) -> Scene {
    let (client, node) = tokio::join!(KuboNode::start(), KuboNode::start());
    let host = Holdfast::start_with(Plan {
        kubo_api: node.api(),
        ..plan
    });
    let endpoint = format!("http://{}/psa", host.addr);
    client.ipfs(&[
        "pin", "remote", "service", "add", "holdfast", &endpoint, &host.key,
    ]);
    Scene {
        client,
        _node: node,
        host,
    }
}

impl Scene {
    fn remote(&self, args: &[&str]) -> String {
        let (verb, rest) = args.split_first().unwrap();
        let mut all = vec!["pin", "remote", verb, "--service=holdfast"];
        all.extend(rest);
        self.client.ipfs(&all)
    }

    fn counts(&self) -> Value {
        let listed = self
            .client
            .ipfs(&["pin", "remote", "service", "ls", "--stat", "--enc=json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed["RemoteServices"][0]["Stat"]["PinCount"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubo_pins_lists_and_removes_through_its_own_commands() {
    kubos_own_commands(Plan::default()).await;
}

/// Pins, lists and removes through Kubo's own commands.
pub(crate) async fn kubos_own_commands(plan: Plan) {
    let scene = scene(plan).await;
    let cid = scene.client.add(b"kelp holds fast").to_string();

    let added = scene.remote(&["add", "--name=kelp", &cid]);
    assert!(added.contains("pinned") && added.contains(&cid), "{added}");
    assert_eq!(scene.counts()["Pinned"], 1);

    // Twelve more, not waited for: a listing has to page (Kubo asks for ten at a time).
    for n in 0..12 {
        let cid = scene
            .client
            .add(format!("frond {n}").as_bytes())
            .to_string();
        scene.remote(&["add", "--background", &format!("--name=frond-{n}"), &cid]);
    }
    let statuses = "--status=queued,pinning,pinned,failed";
    let listed = scene.remote(&["ls", statuses]);
    let mut names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split('\t').nth(2))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((listed.lines().count(), names.len()), (13, 13), "{listed}");
    until(
        "thirteen pinned",
        || scene.counts()["Pinned"].clone(),
        |pinned| *pinned == 13,
    );

    let found = scene.remote(&["ls", "--name=frond-7"]);
    assert_eq!(found.lines().count(), 1, "{found}");
    scene.remote(&["rm", "--name=frond-7"]);
    assert_eq!(scene.remote(&["ls", "--name=frond-7"]), "");
    scene.remote(&["rm", "--force", statuses]);
    assert_eq!(scene.remote(&["ls", statuses]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pinned_is_measured_priced_and_nobody_elses_business() {
    measured_and_priced(Plan::default()).await;
}

/// Measures and prices what is pinned, and hides it from another tenant.
pub(crate) async fn measured_and_priced(plan: Plan) {
    let scene = scene(plan).await;
    let cid = scene.client.add(&vec![7; 300_000]).to_string();
    scene.remote(&["add", "--name=big", &cid]);
    let size = u128::from(
        scene
            .client
            .size(&holdfast_model::Cid::parse(&cid).unwrap()),
    );

    let (status, usage) = scene.host.ask(&scene.host.key, "GET", "/v1/usage", None);
    assert_eq!(status, 200, "{usage}");
    assert_eq!(number(&usage["pinned_bytes"]), size, "{usage}");
    until(
        "byte-seconds",
        || scene.host.ask(&scene.host.key, "GET", "/v1/usage", None).1,
        |usage| number(&usage["byte_seconds"]) > 0,
    );
    let (status, quote) = scene.host.ask(&scene.host.key, "GET", "/v1/quote", None);
    assert_eq!(status, 200, "{quote}");
    assert!(
        quote["lines"]
            .as_array()
            .is_some_and(|lines| !lines.is_empty()),
        "{quote}"
    );

    let beta = second_tenant(&scene.host);
    let (status, listed) = scene.host.ask(&beta, "GET", "/psa/pins", None);
    assert_eq!((status, &listed["count"]), (200, &json!(0)), "{listed}");
    let (_, mine) = scene.host.ask(&scene.host.key, "GET", "/psa/pins", None);
    let id = mine["results"][0]["requestid"].as_str().unwrap();
    for method in ["GET", "DELETE"] {
        let (status, answer) = scene
            .host
            .ask(&beta, method, &format!("/psa/pins/{id}"), None);
        assert_eq!(status, 404, "{method}: {answer}");
    }
    let (_, usage) = scene.host.ask(&beta, "GET", "/v1/usage", None);
    assert_eq!(number(&usage["pinned_bytes"]), 0, "{usage}");
    let (status, _) = scene
        .host
        .ask(&beta, "GET", "/v1/usage?account=default/admin", None);
    assert!(matches!(status, 403 | 404), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_quote_has_the_new_price_and_no_call_fails() {
    let node = KuboNode::start().await;
    let host = Arc::new(Holdfast::start(&node.api()));
    let made = json!({ "cid": "bafkqaaa" });
    for _ in 0..3 {
        assert_eq!(host.ask(&host.key, "POST", "/psa/pins", Some(&made)).0, 202);
    }
    let (_, before) = host.ask(&host.key, "GET", "/v1/quote", None);

    let done = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (host, done) = (Arc::clone(&host), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut asked = 0;
                while !done.load(Ordering::SeqCst) {
                    let (status, answer) = host.ask(&host.key, "GET", "/v1/quote", None);
                    assert_eq!(status, 200, "{answer}");
                    asked += 1;
                }
                asked
            })
        })
        .collect();

    // The same component, another build to the host (a custom section more), at another price.
    host.settings("pricing-tiered", &price("7000000"));
    let mut component = std::fs::read(component("pricing-tiered.wasm")).unwrap();
    component.extend([0, 3, 1, b'v', 2]);
    host.drop_in("pricing-tiered.wasm", &component);
    let quote = || host.ask(&host.key, "GET", "/v1/quote", None).1;
    let after = until("another price", quote, |quote| {
        quote["rated_by"] != before["rated_by"] && quote["total"] != before["total"]
    });
    assert!(after["total"].to_string().contains("21000000"), "{after}");

    // What is no component changes nothing.
    host.drop_in("pricing-tiered.wasm", b"not a component");
    let plugins = || host.ask(&host.key, "GET", "/v1/plugins", None).1;
    until("the refusal", plugins, |plugins| {
        plugins.to_string().contains("component")
    });
    assert_eq!(quote()["total"], after["total"]);

    done.store(true, Ordering::SeqCst);
    let asked: usize = asking
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert!(asked > 10, "only {asked} quotes were asked for meanwhile");
}

fn price(per_pin_micros: &str) -> String {
    format!("[settings.operations]\npin_micros = {per_pin_micros}\n")
}

/// Makes another tenant's first key.
fn second_tenant(host: &Holdfast) -> String {
    let wanted = json!({ "account": "beta/main", "roles": ["tenant-user"], "label": "beta" });
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    made["secret"]
        .as_str()
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned()
}

/// A number that may be written as a decimal string, because it may be larger than JSON's.
fn number(value: &Value) -> u128 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other
            .as_u64()
            .unwrap_or_else(|| panic!("{other} is no number"))
            .into(),
    }
}

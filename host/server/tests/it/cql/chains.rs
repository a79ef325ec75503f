//! One tenant's audit chain, and two processes that write to it at once.

use super::plan;
use crate::support::process::{Holdfast, Plan, until};
use holdfast_runtime::SigningKey;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

const NOBODY: &str = "http://127.0.0.1:9";

/// Callers of each process, and how often each makes its calls.
const CALLERS: usize = 2;
const ROUNDS: usize = 10;

/// Calls by the names that their callers gave them, and the kinds of their entries.
type Answered = BTreeMap<String, Vec<&'static str>>;

/// A change, something allowed and something denied.
fn call(host: &Holdfast, acme: &str, answered: &mut Answered) {
    let key = json!({ "account": "acme/web" });
    for (method, path, body, status, kinds) in [
        (
            "POST",
            "/v1/keys",
            Some(&key),
            201,
            vec!["intent", "outcome"],
        ),
        ("GET", "/v1/usage", None, 200, vec!["call"]),
        ("GET", "/v1/plugins", None, 403, vec!["call"]),
    ] {
        let name = uuid::Uuid::now_v7();
        // One header more, behind the one that the key stands in.
        let key = format!("{acme}\r\nx-request-id: {name}");
        let (told, body) = host.ask(&key, method, path, body);
        assert_eq!(told, status, "{method} {path}: {body}");
        answered.insert(name.simple().to_string(), kinds);
    }
}

/// Has all callers of both begin together; what was answered by which process.
fn storm(hosts: [&Holdfast; 2], acme: &str) -> [Answered; 2] {
    let barrier = Barrier::new(hosts.len() * CALLERS);
    let calling = |host: &Holdfast| {
        let mut answered = Answered::new();
        barrier.wait();
        for _ in 0..ROUNDS {
            call(host, acme, &mut answered);
        }
        answered
    };
    let calling = &calling;
    std::thread::scope(|scope| {
        let callers = hosts.map(|host| [(); CALLERS].map(|()| scope.spawn(move || calling(host))));
        callers.map(|of_host| {
            let answered = of_host.into_iter().map(|caller| caller.join().unwrap());
            answered.flatten().collect()
        })
    })
}

/// What the tenant's chain has, in its order: entries, and how many checkpoints.
fn chain(host: &Holdfast) -> (Vec<Value>, usize) {
    let (code, out, err) = host.run(&["audit", "export", "--tenant", "acme"]);
    assert_eq!(code, 0, "{err}");
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let (entries, notes): (Vec<Value>, Vec<Value>) =
        lines.partition(|line: &Value| line["type"] == "holdfast.audit.entry");
    (entries, notes.len())
}

fn name(entry: &Value) -> &str {
    entry["data"]["request_id"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_keep_one_tenant_s_chain_whole() {
    let signer = SigningKey::generate().unwrap();
    let mut plan = Plan {
        kubo_api: NOBODY.to_owned(),
        ..plan().await
    };
    for (name, value) in [
        ("SIGNING_KEY", signer.to_pem()),
        ("CHECKPOINT_ENTRIES", "20".to_owned()),
    ] {
        let name = format!("HOLDFAST_AUDIT__{name}");
        plan.variables.push((name, value));
    }
    let one = Holdfast::start_with(plan.clone());
    let two = Holdfast::start_with(Plan {
        key: Some(one.key.clone()),
        ..plan
    });
    let wanted = json!({ "account": "acme/web", "roles": ["tenant-admin", "tenant-user"] });
    let (status, made) = one.ask(&one.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let answered = storm([&one, &two], made["secret"].as_str().unwrap());
    let of_two = |entry: &Value| answered[1].contains_key(name(entry));
    let all: Answered = answered
        .iter()
        .flatten()
        .map(|(n, k)| (n.clone(), k.clone()))
        .collect();
    assert_eq!(all.len(), 2 * CALLERS * ROUNDS * 3);
    // Beside them it has who looked, and the key that all of them call by.
    let of_all = |entry: &&Value| all.contains_key(name(entry));
    let expected = 2 * CALLERS * ROUNDS * 4;
    let so_far = || {
        let (entries, notes) = chain(&two);
        (entries.iter().filter(of_all).count(), notes)
    };
    until(
        "all to be in the chain, and signed",
        so_far,
        |(count, notes)| *count >= expected && *notes > 0,
    );
    let (entries, _) = chain(&two);
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!(entry["sequence"], (place + 1).to_string(), "{entry}");
    }
    let ids: BTreeSet<&str> = entries.iter().map(|e| e["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), entries.len());
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for entry in entries.iter().filter(of_all) {
        let kind = entry["data"]["kind"].as_str().unwrap();
        found.entry(name(entry).to_owned()).or_default().push(kind);
    }
    assert_eq!(found, all);
    let turns = entries
        .windows(2)
        .filter(|two| of_two(&two[0]) != of_two(&two[1]));
    assert!(turns.count() > 2, "the processes never met");
    for host in [&one, &two] {
        let public = signer.public().to_string();
        let (code, out, err) = host.run(&["audit", "verify", "--signer", &public]);
        assert!(code == 0 && out.contains("acme"), "{out}{err}");
    }
}

//! The program on Cassandra, as people run it: the main job, unchanged; several processes on one
//! keyspace; what a start, a reload and the doctor make of a cluster.

mod budget;
mod chains;
mod life;
mod overload;
mod safety;

use crate::support::cluster::{fresh, variables};
use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan, until};
use crate::{clients, compliance};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// For so long a key that was revoked at one process may still be good at another.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

async fn plan() -> Plan {
    Plan {
        variables: variables(&fresh().await),
        ..Plan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compliance_suite_passes_nine_of_nine_on_cassandra() {
    let plan = Plan {
        // Reports are kept by address; the run on the embedded store has 127.0.0.1.
        ip: Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))),
        ..plan().await
    };
    compliance::nine_of_nine(plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubos_own_commands_work_on_cassandra() {
    clients::kubos_own_commands(plan().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pinned_on_cassandra_is_measured_priced_and_nobody_elses_business() {
    clients::measured_and_priced(plan().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_on_cassandra() {
    let (node, plan) = tokio::join!(KuboNode::start(), plan());
    let mut host = Holdfast::start_with(Plan {
        kubo_api: node.api(),
        ..plan
    });
    let cid = node.add(b"kelp").to_string();
    let made = pin(&host, &cid);
    let path = format!("/psa/pins/{made}");
    until_pinned(&host, &path);
    let (_, before) = host.ask(&host.key, "GET", "/psa/pins", None);
    assert_eq!(host.stop(), Some(0), "{}", host.log());
    host.again();
    let (status, after) = host.ask(&host.key, "GET", "/psa/pins", None);
    assert_eq!((status, &after["count"]), (200, &json!(1)), "{after}");
    assert_eq!(
        after["results"][0]["requestid"],
        before["results"][0]["requestid"]
    );
    assert_eq!(after["results"][0]["status"], "pinned");
    // And it goes on: what was kept can be replaced and removed.
    let other = node.add(b"dulse").to_string();
    let body = json!({ "cid": other, "name": "dulse" });
    let (status, replaced) = host.ask(&host.key, "POST", &path, Some(&body));
    assert_eq!(status, 202, "{replaced}");
    let path = format!("/psa/pins/{}", replaced["requestid"].as_str().unwrap());
    until_pinned(&host, &path);
    assert_eq!(host.ask(&host.key, "DELETE", &path, None).0, 202);
    let gone = || {
        (
            node.has(&holdfast_model::Cid::parse(&cid).unwrap(), "recursive"),
            node.has(&holdfast_model::Cid::parse(&other).unwrap(), "recursive"),
        )
    };
    until("the node to have neither", gone, |has| {
        *has == (false, false)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_keyspace() {
    let (node, plan) = tokio::join!(KuboNode::start(), plan());
    let plan = Plan {
        kubo_api: node.api(),
        ..plan
    };
    let edge = Holdfast::start_with(Plan {
        roles: vec!["api"],
        ..plan.clone()
    });
    let both = Holdfast::start_with(Plan {
        roles: vec!["api", "worker", "reconciler"],
        key: Some(edge.key.clone()),
        ..plan
    });
    // What is made at one is pinned by the other, and seen at both.
    let cid = node.add(b"bladderwrack").to_string();
    let path = format!("/psa/pins/{}", pin(&edge, &cid));
    until_pinned(&edge, &path);
    assert_eq!(
        both.ask(&both.key, "GET", &path, None).1["status"],
        "pinned"
    );
    assert!(node.has(&holdfast_model::Cid::parse(&cid).unwrap(), "recursive"));

    // What is revoked at one is refused at the other.
    let wanted = json!({ "account": "beta/main", "roles": ["tenant-user"], "label": "beta" });
    let (status, made) = edge.ask(&edge.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let (secret, id) = (
        made["secret"].as_str().unwrap(),
        made["key"]["id"].as_str().unwrap(),
    );
    assert_eq!(both.ask(secret, "GET", "/v1/whoami", None).0, 200);
    let (status, told) = edge.ask(&edge.key, "DELETE", &format!("/v1/keys/{id}"), None);
    assert!((200..300).contains(&status), "{status} {told}");
    let begun = Instant::now();
    until(
        "the refusal",
        || both.ask(secret, "GET", "/v1/whoami", None).0,
        |status| *status == 401,
    );
    assert!(begun.elapsed() < REVOKED_WITHIN, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_what_the_cluster_did_for_a_call() {
    let host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:9".to_owned(),
        ..plan().await
    });
    let body = json!({ "cid": "bafkqaaa" });
    let (head, _) = host.ask_with("holdfast-trace: store", "POST", "/psa/pins", Some(&body));
    let traced = head
        .lines()
        .find_map(|line| line.strip_prefix("holdfast-trace: "));
    let traced: Value = serde_json::from_str(traced.unwrap_or_else(|| panic!("{head}"))).unwrap();
    let all = traced.as_array().unwrap();
    assert!(all.len() >= 3, "{traced}");
    for one in all {
        assert!(
            one["statement"].is_string() && one["took_us"].as_u64() > Some(0),
            "{one}"
        );
    }
    assert!(all.iter().any(|one| one["server_us"].is_u64()), "{traced}");
    assert!(
        host.log()
            .contains("a statement of a call that was to be traced")
    );
    // Whoever is no operator is not told.
    let wanted = json!({ "account": "beta/main", "roles": ["tenant-user"], "label": "beta" });
    let (_, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    let header = format!(
        "holdfast-trace: store\r\nauthorization: Bearer {}",
        made["secret"].as_str().unwrap()
    );
    let (head, _) = host.ask_with_nobody(&header, "GET", "/psa/pins");
    assert!(
        head.contains(" 200 ") && !head.contains("holdfast-trace"),
        "{head}"
    );
    // Nor is anybody who does not ask.
    let (head, _) = host.ask_with("", "GET", "/psa/pins", None);
    assert!(
        head.contains(" 200 ") && !head.contains("holdfast-trace"),
        "{head}"
    );
}

/// Asks for a pin; the request's id.
fn pin(host: &Holdfast, cid: &str) -> String {
    let (status, made) = host.ask(&host.key, "POST", "/psa/pins", Some(&json!({ "cid": cid })));
    assert_eq!(status, 202, "{made}; {}", host.log());
    made["requestid"].as_str().unwrap().to_owned()
}

fn until_pinned(host: &Holdfast, path: &str) {
    until(
        "pinned",
        || host.ask(&host.key, "GET", path, None).1,
        |seen| seen["status"] == "pinned",
    );
}

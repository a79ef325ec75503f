//! Many puts and deletes at once.

use super::{Node, cid, named, path, pin};
use crate::support::process::{Holdfast, Plan};
use holdfast_model::Pin;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

#[tokio::test]
async fn entries_are_atomic_each_on_each_store() {
    for node in Node::each().await {
        entries_are_atomic_each(&node).await;
    }
}

pub(super) fn put(pin: &Pin) -> Value {
    json!({ "put": pin })
}

/// One bad entry, conditions, and several entries of one CID.
pub(super) async fn entries_are_atomic_each(node: &Node) {
    let old = node.put(&named(10, "old")).await;
    let mut bad = serde_json::to_value(named(11, "bad")).unwrap();
    bad["type"] = json!("zebra");
    let outcome = node
        .batch(&[
            put(&named(12, "good")),
            json!({ "put": bad }),
            json!({ "put": named(10, "lost"), "if_version": old + 1 }),
            json!({ "put": named(10, "new"), "if_version": old }),
            json!({ "put": named(12, "twice"), "if_absent": true }),
            put(&named(13, "one")),
            json!({ "delete": cid(13).to_string() }),
            put(&named(13, "three")),
            json!({ "delete": cid(99).to_string() }),
            json!({ "delete": "nonsense" }),
        ])
        .await;
    assert_eq!(outcome["applied"], 6);
    let failed: Vec<_> = outcome["failed"].as_array().unwrap().iter().collect();
    let told = failed
        .iter()
        .map(|one| (one["index"].clone(), one["status"].clone()));
    let expected = [(1, 400), (2, 412), (4, 412), (9, 400)];
    assert!(
        told.eq(expected.map(|(i, s)| (json!(i), json!(s)))),
        "{outcome}"
    );
    assert_eq!(failed[0]["cid"], cid(11).to_string());
    assert!(failed[0]["detail"].as_str().unwrap().contains("zebra"));
    assert_eq!(failed[3]["cid"], "nonsense");
    for (n, name) in [
        (10, Some("new")),
        (11, None),
        (12, Some("good")),
        (13, Some("three")),
    ] {
        let read = node.call("GET", &path(&cid(n)), &[], "").await;
        match name {
            Some(name) => assert_eq!(read.with(200)["name"], name),
            None => assert_eq!(read.status, 404),
        }
    }
    for n in [10, 12, 13] {
        node.call("DELETE", &path(&cid(n)), &[], "").await;
    }
}

#[tokio::test]
async fn batches_come_as_protobuf_too() {
    let node = Node::start().await;
    let mut body = Vec::new();
    for n in 0..3 {
        let proto = pin(n).to_proto();
        // Field 1, length-delimited, as IPFS Cluster's own message.
        let mut entry = vec![0x0a];
        prost::encode_length_delimiter(proto.len(), &mut entry).unwrap();
        entry.extend(proto);
        prost::encode_length_delimiter(entry.len(), &mut body).unwrap();
        body.extend(entry);
    }
    let headers = [("content-type", "application/x-protobuf")];
    let whole = node
        .call("POST", "/v1/state/batch", &headers, body.clone())
        .await;
    assert_eq!(whole.with(200)["applied"], 3);
    body.pop();
    let cut = node.call("POST", "/v1/state/batch", &headers, body).await;
    let detail = cut.with(400)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("message 2"), "{detail}");
}

#[tokio::test]
async fn a_batch_of_more_than_ten_thousand_changes_nothing() {
    let node = Node::start().await;
    let body = format!("{}\n", put(&pin(1))).repeat(10_001);
    let headers = [("content-type", "application/x-ndjson")];
    let refused = node.call("POST", "/v1/state/batch", &headers, body).await;
    assert_eq!(refused.with(413)["code"], "PAYLOAD_TOO_LARGE");
    node.call("GET", &path(&cid(1)), &[], "").await.with(404);
}

/// The program is killed in the middle of batches: what was answered is there, what was not is
/// there wholly or not at all, and sending it again mends it.
#[test]
fn a_host_that_dies_in_a_batch_loses_nothing_that_it_answered() {
    const BATCH: u64 = 1_000;
    let (mut host, key) = program();
    let body = |from: u64| -> String {
        let pins = (from..from + BATCH).map(|n| named(n, &format!("n{n}")));
        pins.map(|pin| format!("{}\n", put(&pin))).collect()
    };
    let answered = commit(&host, &key, &body(0)).expect("an answer");
    assert!(answered.contains("\"applied\":1000"), "{answered}");
    // Three more, of which the last is cut off.
    let mut stream = begin(&host, &key, &body(BATCH));
    let mut first = [0; 1];
    let other = begin(&host, &key, &body(2 * BATCH));
    stream.read_exact(&mut first).unwrap();
    host.kill();
    drop(other);
    host.again();
    let has = |n: u64| host.ask(&key, "GET", &path(&cid(n)), None);
    for n in (0..2 * BATCH).step_by(37) {
        let (status, pin) = has(n);
        assert_eq!(
            (status, &pin["name"]),
            (200, &json!(format!("n{n}"))),
            "{n}"
        );
    }
    for n in (2 * BATCH..3 * BATCH).step_by(37) {
        let (status, pin) = has(n);
        assert!(
            status == 404 || pin["name"] == format!("n{n}"),
            "{status} {pin}"
        );
    }
    let answered = commit(&host, &key, &body(2 * BATCH)).expect("an answer");
    assert!(answered.contains("\"applied\":1000"), "{answered}");
    assert_eq!(has(3 * BATCH - 1).0, 200);
}

/// The program with the role `api` alone, and a node's key for it.
pub(super) fn program() -> (Holdfast, String) {
    let host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        ..Plan::default()
    });
    let wanted = json!({"account": "default/cluster", "roles": ["cluster-node"], "label": "node"});
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let key = made["secret"].as_str().unwrap().to_owned();
    (host, key)
}

fn begin(host: &Holdfast, key: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(host.addr).unwrap();
    let head = format!(
        "POST /v1/state/batch HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {key}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    stream
}

pub(super) fn commit(host: &Holdfast, key: &str, body: &str) -> std::io::Result<String> {
    let mut answer = String::new();
    begin(host, key, body).read_to_string(&mut answer)?;
    Ok(answer)
}

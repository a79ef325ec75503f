//! Reading many pins at once.

use super::{Node, cid, named, path};
use holdfast_model::Pin;
use serde_json::{Value, json};

/// A version, in a message of a pin.
const VERSION: u32 = 1_000;
/// That there is no pin.
const ABSENT: u32 = 1_004;

#[tokio::test]
async fn many_pins_come_in_the_order_in_which_they_were_asked_for() {
    for node in Node::each().await {
        let first = node.put(&named(1, "one")).await;
        let third = node.put(&named(3, "three")).await;
        let body = [3, 2, 1, 3].map(|n| format!("\"{}\"\n", cid(n))).concat();
        let headers = [("content-type", "application/x-ndjson")];
        let read = node.call("POST", "/v1/state/read", &headers, body).await;
        assert_eq!(read.status, 200);
        let lines: Vec<Value> = serde_json::Deserializer::from_slice(&read.body)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let told = |line: &Value| (line["name"].clone(), line["version"].clone());
        assert_eq!(lines.len(), 4);
        assert_eq!(told(&lines[0]), (json!("three"), json!(third)));
        assert_eq!(lines[1], json!({ "absent": cid(2).to_string() }));
        assert_eq!(told(&lines[2]), (json!("one"), json!(first)));
        assert_eq!(lines[3], lines[0]);
    }
}

#[tokio::test]
async fn many_pins_come_as_protobuf_too() {
    let node = Node::start().await;
    let version = node.put(&named(1, "one")).await;
    let mut body = Vec::new();
    for n in [1, 2] {
        let bytes = cid(n).to_bytes();
        prost::encode_length_delimiter(bytes.len(), &mut body).unwrap();
        body.extend(bytes);
    }
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("accept", "application/x-protobuf"),
    ];
    let read = node.call("POST", "/v1/state/read", &headers, body).await;
    assert_eq!(read.status, 200);
    let mut rest = read.body.as_ref();
    let mut next = || {
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        let (message, beyond) = rest.split_at(length);
        rest = beyond;
        message.to_vec()
    };
    let there = next();
    assert_eq!(Pin::from_proto(&there).unwrap().options.name, "one");
    let mut field = Vec::new();
    prost::encoding::uint64::encode(VERSION, &version, &mut field);
    assert!(there.ends_with(&field), "{there:?}");
    let mut field = Vec::new();
    prost::encoding::bytes::encode(ABSENT, &cid(2).to_bytes(), &mut field);
    assert_eq!(next(), field);
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_is_no_list_of_cids_is_refused_whole() {
    let node = Node::start().await;
    let ask = async |content_type: &str, body: String| {
        let headers = [("content-type", content_type)];
        node.call("POST", "/v1/state/read", &headers, body).await
    };
    let line = format!("\"{}\"\n", cid(1));
    let lines = "application/x-ndjson";
    let bad = format!("{line}\"nonsense\"\n");
    let unquoted = format!("{line}{}\n", cid(1));
    for (content_type, body, status) in [
        (lines, line.repeat(1_000), 200),
        (lines, line.repeat(1_001), 413),
        (lines, bad, 400),
        (lines, unquoted, 400),
        (lines, String::new(), 200),
        ("application/x-protobuf", "\u{5}ab".to_owned(), 400),
        ("application/json", line, 415),
    ] {
        let length = body.len();
        let answer = ask(content_type, body).await;
        assert_eq!(answer.status, status, "{content_type} of {length} bytes");
    }
}

/// Pins of megabytes are not all held at once: the answer ends, and the rest is asked for again.
#[tokio::test]
async fn an_answer_that_grows_large_ends_early() {
    let node = Node::start().await;
    for n in 0..4 {
        let mut pin = named(n, "large");
        let metadata = ("filling".to_owned(), "x".repeat(2 << 20));
        pin.options.metadata = [metadata].into_iter().collect();
        node.put(&pin).await;
    }
    let body = (0..4)
        .map(|n| format!("\"{}\"\n", cid(n)))
        .collect::<String>();
    let headers = [("content-type", "application/x-ndjson")];
    let read = node.call("POST", "/v1/state/read", &headers, body).await;
    assert_eq!(read.status, 200);
    let lines = read.body.split(|byte| *byte == b'\n');
    let cids: Vec<Value> = lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice::<Value>(line).unwrap()["cid"].clone())
        .collect();
    assert_eq!(cids, [json!(cid(0).to_string()), json!(cid(1).to_string())]);
}

/// Who commits many pins may be told their versions.
#[tokio::test]
async fn a_batch_tells_versions_to_who_asks() {
    let node = Node::start().await;
    node.put(&named(1, "old")).await;
    let put = |n| json!({ "put": named(n, "new"), "if_absent": true });
    let entries = [
        put(1),
        put(2),
        json!({ "delete": cid(9).to_string() }),
        put(3),
    ];
    let body = entries.map(|entry| format!("{entry}\n")).concat();
    let headers = [("content-type", "application/x-ndjson")];
    let path_of_all = "/v1/state/batch?versions=true";
    let told = node
        .call("POST", path_of_all, &headers, body)
        .await
        .with(200);
    let versions: Vec<u64> = serde_json::from_value(told["versions"].clone()).unwrap();
    assert_eq!((versions.len(), versions[0], versions[2]), (4, 0, 0));
    for (n, version) in [(2, versions[1]), (3, versions[3])] {
        let read = node.call("GET", &path(&cid(n)), &[], "").await.with(200);
        assert_eq!(read["version"], version);
    }
}

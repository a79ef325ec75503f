//! All pins, as a stream.

use super::{Lines, Node, PATIENCE, cid, large, named, pin};
use crate::support::host::Options;
use holdfast::api::Settings;
use holdfast_model::Pin;
use holdfast_store::Expect;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn marks_and_ends_on_each_store() {
    for node in Node::each().await {
        marks_and_ends(&node, 25_000).await;
    }
}

/// Every pin once; going on from each mark gives the rest; the end says how many.
pub(super) async fn marks_and_ends(node: &Node, count: u64) {
    let before = cids(&node.lines("/v1/state/pins").await.all().await);
    let entries: Vec<Value> = (1_000..1_000 + count)
        .map(|n| json!({ "put": named(n, "listed") }))
        .collect();
    for batch in entries.chunks(5_000) {
        assert_eq!(node.batch(batch).await["failed"], json!([]));
    }
    let stream = node.lines("/v1/state/pins").await;
    let head: u64 = stream.response.headers()["holdfast-head"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(head > 0);
    let lines = stream.all().await;
    let all = cids(&lines);
    let expected: BTreeSet<String> = (1_000..1_000 + count)
        .map(|n| cid(n).to_string())
        .chain(before)
        .collect();
    assert_eq!(all, expected);
    let pins = u64::try_from(expected.len()).unwrap();
    assert_eq!(lines.last().unwrap(), &json!({"end": {"pins": pins}}));
    assert!(
        lines
            .iter()
            .filter(|line| line["cid"].is_string())
            .all(|line| line["version"].is_u64())
    );

    let marks = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line["mark"].is_string());
    for (place, mark) in marks {
        let path = format!("/v1/state/pins?from={}", mark["mark"].as_str().unwrap());
        let rest = node.lines(&path).await.all().await;
        let read = cids(&lines[..place]);
        let rest = cids(&rest);
        assert!(rest.is_superset(&all.difference(&read).cloned().collect()));
        assert!(rest.is_disjoint(&read));
    }
    assert_eq!(
        lines.iter().filter(|line| line["mark"].is_string()).count(),
        usize::try_from(pins / 10_000).unwrap()
    );
}

/// Who goes on from marks holds what came since the last one: of large pins that is not much.
#[tokio::test]
async fn marks_stand_between_large_pins() {
    let node = Node::start().await;
    for n in 0..10 {
        let store = &node.host.app.store;
        store.put_pin(large(n), Expect::Any).await.unwrap();
    }
    let list = node.call("GET", "/v1/state/pins", &[], "").await;
    assert_eq!(list.status, 200);
    let lines = list.body.split(|byte| *byte == b'\n');
    let kind = |line: &[u8]| match line {
        [] => None,
        line if line.starts_with(b"{\"mark\":") => Some('m'),
        line if line.starts_with(b"{\"end\":") => Some('e'),
        _ => Some('p'),
    };
    let kinds: String = lines.filter_map(kind).collect();
    assert_eq!(kinds, "ppm".repeat(5) + "e");
}

fn cids(lines: &[Value]) -> BTreeSet<String> {
    let cids: Vec<String> = lines
        .iter()
        .filter_map(|line| line["cid"].as_str().map(str::to_owned))
        .collect();
    let set: BTreeSet<String> = cids.iter().cloned().collect();
    assert_eq!(set.len(), cids.len(), "a pin came twice");
    set
}

#[tokio::test]
async fn bare_lines_are_what_ipfs_cluster_exports() {
    let node = Node::start().await;
    node.put(&named(1, "one")).await;
    let lines = node.lines("/v1/state/pins?bare=true").await.all().await;
    assert_eq!(lines, [serde_json::to_value(named(1, "one")).unwrap()]);
    let empty = Node::start().await;
    assert_eq!(
        empty.lines("/v1/state/pins?bare=true").await.all().await,
        [Value::Null; 0]
    );
}

#[tokio::test]
async fn messages_are_read_by_readers_of_pins() {
    let node = Node::start().await;
    for n in 0..3 {
        node.put(&pin(n)).await;
    }
    let headers = [("accept", "application/x-protobuf")];
    let answer = node.call("GET", "/v1/state/pins", &headers, "").await;
    let mut rest = answer.body.as_slice();
    let mut pins = Vec::new();
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        let (message, beyond) = rest.split_at(length);
        rest = beyond;
        match Pin::from_proto(message) {
            Ok(pin) => pins.push(pin),
            // The end: field 1002, whose reader of pins finds no CID.
            Err(_) => assert!(rest.is_empty() && message.starts_with(&[0xd2, 0x3e])),
        }
    }
    assert_eq!(pins, [pin(0), pin(1), pin(2)]);
}

#[tokio::test]
async fn what_is_no_mark_is_refused() {
    let node = Node::start().await;
    for mark in ["x", "____", "AAAAA"] {
        let path = format!("/v1/state/pins?from={mark}");
        node.call("GET", &path, &[], "").await.with(400);
    }
    node.call("GET", "/v1/state/pins?bare=perhaps", &[], "")
        .await
        .with(400);
}

/// A reader that takes nothing is cut off: its place is free again, and what it then reads does not
/// look whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let node = Node::start_with(Options {
        settings: Settings {
            reader_patience: Duration::from_millis(100),
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    let mut large = pin(0);
    large
        .options
        .metadata
        .insert("blob".to_owned(), "x".repeat(100_000));
    // More than sockets and pieces hold.
    for n in 0..400 {
        large.cid = cid(n);
        node.host
            .app
            .store
            .put_pin(large.clone(), Expect::Any)
            .await
            .unwrap();
    }
    let mut stream: Lines = node.lines("/v1/state/pins").await;
    let stalled = || node.metric("holdfast_state_stalled_total");
    let begin = std::time::Instant::now();
    while stalled() < 1.0 {
        assert!(begin.elapsed() < PATIENCE, "nobody was cut off");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut broke = false;
    while let Some(frame) = stream.response.body_mut().frame().await {
        broke |= frame.is_err();
    }
    assert!(broke, "what was cut off ended as if it were whole");
    assert!(node.metric("holdfast_state_open_streams") < 1.0);
}

#[tokio::test]
async fn there_are_so_many_streams_and_no_more() {
    let node = Node::start().await;
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(node.lines("/v1/state/changes?after=0").await);
    }
    let headers = [("accept", "application/x-ndjson")];
    let refused = node
        .call("GET", "/v1/state/changes?after=0", &headers, "")
        .await;
    assert_eq!(refused.with(503)["code"], "OVERLOADED");
    drop(open);
    let begin = std::time::Instant::now();
    while node
        .call("GET", "/v1/state/pins", &headers, "")
        .await
        .status
        != 200
    {
        assert!(begin.elapsed() < PATIENCE, "no place was given back");
    }
}

impl Node {
    /// One of the API's metrics that has no labels.
    pub(super) fn metric(&self, name: &str) -> f64 {
        let families = self.host.metrics.collectors();
        let families = families.iter().flat_map(|collector| collector.collect());
        let mut found = families.filter(|family| family.name() == name);
        let family = found.next().unwrap();
        let metric = &family.get_metric()[0];
        match family.get_field_type() {
            prometheus::proto::MetricType::COUNTER => metric.get_counter().get_value(),
            _ => metric.get_gauge().get_value(),
        }
    }
}

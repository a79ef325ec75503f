//! Following what changes.

use super::batch::{commit, program, put};
use super::{Node, PATIENCE, cid, large, named, path, pin};
use crate::support::host::Options;
use crate::support::process::until;
use holdfast::api::Settings;
use holdfast_model::Cursor;
use holdfast_store::Expect;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_misses_nothing_on_each_store() {
    for node in Node::each().await {
        a_follower_misses_nothing(&node).await;
    }
}

async fn page(node: &Node, query: &str) -> Value {
    let path = format!("/v1/state/changes?{query}");
    node.call("GET", &path, &[], "").await.with(200)
}

/// Puts, changes and deletes, by long poll and by stream, from a cursor on.
pub(super) async fn a_follower_misses_nothing(node: &Node) {
    let mut cursor = page(node, "after=head").await["cursor"].as_u64().unwrap();
    let mut stream = node
        .lines(&format!("/v1/state/changes?after={cursor}"))
        .await;
    node.put(&named(1, "one")).await;
    let second = node.put(&named(2, "two")).await;
    assert_eq!(
        node.call("DELETE", &path(&cid(1)), &[], "").await.status,
        204
    );
    // By long poll, until both are known.
    let mut known = std::collections::BTreeMap::new();
    let is_known = |known: &std::collections::BTreeMap<String, Value>| {
        known.get(&cid(1).to_string()) == Some(&Value::Null)
            && known.get(&cid(2).to_string()).is_some_and(Value::is_object)
    };
    while !is_known(&known) {
        let page = page(node, &format!("after={cursor}&limit=1&wait=20s")).await;
        for change in page["changes"].as_array().unwrap() {
            assert!(change["cursor"].as_u64().unwrap() > cursor, "{change}");
            known.insert(
                change["cid"].as_str().unwrap().to_owned(),
                change["pin"].clone(),
            );
            if change["cid"] == cid(2).to_string() {
                assert_eq!(
                    (&change["version"], &change["pin"]["name"]),
                    (&json!(second), &json!("two"))
                );
            }
        }
        cursor = page["cursor"].as_u64().unwrap();
    }
    // To the end: what is told of a CID once more is the same as before.
    loop {
        let rest = page(node, &format!("after={cursor}")).await;
        cursor = rest["cursor"].as_u64().unwrap();
        if rest["changes"] == json!([]) {
            break;
        }
    }
    // The same by stream.
    let mut known = std::collections::BTreeMap::new();
    while !is_known(&known) {
        let change = stream.next().await;
        if let Some(cid) = change["cid"].as_str() {
            known.insert(cid.to_owned(), change["pin"].clone());
        }
    }
    // A poll that waits is woken.
    let (woken, ()) = tokio::join!(page_of(node, cursor), async {
        node.put(&named(3, "three")).await;
    });
    assert_eq!(woken["changes"][0]["cid"], cid(3).to_string());
    for n in [2, 3] {
        node.call("DELETE", &path(&cid(n)), &[], "").await;
    }
}

/// A page of the feed is held whole, so it ends early where pins are large; nothing is left out.
#[tokio::test]
async fn pages_of_large_pins_end_early() {
    let node = Node::start().await;
    for n in 0..10 {
        let store = &node.host.app.store;
        store.put_pin(large(n), Expect::Any).await.unwrap();
    }
    let (mut cursor, mut pages) = (0, Vec::new());
    loop {
        let page = page(&node, &format!("after={cursor}")).await;
        let changes = page["changes"].as_array().unwrap();
        if changes.is_empty() {
            break;
        }
        assert_eq!(changes[0]["cid"], cid(cursor).to_string());
        pages.push(changes.len());
        cursor = page["cursor"].as_u64().unwrap();
    }
    assert_eq!(pages, [2; 5]);
}

async fn page_of(node: &Node, cursor: u64) -> Value {
    page(node, &format!("after={cursor}&wait=20s")).await
}

#[tokio::test]
async fn a_poll_for_which_nothing_comes_ends_in_time() {
    let node = Node::start().await;
    let begin = Instant::now();
    let empty = page(&node, "after=0&wait=200ms").await;
    assert_eq!(empty, json!({"changes": [], "cursor": 0, "head": 0}));
    assert!(begin.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cursor_that_cannot_be_gone_on_from_is_refused_with_the_mend() {
    for node in Node::each().await {
        for n in 0..5 {
            node.put(&pin(n)).await;
        }
        let head = page(&node, "after=head").await["cursor"].as_u64().unwrap();
        let future = format!("/v1/state/changes?after={}", head + 1);
        let refused = node.call("GET", &future, &[], "").await.with(400);
        assert_eq!(
            (&refused["code"], &refused["head"]),
            (&json!("CURSOR_IN_FUTURE"), &json!(head))
        );
        node.host
            .app
            .store
            .trim_changes(Cursor(head - 1))
            .await
            .unwrap();
        let lines = [("accept", "application/x-ndjson")];
        for headers in [&[][..], &lines[..]] {
            let gone = node
                .call("GET", "/v1/state/changes?after=0", headers, "")
                .await
                .with(410);
            assert_eq!(gone["code"], "CURSOR_TOO_OLD");
            assert_eq!(
                (&gone["oldest"], &gone["head"]),
                (&json!(head - 1), &json!(head))
            );
            assert!(gone["detail"].as_str().unwrap().contains("/v1/state/pins"));
        }
        let rest = page(&node, &format!("after={}", head - 1)).await;
        assert_eq!(rest["changes"][0]["cid"], cid(4).to_string());
        for query in [
            "",
            "?after=x",
            "?after=-1",
            "?after=0&limit=0",
            "?after=0&limit=1001",
            "?after=0&wait=31s",
            "?after=0&wait=1h",
            "?after=0&until=1",
        ] {
            let path = format!("/v1/state/changes{query}");
            node.call("GET", &path, &[], "").await.with(400);
        }
    }
}

/// A host with the role `api` has no worker that would trim, and perhaps nobody else has one: it
/// trims by itself, and takes up at once that it is to keep less.
#[test]
fn a_host_without_workers_trims_the_feed() {
    const PINS: u64 = 1_200;
    let (host, key) = program();
    let body: String = (0..PINS).map(|n| format!("{}\n", put(&pin(n)))).collect();
    let answered = commit(&host, &key, &body).unwrap();
    assert!(answered.contains("\"applied\":1200"), "{answered}");
    let after = |cursor: u64| format!("/v1/state/changes?after={cursor}&limit=1000");
    let begin = || host.ask(&key, "GET", &after(0), None);
    assert_eq!(begin().0, 200);
    host.write("holdfast.toml", "[store]\nfeed_kept_steps = 1000\n");
    let (_, gone) = until("the feed is trimmed", begin, |(status, _)| *status == 410);
    assert_eq!(gone["code"], "CURSOR_TOO_OLD", "{gone}");
    let (oldest, head) = (gone["oldest"].as_u64(), gone["head"].as_u64());
    assert_eq!(oldest.unwrap() + 1_000, head.unwrap(), "{gone}");
    let (status, rest) = host.ask(&key, "GET", &after(oldest.unwrap()), None);
    assert_eq!((status, &rest["cursor"]), (200, &gone["head"]), "{rest}");
}

#[tokio::test]
async fn a_stream_says_in_silence_that_it_is_there() {
    let node = Node::start().await;
    node.put(&pin(1)).await;
    let mut stream = node.lines("/v1/state/changes?after=0").await;
    let first = stream.next().await;
    assert_eq!(first["cid"], cid(1).to_string());
    assert_eq!(stream.next().await, json!({"heartbeat": first["cursor"]}));
}

/// A node that follows and takes nothing any more is cut off: its place is free again, others go
/// on, and where it was it goes on later without missing anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_takes_nothing_is_cut_off_and_misses_nothing() {
    const PINS: u64 = 400;
    let node = Node::start_with(Options {
        settings: Settings {
            reader_patience: Duration::from_millis(100),
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    let mut still = node.lines("/v1/state/changes?after=0").await;
    let mut large = pin(0);
    let blob = ("blob".to_owned(), "x".repeat(100_000));
    large.options.metadata.extend([blob]);
    // More than sockets and pieces hold.
    for n in 0..PINS {
        large.cid = cid(n);
        let store = &node.host.app.store;
        store.put_pin(large.clone(), Expect::Any).await.unwrap();
    }
    let begin = Instant::now();
    while node.metric("holdfast_state_stalled_total") < 1.0 {
        assert!(begin.elapsed() < PATIENCE, "nobody was cut off");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What it had in its sockets it reads; then it breaks off rather than ends.
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        match still.try_next().await {
            Ok(Some(change)) => {
                cursor = change["cursor"].as_u64().unwrap();
                seen.push(change["cid"].as_str().unwrap().to_owned());
            }
            Ok(None) => panic!("what was cut off ended as if it were whole"),
            Err(_broken) => break,
        }
    }
    assert!(seen.len() < usize::try_from(PINS).unwrap());
    loop {
        let page = page(&node, &format!("after={cursor}&limit=50")).await;
        let changes = page["changes"].as_array().unwrap();
        if changes.is_empty() {
            break;
        }
        let cids = changes.iter().map(|change| change["cid"].as_str().unwrap());
        seen.extend(cids.map(str::to_owned));
        cursor = page["cursor"].as_u64().unwrap();
    }
    let expected: Vec<String> = (0..PINS).map(|n| cid(n).to_string()).collect();
    assert_eq!(seen, expected);
}

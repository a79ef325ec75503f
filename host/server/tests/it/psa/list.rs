//! The list: filters, counts, pages.

use super::{CID, OTHER_CID, names, pin, pin_named, text, user};
use crate::support::host::Host;
use holdfast_model::{RequestId, RequestStatus};
use holdfast_store::Outcome;
use serde_json::{Value, json};
use std::collections::HashSet;

async fn settle(host: &Host, id: &str, status: RequestStatus) {
    let id = RequestId::parse(id).unwrap();
    let row = host.app.store.request(id).await.unwrap().unwrap();
    let outcome = Outcome {
        status,
        dag_size: None,
        details: None,
    };
    let now = host.app.clock.now();
    let settled = host.app.store.settle_request(id, row.version, outcome, now);
    settled.await.unwrap();
}

/// Asks with a query and answers the names in order, checking that the count fits.
async fn listed(host: &Host, key: &str, query: &str) -> Vec<String> {
    let page = host.get(&format!("/psa/pins?{query}"), key).await.with(200);
    let names = names(&page);
    assert_eq!(page["count"], names.len(), "{query}");
    names
}

#[tokio::test]
async fn without_a_status_requests_of_every_status_are_listed() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    for status in RequestStatus::ALL {
        let id = pin_named(&host, &key, status.as_str()).await;
        if status != RequestStatus::Queued {
            settle(&host, &id, status).await;
        }
    }
    let all = ["failed", "pinned", "pinning", "queued"];
    assert_eq!(listed(&host, &key, "").await, all, "newest first");
    assert_eq!(listed(&host, &key, "status=pinned").await, ["pinned"]);
    let two = ["failed", "queued"];
    assert_eq!(listed(&host, &key, "status=queued,failed").await, two);
    assert_eq!(
        listed(&host, &key, "status=queued&status=failed").await,
        two
    );
}

#[tokio::test]
async fn names_match_in_the_four_ways() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    for name in ["Kelp Forest", "kelp forest", "oak"] {
        pin_named(&host, &key, name).await;
    }
    for (query, expected) in [
        ("name=Kelp%20Forest", &["Kelp Forest"][..]),
        ("name=Kelp+Forest&match=exact", &["Kelp Forest"]),
        (
            "name=KELP%20FOREST&match=iexact",
            &["kelp forest", "Kelp Forest"],
        ),
        ("name=elp%20F&match=partial", &["Kelp Forest"]),
        (
            "name=ELP%20f&match=ipartial",
            &["kelp forest", "Kelp Forest"],
        ),
        ("name=elm&match=ipartial", &[]),
    ] {
        assert_eq!(listed(&host, &key, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn content_and_meta_filter() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    for (name, cid, meta) in [
        ("a", CID, json!({"app": "x", "env": "test"})),
        ("b", OTHER_CID, json!({"app": "x"})),
        ("c", CID, json!({"app": "y"})),
    ] {
        pin(&host, &key, json!({"cid": cid, "name": name, "meta": meta})).await;
    }
    for (query, expected) in [
        (format!("cid={CID}"), &["c", "a"][..]),
        (format!("cid={CID},{OTHER_CID}"), &["c", "b", "a"]),
        ("meta=%7B%22app%22%3A%22x%22%7D".to_owned(), &["b", "a"]),
        (format!("meta=%7B%22app%22%3A%22x%22%7D&cid={CID}"), &["a"]),
        ("meta=%7B%7D".to_owned(), &["c", "b", "a"]),
    ] {
        assert_eq!(listed(&host, &key, &query).await, expected, "{query}");
    }
}

/// Pages as Kubo does: until a page holds as many as are counted.
async fn walk(host: &Host, key: &str, query: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut before = String::new();
    loop {
        let path = format!("/psa/pins?{query}{before}");
        let page: Value = host.get(&path, key).await.with(200);
        let rows = page["results"].as_array().unwrap();
        ids.extend(rows.iter().map(|row| text(&row["requestid"])));
        if page["count"] == rows.len() {
            return ids;
        }
        let last = text(&rows.last().expect("a counted page has rows")["created"]);
        before = format!("&before={last}");
    }
}

#[tokio::test]
async fn paging_repeats_nothing_and_misses_nothing() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let other = user(&host, "acme/shop").await;
    let mut made = Vec::new();
    for n in 0..25 {
        made.push(pin_named(&host, &key, &format!("pin {n}")).await);
        pin_named(&host, &other, "not ours").await;
    }
    made.reverse();
    let first = host.get("/psa/pins", &key).await.with(200);
    assert_eq!(first["count"], 25);
    assert_eq!(names(&first).len(), 10, "the default page");
    for query in [
        "limit=10",
        "limit=7",
        "limit=1",
        "limit=1000",
        "status=queued",
    ] {
        assert_eq!(walk(&host, &key, query).await, made, "{query}");
    }
    let whole = host.get("/psa/pins?limit=1000", &key).await.with(200);
    let created: Vec<String> = whole["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| text(&row["created"]))
        .collect();
    assert_eq!(created.iter().collect::<HashSet<_>>().len(), 25);
    assert!(created.is_sorted_by(|newer, older| newer > older));
    let between = format!("before={}&after={}&limit=1", created[4], created[10]);
    let page = host.get(&format!("/psa/pins?{between}"), &key).await;
    assert_eq!(page.with(200)["count"], 5, "both ends are left out");
}

//! What is answered to calls that are wrong, odd or about nothing.

use super::Interface;
use holdfast::api::Cors;

#[tokio::test]
async fn a_bad_option_is_refused_and_changes_nothing() {
    let interface = Interface::start().await;
    for option in [
        "mode=sideways",
        "replication-min=x",
        "replication=3",
        "replication-min=2&replication-max=1",
        "replication-min=-1&replication-max=2",
        "replication-min=-7&replication-max=-7",
        "expire-in=1ms",
        "expire-in=soon",
        "expire-at=2020-01-01T00:00:00Z",
        "expire-at=never",
        "shard-size=-1",
        "user-allocations=nobody",
        "pin-update=Qm",
        "pin-update=bafkqabtimvwgy3yk",
        "origins=/ip4/1.2.3.4/tcp/1",
    ] {
        for route in ["/pins/bafkqaaa", "/pins/ipfs/bafkqaaa"] {
            let refused = interface.call("POST", &format!("{route}?{option}")).await;
            assert!(
                (400..500).contains(&refused.status),
                "{route} {option}: {}",
                refused.body
            );
            refused.message();
            // One object and nothing behind it.
            assert_eq!(refused.body.matches("\"code\"").count(), 1);
        }
        let none = interface.call("GET", "/allocations").await;
        assert_eq!((none.status, &*none.body), (204, ""), "{option}");
    }
}

#[tokio::test]
async fn what_is_no_cid_or_path_or_filter_is_told() {
    let interface = Interface::start().await;
    for (method, path) in [
        ("GET", "/allocations/Qm"),
        ("GET", "/pins/notacid"),
        ("POST", "/pins/notacid"),
        ("DELETE", "/pins/notacid"),
        ("POST", "/pins/notacid/recover"),
        ("POST", "/pins/ipfs/notacid"),
        ("POST", "/pins/ipfs/%zz"),
        ("GET", "/pins?cids=bafkqaaa,x"),
        ("GET", "/pins?filter=nonsense"),
        ("GET", "/pins?filter=pinned,nonsense"),
        ("GET", "/pins?local=perhaps"),
        ("GET", "/allocations?filter=nonsense"),
        ("DELETE", "/peers/notapeer"),
        ("POST", "/add"),
    ] {
        let refused = interface.call(method, path).await;
        assert_eq!(refused.status, 400, "{method} {path}: {}", refused.body);
        refused.message();
    }
    let bearer = format!("authorization: Bearer {}", interface.key);
    for body in ["", "{", "{\"peer_id\":\"x\"}"] {
        let refused = interface.send("POST", "/peers", &[&bearer], body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
}

#[tokio::test]
async fn what_is_not_there_has_the_words_that_clients_look_for() {
    let interface = Interface::start().await;
    for (method, path) in [
        ("GET", "/allocations/bafkqaaa"),
        ("DELETE", "/pins/bafkqaaa"),
        ("DELETE", "/pins/ipfs/bafkqaaa"),
        ("POST", "/pins/bafkqabtimvwgy3yk?pin-update=bafkqaaa"),
    ] {
        let missing = interface.call(method, path).await;
        assert_eq!(missing.status, 404, "{method} {path}");
        assert_eq!(missing.message(), "pin is not part of the pinset");
    }
    let stray = interface.call("GET", "/sync").await;
    assert_eq!(
        (stray.status, stray.message()),
        (404, "not found".to_owned())
    );
    let nobody = interface.send("GET", "/sync", &[], "").await;
    assert_eq!(nobody.status, 401, "nobody learns what is not there");
}

#[tokio::test]
async fn methods_slashes_and_long_heads() {
    let interface = Interface::start().await;
    let wrong = interface.call("PUT", "/pins/bafkqaaa").await;
    assert_eq!((wrong.status, &*wrong.body), (405, ""));
    let slash = interface.call("POST", "/pins/bafkqaaa/?mode=direct").await;
    assert_eq!(slash.status, 307);
    assert_eq!(slash.header("location"), Some("/pins/bafkqaaa?mode=direct"));
    let cid = "bafkreie2v3u4hdfg3efr4xyptxadvroajgglu4crjvtjtzbc7alx3pzb3a";
    let many = |n: usize| format!("/pins?cids={}", vec![cid; n].join(","));
    assert_eq!(interface.call("GET", &many(130)).await.lines().len(), 130);
    assert_eq!(interface.call("GET", &many(431)).await.lines().len(), 431);
    assert_eq!(interface.call("GET", &many(900)).await.status, 431);
}

#[tokio::test]
async fn nothing_is_204_and_health_needs_no_key() {
    let interface = Interface::start().await;
    for path in ["/allocations", "/pins", "/peers", "/pins?filter=pinned"] {
        let empty = interface.call("GET", path).await;
        assert_eq!((empty.status, &*empty.body), (204, ""), "{path}");
    }
    assert_eq!(interface.call("POST", "/pins/recover").await.status, 204);
    assert_eq!(interface.send("GET", "/health", &[], "").await.status, 204);
    assert_eq!(interface.call("GET", "/health/alerts").await.body, "[]");
    // Without a node there is nobody to speak for.
    assert_eq!(interface.call("GET", "/id").await.status, 503);
    assert_eq!(interface.call("POST", "/ipfs/gc").await.status, 503);
}

#[tokio::test]
async fn pages_of_other_sites_read_only_where_they_may() {
    let closed = Interface::start().await;
    let origin = "origin: https://status.example";
    let bearer = format!("authorization: Bearer {}", closed.key);
    let answer = closed.send("GET", "/version", &[origin, &bearer], "").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, None)
    );

    let open = Interface::start_with(Cors {
        origins: vec!["https://status.example".to_owned()],
        methods: vec!["GET".to_owned()],
    })
    .await;
    let bearer = format!("authorization: Bearer {}", open.key);
    let answer = open.send("GET", "/version", &[origin, &bearer], "").await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://status.example")
    );
    assert_eq!(answer.header("vary"), Some("origin"));
    let other = open
        .send(
            "GET",
            "/version",
            &["origin: https://evil.example", &bearer],
            "",
        )
        .await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    let asks = |method| format!("access-control-request-method: {method}");
    let may = open
        .send("OPTIONS", "/pins", &[origin, &asks("GET")], "")
        .await;
    assert_eq!(
        (may.status, may.header("access-control-allow-methods")),
        (204, Some("get"))
    );
    let may_not = open
        .send("OPTIONS", "/pins", &[origin, &asks("DELETE")], "")
        .await;
    assert_eq!(may_not.header("access-control-allow-methods"), None);
}

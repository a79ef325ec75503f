//! Who may call what, on every route; passwords and tokens.

use super::Interface;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast::api::{Access, CLUSTER_ROUTES};
use holdfast_model::Role::{Auditor, ClusterNode, Operator, TenantAdmin, TenantUser};
use holdfast_model::{KeyId, UnixMillis};
use serde_json::json;
use std::time::Duration;

/// A path that a route takes.
fn path(route: &str) -> String {
    route
        .replace("{cid}", "bafkqaaa")
        .replace("{*path}", "bafkqaaa")
        .replace(
            "{peer}",
            "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M",
        )
        .replace("{name}", "ping")
}

#[tokio::test]
async fn every_route_lets_cluster_nodes_in_and_nobody_else() {
    let interface = Interface::start().await;
    let mut keys = Vec::new();
    for role in [TenantUser, TenantAdmin, Operator, Auditor] {
        keys.push((role, interface.host.key("acme/web", &[role]).await));
    }
    for route in CLUSTER_ROUTES {
        let (method, path) = (route.method.as_str(), path(route.path));
        let nobody = interface.send(method, &path, &[], "").await;
        if route.access == Access::Open {
            assert_eq!(nobody.status, 204, "{method} {path}");
            continue;
        }
        assert_eq!(nobody.status, 401, "{method} {path}");
        assert_eq!(nobody.message(), "unauthorized: no auth provided");
        for (role, key) in &keys {
            let bearer = format!("authorization: Bearer {key}");
            let answer = interface.send(method, &path, &[&bearer], "").await;
            let expected = match route.access {
                Access::Permit => 403,
                _ => 200,
            };
            assert_eq!(
                answer.status, expected,
                "{method} {path} as {role}: {}",
                answer.body
            );
        }
        let right = interface.call(method, &path).await;
        assert!(
            ![401, 403].contains(&right.status),
            "{method} {path}: {}",
            right.body
        );
    }
}

#[tokio::test]
async fn what_is_decided_is_audited() {
    let interface = Interface::start().await;
    interface.call("POST", "/pins/bafkqaaa").await;
    interface.call("GET", "/allocations").await;
    interface.host.app.audit.flush().await.unwrap();
    let log = std::fs::read_to_string(interface.host.audit_file()).unwrap();
    let line = |action: &str| log.lines().any(|line| line.contains(action));
    assert!(line("\"writePins\"") && line("\"readPins\""), "{log}");
    assert!(log.contains("pin bafkqaaa"), "{log}");
}

/// The public id of a key.
fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    format!("authorization: Basic {credentials}")
}

#[tokio::test]
async fn a_keys_id_and_the_key_are_a_user_and_a_password() {
    let interface = Interface::start().await;
    let (key, other) = (
        &interface.key,
        interface.host.key("a/b", &[ClusterNode]).await,
    );
    let version = async |header: &str| interface.send("GET", "/version", &[header], "").await;
    assert_eq!(version(&basic(id(key), key)).await.status, 200);
    for (user, password) in [
        (id(&other), key.as_str()),
        ("", key),
        (id(key), ""),
        (id(key), "wrong"),
        ("admin", key),
    ] {
        let refused = version(&basic(user, password)).await;
        assert_eq!(refused.status, 401, "{user}:{password}");
        assert_eq!(refused.message(), "unauthorized: access denied");
        assert!(refused.head.contains("www-authenticate: basic realm="));
        assert!(refused.head.contains("www-authenticate: bearer realm="));
    }
    for header in [
        "authorization: Basic",
        "authorization: Basic %%%",
        "authorization: Negotiate x",
    ] {
        assert_eq!(version(header).await.status, 401, "{header}");
    }
}

/// A user who is kept here, made over the host's own interface.
async fn user(interface: &Interface, password: &str) -> String {
    let admin = [TenantAdmin, Operator];
    let admin = interface.host.key("default/admin", &admin).await;
    let wanted = json!({
        "name": "kim", "password": password, "roles": ["cluster-node"], "account": "default/cluster",
    });
    let made = interface.host.post("/v1/users", &admin, wanted).await;
    made.with(201);
    admin
}

#[tokio::test]
async fn a_user_who_is_kept_here_comes_with_the_password() {
    const PASSWORD: &str = "a pass:word of length";
    let interface = Interface::start().await;
    let admin = user(&interface, PASSWORD).await;
    let with = async |header: &str| interface.send("GET", "/allocations", &[header], "").await;
    let right = basic("default/kim", PASSWORD);
    assert_eq!(with(&right).await.status, 204);
    for (user, password) in [
        ("default/kim", "a pass:word of lengtH"),
        ("default/nobody", PASSWORD),
        ("kim", PASSWORD),
        ("default/", PASSWORD),
    ] {
        let refused = with(&basic(user, password)).await;
        assert_eq!(refused.status, 401, "{user}:{password}");
        assert_eq!(refused.message(), "unauthorized: access denied");
    }
    let given = interface.send("POST", "/token", &[&right], "").await.json();
    let token = format!("authorization: Bearer {}", given["token"].as_str().unwrap());
    assert_eq!(with(&token).await.status, 204);
    // A session begets no other that outlives it.
    let again = interface.send("POST", "/token", &[&token], "").await.json();
    assert_eq!(again, given);
    let change = json!({ "password": "another pass word" });
    let path = "/v1/users/kim";
    let changed = interface.host.call("PUT", path, Some(&admin), Some(change));
    changed.await.with(200);
    // For a moment the former password is still believed; a token that it gets is worth no more.
    let late = interface.send("POST", "/token", &[&right], "").await;
    let late = match late.status {
        200 => late.json()["token"].as_str().unwrap().to_owned(),
        _ => "none".to_owned(),
    };
    let late = format!("authorization: Bearer {late}");
    let gone = async {
        for header in [&token, &right, &late] {
            while with(header).await.status == 204 {
                tokio::task::yield_now().await;
            }
            assert_eq!(with(header).await.status, 401);
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(5), gone).await;
    assert!(
        in_time.is_ok(),
        "the former password opens the door for more than five seconds"
    );
}

#[tokio::test]
async fn who_guesses_a_password_at_this_door_is_locked_out_at_both() {
    let interface = Interface::start().await;
    user(&interface, "a pass word of length").await;
    let guess = async |password: &str| {
        let header = basic("default/kim", password);
        interface.send("GET", "/allocations", &[&header], "").await
    };
    for _ in 0..5 {
        assert_eq!(guess("not it at all").await.status, 401);
    }
    // Not even the right one is looked at now.
    let locked = guess("a pass word of length").await;
    assert_eq!(locked.status, 429, "{}", locked.body);
    assert!(locked.message().contains("unlock"), "{}", locked.body);
    let wanted = json!({ "user": "default/kim", "password": "a pass word of length" });
    let login = interface.host.call("POST", "/v1/login", None, Some(wanted));
    login.await.with(429);
}

#[tokio::test]
async fn a_token_is_worth_its_key_for_a_while() {
    let interface = Interface::start().await;
    let given = interface.call("POST", "/token").await.json();
    let token = given["token"].as_str().unwrap().to_owned();
    let with = async |token: &str| {
        let bearer = format!("authorization: Bearer {token}");
        interface
            .send("GET", "/version", &[&bearer], "")
            .await
            .status
    };
    assert_eq!(with(&token).await, 200);
    // Whoever has a token may have another.
    let bearer = format!("authorization: Bearer {token}");
    assert_eq!(
        interface
            .send("POST", "/token", &[&bearer], "")
            .await
            .status,
        200
    );
    assert_eq!(
        with(&format!("{}x", &token[..token.len() - 1])).await,
        401,
        "another signature"
    );
    let forged = token.replacen('.', ".e", 1);
    assert_eq!(with(&forged).await, 401);
    let id = KeyId::parse(id(&interface.key)).unwrap();
    let now = UnixMillis::new(interface.host.app.clock.now().as_millis());
    interface.host.app.store.revoke_key(&id, now).await.unwrap();
    assert_eq!(
        with(&token).await,
        401,
        "a revoked key's token is worthless at once"
    );
}

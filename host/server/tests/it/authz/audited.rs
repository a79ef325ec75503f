//! Every decision is in the audit log, with the words of the answer.

use crate::psa::pin_named;
use crate::support::host::Host;
use holdfast_model::Role;
use serde_json::{Value, json};

async fn log(host: &Host) -> Vec<Value> {
    host.app.audit.flush().await.unwrap();
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn what_was_allowed_denied_hidden_and_unknown_is_written_down() {
    let host = Host::start().await;
    let ours = host.key("acme/web", &[Role::TenantUser]).await;
    let theirs = host.key("rival/web", &[Role::TenantUser]).await;
    let id = pin_named(&host, &ours, "x").await;
    host.get(&format!("/psa/pins/{id}"), &theirs)
        .await
        .with(404);
    let denied = host.get("/v1/plugins", &ours).await.with(403);
    host.get("/psa/pins", "nobodys-key").await.with(401);
    let log = log(&host).await;
    let seen: Vec<_> = log
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            (text("action"), text("outcome"), line["status"].clone())
        })
        .collect();
    let expected = [
        ("createRequest", "allow", 202),
        ("readRequest", "deny", 404),
        ("listPlugins", "deny", 403),
        ("-", "deny", 401),
    ];
    let expected = expected.map(|(action, outcome, status)| {
        (action.to_owned(), outcome.to_owned(), Value::from(status))
    });
    assert_eq!(seen, expected);
    assert_eq!(log[2]["decision_id"], denied["decision_id"]);
    assert_eq!(log[2]["request_id"], denied["request_id"]);
    assert_eq!(log[1]["actor"]["account"], "rival/web");
    assert!(log[0]["remote"].as_str().unwrap().starts_with("127.0.0.1:"));
}

/// A list has no decision of its own, and is written down all the same.
#[tokio::test]
async fn what_was_listed_is_written_down() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    host.get("/v1/tenants", &admin).await.with(200);
    host.get("/v1/keys?tenant=acme", &admin).await.with(200);
    host.get("/v1/whoami", &admin).await.with(200);
    let log = log(&host).await;
    let notes: Vec<_> = log.iter().map(|line| line["note"].as_str()).collect();
    let listed = [
        Some("listed 1 tenants"),
        Some("listed 1 keys of acme"),
        None,
    ];
    assert_eq!(notes, listed);
    assert_eq!(
        log[2]["route"], "GET /v1/whoami",
        "that somebody was let in is told too"
    );
    assert_eq!(log[0]["actor"]["account"], "acme/web");
}

/// The notes of an operation's calls, in their order.
fn notes(log: &[Value], action: &str) -> Vec<String> {
    let of_action = log.iter().filter(|line| line["action"] == action);
    let notes = of_action.filter_map(|line| line["note"].as_str());
    notes.map(str::to_owned).collect()
}

/// Not only that there was a change, but what it was; and never what opens anything.
#[tokio::test]
async fn what_an_administrator_changed_is_written_down() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let password = "correct horse battery";
    let wanted = json!({ "roles": ["tenant-user"], "scopes": ["listKeys"] });
    let made = host.post("/v1/keys", &admin, wanted).await.with(201);
    let secret = made["secret"].as_str().unwrap();
    let id = made["key"]["id"].as_str().unwrap();
    let rotated = format!("/v1/keys/{id}/rotate");
    let rotated = host.post(&rotated, &admin, json!({})).await.with(201);
    let next = rotated["key"]["id"].as_str().unwrap();
    let wanted = json!({ "roles": ["operator"] });
    host.post("/v1/keys", &admin, wanted).await.with(403);
    let wanted = json!({ "name": "eve", "password": password, "logins": ["did:key:z6MkA"] });
    host.post("/v1/users", &admin, wanted).await.with(201);
    let put = async |change: Value| {
        let call = host.call("PUT", "/v1/users/eve", Some(&admin), Some(change));
        call.await.with(200);
    };
    put(json!({ "roles": ["tenant-user", "tenant-admin"], "unlock": true })).await;
    put(json!({ "password": "another long one", "disabled": true, "logins": [] })).await;
    put(json!({ "disabled": false })).await;
    host.delete("/v1/users/eve", &admin).await.with(204);
    let log = log(&host).await;
    let key = format!("key {id} of tenant-user for acme/web, good for listKeys");
    let refused = "a key of operator for acme/web: the role operator is not yours to give; \
                   leave it out, or ask an operator to do it";
    assert_eq!(notes(&log, "createKey")[0], key);
    assert_eq!(notes(&log, "createKey").last().unwrap(), refused);
    let successor = key.replace(id, next);
    let all = notes(&log, "createKey");
    assert!(
        all.contains(&format!("key {id} rotated to {successor}")),
        "{all:?}"
    );
    let of_eve = [
        "user eve: roles tenant-user; with a password; logins did:key:z6MkA",
        "user eve: roles tenant-user, tenant-admin (were tenant-user); unlocked",
        "user eve: another password; disabled; logins none (were did:key:z6MkA)",
        "user eve: enabled",
        "user eve: had roles tenant-user, tenant-admin",
    ];
    assert_eq!(notes(&log, "writeUsers"), of_eve);
    let text = Value::from(log).to_string();
    let next = rotated["secret"].as_str().unwrap();
    for never in [secret, next, password, "another long one", "argon2"] {
        assert!(!text.contains(never), "{never} is in {text}");
    }
}

#[tokio::test]
async fn what_a_tenants_attributes_were_is_written_down() {
    let host = Host::start().await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let put = async |attributes: Value| {
        let wanted = Some(json!({ "attributes": attributes }));
        let call = host.call("PUT", "/v1/tenants/acme", Some(&operator), wanted);
        call.await.with(200);
    };
    put(json!({ "plan": "small", "town": "x".repeat(65) })).await;
    put(json!({ "plan": "big", "town": "x".repeat(65) })).await;
    put(json!({ "plan": "big" })).await;
    put(json!({ "plan": "big" })).await;
    let town = "x".repeat(64);
    let told = [
        format!("attributes plan = small; town = {town}"),
        "attributes plan = big (was small)".to_owned(),
        format!("attributes without town (was {town})"),
        "attributes as they were".to_owned(),
    ];
    assert_eq!(notes(&log(&host).await, "writeTenant"), told);
}

#[tokio::test]
async fn a_callers_request_id_is_kept_when_it_is_one() {
    let host = Host::start().await;
    let id = "0193e0a0-0000-7000-8000-0000000000ff";
    let request = axum::http::Request::get(format!("http://{}/openapi.json", host.address))
        .header("x-request-id", id)
        .body(http_body_util::Full::default())
        .unwrap();
    let answer = host.send(request).await;
    assert_eq!(answer.headers["x-request-id"], id.replace('-', "").as_str());
    let fresh = host.call("GET", "/openapi.json", None, None).await;
    let fresh = fresh.headers["x-request-id"].to_str().unwrap();
    assert_eq!(fresh.len(), 32);
}

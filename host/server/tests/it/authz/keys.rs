//! Keys and tenants over the API.

use crate::support::host::{Answer, Host, Options};
use holdfast::clock::Clock;
use holdfast_model::{Role, UnixMillis};
use serde_json::json;

/// Longer than a key is remembered after a look at the store.
const REMEMBERED_MILLIS: u64 = 5_000;

#[tokio::test]
async fn a_key_is_shown_once_works_and_can_be_revoked() {
    let clock = Clock::manual(UnixMillis::new(1_800_000_000_000));
    let host = Host::start_with(Options {
        clock: clock.clone(),
        ..Options::default()
    })
    .await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let wanted =
        json!({"label": "laptop", "account": "acme/shop", "expires": "2027-12-01T00:00:00Z"});
    let made = host.post("/v1/keys", &admin, wanted).await.with(201);
    let secret = made["secret"].as_str().unwrap();
    let key = &made["key"];
    assert_eq!(key["account"], "acme/shop");
    assert_eq!(key["roles"], json!(["tenant-user"]));
    assert_eq!(key["expires"], "2027-12-01T00:00:00.000Z");
    host.get("/psa/pins", secret).await.with(200);

    let listed = host.get("/v1/keys?account=acme/shop", &admin).await;
    assert!(!String::from_utf8_lossy(&listed.body).contains(secret));
    let listed = listed.with(200);
    assert_eq!(listed["keys"], json!([key]));
    assert_eq!(listed["next"], json!(null));

    let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
    let revoked = host.delete(&path, &admin).await.with(200);
    assert_eq!(revoked["revoked"], "2027-01-15T08:00:00.000Z");
    let Clock::Manual(millis) = clock else {
        unreachable!("the clock is manual");
    };
    millis.fetch_add(REMEMBERED_MILLIS, std::sync::atomic::Ordering::SeqCst);
    host.get("/psa/pins", secret).await.with(401);
    host.delete("/v1/keys/nosuchkey", &admin).await.with(404);
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    for n in 0..5 {
        host.key(&format!("acme/other{n}"), &[Role::TenantUser])
            .await;
        host.key("acme/shop", &[Role::TenantUser]).await;
    }
    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/keys?account=acme/shop&limit=2{after}");
        let page = host.get(&path, &admin).await.with(200);
        let keys = page["keys"].as_array().unwrap();
        ids.extend(keys.iter().map(|key| key["id"].clone()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[tokio::test]
async fn nobody_gives_away_more_than_they_have() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let operator = host.key("default/admin", &[Role::Operator]).await;
    for (maker, account, role, status) in [
        (&admin, "acme/web", "operator", 403),
        (&admin, "acme/web", "tenant-admin", 201),
        (&admin, "rival/web", "tenant-user", 404),
        (&operator, "newcomer/first", "tenant-admin", 201),
        (&operator, "newcomer/first", "operator", 403),
        (&operator, "default/nodes", "cluster-node", 201),
        (&operator, "default/nodes", "system", 403),
        (&operator, "default/nodes", "emperor", 400),
    ] {
        let wanted = json!({"account": account, "roles": [role]});
        let answer = host.post("/v1/keys", maker, wanted).await;
        let shown = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, status, "{account} {role}: {shown}");
    }
    let none = json!({"roles": []});
    let refused = host.post("/v1/keys", &admin, none).await.with(400);
    assert!(refused["detail"].as_str().unwrap().contains("roles"));
}

#[tokio::test]
async fn a_tenant_has_the_attributes_that_the_operator_gave() {
    let host = Host::start().await;
    let operator = host.key("default/admin", &[Role::Operator]).await;
    let path = "/v1/tenants/newcomer";
    host.get(path, &operator).await.with(404);
    let attributes = json!({"attributes": {"plan": "gold", "quota_bytes": "1000"}});
    let put = host
        .call("PUT", path, Some(&operator), Some(attributes.clone()))
        .await
        .with(200);
    assert_eq!(put["attributes"], attributes["attributes"]);
    assert_eq!(host.get(path, &operator).await.with(200), put);
    let fewer = json!({"attributes": {"plan": "gold"}});
    let put = host.call("PUT", path, Some(&operator), Some(fewer)).await;
    assert_eq!(put.with(200)["attributes"], json!({"plan": "gold"}));
    host.get("/v1/tenants/NEW%20comer", &operator)
        .await
        .with(404);
    let long = json!({"attributes": {"plan": "x".repeat(2_000)}});
    let refused = host.call("PUT", path, Some(&operator), Some(long)).await;
    let refused = refused.with(400);
    assert!(
        refused["detail"]
            .as_str()
            .unwrap()
            .contains("attributes.plan")
    );
}

/// What of an answer a stranger can compare: all but the request's own name and the rates.
fn shown(answer: &Answer) -> (u16, Vec<(String, Vec<u8>)>, String) {
    let told = answer.headers.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "x-request-id" | "date" => Vec::new(),
            name if name.contains("ratelimit") => Vec::new(),
            _ => value.as_bytes().to_vec(),
        };
        (name.to_string(), value)
    });
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    (answer.status.as_u16(), told.collect(), body)
}

/// To no role of another tenant anything answers otherwise because it is there.
#[tokio::test]
async fn what_is_hidden_answers_as_what_is_missing_does_to_the_byte() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let attributes = json!({"attributes": {}});
    let acme = host.call(
        "PUT",
        "/v1/tenants/acme",
        Some(&operator),
        Some(attributes.clone()),
    );
    acme.await.with(200);
    let alice = json!({"name": "alice"});
    host.post("/v1/users", &admin, alice.clone())
        .await
        .with(201);
    let key = host.post("/v1/keys", &admin, json!({})).await.with(201);
    let key = key["key"]["id"].as_str().unwrap();
    let of_key = |id: &str| format!("/v1/keys/{id}");
    let rotation = |id: &str| format!("/v1/keys/{id}/rotate");
    let user = |name: &str, tenant: &str| format!("/v1/users/{name}?tenant={tenant}");
    let users = |tenant: &str| format!("/v1/users?tenant={tenant}");
    let tenant = |name: &str| format!("/v1/tenants/{name}");
    let (made, change) = (Some(json!({})), Some(json!({"disabled": true})));
    let written = Some(attributes);
    let cases = [
        ("DELETE", of_key(key), of_key("nosuchkey"), None),
        ("DELETE", of_key(key), of_key("no"), None),
        ("POST", rotation(key), rotation("nosuchkey"), made),
        ("GET", tenant("acme"), tenant("nowhere"), None),
        ("GET", tenant("acme"), tenant("No%20where"), None),
        ("PUT", tenant("acme"), tenant("nowhere"), written),
        ("GET", users("acme"), users("nowhere"), None),
        (
            "PUT",
            user("alice", "acme"),
            user("nobody", "acme"),
            change.clone(),
        ),
        (
            "PUT",
            user("alice", "acme"),
            user("alice", "nowhere"),
            change,
        ),
        (
            "DELETE",
            user("alice", "acme"),
            user("nobody", "acme"),
            None,
        ),
        (
            "DELETE",
            user("alice", "acme"),
            user("alice", "nowhere"),
            None,
        ),
    ];
    for role in [Role::TenantUser, Role::TenantAdmin, Role::ClusterNode] {
        let stranger = host.key("rival/web", &[role]).await;
        for (method, hidden, missing, body) in &cases {
            let ask = async |path: &str| {
                let answer = host.call(method, path, Some(&stranger), body.clone()).await;
                shown(&answer)
            };
            let (hidden, told) = (ask(hidden).await, format!("{role} {method} {hidden}"));
            assert_eq!(hidden.0, 404, "{told}: {hidden:?}");
            assert_eq!(hidden, ask(missing).await, "{told} and {missing}");
        }
    }
}

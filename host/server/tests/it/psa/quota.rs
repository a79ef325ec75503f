//! What authorizer components may say to a change.

use super::{CID, OTHER_CID, pin, pin_named, text, user};
use crate::support::host::Host;
use crate::support::plugins::install;
use holdfast_model::Role;
use serde_json::json;

async fn with_attributes(host: &Host, attributes: serde_json::Value) {
    let operator = host.key("default/admin", &[Role::Operator]).await;
    let body = json!({"attributes": attributes});
    let path = "/v1/tenants/acme";
    host.call("PUT", path, Some(&operator), Some(body))
        .await
        .with(200);
}

#[tokio::test]
async fn a_tenant_that_has_used_up_its_quota_gets_no_further_pin() {
    let host = Host::start().await;
    install(&host, "authorizer-quota", "quota", "").await;
    with_attributes(&host, json!({"quota_requests": "2"})).await;
    let key = user(&host, "acme/web").await;
    let first = pin_named(&host, &key, "a").await;
    pin_named(&host, &key, "b").await;
    let refused = host.post("/psa/pins", &key, json!({"cid": CID})).await;
    let refused = refused.with(409);
    assert_eq!(refused["error"]["reason"], "INSUFFICIENT_FUNDS");
    assert!(
        text(&refused["error"]["details"]).contains('2'),
        "{refused}"
    );
    let page = host.get("/psa/pins", &key).await.with(200);
    assert_eq!(page["count"], 2);

    let path = format!("/psa/pins/{first}");
    let replaced = host.post(&path, &key, json!({"cid": OTHER_CID})).await;
    let path = format!("/psa/pins/{}", text(&replaced.with(202)["requestid"]));
    host.delete(&path, &key).await.with(202);
    pin(&host, &key, json!({"cid": CID})).await;

    let other = user(&host, "rival/web").await;
    for _ in 0..3 {
        pin(&host, &other, json!({"cid": CID})).await;
    }
}

#[tokio::test]
async fn an_authorizer_that_fails_lets_nothing_through_and_breaks_nothing() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let before = pin_named(&host, &key, "before").await;
    install(
        &host,
        "hostile-authorizer",
        "hostile",
        "[settings]\ndo = \"trap\"\n",
    )
    .await;
    let asked = json!({"cid": CID});
    let refused = host.post("/psa/pins", &key, asked).await.with(503);
    let details = text(&refused["error"]["details"]);
    assert!(details.contains("nothing was changed"), "{details}");
    let path = format!("/psa/pins/{before}");
    host.delete(&path, &key).await.with(503);
    host.get(&path, &key).await.with(200);
    let page = host.get("/psa/pins", &key).await.with(200);
    assert_eq!(page["count"], 1);
}

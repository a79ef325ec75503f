//! Lists have what their caller may read: no more, no less, on as many pages as it takes.

use crate::psa::pin_named;
use crate::support::host::Host;
use holdfast_model::Role::{Auditor, ClusterNode, Operator, TenantAdmin, TenantUser};
use serde_json::{Value, json};

/// Every row of a list, page by page.
async fn all(host: &Host, path: &str, key: &str, field: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page = host
            .get(&format!("{path}limit=2{after}"), key)
            .await
            .with(200);
        let page_rows = page[field].as_array().unwrap();
        assert!(page_rows.len() <= 2);
        rows.extend(page_rows.clone());
        match page["next"].as_str() {
            // A page that is not the last one is full.
            Some(next) => {
                assert_eq!(page_rows.len(), 2);
                after = format!("&after={next}");
            }
            None => return rows,
        }
    }
}

#[tokio::test]
async fn tenants_are_listed_to_who_may_read_them() {
    let host = Host::start().await;
    for tenant in ["acme", "beta", "gamma", "delta", "rival"] {
        host.key(&format!("{tenant}/web"), &[TenantUser]).await;
    }
    let names = async |key: &str| {
        let rows = all(&host, "/v1/tenants?", key, "tenants").await;
        let names = rows
            .iter()
            .map(|row| row["tenant"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let everybody = ["acme", "beta", "delta", "gamma", "rival"];
    assert_eq!(
        names(&host.key("acme/web", &[Operator]).await).await,
        everybody
    );
    assert_eq!(
        names(&host.key("acme/web", &[TenantAdmin]).await).await,
        ["acme"]
    );
    assert!(
        names(&host.key("acme/web", &[TenantUser]).await)
            .await
            .is_empty()
    );
    assert!(
        names(&host.key("acme/web", &[ClusterNode]).await)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn keys_of_a_tenant_are_listed_account_by_account() {
    let host = Host::start().await;
    for n in 0..5 {
        host.key(&format!("acme/a{n}"), &[TenantUser]).await;
    }
    host.key("rival/web", &[TenantUser]).await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let path = "/v1/keys?tenant=acme&";
    assert_eq!(all(&host, path, &admin, "keys").await.len(), 6);
    // One account is closed to its own administrators.
    let closed = "@id(\"closed\") forbid (principal, action == Action::\"listKeys\", resource == \
                  Account::\"acme/a3\");";
    let body = json!({"policies": closed});
    host.call("PUT", "/v1/policies", Some(&admin), Some(body))
        .await
        .with(200);
    let found = all(&host, path, &admin, "keys").await;
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|key| key["account"] != "acme/a3"));
    let user = host.key("acme/web", &[TenantUser]).await;
    assert!(all(&host, path, &user, "keys").await.is_empty());
    let stranger = host.key("rival/web", &[TenantAdmin]).await;
    assert!(all(&host, path, &stranger, "keys").await.is_empty());
    let both = host
        .get("/v1/keys?tenant=acme&account=acme/a1", &admin)
        .await
        .with(400);
    assert!(
        both["detail"]
            .as_str()
            .unwrap()
            .contains("send one of them")
    );
}

#[tokio::test]
async fn pin_requests_that_may_not_be_read_are_in_no_list_and_no_count() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[TenantUser]).await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(pin_named(&host, &user, &format!("n{n}")).await);
    }
    let secret = format!(
        "@id(\"secret\") forbid (principal in Role::\"tenant-user\", action == \
         Action::\"readRequest\", resource) when {{ resource in [PinRequest::\"{}\", \
         PinRequest::\"{}\"] }};",
        ids[1], ids[3]
    );
    let body = json!({"policies": secret});
    host.call("PUT", "/v1/policies", Some(&admin), Some(body))
        .await
        .with(200);
    let page = host.get("/psa/pins?limit=2", &user).await.with(200);
    assert_eq!(
        (
            page["count"].as_u64(),
            page["results"].as_array().unwrap().len()
        ),
        (Some(3), 2)
    );
    let shown = |page: &Value| -> Vec<String> {
        let rows = page["results"].as_array().unwrap().iter();
        rows.map(|row| row["requestid"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(&page), [ids[4].clone(), ids[2].clone()]);
    let before = page["results"][1]["created"].as_str().unwrap();
    let rest = host
        .get(&format!("/psa/pins?limit=2&before={before}"), &user)
        .await
        .with(200);
    assert_eq!(shown(&rest), [ids[0].clone()]);
    host.get(&format!("/psa/pins/{}", ids[1]), &user)
        .await
        .with(404);
    let whole = host.get("/psa/pins", &admin).await.with(200);
    assert_eq!(whole["count"], 5);
    // Who may list and read nothing gets an empty list.
    let blind = "@id(\"blind\") permit (principal in Role::\"auditor\", action == \
                 Action::\"listRequests\", resource);";
    let body = json!({"policies": blind});
    host.call("PUT", "/v1/policies", Some(&admin), Some(body))
        .await
        .with(200);
    let auditor = host.key("acme/web", &[Auditor]).await;
    let nothing = host.get("/psa/pins", &auditor).await.with(200);
    assert_eq!(nothing, json!({"count": 0, "results": []}));
}

/// Who may read the requests of another account lists them, and nobody else learns of them.
#[tokio::test]
async fn pin_requests_of_another_account_are_listed_to_who_may_read_them() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[TenantUser]).await;
    let admin = host.key("acme/admin", &[TenantAdmin]).await;
    let friend = host.key("acme/shop", &[TenantUser]).await;
    for n in 0..3 {
        pin_named(&host, &user, &format!("n{n}")).await;
    }
    let path = "/psa/pins?account=acme/web&limit=2";
    let own = host.get("/psa/pins?limit=2", &user).await.with(200);
    assert_eq!(own["count"], 3);
    for key in [&user, &admin] {
        assert_eq!(host.get(path, key).await.with(200), own);
    }
    let none = host.get("/psa/pins", &admin).await.with(200);
    assert_eq!(none["count"], 0, "its own account has none");
    host.get(path, &friend).await.with(403);
    let name = host.get("/v1/whoami", &friend).await.with(200)["principal"].clone();
    let wanted = json!({"template": "reader", "principal": name, "on": "acme/web"});
    host.post("/v1/grants", &admin, wanted).await.with(201);
    assert_eq!(host.get(path, &friend).await.with(200), own);
    // Whether there is such an account is nothing that the answer tells.
    for (stranger, role, denial) in [
        ("rival/web", TenantAdmin, 404),
        ("ops/staff", Operator, 403),
    ] {
        let key = host.key(stranger, &[role]).await;
        let hidden = host.get(path, &key).await;
        let missing = host.get("/psa/pins?account=acme/nobody", &key).await;
        let statuses = [hidden.status.as_u16(), missing.status.as_u16()];
        assert_eq!(statuses, [denial; 2], "{stranger}");
    }
    let wrong = host.get("/psa/pins?account=web", &user).await.with(400);
    assert!(
        wrong["error"]["details"]
            .as_str()
            .unwrap()
            .contains("tenant/account"),
        "{wrong}"
    );
}

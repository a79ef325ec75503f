//! What tenants say for themselves, over the API: in force at once here, within seconds elsewhere,
//! and nobody else's.

use crate::psa::pin_named;
use crate::support::host::Host;
use holdfast_model::Role;
use holdfast_model::Role::{Auditor, Operator, TenantAdmin, TenantUser};
use serde_json::{Value, json};

const CLOSED: &str = "@id(\"closed\") @deny_message(\"closed for today\") @remediation(\"come back \
                      tomorrow\")\nforbid (principal in Role::\"tenant-user\", action == \
                      Action::\"listRequests\", resource);";

#[tokio::test]
async fn a_tenants_policies_hold_among_its_own() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let user = host.key("acme/web", &[TenantUser]).await;
    let other = host.key("rival/web", &[TenantUser]).await;
    let nothing = host.get("/v1/policies", &admin).await.with(200);
    assert_eq!(
        (&nothing["policies"], &nothing["version"]),
        (&json!(""), &Value::Null)
    );
    let wanted = json!({"policies": CLOSED});
    let put = host
        .call("PUT", "/v1/policies", Some(&admin), Some(wanted))
        .await
        .with(200);
    assert_eq!(put["tenant"], "acme");
    let denied = host.get("/psa/pins", &user).await.with(403);
    let details = denied["error"]["details"].as_str().unwrap();
    assert!(
        details.starts_with("closed for today; come back tomorrow (decision "),
        "{details}"
    );
    let revision = host.app.gate.revision();
    assert!(
        details.contains(&format!("policies {}+", revision.0)),
        "{details}"
    );
    host.get("/psa/pins", &other).await.with(200);
    // Somebody else's change in between is not undone unseen.
    let stale = json!({"policies": "", "version": u64::MAX.to_string()});
    let answer = host
        .call("PUT", "/v1/policies", Some(&admin), Some(stale))
        .await
        .with(409);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("changed meanwhile")
    );
    host.call("DELETE", "/v1/policies", Some(&admin), None)
        .await
        .with(200);
    host.get("/psa/pins", &user).await.with(200);
}

/// Who may write a tenant's policies may try them, who may read them sees what comes of it, and
/// everybody else is answered as they are about the policies themselves.
#[tokio::test]
async fn a_tenants_candidate_is_for_who_may_change_its_policies() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let (candidate, promotion) = (
        "/v1/policies/candidate?tenant=acme",
        "/v1/policies/candidate/promote?tenant=acme",
    );
    let own = json!({"tenant": "acme", "policies": ""});
    let tried = json!({"policies": CLOSED});
    for account in ["acme/web", "rival/web"] {
        for role in Role::ALL.into_iter().filter(|role| *role != Role::System) {
            let key = host.key(account, &[role]).await;
            let status = async |method, path, body| {
                let answer = host.call(method, path, Some(&key), body).await;
                answer.status.as_u16()
            };
            let reads = status("GET", "/v1/policies?tenant=acme", None).await;
            let writes = status("PUT", "/v1/policies", Some(own.clone())).await;
            let drops = if writes == 200 { 204 } else { writes };
            for (method, path, expected) in [
                ("PUT", candidate, writes),
                ("GET", candidate, reads),
                ("DELETE", candidate, drops),
                ("POST", promotion, writes),
            ] {
                host.call("PUT", candidate, Some(&admin), Some(tried.clone()))
                    .await
                    .with(200);
                let body = (method == "PUT").then(|| tried.clone());
                let answered = status(method, path, body).await;
                assert_eq!(answered, expected, "{method} {path} as {role} of {account}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_policies_is_told_where_it_stands() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let put = async |text: &str| {
        let body = json!({"policies": text});
        let answer = host
            .call("PUT", "/v1/policies", Some(&admin), Some(body))
            .await;
        answer.with(400)["detail"].as_str().unwrap().to_owned()
    };
    let syntax = put("@id(\"a\")\npermit (principal").await;
    assert!(
        syntax.contains("policies:2:") && syntax.contains('^'),
        "{syntax}"
    );
    let beyond = put("@id(\"a\") permit (principal, action == Action::\"writeTenant\", resource);");
    assert!(beyond.await.contains("not a tenant's to permit"));
    let long = put(&" ".repeat(64 * 1024 + 1)).await;
    assert!(long.contains("write 65536 at most"), "{long}");
    // One byte more than a policy may have, and one that is just as long as it may be.
    let padded = |bytes: usize| {
        let head = "@id(\"a\") forbid (principal, action == Action::\"readUsage\", resource) when { \
                    principal.proof == \"";
        let tail = "\" };";
        format!(
            "{head}{}{tail}",
            "x".repeat(bytes - head.len() - tail.len())
        )
    };
    let over = put(&padded(10_001)).await;
    assert!(over.contains("10001 bytes, 10000 at most"), "{over}");
    let body = json!({"policies": padded(10_000)});
    host.call("PUT", "/v1/policies", Some(&admin), Some(body))
        .await
        .with(200);
}

#[tokio::test]
async fn grants_are_made_used_listed_and_revoked() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let owner = host.key("acme/web", &[TenantUser]).await;
    let friend = host.key("acme/app", &[Auditor]).await;
    let id = pin_named(&host, &owner, "theirs").await;
    let path = format!("/psa/pins/{id}");
    host.get(&path, &friend).await.with(404);
    let name = host.get("/v1/whoami", &friend).await.with(200)["principal"].clone();
    let wanted = json!({"template": "reader", "principal": name, "on": "acme/web"});
    let grant = host
        .call("POST", "/v1/grants", Some(&admin), Some(wanted))
        .await
        .with(201);
    host.get(&path, &friend).await.with(200);
    host.call("DELETE", &path, Some(&friend), None)
        .await
        .with(403);
    let listed = host.get("/v1/grants", &admin).await.with(200);
    assert_eq!(listed["grants"], json!([grant]));
    assert!(
        listed["templates"].as_array().unwrap().len() >= 4,
        "{listed}"
    );
    let grant_path = format!("/v1/grants/{}", grant["id"].as_str().unwrap());
    // Nobody of another tenant finds it.
    let rival = host.key("rival/web", &[TenantAdmin]).await;
    host.call("DELETE", &grant_path, Some(&rival), None)
        .await
        .with(404);
    host.call("DELETE", &grant_path, Some(&admin), None)
        .await
        .with(200);
    host.call("DELETE", &grant_path, Some(&admin), None)
        .await
        .with(404);
    host.get(&path, &friend).await.with(404);
    let foreign = json!({"template": "reader", "principal": name, "on": "rival/web"});
    let answer = host
        .call("POST", "/v1/grants", Some(&admin), Some(foreign))
        .await
        .with(400);
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("write acme or acme/ACCOUNT")
    );
}

#[tokio::test]
async fn a_decision_is_explained_to_who_may_know() {
    let host = Host::start().await;
    let user = host.key("acme/web", &[TenantUser]).await;
    let admin = host.key("acme/web", &[TenantAdmin]).await;
    let denied = host.get("/v1/plugins", &user).await.with(403);
    let body = json!({"decision": denied["decision_id"]});
    let ask = async |key: &str| {
        host.call("POST", "/v1/authz/explain", Some(key), Some(body.clone()))
            .await
    };
    let told = ask(&admin).await.with(200);
    assert_eq!(
        (&told["decided"], &told["action"]),
        (&json!("deny"), &json!("listPlugins"))
    );
    let policies = told["explanation"]["policies"].as_array().unwrap();
    let operator = policies
        .iter()
        .find(|policy| policy["id"] == "operator-host")
        .unwrap();
    assert_eq!(
        operator["unmet"],
        json!(["principal in Role::\"operator\""])
    );
    ask(&user).await.with(403);
    ask(&host.key("rival/web", &[TenantAdmin]).await)
        .await
        .with(404);
    ask(&host.key("staff/web", &[Operator]).await)
        .await
        .with(200);
    let unknown = json!({"decision": "0".repeat(32)});
    let answer = host
        .call("POST", "/v1/authz/explain", Some(&admin), Some(unknown))
        .await;
    answer.with(404);
}

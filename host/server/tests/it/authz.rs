//! Who may call what: every route, as nobody, as a stranger, in too small a role, and rightly.

mod across;
mod audited;
mod documents;
mod keys;
mod listing;
mod policies;
mod reload;

use crate::psa::{CID, pin_named};
use crate::support::host::Host;
use holdfast::api::{Access, ROUTES};
use holdfast_model::Role;
use serde_json::{Value, json};

/// What a route answers to whom.
struct Row {
    method: &'static str,
    route: &'static str,
    /// What is called, with `ID` for the request or key that is there.
    path: &'static str,
    body: Option<Value>,
    /// To the admin of another tenant; `None` where a call can only be about one's own account.
    stranger: Option<u16>,
    /// To somebody of the account in a role that is too small.
    small: (Role, u16),
    /// To somebody of the account who may.
    right: (Role, u16),
}

use Role::{Auditor, ClusterNode, Operator, TenantAdmin, TenantUser};

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let pin = || Some(json!({"cid": CID}));
    let key = || Some(json!({"account": "acme/web"}));
    let attributes = || Some(json!({"attributes": {"plan": "free"}}));
    let own = || Some(json!({"tenant": "acme", "policies": ""}));
    let grant = || Some(json!({"tenant": "acme", "template": "reader", "principal": "key:a"}));
    let (candidate, promotion) = ("/v1/policies/candidate", "/v1/policies/candidate/promote");
    let row = |method, route, path, body, stranger, small, right| Row {
        method, route, path, body, stranger, small, right,
    };
    let (request, tenant) = ("/psa/pins/{requestid}", "/v1/tenants/{tenant}");
    let (plugin, attempt) = ("/v1/plugins/{name}", "/v1/plugins/{name}/try");
    let (promote, rollback, shadow, logs) = ("/v1/plugins/{name}/promote", "/v1/plugins/{name}/rollback", "/v1/plugins/{name}/shadow", "/v1/plugins/{name}/logs");
    let checkpoints = "/v1/audit/checkpoints";
    let pin_path = format!("/v1/state/pins/{CID}");
    let pin_path: &'static str = pin_path.leak();
    let (state_pin, pins, changes) = ("/v1/state/pins/{cid}", "/v1/state/pins", "/v1/state/changes");
    let listed = "/psa/pins?account=acme/web";
    let (usage, quote, keys) = ("/v1/usage?account=acme/web", "/v1/quote?account=acme/web", "/v1/keys?account=acme/web");
    vec![
        row("GET", "/psa/pins", listed, None, Some(404), (Auditor, 403), (TenantUser, 200)),
        row("POST", "/psa/pins", "/psa/pins", pin(), None, (Auditor, 403), (TenantUser, 202)),
        row("GET", request, "/psa/pins/ID", None, Some(404), (Operator, 404), (TenantUser, 200)),
        row("POST", request, "/psa/pins/ID", pin(), Some(404), (Operator, 404), (TenantUser, 202)),
        row("DELETE", request, "/psa/pins/ID", None, Some(404), (Operator, 404), (TenantUser, 202)),
        row("GET", "/v1/usage", usage, None, Some(404), (ClusterNode, 403), (TenantUser, 200)),
        // 503: allowed, and no pricing component is loaded here.
        row("GET", "/v1/quote", quote, None, Some(404), (Auditor, 403), (TenantUser, 503)),
        row("GET", "/v1/keys", keys, None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("POST", "/v1/keys", "/v1/keys", key(), Some(404), (TenantUser, 403), (TenantAdmin, 201)),
        row("DELETE", "/v1/keys/{id}", "/v1/keys/KEY", None, Some(404), (TenantUser, 404), (TenantAdmin, 200)),
        // A list has what one may read in it, and is never refused.
        row("GET", "/v1/tenants", "/v1/tenants", None, Some(200), (ClusterNode, 200), (TenantAdmin, 200)),
        row("POST", "/v1/keys/{id}/rotate", "/v1/keys/KEY/rotate", Some(json!({})), Some(404), (TenantUser, 404), (TenantAdmin, 201)),
        row("GET", "/v1/users", "/v1/users?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("POST", "/v1/users", "/v1/users", Some(json!({"tenant": "acme", "name": ""})), Some(404), (TenantUser, 403), (TenantAdmin, 400)),
        // 404: allowed, and there is no such user.
        row("PUT", "/v1/users/{name}", "/v1/users/absent?tenant=acme", Some(json!({})), Some(404), (TenantUser, 403), (TenantAdmin, 404)),
        row("DELETE", "/v1/users/{name}", "/v1/users/absent?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 404)),
        row("GET", tenant, "/v1/tenants/acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("PUT", tenant, "/v1/tenants/acme", attributes(), Some(404), (TenantAdmin, 403), (Operator, 200)),
        row("GET", "/v1/policies", "/v1/policies?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("PUT", "/v1/policies", "/v1/policies", own(), Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("DELETE", "/v1/policies", "/v1/policies?tenant=acme", None, Some(404), (Auditor, 403), (TenantAdmin, 200)),
        row("GET", "/v1/grants", "/v1/grants?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("POST", "/v1/grants", "/v1/grants", grant(), Some(404), (TenantUser, 403), (TenantAdmin, 201)),
        row("DELETE", "/v1/grants/{id}", "/v1/grants/absent?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 404)),
        // 404: allowed to ask, and there is no such decision.
        row("POST", "/v1/authz/explain", "/v1/authz/explain", Some(json!({"decision": "0"})), Some(404), (TenantUser, 403), (TenantAdmin, 404)),
        row("PUT", candidate, candidate, Some(json!({"files": {}})), Some(403), (Auditor, 403), (Operator, 400)),
        row("GET", candidate, candidate, None, Some(403), (TenantAdmin, 403), (Auditor, 404)),
        row("POST", promotion, promotion, None, Some(403), (Auditor, 403), (Operator, 404)),
        row("DELETE", candidate, candidate, None, Some(403), (Auditor, 403), (Operator, 404)),
        row("GET", "/v1/plugins", "/v1/plugins", None, Some(403), (TenantAdmin, 403), (Operator, 200)),
        // 404: allowed, and there is no such plugin. 400: allowed, and it is refused.
        row("GET", plugin, "/v1/plugins/absent", None, Some(403), (TenantAdmin, 403), (Auditor, 404)),
        row("PUT", plugin, "/v1/plugins/absent", Some(json!({"wasm": ""})), Some(403), (Auditor, 403), (Operator, 400)),
        row("DELETE", plugin, "/v1/plugins/absent", None, Some(403), (Auditor, 403), (Operator, 404)),
        row("POST", attempt, "/v1/plugins/absent/try", None, Some(403), (Auditor, 403), (Operator, 404)),
        row("POST", promote, "/v1/plugins/absent/promote", None, Some(403), (Auditor, 403), (Operator, 404)),
        row("POST", rollback, "/v1/plugins/absent/rollback", None, Some(403), (Auditor, 403), (Operator, 404)),
        row("GET", shadow, "/v1/plugins/absent/shadow", None, Some(403), (Auditor, 403), (Operator, 404)),
        row("GET", pins, pins, None, Some(403), (TenantAdmin, 403), (ClusterNode, 200)),
        // 415: allowed, and JSON is no list of lines.
        row("GET", state_pin, pin_path, None, Some(403), (TenantAdmin, 403), (ClusterNode, 200)),
        row("PUT", state_pin, pin_path, pin(), Some(403), (Operator, 403), (ClusterNode, 204)),
        row("DELETE", state_pin, pin_path, None, Some(403), (Operator, 403), (ClusterNode, 204)),
        row("POST", "/v1/state/read", "/v1/state/read", pin(), Some(403), (Operator, 403), (ClusterNode, 415)),
        row("POST", "/v1/state/batch", "/v1/state/batch", pin(), Some(403), (Operator, 403), (ClusterNode, 415)),
        row("GET", changes, "/v1/state/changes?after=0", None, Some(403), (TenantUser, 403), (ClusterNode, 200)),
        row("GET", "/v1/audit", "/v1/audit?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("GET", "/v1/audit/export", "/v1/audit/export?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        row("GET", "/v1/audit/chains", "/v1/audit/chains", None, Some(403), (TenantAdmin, 403), (Auditor, 200)),
        row("GET", checkpoints, "/v1/audit/checkpoints?tenant=acme", None, Some(404), (TenantUser, 403), (TenantAdmin, 200)),
        // 404: allowed, and nothing was ever entered there.
        row("POST", checkpoints, checkpoints, Some(json!({"tenant": "absent"})), Some(403), (Auditor, 403), (Operator, 404)),
        row("GET", logs, "/v1/plugins/absent/logs", None, Some(403), (Auditor, 403), (Operator, 404)),
    ]
}

/// The path of a row, about things of `acme/web` that were just made.
async fn path(host: &Host, row: &Row) -> String {
    let user = host.key("acme/web", &[TenantUser]).await;
    let whose = host.get("/v1/whoami", &user).await.with(200);
    let key = whose["principal"].as_str().unwrap().replace("key:", "");
    let request = pin_named(host, &user, "theirs").await;
    row.path.replace("ID", &request).replace("KEY", &key)
}

#[tokio::test]
async fn every_route_answers_each_as_it_must() {
    let host = Host::start().await;
    let stranger = host.key("rival/web", &[TenantUser, TenantAdmin]).await;
    for row in table() {
        let path = path(&host, &row).await;
        let name = format!("{} {path}", row.method);
        let call = async |key: Option<&str>| {
            let answer = host.call(row.method, &path, key, row.body.clone()).await;
            (answer.status.as_u16(), answer)
        };
        let (status, answer) = call(None).await;
        assert_eq!(status, 401, "{name} as nobody");
        assert!(answer.headers.contains_key("www-authenticate"), "{name}");
        let (status, _) = call(Some("purposefullyInvalid")).await;
        assert_eq!(status, 401, "{name} with a wrong key");
        if let Some(expected) = row.stranger {
            let (status, _) = call(Some(&stranger)).await;
            assert_eq!(status, expected, "{name} as a stranger");
        }
        for (role, expected) in [row.small, row.right] {
            let key = host.key("acme/web", &[role]).await;
            let (status, answer) = call(Some(&key)).await;
            let shown = String::from_utf8_lossy(&answer.body);
            assert_eq!(status, expected, "{name} as {role}: {shown}");
        }
    }
}

#[test]
fn no_route_is_left_out_of_the_table() {
    let table = table();
    for route in ROUTES {
        let rows = table
            .iter()
            .filter(|row| row.method == route.method && row.route == route.path)
            .count();
        let expected = usize::from(matches!(route.access, Access::Permit | Access::Rows));
        let (method, path) = (&route.method, route.path);
        assert_eq!(
            rows, expected,
            "{method} {path}: a route that needs a permit has one row in authz.rs; one that does \
             not is listed in schema/unauthorized-routes.txt"
        );
    }
}

#[tokio::test]
async fn a_denial_names_its_decision_and_nothing_of_others() {
    let host = Host::start().await;
    let key = host.key("acme/web", &[TenantUser]).await;
    let problem = host.get("/v1/plugins", &key).await;
    assert_eq!(problem.headers["content-type"], "application/problem+json");
    let body = problem.with(403);
    assert_eq!(body["code"], "FORBIDDEN");
    assert_eq!(body["action"], "listPlugins");
    assert_eq!(body["decision_id"].as_str().unwrap().len(), 32);
    assert_eq!(body["policy_revision"], host.app.gate.revision().0.as_ref());
    let instance = body["instance"].as_str().unwrap();
    let instance = instance.strip_prefix("urn:uuid:").unwrap();
    assert_eq!(
        instance.replace('-', ""),
        body["request_id"].as_str().unwrap()
    );
    let in_psa = host.key("acme/web", &[Auditor]).await;
    let body = host.get("/psa/pins", &in_psa).await.with(403);
    assert_eq!(body["error"]["reason"], "FORBIDDEN");
    let details = body["error"]["details"].as_str().unwrap();
    assert!(details.contains("decision "), "{details}");
}

#[tokio::test]
async fn whoami_tells_the_caller_what_the_host_takes_them_for() {
    let host = Host::start().await;
    let key = host.key("acme/web", &[TenantUser, Auditor]).await;
    let me = host.get("/v1/whoami", &key).await.with(200);
    assert_eq!(me["tenant"], "acme");
    assert_eq!(me["account"], "acme/web");
    assert_eq!(me["roles"], json!(["tenant-user", "auditor"]));
    assert!(me["principal"].as_str().unwrap().starts_with("key:"));
    host.call("GET", "/v1/whoami", None, None).await.with(401);
}

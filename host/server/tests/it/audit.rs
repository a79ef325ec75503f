//! The audit log as its readers meet it: over the API, and through the program.

mod program;

use crate::psa::{CID, pin_named};
use crate::support::host::{Host, Options, full_disk};
use crate::support::plugins::{dist, install};
use axum::http::Request;
use holdfast::ops::audit::{CloudEvent, Exported};
use holdfast_model::Role;
use holdfast_model::audit::{AuditHead, verify};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn texts<'a>(page: &'a Value, field: &str) -> Vec<&'a str> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| entry[field].as_str().unwrap())
        .collect()
}

/// Who may read what, and that the filters and the cursor mean what they say.
#[tokio::test]
async fn a_chain_is_read_newest_first_by_those_who_may() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    for name in ["one", "two", "three"] {
        pin_named(&host, &user, name).await;
    }
    host.get("/v1/plugins", &user).await.with(403);
    host.get("/psa/pins", "nobody's").await.with(401);
    host.app.audit.settle().await.unwrap();
    let page = host.get("/v1/audit", &admin).await.with(200);
    assert_eq!(page["tenant"], "acme");
    assert_eq!(
        texts(&page, "action"),
        [
            "listPlugins",
            "createRequest",
            "createRequest",
            "createRequest"
        ]
    );
    let seqs: Vec<u64> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [4, 3, 2, 1]);
    assert_eq!(page["entries"][0]["event"]["status"], 403);
    // Page by page, two at a time.
    let first = host
        .get("/v1/audit?limit=2&action=createRequest", &admin)
        .await
        .with(200);
    assert_eq!(first["entries"].as_array().unwrap().len(), 2);
    let cursor = first["next"].as_str().unwrap();
    let path = format!("/v1/audit?limit=2&action=createRequest&cursor={cursor}");
    let second = host.get(&path, &admin).await.with(200);
    assert_eq!(
        (second["entries"][0]["seq"].as_u64(), second["next"].clone()),
        (Some(1), Value::Null)
    );
    for (filter, count) in [
        ("outcome=deny", 1),
        ("outcome=allow&action=createRequest", 3),
        ("actor=key:nobody", 0),
        ("resource=host", 1),
        ("from=2200-01-01T00:00:00Z", 0),
        ("to=2001-01-01T00:00:00Z", 0),
    ] {
        let page = host
            .get(&format!("/v1/audit?tenant=acme&{filter}"), &admin)
            .await
            .with(200);
        assert_eq!(page["entries"].as_array().unwrap().len(), count, "{filter}");
    }
    for wrong in [
        "from=yesterday",
        "cursor=x",
        "limit=0",
        "actr=x",
        "tenant=No!",
    ] {
        host.get(&format!("/v1/audit?{wrong}"), &admin)
            .await
            .with(400);
    }
}

#[tokio::test]
async fn each_role_reads_the_chains_that_it_may() {
    let host = Host::start().await;
    let reader = async |role| host.key("acme/web", &[role]).await;
    let rival = host.key("rival/web", &[Role::TenantAdmin]).await;
    let staff = [
        host.key("ops/staff", &[Role::Operator]).await,
        host.key("ops/staff", &[Role::Auditor]).await,
    ];
    let (admin, user) = (
        reader(Role::TenantAdmin).await,
        reader(Role::TenantUser).await,
    );
    host.get("/v1/whoami", &admin).await.with(200);
    host.get("/v1/whoami", "nobody's").await.with(401);
    host.app.audit.settle().await.unwrap();
    for path in ["/v1/audit", "/v1/audit/export", "/v1/audit/checkpoints"] {
        let [acme, of_host] = ["acme", "@host"].map(|chain| format!("{path}?tenant={chain}"));
        for (key, of_acme, of_the_host) in [
            (&admin, 200, 403),
            (&user, 403, 403),
            (&rival, 404, 403),
            (&staff[0], 200, 200),
            (&staff[1], 200, 200),
        ] {
            assert_eq!(
                host.get(&acme, key).await.status.as_u16(),
                of_acme,
                "{acme}"
            );
            assert_eq!(
                host.get(&of_host, key).await.status.as_u16(),
                of_the_host,
                "{of_host}"
            );
        }
    }
    host.get("/v1/audit/chains", &admin).await.with(403);
    host.app.audit.settle().await.unwrap();
    let chains = host.get("/v1/audit/chains", &staff[1]).await.with(200);
    let names: Vec<&str> = chains["chains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chain| chain["tenant"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["@host", "acme", "ops", "rival"]);
    let page = host
        .get("/v1/audit/chains?limit=2", &staff[1])
        .await
        .with(200);
    assert_eq!(page["next"], "acme");
    let rest = host
        .get("/v1/audit/chains?after=acme", &staff[1])
        .await
        .with(200);
    assert_eq!(rest["chains"][0]["tenant"], "ops");
}

/// An export has every entry, to the byte: its hashes can be worked out again.
#[tokio::test]
async fn an_export_is_cloud_events_that_can_be_verified() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    for number in 0..5 {
        let key = json!({"account": "acme/web", "label": format!("é \"{number}\"")});
        host.post("/v1/keys", &admin, key).await.with(201);
    }
    host.app.audit.settle().await.unwrap();
    let signed = host
        .post(
            "/v1/audit/checkpoints",
            &operator,
            json!({"tenant": "acme"}),
        )
        .await
        .with(201);
    let answer = host.get("/v1/audit/export", &admin).await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines: Vec<&[u8]> = answer
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let mut entries = Vec::new();
    for line in &lines {
        match CloudEvent::parse(line).unwrap() {
            Exported::Note { tenant, note } => {
                assert_eq!(
                    (tenant.as_str(), signed["note"].as_str()),
                    ("acme", Some(note.as_str()))
                );
            }
            Exported::Entry { entry, .. } => entries.push(entry),
        }
    }
    let head = verify(&AuditHead::start("acme"), &entries, &[]).unwrap();
    assert_eq!(head.seq, 10, "five intents and their outcomes");
    let last: Value = serde_json::from_slice(lines[lines.len() - 1]).unwrap();
    assert_eq!(
        (last["specversion"].as_str(), last["sequence"].as_str()),
        (Some("1.0"), Some("10"))
    );
    assert_eq!(last["data"]["action"], "createKey");
    let rest = host.get("/v1/audit/export?after=8", &admin).await;
    let rest = rest
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    assert_eq!(rest, 3, "a checkpoint, and the two behind");
    host.get("/v1/audit/export?after=x", &admin).await.with(400);
}

/// What an administrator changes is in the file before it is done, and its outcome before it is
/// answered.
#[tokio::test]
async fn a_change_is_intended_before_and_ended_after() {
    let host = Host::start().await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let attributes = json!({"attributes": {"plan": "free"}});
    let put = host.call(
        "PUT",
        "/v1/tenants/acme",
        Some(&operator),
        Some(attributes.clone()),
    );
    put.await.with(200);
    // Not flushed: it is there because it was answered.
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["kind"].as_str().unwrap(),
                line["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("intent", "begun"), ("outcome", "allow")]);
    assert_eq!(lines[0]["intent"], lines[1]["intent"]);
    assert_eq!(lines[0]["route"], "PUT /v1/tenants/{tenant}");
    assert_eq!(lines[1]["action"], "writeTenant");
    assert_eq!(lines[1]["tenant"], "acme", "the tenant is to know of it");
    let denied = host.call("PUT", "/v1/tenants/acme", Some(&user), Some(attributes));
    denied.await.with(403);
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["outcome"]),
        (&json!("outcome"), &json!("deny"))
    );
    // What an account does with its own pins is recorded once, behind its back.
    pin_named(&host, &user, "x").await;
    host.app.audit.flush().await.unwrap();
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["kind"], &last["action"]),
        (&json!("call"), &json!("createRequest"))
    );
}

#[tokio::test]
async fn nothing_is_changed_that_cannot_be_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::start_with(Options {
        audit: Some(full_disk(dir.path())),
        ..Options::default()
    })
    .await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let attributes = json!({"attributes": {"plan": "free"}});
    let refused = host.call("PUT", "/v1/tenants/acme", Some(&operator), Some(attributes));
    let refused = refused.await.with(503);
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("nothing was changed") && detail.contains("free space"),
        "{detail}"
    );
    let acme = holdfast_model::TenantId::parse("acme").unwrap();
    assert_eq!(host.app.store.tenant(&acme).await.unwrap(), None);
    assert!(host.app.audit.check().is_err());
    // Nor what an account does with its pins.
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let refused = host
        .post("/psa/pins", &user, json!({"cid": CID}))
        .await
        .with(503);
    let details = refused["error"]["details"].as_str().unwrap();
    assert!(details.contains("nothing was changed"), "{details}");
    host.get("/psa/pins", &user).await.with(200);
}

/// Secrets in every place where a client may put them stand in no line.
#[tokio::test]
async fn no_line_has_a_secret_in_it() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let fresh = host
        .post("/v1/keys", &admin, json!({"account": "acme/web"}))
        .await
        .with(201);
    let fresh = fresh["secret"].as_str().unwrap().to_owned();
    let jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzZWNyZXQtc3ViIn0.c2VjcmV0LXNpZ25hdHVyZQ";
    host.get("/v1/whoami", jwt).await.with(401);
    host.get("/v1/whoami", "hf_secretsecretsecret")
        .await
        .with(401);
    host.get(
        &format!("/v1/whoami?key={fresh}&token=query-secret"),
        &admin,
    )
    .await;
    host.get("/v1/usage?password=query-secret", &admin)
        .await
        .with(400);
    host.get("/psa/pins/path-secret", &admin).await.with(404);
    let login = json!({"user": "acme/eve", "password": "body-secret"});
    host.call("POST", "/v1/login", None, Some(login)).await;
    host.post(
        "/v1/keys",
        &admin,
        json!({"label": 1, "secret": "body-secret"}),
    )
    .await
    .with(400);
    let request = Request::get(format!("http://{}/v1/whoami", host.address))
        .header("authorization", "Basic YWNtZTpiYXNpYy1zZWNyZXQ=")
        .header("cookie", "session=cookie-secret")
        .header("x-api-key", "header-secret");
    host.send(request.body(Full::default()).unwrap()).await;
    host.app.audit.settle().await.unwrap();
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    assert!(text.lines().count() > 8, "{text}");
    let secrets = [
        admin.as_str(),
        &fresh,
        jwt,
        "c2VjcmV0",
        "hf_secret",
        "query-secret",
        "path-secret",
        "body-secret",
        "YWNtZTpi",
        "basic-secret",
        "cookie-secret",
        "header-secret",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
}

/// A chain is signed on request, by those who may.
#[tokio::test]
async fn a_checkpoint_is_made_on_request() {
    let host = Host::start().await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let auditor = host.key("ops/staff", &[Role::Auditor]).await;
    let absent = host.post(
        "/v1/audit/checkpoints",
        &operator,
        json!({"tenant": "acme"}),
    );
    absent.await.with(404);
    host.app.audit.settle().await.unwrap();
    let refused = host.post("/v1/audit/checkpoints", &auditor, json!({"tenant": "ops"}));
    refused.await.with(403);
    let made = host
        .post("/v1/audit/checkpoints", &operator, json!({"tenant": "ops"}))
        .await
        .with(201);
    assert!(
        made["note"]
            .as_str()
            .unwrap()
            .starts_with("holdfast/audit/ops/0\n"),
        "{made}"
    );
    let listed = host
        .get("/v1/audit/checkpoints?tenant=ops", &auditor)
        .await
        .with(200);
    assert_eq!(listed["checkpoints"][0], made);
    // Nobody is there to pin it.
    let unpinned = host.post(
        "/v1/audit/checkpoints",
        &operator,
        json!({"tenant": "ops", "pin": true}),
    );
    assert_eq!(unpinned.await.status.as_u16(), 503);
}

/// That whoever asks about a decision is told what the components said.
async fn explains(host: &Host, decision: &Value, components: Value) {
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let wanted = json!({ "decision": decision });
    let told = host.post("/v1/authz/explain", &admin, wanted).await;
    assert_eq!(told.with(200)["components"], components);
}

/// What each authorizer component said stands beside what the policies did: its name, the code
/// that it was, its verdict; and its words, if it objected or failed.
#[tokio::test]
async fn what_components_said_stands_in_the_decision() {
    let host = Host::start().await;
    install(&host, "authorizer-quota", "quota", "").await;
    let operator = host.key("ops/staff", &[Role::Operator]).await;
    let attributes = json!({"attributes": {"quota_requests": "1"}});
    let put = host.call("PUT", "/v1/tenants/acme", Some(&operator), Some(attributes));
    put.await.with(200);
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let first = pin_named(&host, &user, "one").await;
    let pin = json!({"cid": "bafkqaaa", "name": "two"});
    host.post("/psa/pins", &user, pin).await.with(409);
    // Asked before `quota`, which is not asked any more then.
    let trap = "[settings]\ndo = \"trap\"\n";
    install(&host, "hostile-authorizer", "a-trap", trap).await;
    let path = format!("/psa/pins/{first}");
    host.delete(&path, &user).await.with(503);
    host.app.audit.settle().await.unwrap();
    let digest = |component: &str| {
        let wasm = std::fs::read(dist().join(format!("{component}.wasm"))).unwrap();
        let digest = Sha256::digest(wasm);
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let quota = digest("authorizer-quota");
    let said = |verdict| json!([{"name": "quota", "digest": quota, "verdict": verdict}]);
    let trap = digest("hostile-authorizer");
    let trapped = json!([{"name": "a-trap", "digest": trap, "verdict": "error"}]);
    let entries = host.app.store.audit_entries("acme", 1, 100).await.unwrap();
    let seen: Vec<Value> = entries
        .iter()
        .map(|entry| serde_json::from_slice(&entry.body).unwrap())
        .filter(|event: &Value| event["actor"]["account"] == "acme/web")
        .collect();
    let facts: Vec<_> = seen
        .iter()
        .map(|event| {
            let [decided, outcome] = ["decided", "outcome"].map(|field| event[field].as_str());
            (
                event["action"].as_str(),
                decided,
                outcome,
                &event["components"],
            )
        })
        .collect();
    let create = Some("createRequest");
    let allow = Some("allow");
    assert_eq!(
        facts,
        [
            (create, allow, allow, &said("allow")),
            (create, allow, Some("deny"), &said("deny")),
            (Some("deleteRequest"), allow, Some("error"), &trapped),
        ]
    );
    for (event, components) in seen.iter().zip([said("allow"), said("deny"), trapped]) {
        explains(&host, &event["decision_id"], components).await;
    }
    assert_eq!(seen[0]["plugin"], Value::Null);
    assert_eq!(seen[1]["plugin"]["name"], "quota");
    let words = seen[1]["plugin"]["said"].as_str().unwrap();
    assert!(words.contains('1'), "{words}");
    assert_eq!(seen[2]["plugin"]["name"], "a-trap", "{}", seen[2]);
}

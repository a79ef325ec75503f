//! One request: made, read, replaced, given up.

use super::{CID, OTHER_CID, pin, pin_named, text, user};
use crate::support::host::{DELEGATE, Host, Options};
use holdfast_model::{RequestId, RequestStatus, Role, UnixMillis};
use holdfast_store::Outcome;
use serde_json::json;
use std::collections::HashSet;

const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";

#[tokio::test]
async fn a_request_is_made_read_replaced_and_given_up() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let origin = format!("/ip4/192.0.2.7/tcp/4001/p2p/{PEER}");
    let asked = json!({"cid": CID, "name": "kelp", "origins": [origin], "meta": {"app": "x"}});
    let made = pin(&host, &key, asked.clone()).await;
    assert_eq!(made["status"], "queued");
    assert_eq!(made["pin"], asked);
    assert_eq!(made["delegates"], json!([DELEGATE]));
    let created = text(&made["created"]);
    assert_eq!(created.len(), "2026-01-01T00:00:00.000Z".len(), "{created}");
    UnixMillis::parse(&created).unwrap();

    let id = text(&made["requestid"]);
    let path = format!("/psa/pins/{id}");
    assert_eq!(host.get(&path, &key).await.with(200), made);

    let replaced = host.post(&path, &key, json!({"cid": OTHER_CID})).await;
    let replaced = replaced.with(202);
    assert_eq!(replaced["pin"], json!({"cid": OTHER_CID}));
    assert_ne!(replaced["requestid"], made["requestid"]);
    host.get(&path, &key).await.with(404);
    host.post(&path, &key, json!({"cid": CID})).await.with(404);

    let path = format!("/psa/pins/{}", text(&replaced["requestid"]));
    let gone = host.delete(&path, &key).await;
    assert_eq!((gone.status.as_u16(), gone.body.len()), (202, 0));
    host.get(&path, &key).await.with(404);
    host.delete(&path, &key).await.with(404);
}

#[tokio::test]
async fn the_same_content_twice_is_two_requests() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let first = pin_named(&host, &key, "a").await;
    let second = pin_named(&host, &key, "b").await;
    assert_ne!(first, second);
    host.delete(&format!("/psa/pins/{first}"), &key)
        .await
        .with(202);
    host.get(&format!("/psa/pins/{second}"), &key)
        .await
        .with(200);
}

#[tokio::test]
async fn a_cid_is_answered_as_it_was_sent() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    for cid in [
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    ] {
        let made = pin(&host, &key, json!({"cid": cid, "meta": {}})).await;
        assert_eq!(made["pin"], json!({"cid": cid}));
    }
}

#[tokio::test]
async fn info_tells_progress_size_and_end_as_text() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let asked = json!({"cid": CID, "meta": {"expire_at": "2100-01-01T01:00:00+01:00"}});
    let made = pin(&host, &key, asked).await;
    let id = RequestId::parse(&text(&made["requestid"])).unwrap();
    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(1 << 60),
        details: Some("all there".to_owned()),
    };
    let now = host.app.clock.now();
    let settled = host.app.store.settle_request(id, 1, outcome, now).await;
    settled.unwrap();
    let status = host.get(&format!("/psa/pins/{id}"), &key).await.with(200);
    assert_eq!(status["status"], "pinned");
    assert_eq!(
        status["info"],
        json!({"status_details": "all there", "dag_size": "1152921504606846976",
            "pinned_until": "2100-01-01T00:00:00.000Z"})
    );
}

#[tokio::test]
async fn another_tenant_sees_nothing_and_cannot_tell_hidden_from_missing() {
    let host = Host::start().await;
    let ours = user(&host, "acme/web").await;
    let theirs = host
        .key("rival/web", &[Role::TenantUser, Role::TenantAdmin])
        .await;
    let id = pin_named(&host, &ours, "secret").await;
    let page = host.get("/psa/pins", &theirs).await.with(200);
    assert_eq!(page, json!({"count": 0, "results": []}));
    let fresh = "0193e0a0-0000-7000-8000-000000000000";
    for method in ["GET", "POST", "DELETE"] {
        let body = || (method == "POST").then(|| json!({"cid": CID}));
        let call = async |id: &str| {
            let path = format!("/psa/pins/{id}");
            host.call(method, &path, Some(&theirs), body()).await
        };
        let (hidden, missing, malformed) =
            (call(&id).await, call(fresh).await, call("hello").await);
        assert_eq!(hidden.with(404)["error"]["reason"], "NOT_FOUND");
        assert_eq!(hidden.body, missing.body);
        assert_eq!(hidden.body, malformed.body);
        assert_eq!(
            (missing.status, malformed.status),
            (hidden.status, hidden.status)
        );
    }
    host.get(&format!("/psa/pins/{id}"), &ours).await.with(200);
}

#[tokio::test]
async fn requests_made_at_once_get_times_of_their_own() {
    const AT_ONCE: usize = 40;
    let clock = holdfast::clock::Clock::manual(UnixMillis::new(1_700_000_000_000));
    let host = Host::start_with(Options {
        clock,
        ..Options::default()
    })
    .await;
    let key = user(&host, "acme/web").await;
    let made = (0..AT_ONCE).map(|_| pin(&host, &key, json!({"cid": CID})));
    let made = futures_util::future::join_all(made).await;
    let times: HashSet<_> = made.iter().map(|made| text(&made["created"])).collect();
    assert_eq!(times.len(), AT_ONCE);
}

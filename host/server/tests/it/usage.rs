//! Usage, to the byte-second, with a clock that the test moves.

mod quotes;

use crate::psa::{CID, pin, text, user};
use crate::support::host::{Host, Options};
use holdfast::clock::Clock;
use holdfast_model::{RequestId, RequestStatus, Role, UnixMillis};
use holdfast_store::Outcome;
use serde_json::json;
use std::sync::atomic::Ordering;

const START: &str = "2026-11-01T00:00:00Z";

async fn host_at(time: &str) -> Host {
    let clock = Clock::manual(UnixMillis::parse(time).unwrap());
    Host::start_with(Options {
        clock,
        ..Options::default()
    })
    .await
}

fn advance(host: &Host, millis: u64) {
    let Clock::Manual(now) = &host.app.clock else {
        unreachable!("the clock is manual");
    };
    now.fetch_add(millis, Ordering::SeqCst);
}

/// A request that is pinned with a size from now on.
async fn pinned(host: &Host, key: &str, bytes: u64) -> RequestId {
    let made = pin(host, key, json!({"cid": CID})).await;
    let id = RequestId::parse(&text(&made["requestid"])).unwrap();
    let outcome = Outcome {
        status: RequestStatus::Pinned,
        dag_size: Some(bytes),
        details: None,
    };
    let now = host.app.clock.now();
    let settled = host.app.store.settle_request(id, 1, outcome, now).await;
    settled.unwrap();
    id
}

async fn byte_seconds(host: &Host, key: &str, period: &str) -> u128 {
    let path = format!("/v1/usage?period={period}");
    let usage = host.get(&path, key).await.with(200);
    text(&usage["byte_seconds"]).parse().unwrap()
}

#[tokio::test]
async fn usage_runs_from_pinned_to_given_up_exactly() {
    let host = host_at(START).await;
    let key = user(&host, "acme/web").await;
    advance(&host, 10_000);
    let first = pinned(&host, &key, 1_000_000).await;
    advance(&host, 5_000);
    pinned(&host, &key, 7).await;
    advance(&host, 5_000);
    host.delete(&format!("/psa/pins/{first}"), &key)
        .await
        .with(202);
    advance(&host, 10_000);

    let usage = host.get("/v1/usage", &key).await.with(200);
    assert_eq!(
        usage,
        json!({
            "account": "acme/web",
            "period": {
                "start": "2026-11-01T00:00:00.000Z",
                "end": "2026-12-01T00:00:00.000Z",
                "measured_until": "2026-11-01T00:00:30.000Z",
            },
            "byte_seconds": (1_000_000 * 10 + 7 * 15).to_string(),
            "pinned_bytes": "7",
            "operations": {"pin": 2, "replace": 0, "unpin": 1},
        })
    );
    let whole = byte_seconds(&host, &key, "2026-11").await;
    assert_eq!(byte_seconds(&host, &key, "2026-11-01").await, whole);
    let end = "2026-11-01T00:00:30Z";
    for cut in ["00:00:10", "00:00:13", "00:00:15", "00:00:29"] {
        let cut = format!("2026-11-01T{cut}Z");
        let first = byte_seconds(&host, &key, &format!("{START}..{cut}")).await;
        let second = byte_seconds(&host, &key, &format!("{cut}..{end}")).await;
        assert_eq!(first + second, whole, "cut at {cut}");
    }
    let by_ends = format!("/v1/usage?from={START}&to={end}");
    let by_ends = host.get(&by_ends, &key).await.with(200);
    assert_eq!(by_ends["byte_seconds"], usage["byte_seconds"]);
}

#[tokio::test]
async fn a_pebibyte_for_a_month_is_told_whole() {
    let host = host_at(START).await;
    let key = user(&host, "acme/web").await;
    pinned(&host, &key, 1 << 50).await;
    let month = 30 * 86_400;
    advance(&host, month * 1_000);
    let expected = (1_u128 << 50) * u128::from(month);
    assert_eq!(byte_seconds(&host, &key, "2026-11").await, expected);
    assert!(expected > u128::from(u64::MAX));
}

#[tokio::test]
async fn usage_of_others_is_for_admins_and_operators() {
    let host = host_at(START).await;
    let user = user(&host, "acme/web").await;
    let admin = host.key("acme/office", &[Role::TenantAdmin]).await;
    let operator = host.key("default/admin", &[Role::Operator]).await;
    let auditor = host.key("default/audit", &[Role::Auditor]).await;
    for (key, account, status) in [
        (&user, "acme/web", 200),
        (&user, "acme/office", 403),
        (&user, "rival/web", 404),
        (&admin, "acme/web", 200),
        (&admin, "rival/web", 404),
        (&operator, "rival/web", 200),
        (&auditor, "rival/web", 200),
    ] {
        let answer = host.get(&format!("/v1/usage?account={account}"), key).await;
        assert_eq!(answer.status, status, "{account}");
    }
}

#[tokio::test]
async fn periods_that_cannot_be_are_refused() {
    let host = host_at(START).await;
    let key = user(&host, "acme/web").await;
    for (query, word) in [
        ("period=2026-12", "yet to come"),
        ("period=november", "2026-11-20"),
        ("period=2026-11&from=2026-11-01T00:00:00Z", "excludes"),
        ("from=2026-11-01T00:00:00Z", "go together"),
        (
            "from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z",
            "ends before",
        ),
        ("account=web", "tenant/account"),
        ("month=11", "\"month\""),
    ] {
        let answer = host.get(&format!("/v1/usage?{query}"), &key).await;
        let problem = answer.with(400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{query}: {detail}");
    }
}

#[tokio::test]
async fn without_a_pricing_component_there_is_no_price() {
    let host = host_at(START).await;
    let key = user(&host, "acme/web").await;
    let answer = host.get("/v1/quote", &key).await;
    assert!(answer.headers.contains_key("retry-after"));
    let problem = answer.with(503);
    assert!(problem["detail"].as_str().unwrap().contains("pricing"));
}

//! Who guesses keys or passwords is slowed, and can be seen in the metrics and the audit log.

use crate::support::host::{Host, Options};
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use holdfast::api::{Settings, router};
use holdfast::clock::Clock;
use holdfast::identity::{Identity, Terms};
use holdfast_model::{Role, UnixMillis};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tower::ServiceExt;

/// Wrong credentials a minute that an address may send here.
const BOUND: u32 = 20;

/// Guesses of a minute: far more.
const GUESSES: u32 = 500;

async fn host() -> Host {
    let terms = Terms {
        refused_per_minute: BOUND,
        ..Terms::default()
    };
    Host::start_with(Options {
        clock: Clock::manual(UnixMillis::from_seconds(1_800_000_000)),
        identity: Identity {
            terms,
            ..Identity::default()
        },
        ..Options::default()
    })
    .await
}

/// What a metric of the door says, by its one label or without one.
fn counted(host: &Host, name: &str, label: &str) -> u64 {
    let families = host.door.metrics();
    let families = families.iter().flat_map(|metric| metric.collect());
    let rows = families.filter(|family| family.name() == name);
    let rows = rows.flat_map(|family| family.get_metric().to_vec());
    let row = rows.into_iter().find(|row| {
        let labels = row.get_label();
        labels.iter().all(|pair| pair.value() == label)
    });
    row.map_or(0, |row| row.get_counter().get_value() as u64)
}

async fn audited(host: &Host) -> Vec<Value> {
    host.app.audit.flush().await.unwrap();
    let text = std::fs::read_to_string(host.audit_file()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn keys_are_guessed_at_the_speed_of_the_bound_and_in_plain_sight() {
    let host = host().await;
    let good = host.key("acme/web", &[Role::TenantUser]).await;
    host.get("/v1/whoami", &good).await.with(200);
    let before = counted(&host, "holdfast_identity_looked_up_total", "");
    let mut heard = 0;
    for n in 0..GUESSES {
        let guess = format!("guess-number-{n:04}-of-many");
        match host.get("/v1/whoami", &guess).await.status.as_u16() {
            401 => heard += 1,
            429 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(heard, BOUND);
    // What is not listened to costs no look into the store.
    let looked_up = counted(&host, "holdfast_identity_looked_up_total", "") - before;
    assert_eq!(looked_up, u64::from(BOUND));
    let refused = |why: &str| counted(&host, "holdfast_identity_refused_total", why);
    assert_eq!(refused("unknown_key"), u64::from(BOUND));
    assert_eq!(refused("too_many"), u64::from(GUESSES - BOUND));
    // Who was let in a moment ago is not kept out by a neighbour.
    host.get("/v1/whoami", &good).await.with(200);
    let lines = audited(&host).await;
    let denied = |status: u16| {
        let of = |line: &&Value| line["outcome"] == "deny" && line["status"] == status;
        lines.iter().filter(of).count()
    };
    assert_eq!(denied(401), BOUND as usize, "{:?}", lines.first());
    assert_eq!(denied(429), (GUESSES - BOUND) as usize);
    assert!(
        lines
            .iter()
            .all(|line| !line.to_string().contains("guess-number"))
    );
}

#[tokio::test]
async fn passwords_of_many_users_are_not_sprayed_from_one_address() {
    let host = host().await;
    let admin = host.key("acme/admin", &[Role::TenantAdmin]).await;
    host.get("/v1/whoami", &admin).await.with(200);
    let mut heard = 0;
    for n in 0..2 * BOUND {
        let guess = json!({ "user": format!("acme/user-{n}"), "password": "Winter2026!!" });
        let answer = host.call("POST", "/v1/login", None, Some(guess)).await;
        match answer.status.as_u16() {
            401 => heard += 1,
            429 => assert_eq!(answer.headers["retry-after"], "60"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(heard, BOUND);
    let refused = |why: &str| counted(&host, "holdfast_identity_refused_total", why);
    assert_eq!(refused("login_failed"), u64::from(BOUND));
    assert_eq!(refused("too_many"), u64::from(BOUND));
    let lines = audited(&host).await;
    let failed = lines.iter().filter(|line| line["status"] == 401);
    assert_eq!(failed.count(), BOUND as usize);
    assert!(
        lines
            .iter()
            .all(|line| !line.to_string().contains("Winter2026"))
    );
}

/// Calls that need no key are counted by where they come from; who has one address of IPv6 has all
/// that begin with the same 64 bits.
#[tokio::test]
async fn calls_without_a_key_are_counted_by_address() {
    let host = host().await;
    let settings = Settings {
        calls_per_second: 1,
        calls_burst: 2,
        ..Settings::default()
    };
    let router = router(host.app.clone(), host.door.clone(), settings, &host.metrics);
    let call = async |address: &str| {
        let remote = SocketAddr::new(address.parse().unwrap(), 40_000);
        let call = Request::get("/openapi.json").extension(ConnectInfo(remote));
        let call = call.body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(call).await.unwrap();
        let (left, status) = (
            answer.headers().get("x-ratelimit-remaining"),
            answer.status(),
        );
        let left = left.unwrap().to_str().unwrap().to_owned();
        (status.as_u16(), left)
    };
    for (address, status, left) in [
        ("192.0.2.1", 200, "1"),
        ("192.0.2.1", 200, "0"),
        ("192.0.2.1", 429, "0"),
        ("::ffff:192.0.2.1", 429, "0"),
        ("192.0.2.2", 200, "1"),
        ("2001:db8::1", 200, "1"),
        ("2001:db8::2", 200, "0"),
        ("2001:db8::ffff:0:0:3", 429, "0"),
        ("2001:db8:0:1::1", 200, "1"),
    ] {
        assert_eq!(call(address).await, (status, left.to_owned()), "{address}");
    }
}

//! Usage on its way to an invoice: it gets its price from a plugin and from nobody else, and no
//! second one.

use super::{Collector, PATIENCE, PLUGIN, Till, is_paid, waits_for};
use axum::http::StatusCode;
use holdfast::billing::collecting::{Billable, CollectingError, Standing};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Period, UnixMillis, Usage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// The name under which pricing plugins are installed.
const PRICING: &str = "pricing";

const ATTEMPTS: &str = "holdfast_billing_attempts_total";
const INVOICES: &str = "holdfast_billing_invoices";

/// Thirty days with so many gigabytes, and one pin request.
fn billable(id: &str, gigabytes: u128) -> Billable {
    let thirty_days_millis = 30 * 86_400_000;
    Billable {
        id: id.to_owned(),
        account: AccountId::parse("acme/web").unwrap(),
        attributes: BTreeMap::new(),
        usage: Usage {
            period: Period {
                start: UnixMillis::parse("2026-01-01T00:00:00Z").unwrap(),
                end: UnixMillis::parse("2026-01-31T00:00:00Z").unwrap(),
            },
            byte_millis: gigabytes * 1_000_000_000 * thirty_days_millis,
            level_bytes: gigabytes * 1_000_000_000,
            operations: Operations {
                pin: u64::from(gigabytes > 0),
                ..Operations::default()
            },
        },
        due: UnixMillis::parse("2026-02-15T00:00:00Z").unwrap(),
    }
}

/// Whether it has no price, for this reason.
fn lacks_price_for(cause: &str) -> impl Fn(&Standing) -> bool {
    move |standing| matches!(standing, Standing::Unrated(wait) if wait.why.contains(cause))
}

/// Whether it got no price so many times in a row.
fn has_failed(times: u32) -> impl Fn(&Standing) -> bool {
    move |standing| matches!(standing, Standing::Unrated(wait) if wait.failures >= times)
}

/// A manifest for a pricing plugin that does this and no other way.
fn doing(deed: &str) -> String {
    format!("[settings]\ndo = \"{deed}\"\n[breaker]\nfailures = 1000\n[promote]\nwatch_ms = 0\n")
}

impl Till {
    async fn hand_in_unrated(&self, id: &str, gigabytes: u128) {
        let handed_in = self
            .collecting()
            .hand_in_unrated(PLUGIN, billable(id, gigabytes))
            .await;
        assert!(matches!(handed_in.unwrap(), Standing::Unrated(_)));
    }

    /// The price, once there is one.
    async fn price(&self, id: &str) -> Option<i64> {
        let invoice = self.collecting().invoice(id).await.unwrap();
        invoice.map(|invoice| invoice.total.micros)
    }

    /// Attempts as the only file of the queue has them.
    fn attempts_written(&self) -> u64 {
        let files = fs::read_dir(self.dir.path().join("payments")).unwrap();
        let mut paths = files.map(|entry| entry.unwrap().path());
        let file = paths.find(|path| path.extension().is_some_and(|end| end == "json"));
        let written: Value = serde_json::from_slice(&fs::read(file.unwrap()).unwrap()).unwrap();
        written["attempts"].as_u64().unwrap()
    }
}

impl Collector {
    /// What was collected, in the order of its amounts.
    fn totals(&self) -> Vec<String> {
        let bodies = self.bodies.lock();
        let mut totals: Vec<String> = bodies
            .iter()
            .map(|body| {
                let body: Value = serde_json::from_str(body).unwrap();
                body["total"]["micros"].as_str().unwrap().to_owned()
            })
            .collect();
        totals.sort_unstable();
        totals
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_rated_by_the_live_plugin_and_then_collected() {
    let collector = Collector::start(StatusCode::OK).await;
    let till = Till::new().await;
    till.install("payment-webhook", &collector.manifest()).await;
    till.install_as(PRICING, "pricing-tiered", "").await;
    till.hand_in_unrated("inv-1", 10).await;
    let standing = till.until("inv-1", is_paid).await;
    // Ten GB-months, one of them free, at 0.02 EUR; and one pin at 0.0001 EUR.
    let micros = 9 * 20_000 + 100;
    assert!(
        matches!(&standing, Standing::Collected { amount, .. } if amount.micros == micros),
        "{standing:?}"
    );
    assert_eq!(collector.totals(), [micros.to_string()]);
    let invoice = till.collecting().invoice("inv-1").await.unwrap().unwrap();
    assert_eq!(invoice.period, billable("inv-1", 10).usage.period);
    assert!(invoice.lines.len() > 1, "{invoice:?}");
    let again = till
        .collecting()
        .hand_in_unrated(PLUGIN, billable("inv-1", 10))
        .await;
    assert!(is_paid(&again.unwrap()));
    let other = till
        .collecting()
        .hand_in_unrated(PLUGIN, billable("inv-1", 11))
        .await;
    assert!(
        matches!(other, Err(CollectingError::Conflict(_))),
        "{other:?}"
    );
    // Nothing used is nothing owed: nobody is asked for it.
    till.hand_in_unrated("inv-2", 0).await;
    let is_over = |standing: &Standing| matches!(standing, Standing::NothingOwed { .. });
    till.until("inv-2", is_over).await;
    assert_eq!(till.counted(ATTEMPTS, &["rating", "rated"], 2.0).await, 2.0);
    assert_eq!(till.counted(INVOICES, &["nothing_owed"], 1.0).await, 1.0);
    assert!(till.collecting().retry("inv-2").await.is_err());
    till.collecting().forget("inv-2").await.unwrap();
    assert_eq!(collector.keys.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_leaves_it_unrated_and_a_good_one_rates_it_at_once() {
    let collector = Collector::start(StatusCode::OK).await;
    let till = Till::new().await;
    till.install("payment-webhook", &collector.manifest()).await;
    till.install_as(PRICING, "hostile-pricing", &doing("trap"))
        .await;
    till.hand_in_unrated("inv-1", 10).await;
    let standing = till.until("inv-1", has_failed(1)).await;
    let Standing::Unrated(wait) = standing else {
        panic!("{standing:?}");
    };
    assert_eq!(wait.why, "plugin pricing: trapped: it panicked or aborted");
    assert!(wait.is_plugins_fault);
    assert_eq!(till.counted(INVOICES, &["unrated"], 1.0).await, 1.0);
    // Before its time it is not tried; then it is.
    till.pass(Duration::from_secs(5));
    till.until("inv-1", has_failed(2)).await;
    let failed = till
        .counted(ATTEMPTS, &["rating", "plugin_failed"], 2.0)
        .await;
    assert_eq!(failed, 2.0);
    // The clock stands still from here: it is the other plugin that has it tried.
    for (deed, cause) in [
        ("loop", "was stopped"),
        ("wrong-sum", "the lines sum up to"),
        ("mixed-currencies", "in USD"),
        ("rating-error", "no such usage"),
    ] {
        till.install_as(PRICING, "hostile-pricing", &doing(deed))
            .await;
        till.until("inv-1", lacks_price_for(cause)).await;
    }
    assert_eq!(till.price("inv-1").await, None);
    assert!(collector.keys.lock().is_empty());
    till.install_as(PRICING, "hostile-pricing", &doing("price-7"))
        .await;
    till.until("inv-1", is_paid).await;
    assert_eq!(till.price("inv-1").await, Some(7));
    assert_eq!(collector.totals(), ["7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_plugin_that_may_be_asked_it_stays_unrated_and_that_is_no_attempt() {
    let collector = Collector::start(StatusCode::OK).await;
    let till = Till::new().await;
    till.install("payment-webhook", &collector.manifest()).await;
    till.hand_in_unrated("inv-1", 10).await;
    till.until("inv-1", lacks_price_for("no pricing component"))
        .await;
    till.counted(ATTEMPTS, &["rating", "not_asked"], 1.0).await;
    assert_eq!(till.attempts_written(), 0);
    // The plugin that comes is asked at once, and traps, which opens its breaker.
    let manifest = "[settings]\ndo = \"trap\"\n[breaker]\nfailures = 1\nopen_ms = 600000\n\
                    [promote]\nwatch_ms = 0\n";
    till.install_as(PRICING, "hostile-pricing", manifest).await;
    till.until("inv-1", lacks_price_for("trapped")).await;
    till.until_later("inv-1", lacks_price_for("out of service"))
        .await;
    // Another attempt may just have begun; none of those is left that the plugin did not see.
    let start = Instant::now();
    while till.attempts_written() != 1 {
        assert!(start.elapsed() < PATIENCE, "{}", till.attempts_written());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        till.metric(ATTEMPTS, &["rating", "plugin_failed"]),
        1.0,
        "it was asked once"
    );
    assert!(collector.keys.lock().is_empty());
    till.install_as(PRICING, "hostile-pricing", &doing("price-7"))
        .await;
    till.until("inv-1", is_paid).await;
    assert_eq!(collector.totals(), ["7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_survives_a_restart_though_the_plugin_would_say_another_by_now() {
    let collector = Collector::start(StatusCode::OK).await;
    let mut till = Till::new().await;
    till.install_as(PRICING, "hostile-pricing", &doing("price-7"))
        .await;
    till.hand_in_unrated("inv-1", 10).await;
    // It has its price, and nobody collects it yet.
    till.until("inv-1", waits_for("no payment component")).await;
    assert_eq!(till.price("inv-1").await, Some(7));
    till.reopen().await;
    till.install_as(PRICING, "hostile-pricing", &doing("price-9"))
        .await;
    till.hand_in_unrated("inv-2", 10).await;
    till.until("inv-2", waits_for("no payment component")).await;
    assert_eq!(till.price("inv-2").await, Some(9));
    assert_eq!(till.price("inv-1").await, Some(7));
    till.install("payment-webhook", &collector.manifest()).await;
    till.until("inv-1", is_paid).await;
    till.until("inv-2", is_paid).await;
    assert_eq!(collector.totals(), ["7", "9"]);
    assert_eq!(till.price("inv-1").await, Some(7));
    let rated = till.counted(ATTEMPTS, &["rating", "rated"], 1.0).await;
    assert_eq!(rated, 1.0, "only the second was rated since the restart");
}

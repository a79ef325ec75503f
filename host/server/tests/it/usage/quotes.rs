//! What usage costs, by real pricing components.

use super::{advance, host_at, pinned};
use crate::psa::{text, user};
use crate::support::host::Host;
use crate::support::plugins::install;
use serde_json::{Value, json};

const MONTH_MILLIS: u64 = 30 * 86_400_000;

async fn quote(host: &Host, key: &str) -> Value {
    host.get("/v1/quote?period=2026-11", key).await.with(200)
}

#[tokio::test]
async fn a_quote_explains_each_line_and_follows_the_component_in_the_folder() {
    let host = host_at("2026-11-01T00:00:00Z").await;
    let key = user(&host, "acme/web").await;
    pinned(&host, &key, 10_000_000_000).await;
    advance(&host, MONTH_MILLIS);
    install(&host, "pricing-tiered", "pricing", "").await;
    let first = quote(&host, &key).await;
    // Ten GB-months, one of them free, at 0.02 EUR; and one pin at 0.0001 EUR.
    let micros = 9 * 20_000 + 100;
    assert_eq!(
        first["total"],
        json!({"micros": micros, "currency": "EUR", "display": "0.180100 EUR"})
    );
    let lines = first["lines"].as_array().unwrap();
    let sum: i64 = lines
        .iter()
        .map(|line| line["amount"]["micros"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, micros);
    assert!(
        lines
            .iter()
            .all(|line| !text(&line["explanation"]).is_empty())
    );
    assert_eq!(first["rated_by"]["plugin"], "pricing");
    assert_eq!(text(&first["rated_by"]["digest"]).len(), 64);

    let dearer = "[settings]\ntiers = [{ price_micros = 40000 }]\n";
    install(&host, "pricing-tiered", "pricing", dearer).await;
    let second = quote(&host, &key).await;
    assert_eq!(second["total"]["micros"], 9 * 40_000 + 100);
    assert_eq!(second["usage"], first["usage"]);
}

#[tokio::test]
async fn a_pricing_component_that_fails_gives_no_price() {
    let host = host_at("2026-11-01T00:00:00Z").await;
    let key = user(&host, "acme/web").await;
    let manifest = "[settings]\ndo = \"trap\"\n";
    install(&host, "hostile-pricing", "pricing", manifest).await;
    let problem = host.get("/v1/quote", &key).await.with(502);
    assert_eq!(problem["code"], "PRICING_FAILED");
    host.get("/v1/usage", &key).await.with(200);
}

//! What the API tells of itself.

use super::{CID, pin, user};
use crate::support::host::Host;
use holdfast_model::Role;
use serde_json::json;

/// The value of a metric's line.
fn value(text: &str, line: &str) -> u64 {
    let found = text.lines().find_map(|has| has.strip_prefix(line));
    let found = found.unwrap_or_else(|| panic!("{line} is not in\n{text}"));
    found.trim().parse().unwrap()
}

#[tokio::test]
async fn calls_denials_and_strays_are_counted_by_route() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    pin(&host, &key, json!({"cid": CID})).await;
    host.get("/psa/pins", &key).await.with(200);
    host.get("/psa/pins?limit=0", &key).await.with(400);
    host.get("/psa/nothing", &key).await.with(404);
    let auditor = host.key("acme/web", &[Role::Auditor]).await;
    host.get("/psa/pins", &auditor).await.with(403);
    let registry = prometheus::Registry::new();
    for collector in host.metrics.collectors() {
        registry.register(collector).unwrap();
    }
    let encoder = prometheus::TextEncoder::new();
    let text = encoder.encode_to_string(&registry.gather()).unwrap();
    let requests = |class: &str, method: &str, route: &str| {
        let labels = format!(r#"{{class="{class}",method="{method}",route="{route}"}}"#);
        value(&text, &format!("holdfast_api_requests_total{labels}"))
    };
    assert_eq!(requests("2xx", "POST", "/psa/pins"), 1);
    assert_eq!(requests("2xx", "GET", "/psa/pins"), 1);
    assert_eq!(requests("4xx", "GET", "/psa/pins"), 2);
    assert_eq!(requests("5xx", "GET", "/v1/quote"), 0);
    let denials = r#"holdfast_api_denials_total{action="listRequests"}"#;
    assert_eq!(value(&text, denials), 1);
    assert_eq!(value(&text, "holdfast_api_strays_total"), 1);
    assert_eq!(value(&text, "holdfast_api_in_flight_calls"), 0);
    let seconds = r#"holdfast_api_request_seconds_count{method="POST",route="/psa/pins"}"#;
    assert_eq!(value(&text, seconds), 1);
}

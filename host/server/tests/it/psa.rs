//! The Pinning Service API, as its clients see it.

mod list;
mod measured;
mod quota;
mod requests;

use crate::support::host::Host;
use holdfast_model::Role;
use serde_json::{Value, json};

/// Identity CIDs: no network has to know them.
pub(crate) const CID: &str = "bafkqaaa";
pub(crate) const OTHER_CID: &str = "bafkqablimvwgy3y";

/// A tenant user's key.
pub(crate) async fn user(host: &Host, account: &str) -> String {
    host.key(account, &[Role::TenantUser]).await
}

/// Asks for a pin and gives back its `PinStatus`.
pub(crate) async fn pin(host: &Host, key: &str, body: Value) -> Value {
    host.post("/psa/pins", key, body).await.with(202)
}

/// Asks for a named pin and gives back its id.
pub(crate) async fn pin_named(host: &Host, key: &str, name: &str) -> String {
    let status = pin(host, key, json!({"cid": CID, "name": name})).await;
    text(&status["requestid"])
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// The names on a page, in its order.
pub(crate) fn names(page: &Value) -> Vec<String> {
    let rows = page["results"].as_array().expect("rows");
    rows.iter().map(|row| text(&row["pin"]["name"])).collect()
}

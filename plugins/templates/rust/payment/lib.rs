//! Collects an invoice by one POST to a collector, who answers at once.
//!
//! The header that proves who calls is filled in by the host: this plugin never sees its secret.

use holdfast_plugin::http::{HttpError, Request, Url};
use holdfast_plugin::payment::{
    Client, CollectError, Invoice, Metadata, Need, Payment, Progress, Receipt, Requirement, Step,
};
use serde::Deserialize;
use serde_json::json;

/// What the operator writes under `[settings]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where charges are posted to.
    url: String,
}

struct Collector {
    url: Url,
}

impl Payment for Collector {
    fn describe() -> Metadata {
        Metadata {
            name: "plugin-name".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "posts each invoice to a collector".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let settings: Settings = holdfast_plugin::settings::parse(settings)?;
        let url = Url::parse(&settings.url).map_err(|why| format!("url: {why}"))?;
        Ok(Self { url })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need {
            what: Requirement::Egress(self.url.need(&["POST"], &["authorization".into()])),
            reason: "to post each invoice that is due to settings.url".into(),
        }]
    }

    fn collect(
        &self,
        invoice: &Invoice,
        progress: &Progress,
        http: &dyn Client,
    ) -> Result<Step, CollectError> {
        let charge = json!({
            "invoice": invoice.id,
            "account": invoice.account,
            "micros": invoice.total.micros,
            "currency": invoice.total.currency,
        });
        // A call that was made twice collects once: the key is the same for every attempt.
        let request = Request::new("POST", self.url.clone())
            .header("idempotency-key", &progress.idempotency_key)
            .json(&charge);
        let response = http.send(&request).map_err(|error| match error {
            HttpError::Denied(why) => CollectError::Refused(why),
            _ => CollectError::Unavailable(None),
        })?;
        match response.status {
            200 | 201 => Ok(Step::Collected(Receipt {
                reference: reference(&response.json().unwrap_or_default(), invoice),
                amount: invoice.total.clone(),
            })),
            402 => Ok(Step::Declined("the collector declined".into())),
            429 | 500..600 => Err(CollectError::Unavailable(None)),
            status => Err(CollectError::Other(format!("the collector answered {status}"))),
        }
    }
}

/// The collector's name for the charge; the invoice's own if it gave none.
fn reference(answer: &serde_json::Value, invoice: &Invoice) -> String {
    let given = answer.get("reference").and_then(|given| given.as_str());
    given.unwrap_or(&invoice.id).to_owned()
}

holdfast_plugin::export_payment!(Collector);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::payment::<Collector>(vectors).is_ok());
    }

    #[test]
    fn wrong_settings_are_named() {
        let refused = Collector::init(r#"{"url": "collector.example"}"#).map(drop);
        assert!(refused.is_err_and(|why| why.contains("url")));
    }
}

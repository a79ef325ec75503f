//! The simplest way to collect: post the invoice as JSON to an address of the operator's, who does
//! the collecting there.
//!
//! Each attempt has the header `idempotency-key`, which is the same for all attempts at one
//! invoice. The header that proves who calls (`authorization`, by setting another) is filled in by
//! the host: this plugin never sees its secret. How the receiver answers:
//!
//! | status | what becomes of the invoice | JSON of the answer, all of it optional |
//! | --- | --- | --- |
//! | 200, 201, 204 | paid | `{"reference": "…"}` |
//! | 202 | asked about again | `{"memo": "…", "again_after_ms": 60000, "message": "…"}` |
//! | 402 | declined, for a person | `{"message": "…"}` |
//! | 429, 5xx | tried again, after `Retry-After` if there is one | |
//! | 400, 422 | in error: the invoice must be mended | `{"message": "…"}` |
//! | other 4xx, 3xx | in error: the settings must be mended | `{"message": "…"}` |

mod answer;
mod body;
mod retry_after;

use holdfast_plugin::http::{HttpError, Request, Url};
use holdfast_plugin::payment::{
    Client, CollectError, Invoice, Metadata, Need, Payment, Progress, Requirement, Step,
};
use serde::Deserialize;
use std::time::Duration;

/// The longest wait for an answer that makes sense: the host gives a job no more.
const TIMEOUT_MILLIS_MAX: u64 = 60_000;

/// Secrets are few.
const SECRET_HEADERS_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Where the invoice is posted to.
    url: String,
    /// How long to wait for an answer.
    timeout_ms: u64,
    /// When to ask again after a 202 that does not say.
    again_after_ms: u64,
    /// Headers that the host fills in.
    secret_headers: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            timeout_ms: 10_000,
            again_after_ms: 60_000,
            secret_headers: vec!["authorization".into()],
        }
    }
}

struct Webhook {
    url: Url,
    settings: Settings,
}

impl Payment for Webhook {
    fn describe() -> Metadata {
        Metadata {
            name: "payment-webhook".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "posts invoices as JSON to an address that collects them".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let settings: Settings = holdfast_plugin::settings::parse(settings)?;
        if settings.url.is_empty() {
            return Err(
                "url: is missing; write where invoices are posted to, such as \
                https://billing.example/holdfast"
                    .into(),
            );
        }
        let url = Url::parse(&settings.url).map_err(|e| format!("url: {e}"))?;
        if settings.timeout_ms == 0 || settings.timeout_ms > TIMEOUT_MILLIS_MAX {
            return Err(format!("timeout_ms: write 1 to {TIMEOUT_MILLIS_MAX}"));
        }
        if settings.again_after_ms == 0 {
            return Err("again_after_ms: write 1 or more".into());
        }
        let is_header = |name: &String| {
            let is_letter = |b: u8| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit();
            !name.is_empty() && name.bytes().all(is_letter)
        };
        let headers = &settings.secret_headers;
        if headers.len() > SECRET_HEADERS_MAX || !headers.iter().all(is_header) {
            return Err(format!(
                "secret_headers: write at most {SECRET_HEADERS_MAX} names of headers in lower case"
            ));
        }
        Ok(Self { url, settings })
    }

    fn needs(&self) -> Vec<Need> {
        let secrets = &self.settings.secret_headers;
        vec![Need {
            what: Requirement::Egress(self.url.need(&["POST"], secrets)),
            reason: "to post each invoice that is due to the address in settings.url".into(),
        }]
    }

    fn collect(
        &self,
        invoice: &Invoice,
        progress: &Progress,
        http: &dyn Client,
    ) -> Result<Step, CollectError> {
        let mut request = Request::new("POST", self.url.clone())
            .header("idempotency-key", &progress.idempotency_key)
            .header("accept", "application/json")
            .json(&body::of(invoice, progress));
        request.timeout = Duration::from_millis(self.settings.timeout_ms);
        let response = http.send(&request).map_err(|error| match error {
            HttpError::Denied(why) => {
                CollectError::Refused(format!("{}: {why}; grant it under [[egress]]", self.url))
            }
            HttpError::Timeout | HttpError::Failed(_) => CollectError::Unavailable(None),
            HttpError::TooLarge => {
                CollectError::Other(format!("the answer of {} is too large", self.url))
            }
        })?;
        answer::step(&response, invoice, progress, self.settings.again_after_ms)
    }
}

holdfast_plugin::export_payment!(Webhook);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_plugin::payment::Money;
    use holdfast_testkit::{Script, invoice, progress};

    const SETTINGS: &str = r#"{"url": "https://billing.example/holdfast"}"#;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::payment::<Webhook>(vectors).unwrap() >= 8);
    }

    #[test]
    fn wrong_settings_are_named() {
        for (settings, named) in [
            ("{}", "url: is missing"),
            (r#"{"url": "billing.example"}"#, "url: "),
            (
                r#"{"url": "https://a.example", "timeout_ms": 0}"#,
                "timeout_ms",
            ),
            (
                r#"{"url": "https://a.example", "timeout_ms": 60001}"#,
                "timeout_ms",
            ),
            (
                r#"{"url": "https://a.example", "again_after_ms": 0}"#,
                "again_after_ms",
            ),
            (
                r#"{"url": "https://a.example", "secret_headers": ["A b"]}"#,
                "secret_headers",
            ),
            (r#"{"uri": "https://a.example"}"#, "uri"),
        ] {
            let refused = Webhook::init(settings).err().unwrap();
            assert!(refused.contains(named), "{settings}: {refused}");
        }
    }

    #[test]
    fn what_it_needs_is_in_its_settings() {
        let settings = r#"{"url": "https://billing.example:8443/in", "secret_headers": ["x-key"]}"#;
        let needs = Webhook::init(settings).unwrap().needs();
        let Requirement::Egress(egress) = &needs[0].what else {
            panic!("{needs:?}");
        };
        assert_eq!(
            (egress.host.as_str(), egress.port),
            ("billing.example", 8443)
        );
        assert_eq!(egress.secrets, ["x-key"]);
    }

    #[test]
    fn every_attempt_has_the_same_key() {
        let plugin = Webhook::init(SETTINGS).unwrap();
        let url = "https://billing.example/holdfast";
        let script = Script::new().answers("POST", url, 503, "").answers(
            "POST",
            url,
            200,
            r#"{"reference": "r-1"}"#,
        );
        let invoice = invoice("inv-1", Money::new(5_000_000, "EUR"));
        let failed = plugin.collect(&invoice, &progress(1, ""), &script);
        assert_eq!(failed, Err(CollectError::Unavailable(None)));
        let paid = plugin.collect(&invoice, &progress(2, ""), &script).unwrap();
        assert!(matches!(paid, Step::Collected(receipt) if receipt.amount == invoice.total));
        let keys: Vec<_> = script
            .sent()
            .into_iter()
            .map(|request| {
                request
                    .headers
                    .into_iter()
                    .find(|(name, _)| name == "idempotency-key")
            })
            .collect();
        assert!(keys[0].is_some() && keys[0] == keys[1]);
        script.finish().unwrap();
    }
}

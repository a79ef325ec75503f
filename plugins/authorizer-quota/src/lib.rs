//! Quotas by tenant attributes: `quota_bytes` (pinned in all), `quota_requests` (pin requests in
//! all) and `quota_request_bytes` (one request). What is absent does not bound, unless the settings
//! name a default: `{"quota_bytes": 1000000000, "quota_requests": 1000, "quota_request_bytes":
//! null}`.

mod quota;

use holdfast_plugin::authorizer::{Action, Authorizer, Call, Decision, Level, Metadata, log};
use quota::{Ask, Quotas, Refusal};

struct QuotaAuthorizer {
    defaults: Quotas,
}

impl Authorizer for QuotaAuthorizer {
    fn describe() -> Metadata {
        Metadata {
            name: "authorizer-quota".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "bounds pinned bytes and pin requests by tenant attributes".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let defaults = holdfast_plugin::settings::parse(settings).map_err(|e| {
            format!(
                "{e}; write whole numbers under quota_bytes, quota_requests and quota_request_bytes"
            )
        })?;
        Ok(Self { defaults })
    }

    fn authorize(&self, call: &Call) -> Decision {
        let adds_request = match call.action() {
            Action::CreateRequest => true,
            Action::ReplaceRequest => false,
            _ => return Decision::Allow,
        };
        let quotas = self.defaults.overlaid(|name| call.attribute_number(name));
        let checked = quotas.and_then(|quotas| {
            if quotas == Quotas::default() {
                // Nothing bounds, so nothing need be asked.
                return Ok(());
            }
            quotas.check(&Ask {
                adds_request,
                request_count: call.request_count(),
                pinned_bytes: call.pinned_bytes().into(),
                dag_size: call.dag_size(),
            })
        });
        match checked {
            Ok(()) => Decision::Allow,
            Err(Refusal::Exhausted(message)) => Decision::exhausted(message),
            Err(Refusal::Unreadable(message)) => {
                log(Level::Warn, &format!("tenant {}: {message}", call.tenant()));
                Decision::forbidden(message)
            }
        }
    }
}

holdfast_plugin::export_authorizer!(QuotaAuthorizer);

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::CallFacts;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::authorizer::<QuotaAuthorizer>(vectors).unwrap() >= 8);
    }

    #[test]
    fn only_what_adds_something_is_bound() {
        let plugin = QuotaAuthorizer::init(r#"{"quota_requests": 0}"#).unwrap();
        let decide = |action| plugin.authorize(&CallFacts::new(action).call());
        assert!(matches!(decide(Action::CreateRequest), Decision::Deny(_)));
        for action in [
            Action::ReplaceRequest,
            Action::DeleteRequest,
            Action::ListRequests,
        ] {
            assert_eq!(decide(action), Decision::Allow);
        }
    }
}

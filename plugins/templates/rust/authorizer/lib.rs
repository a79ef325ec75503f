//! Bounds how much one new pin may bring: `max_pin_bytes` in the settings, or the tenant's
//! attribute of the same name in its place.

use holdfast_plugin::authorizer::{Action, Authorizer, Call, Decision, Metadata};
use serde::Deserialize;

/// What the operator writes under `[settings]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bounds {
    /// Bytes; without it nothing bounds.
    max_pin_bytes: Option<u64>,
}

impl Authorizer for Bounds {
    fn describe() -> Metadata {
        Metadata {
            name: "plugin-name".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "bounds the size of a pin".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        serde_json::from_str(settings)
            .map_err(|e| format!("{e}; write a whole number under max_pin_bytes"))
    }

    fn authorize(&self, call: &Call) -> Decision {
        // Each question costs a little, so ask what settles most calls first.
        if !matches!(call.action(), Action::CreateRequest | Action::ReplaceRequest) {
            return Decision::Allow;
        }
        let bound = match call.attribute_number("max_pin_bytes") {
            Some(Ok(bound)) => Some(bound),
            // Never guess: an attribute that is there and unreadable forbids.
            Some(Err(())) => {
                return Decision::forbidden("the tenant's max_pin_bytes is no whole number");
            }
            None => self.max_pin_bytes,
        };
        match exceeds(call.dag_size(), bound) {
            Some(bound) => Decision::exhausted(format!("a pin may have {bound} bytes")),
            None => Decision::Allow,
        }
    }
}

/// The bound, if a size is known and over it.
fn exceeds(size: Option<u64>, bound: Option<u64>) -> Option<u64> {
    bound.filter(|bound| size.is_some_and(|size| size > *bound))
}

holdfast_plugin::export_authorizer!(Bounds);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold() {
        let vectors = include_str!("../vectors.json");
        assert!(holdfast_testkit::vectors::authorizer::<Bounds>(vectors).is_ok());
    }

    #[test]
    fn the_bound_may_be_reached_and_not_passed() {
        assert_eq!(exceeds(Some(10), Some(10)), None);
        assert_eq!(exceeds(Some(11), Some(10)), Some(10));
        assert_eq!(exceeds(Some(11), None), None);
        assert_eq!(exceeds(None, Some(10)), None);
    }

    #[test]
    fn wrong_settings_are_named() {
        let refused = Bounds::init(r#"{"max": 1}"#).map(drop);
        assert!(refused.is_err_and(|why| why.contains("max_pin_bytes")));
    }
}

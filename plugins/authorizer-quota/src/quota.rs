//! The rule, without the plugin around it.

use serde::Deserialize;

/// Bounds; `None` does not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Quotas {
    /// Bytes pinned in all.
    quota_bytes: Option<u64>,
    /// Pin requests in all.
    quota_requests: Option<u64>,
    /// Bytes of one request.
    quota_request_bytes: Option<u64>,
}

/// What somebody wants, and what they have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// Whether there is one request more afterwards; a replacement takes an old one's place.
    pub(crate) adds_request: bool,
    /// Requests there are.
    pub(crate) request_count: u64,
    /// Bytes pinned now.
    pub(crate) pinned_bytes: u128,
    /// Bytes wanted, if known.
    pub(crate) dag_size: Option<u64>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A quota is used up.
    Exhausted(String),
    /// An attribute is no number. Refused: a bound that cannot be read must not be no bound.
    Unreadable(String),
}

impl Quotas {
    /// These bounds, with what the tenant's attributes say in their place.
    pub(crate) fn overlaid(
        self,
        attribute: impl Fn(&str) -> Option<Result<u64, ()>>,
    ) -> Result<Self, Refusal> {
        let read = |name: &str, default: Option<u64>| match attribute(name) {
            None => Ok(default),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(())) => Err(Refusal::Unreadable(format!(
                "the attribute {name} is no whole number; ask the operator to correct it"
            ))),
        };
        Ok(Self {
            quota_bytes: read("quota_bytes", self.quota_bytes)?,
            quota_requests: read("quota_requests", self.quota_requests)?,
            quota_request_bytes: read("quota_request_bytes", self.quota_request_bytes)?,
        })
    }

    /// Refuses what would pass a bound. Content of unknown size is let in while anything is left:
    /// its size is learnt by pinning it.
    pub(crate) fn check(self, ask: &Ask) -> Result<(), Refusal> {
        if let Some(bound) = self.quota_requests
            && ask.adds_request
            && ask.request_count >= bound
        {
            return Err(Refusal::Exhausted(format!(
                "the account has {} of {bound} pin requests; delete some or ask for a larger quota",
                ask.request_count
            )));
        }
        if let (Some(bound), Some(size)) = (self.quota_request_bytes, ask.dag_size)
            && size > bound
        {
            return Err(Refusal::Exhausted(format!(
                "the content has {size} bytes, and one request may have {bound}"
            )));
        }
        let Some(bound) = self.quota_bytes else {
            return Ok(());
        };
        let wanted = u128::from(ask.dag_size.unwrap_or(1));
        if ask.pinned_bytes.saturating_add(wanted) > u128::from(bound) {
            return Err(Refusal::Exhausted(format!(
                "the account has pinned {} of {bound} bytes{}; delete some pins or ask for a larger quota",
                ask.pinned_bytes,
                ask.dag_size
                    .map(|size| format!(", and the content has {size}"))
                    .unwrap_or_default()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_plugin::settings;

    const QUOTAS: Quotas = Quotas {
        quota_bytes: Some(100),
        quota_requests: Some(3),
        quota_request_bytes: Some(50),
    };

    fn ask(request_count: u64, pinned_bytes: u128, dag_size: Option<u64>) -> Ask {
        Ask {
            adds_request: true,
            request_count,
            pinned_bytes,
            dag_size,
        }
    }

    #[test]
    fn each_bound_may_be_reached_and_not_passed() {
        for (asked, fits) in [
            (ask(2, 0, None), true),
            (ask(3, 0, None), false),
            (ask(0, 0, Some(50)), true),
            (ask(0, 0, Some(51)), false),
            (ask(0, 60, Some(40)), true),
            (ask(0, 60, Some(41)), false),
            (ask(0, 99, None), true),
            (ask(0, 100, None), false),
            (ask(0, u128::MAX, Some(1)), false),
        ] {
            assert_eq!(QUOTAS.check(&asked).is_ok(), fits, "{asked:?}");
        }
    }

    #[test]
    fn a_replacement_adds_no_request() {
        let replacement = Ask {
            adds_request: false,
            ..ask(3, 0, None)
        };
        assert_eq!(QUOTAS.check(&replacement), Ok(()));
    }

    #[test]
    fn nothing_bounds_by_default() {
        assert_eq!(
            Quotas::default().check(&ask(u64::MAX, u128::MAX, Some(u64::MAX))),
            Ok(())
        );
    }

    #[test]
    fn attributes_stand_in_for_settings() {
        let quotas = QUOTAS
            .overlaid(|name| (name == "quota_bytes").then_some(Ok(7)))
            .unwrap();
        assert_eq!(
            quotas,
            Quotas {
                quota_bytes: Some(7),
                ..QUOTAS
            }
        );
    }

    #[test]
    fn an_unreadable_bound_refuses() {
        let refused = QUOTAS.overlaid(|_| Some(Err(()))).unwrap_err();
        assert!(matches!(refused, Refusal::Unreadable(why) if why.contains("quota_bytes")));
    }

    #[test]
    fn settings_refuse_unknown_keys() {
        assert_eq!(settings::parse::<Quotas>("{}").unwrap(), Quotas::default());
        assert!(settings::parse::<Quotas>(r#"{"quota_byte": 1}"#).is_err());
    }
}

//! Which calls a new authorizer would decide otherwise.

use super::{ROWS_MAX, Rows};
use crate::call::{OwnedCall, Verdict};
use crate::error::Fault;
use holdfast_model::Action;
use serde::Serialize;
use std::collections::BTreeMap;

/// Calls of one kind by one principal that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Who asked.
    pub principal: String,
    /// For what.
    pub action: &'static str,
    /// For which account.
    pub account: String,
    /// Calls that are allowed now, and would be denied.
    pub allowed_to_denied: u64,
    /// Calls that are denied now, and would be allowed.
    pub denied_to_allowed: u64,
    /// Calls that are denied now for want of quota or funds, and would be forbidden, or the other
    /// way round.
    pub other_cause: u64,
    /// Calls in which the candidate failed, so they would be refused.
    pub failed: u64,
    /// What the last denial said, whoever denied.
    pub message: String,
}

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Flips(BTreeMap<(String, Action, String), Flip>);

/// How a call came out differently.
enum Difference<'a> {
    Denied(&'a str),
    Allowed(&'a str),
    Cause(&'a str),
    Failed,
}

impl Flips {
    /// All rows.
    pub(super) fn rows(&self) -> Vec<Flip> {
        self.0.values().cloned().collect()
    }
}

impl Rows for Flips {
    type Call = OwnedCall;
    type Answer = Verdict;

    fn compare(
        &mut self,
        call: &OwnedCall,
        live: &Verdict,
        candidate: Result<&Verdict, &Fault>,
    ) -> Option<bool> {
        let difference = difference(live, candidate)?;
        let key = (
            call.principal.as_str().to_owned(),
            call.action,
            call.account.as_str().to_owned(),
        );
        if self.0.len() >= ROWS_MAX && !self.0.contains_key(&key) {
            return Some(false);
        }
        let row = self.0.entry(key).or_insert_with_key(|key| Flip {
            principal: key.0.clone(),
            action: key.1.as_str(),
            account: key.2.clone(),
            allowed_to_denied: 0,
            denied_to_allowed: 0,
            other_cause: 0,
            failed: 0,
            message: String::new(),
        });
        let (count, message) = match difference {
            Difference::Denied(message) => (&mut row.allowed_to_denied, message),
            Difference::Allowed(message) => (&mut row.denied_to_allowed, message),
            Difference::Cause(message) => (&mut row.other_cause, message),
            Difference::Failed => (&mut row.failed, ""),
        };
        *count = count.saturating_add(1);
        if !message.is_empty() {
            message.clone_into(&mut row.message);
        }
        Some(true)
    }
}

/// Two denials for the same cause are the same, whatever they say.
fn difference<'a>(
    live: &'a Verdict,
    candidate: Result<&'a Verdict, &Fault>,
) -> Option<Difference<'a>> {
    match (live, candidate) {
        (Verdict::Allow, Ok(Verdict::Allow)) => None,
        (Verdict::Allow, Ok(Verdict::Deny { message, .. })) => Some(Difference::Denied(message)),
        (Verdict::Deny { message, .. }, Ok(Verdict::Allow)) => Some(Difference::Allowed(message)),
        (
            Verdict::Deny {
                exhausted: before, ..
            },
            Ok(Verdict::Deny {
                exhausted, message, ..
            }),
        ) => (before != exhausted).then_some(Difference::Cause(message)),
        (_, Err(_)) => Some(Difference::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{AccountId, PrincipalId, Roles, UnixMillis};

    fn call(principal: usize) -> OwnedCall {
        OwnedCall {
            action: Action::CreateRequest,
            principal: PrincipalId::of_worker(&principal.to_string()),
            roles: Roles::NONE,
            account: AccountId::parse("acme/web").unwrap(),
            attributes: BTreeMap::new(),
            cid: None,
            meta: None,
            request_count: 0,
            pinned_bytes: 0,
            dag_size: None,
            time: UnixMillis::EPOCH,
        }
    }

    fn deny(exhausted: bool) -> Verdict {
        Verdict::Deny {
            plugin: "p".into(),
            exhausted,
            message: "no".into(),
        }
    }

    #[test]
    fn flips_are_counted_both_ways() {
        let mut flips = Flips::default();
        let mut compare = |live: &Verdict, candidate: Result<&Verdict, &Fault>| {
            flips.compare(&call(1), live, candidate)
        };
        let (allow, full, forbidden) = (Verdict::Allow, deny(true), deny(false));
        assert_eq!(compare(&allow, Ok(&allow)), None);
        assert_eq!(compare(&full, Ok(&full)), None);
        assert_eq!(compare(&allow, Ok(&full)), Some(true));
        assert_eq!(compare(&allow, Ok(&forbidden)), Some(true));
        assert_eq!(compare(&full, Ok(&allow)), Some(true));
        assert_eq!(compare(&full, Ok(&forbidden)), Some(true));
        assert_eq!(compare(&allow, Err(&Fault::Stack)), Some(true));
        let rows = flips.rows();
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(
            (
                row.allowed_to_denied,
                row.denied_to_allowed,
                row.other_cause,
                row.failed
            ),
            (2, 1, 1, 1)
        );
        assert_eq!(
            (row.principal.as_str(), row.message.as_str()),
            ("system:1", "no")
        );
    }

    #[test]
    fn a_full_report_goes_on_with_the_rows_it_has() {
        let mut flips = Flips::default();
        for n in 0..ROWS_MAX {
            let has_row = flips.compare(&call(n), &Verdict::Allow, Ok(&deny(true)));
            assert_eq!(has_row, Some(true));
        }
        let (old, new) = (call(0), call(ROWS_MAX));
        assert_eq!(
            flips.compare(&new, &Verdict::Allow, Ok(&deny(true))),
            Some(false)
        );
        assert_eq!(
            flips.compare(&old, &Verdict::Allow, Ok(&deny(true))),
            Some(true)
        );
        assert_eq!(flips.rows().len(), ROWS_MAX);
    }
}

//! How often somebody tried to log in as a user and did not. Each of the first attempts of a minute
//! is told of by itself, the others by their number: whoever knows a user's name and nothing else
//! must not be able to fill the audit log of the user's tenant.

use holdfast_model::{PrincipalId, TenantId, UnixMillis};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Attempts of a minute that are told of one by one: more than it takes to be locked out, so that
/// nothing is missing of what people do by hand.
const SINGLE_MAX: u64 = 10;

/// What is counted together; it is over when it is looked at afterwards.
const WINDOW_MILLIS: u64 = 60_000;

/// Users that are counted at once. Where more are tried within a minute, the others' attempts are
/// told of one by one, as if there were no bound: nothing is left out.
const USERS_MAX: usize = 65_536;

/// Attempts to log in as somebody, in windows of a minute.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    windows: Mutex<HashMap<PrincipalId, Window>>,
}

#[derive(Debug)]
struct Window {
    tenant: TenantId,
    since: UnixMillis,
    count: u64,
}

/// Attempts that were not told of one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// As whom.
    pub user: PrincipalId,
    /// The user's tenant.
    pub tenant: TenantId,
    /// Since when; a minute and a few seconds at most.
    pub since: UnixMillis,
    /// How many there were.
    pub count: u64,
}

impl Attempts {
    /// Counts one; whether it is to be told of by itself.
    pub(super) fn count(&self, user: &PrincipalId, tenant: &TenantId, now: UnixMillis) -> bool {
        let mut windows = self.windows.lock();
        if windows.len() >= USERS_MAX && !windows.contains_key(user) {
            return true;
        }
        let window = windows.entry(user.clone()).or_insert_with(|| Window {
            tenant: tenant.clone(),
            since: now,
            count: 0,
        });
        window.count += 1;
        window.count <= SINGLE_MAX
    }

    /// Ends the windows that are over by `now`, or all of them; what is to be told of them.
    pub(super) fn end(&self, now: Option<UnixMillis>) -> Vec<Untold> {
        let is_over = |window: &Window| {
            let passed = now.and_then(|now| now.as_millis().checked_sub(window.since.as_millis()));
            // A clock that was set back ends it too.
            passed.is_none_or(|passed| passed >= WINDOW_MILLIS)
        };
        let mut windows = self.windows.lock();
        let ended = windows.extract_if(|_, window| is_over(window));
        let untold = ended.filter_map(|(user, window)| {
            let count = window.count.checked_sub(SINGLE_MAX)?;
            (count > 0).then_some(Untold {
                user,
                tenant: window.tenant,
                since: window.since,
                count,
            })
        });
        untold.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_singly_is_told_once_by_its_number() {
        let attempts = Attempts::default();
        let tenant = TenantId::parse("acme").unwrap();
        let [alice, bob] = ["alice", "bob"].map(|name| PrincipalId::of_user(&tenant, name));
        let at = UnixMillis::new;
        let single = (0..100).filter(|n| attempts.count(&alice, &tenant, at(*n)));
        assert_eq!(single.count(), 10);
        // Another user's are another matter, and few of them are no number.
        assert!(attempts.count(&bob, &tenant, at(5)));
        assert!(attempts.end(Some(at(59_999))).is_empty());
        let untold = Untold {
            user: alice.clone(),
            tenant: tenant.clone(),
            since: at(0),
            count: 90,
        };
        assert_eq!(attempts.end(Some(at(60_005))), [untold]);
        assert!(attempts.windows.lock().is_empty());
        assert!(attempts.count(&alice, &tenant, at(60_006)));
        for _ in 0..12 {
            attempts.count(&alice, &tenant, at(60_007));
        }
        let left: Vec<u64> = attempts.end(None).iter().map(|one| one.count).collect();
        assert_eq!((left, attempts.end(None)), (vec![3], Vec::new()));
    }
}

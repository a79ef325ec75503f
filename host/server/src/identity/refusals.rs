//! How often credentials from one address were refused: who guesses is slowed.

use holdfast_model::UnixMillis;
use quick_cache::sync::Cache;
use std::net::IpAddr;

/// Addresses that are remembered; the less used ones are forgotten first.
const ADDRESSES_MAX: usize = 65_536;

/// What is counted together.
const WINDOW_MILLIS: u64 = 60_000;

/// Refusals by address, in windows of a minute.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Nothing: without bound.
    per_minute: Option<u32>,
    windows: Cache<IpAddr, Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    since: UnixMillis,
    count: u32,
}

impl Refusals {
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: (per_minute > 0).then_some(per_minute),
            windows: Cache::new(ADDRESSES_MAX),
        }
    }

    /// Seconds for which an address is not listened to; nothing if it is.
    pub(super) fn wait(&self, address: Option<IpAddr>, now: UnixMillis) -> Option<u64> {
        let window = self.windows.get(&block(address?))?;
        let passed = now.as_millis().checked_sub(window.since.as_millis())?;
        let is_over = self.per_minute.is_some_and(|most| window.count >= most);
        let left = WINDOW_MILLIS.checked_sub(passed)?;
        (is_over && left > 0).then(|| left.div_ceil(1_000))
    }

    /// Counts a refusal.
    pub(super) fn count(&self, address: Option<IpAddr>, now: UnixMillis) {
        let Some(address) = address.map(block).filter(|_| self.per_minute.is_some()) else {
            return;
        };
        let window = self.windows.get(&address);
        let passed = |window: &Window| now.as_millis().checked_sub(window.since.as_millis());
        let window = match window {
            Some(window) if passed(&window).is_some_and(|passed| passed < WINDOW_MILLIS) => {
                Window {
                    count: window.count.saturating_add(1),
                    ..window
                }
            }
            _ => Window {
                since: now,
                count: 1,
            },
        };
        self.windows.insert(address, window);
    }
}

/// The addresses that are counted as one: who has one IPv6 address has 2^64 of them.
#[must_use]
pub fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => IpAddr::V4(address),
            None => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_listened_to_for_the_rest_of_the_minute() {
        let refusals = Refusals::new(2);
        let [one, neighbour, other] = ["2001:db8::1", "2001:db8::2", "192.0.2.1"]
            .map(|text| Some(text.parse::<IpAddr>().unwrap()));
        let at = UnixMillis::new;
        refusals.count(one, at(0));
        assert_eq!(refusals.wait(one, at(0)), None);
        refusals.count(neighbour, at(10_000));
        assert_eq!(refusals.wait(one, at(20_000)), Some(40));
        assert_eq!(refusals.wait(other, at(20_000)), None);
        assert_eq!(refusals.wait(one, at(60_000)), None);
        refusals.count(one, at(60_001));
        assert_eq!(refusals.wait(one, at(60_001)), None);
        assert_eq!(refusals.wait(None, at(0)), None);
    }

    #[test]
    fn without_a_bound_nothing_is_kept() {
        let refusals = Refusals::new(0);
        let address = Some("192.0.2.1".parse().unwrap());
        for _ in 0..1_000 {
            refusals.count(address, UnixMillis::new(0));
        }
        assert_eq!(refusals.wait(address, UnixMillis::new(0)), None);
    }
}

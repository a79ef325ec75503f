//! Memory that is set aside for what is loaded.
//!
//! Limits bound what one instance can take. If they are given away without looking at their sum,
//! the machine runs out of memory in the middle of the night and not when the plugin is installed.
//! So a plugin reserves all that its instances may come to hold, and one that does not fit is
//! refused, with the sum in the message.

use crate::limits::INSTANCES_MAX;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the host may give to plugins.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    memory_bytes: u64,
    held: Arc<Mutex<BTreeMap<Key, Share>>>,
}

/// A plugin and its generation.
type Key = (String, u64);

/// What one generation of a plugin may come to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// Instances at once.
    pub(crate) instances: usize,
    /// Memory of each.
    pub(crate) bytes_each: usize,
    /// Its code, once for all of them.
    pub(crate) code_bytes: usize,
    /// Places that each takes of those that the engine keeps for instances: see
    /// [`places`](crate::engine::places).
    pub(crate) places_each: usize,
}

/// A share that is set aside; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    key: Key,
}

impl Share {
    /// All its memory.
    pub(crate) const fn bytes(self) -> u64 {
        self.held().saturating_add(self.code_bytes as u64)
    }

    /// What its instances may come to hold.
    const fn held(self) -> u64 {
        (self.instances as u64).saturating_mul(self.bytes_each as u64)
    }

    /// All its places.
    const fn places(self) -> usize {
        self.instances.saturating_mul(self.places_each)
    }
}

impl Budget {
    /// Nothing set aside yet.
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes,
            held: Arc::default(),
        }
    }

    /// Sets a share aside. The error is for the operator.
    pub(crate) fn reserve(
        &self,
        plugin: &str,
        generation: u64,
        share: Share,
    ) -> Result<Reservation, String> {
        let mut held = self.held.lock();
        let bytes_held: u64 = held.values().map(|share| share.bytes()).sum();
        let places_held: usize = held.values().map(|share| share.places()).sum();
        if bytes_held.saturating_add(share.bytes()) > self.memory_bytes {
            return Err(format!(
                "may come to hold {} instances × {} = {} and has {} of code, and of the {} that the host gives to plugins {} are set aside ({}); lower concurrency, standby or memory_bytes under [limits], or raise memory_bytes under [plugins]",
                share.instances,
                size(share.bytes_each as u64),
                size(share.held()),
                size(share.code_bytes as u64),
                size(self.memory_bytes),
                size(bytes_held),
                shares(&held),
            ));
        }
        if places_held.saturating_add(share.places()) > INSTANCES_MAX as usize {
            let each = match share.places_each {
                1 => String::new(),
                each => format!(", each with memories and tables for {each}"),
            };
            return Err(format!(
                "may come to have {} instances at once{each}, and of the host's {INSTANCES_MAX} {places_held} are set aside; lower concurrency or standby under [limits], here or for another plugin",
                share.instances,
            ));
        }
        let key = (plugin.to_owned(), generation);
        held.insert(key.clone(), share);
        drop(held);
        Ok(Reservation {
            budget: self.clone(),
            key,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.held.lock().remove(&self.key);
    }
}

/// Who holds what, the largest first, and no more than fits on a line.
fn shares(held: &BTreeMap<Key, Share>) -> String {
    const NAMED_MAX: usize = 8;
    let mut all: Vec<_> = held.iter().collect();
    all.sort_by_key(|(_, share)| std::cmp::Reverse(share.bytes()));
    let named = all
        .iter()
        .take(NAMED_MAX)
        .map(|((plugin, generation), share)| {
            format!("{plugin} generation {generation}: {}", size(share.bytes()))
        });
    let mut parts: Vec<String> = named.collect();
    match all.len().saturating_sub(NAMED_MAX) {
        0 if parts.is_empty() => parts.push("by none".into()),
        0 => {}
        more => parts.push(format!("{more} more")),
    }
    parts.join(", ")
}

/// Bytes as people write them.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes % MIB {
        0 => format!("{} MiB", bytes / MIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn share(instances: usize, mib: usize) -> Share {
        Share {
            instances,
            bytes_each: mib * MIB,
            code_bytes: 0,
            places_each: 1,
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_sum() {
        let budget = Budget::new(1024 * MIB as u64);
        let first = budget.reserve("a", 1, share(8, 64)).unwrap();
        let refused = budget.reserve("b", 2, share(16, 64)).unwrap_err();
        for part in [
            "16 instances × 64 MiB = 1024 MiB",
            "of the 1024 MiB",
            "512 MiB are set aside",
            "a generation 1: 512 MiB",
            "raise memory_bytes under [plugins]",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        drop(first);
        let all = budget.reserve("b", 2, share(16, 64)).unwrap();
        assert!(budget.reserve("c", 3, share(1, 1)).is_err());
        drop(all);
    }

    #[test]
    fn code_counts_once() {
        let budget = Budget::new(100 * MIB as u64);
        let with_code = |mib: usize| Share {
            code_bytes: mib * MIB,
            ..share(2, 20)
        };
        let refused = budget.reserve("a", 1, with_code(61)).unwrap_err();
        assert!(
            refused.contains("2 instances × 20 MiB = 40 MiB and has 61 MiB of code"),
            "{refused}"
        );
        assert!(budget.reserve("a", 1, with_code(60)).is_ok());
    }

    #[test]
    fn two_generations_of_one_plugin_both_count() {
        let budget = Budget::new(100 * MIB as u64);
        let old = budget.reserve("a", 1, share(1, 60)).unwrap();
        assert!(budget.reserve("a", 2, share(1, 60)).is_err());
        drop(old);
        assert!(budget.reserve("a", 2, share(1, 60)).is_ok());
    }

    #[test]
    fn there_are_only_so_many_instances() {
        let budget = Budget::new(u64::MAX);
        let most = INSTANCES_MAX as usize;
        let held = budget.reserve("a", 1, share(most - 1, 1)).unwrap();
        let refused = budget.reserve("b", 2, share(2, 1)).unwrap_err();
        assert!(refused.contains("at once"), "{refused}");
        drop(held);
    }

    #[test]
    fn an_instance_with_more_memories_takes_more_places() {
        let budget = Budget::new(u64::MAX);
        let quarter = INSTANCES_MAX as usize / 4;
        let large = |instances: usize| Share {
            places_each: 4,
            ..share(instances, 1)
        };
        let held = budget.reserve("a", 1, large(quarter - 1)).unwrap();
        let refused = budget.reserve("b", 2, large(2)).unwrap_err();
        for part in ["2 instances at once, each with", "1024 1020 are set aside"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        let small = budget.reserve("b", 2, share(4, 1)).unwrap();
        assert!(budget.reserve("c", 3, share(1, 1)).is_err());
        drop((held, small));
    }
}

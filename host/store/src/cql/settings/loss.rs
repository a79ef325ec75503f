//! Whether what was acknowledged is kept and read: which levels of consistency meet each other.

use super::{CqlSettings, Level};
use holdfast_model::Invalid;
use std::collections::BTreeMap;

/// Replicas of a key: in its home, and everywhere.
#[derive(Debug, Clone, Copy)]
struct Replicas {
    home: u32,
    all: u32,
}

impl CqlSettings {
    /// Why, with these levels of consistency and replicas by datacenter, an acknowledged write
    /// could be lost, or not be met by a read. Each complaint names its key and ends with what to
    /// write.
    #[must_use]
    pub fn could_lose(&self, replication: &BTreeMap<String, u16>) -> Vec<Invalid> {
        let levels = &self.consistency;
        let reads = [("read", levels.read), ("stream", levels.stream)];
        let mut found = Vec::new();
        let mut complain = |key: &str, why: String| {
            found.push(Invalid::new(format!("store.cql.consistency.{key}"), why));
        };
        if levels.write == Level::LocalOne {
            let why = "one replica has what was acknowledged, and a lost disk loses it";
            complain("write", format!("{why}; write \"local_quorum\""));
        }
        for (key, level) in reads {
            if let Some(home) = self.missed_at(replication, level) {
                complain(
                    key,
                    format!(
                        "reads at {} in {home} need not meet what was acknowledged at {}; \
                         write \"{}\"",
                        level.name(),
                        levels.write.name(),
                        match levels.write {
                            Level::Quorum => Level::Quorum,
                            Level::LocalOne | Level::LocalQuorum => Level::LocalQuorum,
                        }
                        .name()
                    ),
                );
            }
        }
        if levels.remote_reads && reads.iter().any(|(_, level)| *level != Level::Quorum) {
            let why = "another datacenter may answer what is older than what was acknowledged";
            complain(
                "remote_reads",
                format!("{why}; write false, or quorum everywhere with serial = \"global\""),
            );
        }
        found
    }

    /// A home at which reads of a level can miss an acknowledged write.
    fn missed_at(&self, replication: &BTreeMap<String, u16>, read: Level) -> Option<String> {
        let all = replication.values().map(|count| u32::from(*count)).sum();
        let write = self.consistency.write;
        self.homes().into_iter().find(|home| {
            let of_home = replication.get(home).copied().map_or(0, u32::from);
            let replicas = Replicas { home: of_home, all };
            // A home without replicas is refused in words of its own.
            of_home > 0 && !replicas.must_meet(read, write)
        })
    }
}

impl Replicas {
    /// Whether those who answer at one level are sure to be some of those of the other.
    fn must_meet(self, one: Level, other: Level) -> bool {
        if one == Level::Quorum && other == Level::Quorum {
            return true;
        }
        self.at_home(one) + self.at_home(other) > self.home
    }

    /// How many of the home's replicas there are at least among those who answer.
    fn at_home(self, level: Level) -> u32 {
        let Self { home, all } = self;
        match level {
            Level::LocalOne => 1,
            Level::LocalQuorum => home / 2 + 1,
            // All others may be among the majority.
            Level::Quorum => (all / 2 + 1).saturating_sub(all.saturating_sub(home)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::settings::Serial;

    /// The keys that are complained of, with two datacenters of so many replicas.
    fn complaints(replicas: [u16; 2], change: impl FnOnce(&mut CqlSettings)) -> Vec<String> {
        let mut settings = CqlSettings::new(vec!["db1".to_owned()], "dc1", "holdfast");
        change(&mut settings);
        let [first, second] = replicas;
        let replication = BTreeMap::from([("dc1".to_owned(), first), ("dc2".to_owned(), second)]);
        let found = settings.could_lose(&replication);
        let last = |invalid: &Invalid| invalid.what.rsplit('.').next().unwrap().to_owned();
        found.iter().map(last).collect()
    }

    #[test]
    fn majorities_of_one_sort_meet() {
        assert_eq!(complaints([3, 3], |_| ()), [""; 0]);
        let global = |s: &mut CqlSettings| {
            let levels = &mut s.consistency;
            (levels.read, levels.write, levels.stream) =
                (Level::Quorum, Level::Quorum, Level::Quorum);
            (levels.serial, levels.remote_reads) = (Serial::Global, true);
        };
        assert_eq!(complaints([3, 3], global), [""; 0]);
    }

    #[test]
    fn one_replica_need_not_know() {
        assert_eq!(
            complaints([3, 0], |s| s.consistency.read = Level::LocalOne),
            ["read"]
        );
        assert_eq!(
            complaints([3, 0], |s| s.consistency.stream = Level::LocalOne),
            ["stream"]
        );
        // Nor do two of three, if only one was told.
        let write = |s: &mut CqlSettings| s.consistency.write = Level::LocalOne;
        assert_eq!(complaints([3, 0], write), ["write", "read", "stream"]);
    }

    #[test]
    fn a_majority_of_all_need_not_be_one_of_the_home() {
        let write = |s: &mut CqlSettings| s.consistency.write = Level::Quorum;
        // Four of six may be three there and one here; two of three here may be the others.
        assert_eq!(complaints([3, 3], write), ["read", "stream"]);
        // Three of four are at least two of the three here.
        assert_eq!(complaints([3, 1], write), [""; 0]);
        let read = |s: &mut CqlSettings| s.consistency.read = Level::Quorum;
        assert_eq!(complaints([3, 3], read), ["read"]);
    }

    #[test]
    fn another_datacenter_may_not_have_heard() {
        let remote = |s: &mut CqlSettings| s.consistency.remote_reads = true;
        assert_eq!(complaints([3, 3], remote), ["remote_reads"]);
    }
}

//! IPFS Cluster's words for how a peer fares with a pin (`api.TrackerStatus`), and filters of them.

use holdfast_model::{Invalid, Placement, PlacementState};

/// How a peer fares with a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracked {
    Pinned,
    Pinning,
    PinError,
    PinQueued,
    UnpinQueued,
    UnpinError,
    Unpinned,
    /// It is on other peers.
    Remote,
    /// Only its shards are on peers.
    Sharded,
}

impl Tracked {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Pinning => "pinning",
            Self::PinError => "pin_error",
            Self::PinQueued => "pin_queued",
            Self::UnpinQueued => "unpin_queued",
            Self::UnpinError => "unpin_error",
            Self::Unpinned => "unpinned",
            Self::Remote => "remote",
            Self::Sharded => "sharded",
        }
    }

    /// What a placement is in these words. Work that failed and is to be repeated by itself is
    /// queued, with what went wrong beside it; only what was given up is an error. A failed removal
    /// is one at once, because whoever waits for it should know.
    pub(super) const fn of(placement: &Placement) -> Self {
        match placement.state {
            PlacementState::PinQueued => Self::PinQueued,
            PlacementState::Pinning => Self::Pinning,
            PlacementState::Pinned => Self::Pinned,
            PlacementState::PinError => Self::PinError,
            PlacementState::UnpinQueued if placement.attempts > 0 => Self::UnpinError,
            PlacementState::UnpinQueued => Self::UnpinQueued,
        }
    }
}

/// Which of them a client wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(Option<Vec<Tracked>>);

impl Filter {
    /// All of them.
    pub(super) const ALL: Self = Self(None);

    /// Reads a list such as `pinned,error`. Every word must be one.
    pub(super) fn parse(list: &str) -> Result<Self, Invalid> {
        let list = list.replace(' ', "");
        if list.is_empty() {
            return Ok(Self::ALL);
        }
        let mut wanted = Vec::new();
        for word in list.split(',') {
            wanted.extend_from_slice(named(word).ok_or_else(|| {
                let shown: String = word.chars().take(40).collect();
                Invalid::new(
                    "filter",
                    format!(
                        "invalid filter value {shown:?}; write some of cluster_error, pin_error, \
                     unpin_error, error, pinned, pinning, unpinning, unpinned, remote, pin_queued, \
                     unpin_queued, queued, sharded, unexpectedly_unpinned"
                    ),
                )
            })?);
        }
        Ok(Self(Some(wanted)))
    }

    pub(super) fn wants(&self, tracked: Tracked) -> bool {
        match &self.0 {
            None => true,
            Some(wanted) => wanted.contains(&tracked),
        }
    }
}

/// What a word means. Some that IPFS Cluster knows never come about here, and mean none.
fn named(word: &str) -> Option<&'static [Tracked]> {
    Some(match word {
        "pinned" => &[Tracked::Pinned],
        "pinning" => &[Tracked::Pinning],
        "pin_error" => &[Tracked::PinError],
        "unpin_error" => &[Tracked::UnpinError],
        "error" => &[Tracked::PinError, Tracked::UnpinError],
        "pin_queued" => &[Tracked::PinQueued],
        "unpin_queued" => &[Tracked::UnpinQueued],
        "queued" => &[Tracked::PinQueued, Tracked::UnpinQueued],
        "unpinned" => &[Tracked::Unpinned],
        "remote" => &[Tracked::Remote],
        "sharded" => &[Tracked::Sharded],
        "unpinning" | "cluster_error" | "unexpectedly_unpinned" => &[],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_joined_and_stand_for_several() {
        let filter = Filter::parse("error, pinned").unwrap();
        assert!(filter.wants(Tracked::PinError) && filter.wants(Tracked::UnpinError));
        assert!(filter.wants(Tracked::Pinned) && !filter.wants(Tracked::Remote));
        assert!(Filter::parse("").unwrap().wants(Tracked::Remote));
        assert!(
            !Filter::parse("cluster_error")
                .unwrap()
                .wants(Tracked::Pinned)
        );
    }

    #[test]
    fn a_word_that_is_none_is_refused_beside_good_ones() {
        assert!(
            Filter::parse("pinned,pined")
                .unwrap_err()
                .why
                .contains("\"pined\"")
        );
        assert!(Filter::parse("undefined").is_err());
    }
}

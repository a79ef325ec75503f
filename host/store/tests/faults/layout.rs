//! How the stores use the two datacenters.

use crate::fault::Fault;
use holdfast_store::{CqlSettings, Level, Serial};

/// A way to use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Layout {
    /// All keys have their home in the first, and conditions are decided there.
    #[default]
    OneHome,
    /// Half of the keys have their home in the other.
    TwoHomes,
    /// Conditions are decided by a majority of all replicas, wherever they are.
    Global,
}

impl Layout {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneHome => "one home",
            Self::TwoHomes => "two homes",
            Self::Global => "serial = \"global\"",
        }
    }

    /// Where the report goes, beside the histories.
    pub(crate) const fn report(self) -> &'static str {
        match self {
            Self::OneHome => "faults.md",
            Self::TwoHomes => "faults-two-homes.md",
            Self::Global => "faults-global.md",
        }
    }

    pub(crate) fn apply(self, settings: &mut CqlSettings) {
        match self {
            Self::OneHome => {}
            Self::TwoHomes => {
                let all = settings.replication.iter();
                settings.layout.homes = all.map(|(name, _)| name.clone()).collect();
            }
            Self::Global => {
                settings.consistency.serial = Serial::Global;
                settings.consistency.read = Level::Quorum;
                settings.consistency.write = Level::Quorum;
                settings.consistency.stream = Level::Quorum;
            }
        }
    }

    /// Whether no call may fail: the fault is one that the store is to hide wholly. Keys whose home
    /// is away cannot be written.
    pub(crate) fn hides(self, fault: Fault) -> bool {
        match fault {
            Fault::Calm | Fault::Password => true,
            // Elsewhere the other datacenter has voters, and what is lost with it is as much as a
            // node is in `kill`.
            Fault::RemoteDown | Fault::CutDatacenters => self == Self::OneHome,
            _ => false,
        }
    }
}

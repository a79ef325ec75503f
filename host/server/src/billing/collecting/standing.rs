//! Where an invoice stands.

use holdfast_model::{Money, UnixMillis};
use serde::{Deserialize, Serialize};

/// Where an invoice stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// It has no price yet, and waits for the next attempt to get one.
    Unrated(Wait),
    /// It has its price, and waits for the next attempt to collect it.
    Waiting(Wait),
    /// Its price is nothing or a credit, so there is nothing to collect.
    NothingOwed {
        /// The price.
        total: Money,
        /// Since when it is known.
        at: UnixMillis,
    },
    /// The money is there.
    Collected {
        /// The collector's name for it.
        reference: String,
        /// How much: the invoice's total.
        amount: Money,
        /// Since when it is known.
        at: UnixMillis,
    },
    /// It is not tried any more until somebody has it tried.
    Declined {
        /// What the collector said.
        why: String,
        /// When.
        at: UnixMillis,
    },
}

/// What an invoice waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// When it is tried again. Nothing if it was tried too often, so that somebody must have it
    /// tried.
    pub due: Option<UnixMillis>,
    /// What it waits for, for people.
    pub why: String,
    /// Failures in a row.
    pub failures: u32,
    /// Whether the plugin is to blame, so that another one is worth a try at once.
    pub is_plugins_fault: bool,
}

impl Wait {
    /// For an attempt that may begin at once.
    pub(super) fn over(why: &str, now: UnixMillis) -> Self {
        Self {
            due: Some(now),
            why: why.to_owned(),
            failures: 0,
            is_plugins_fault: false,
        }
    }
}

impl Standing {
    /// What it waits for, if it does.
    pub(super) const fn wait(&self) -> Option<&Wait> {
        match self {
            Self::Unrated(wait) | Self::Waiting(wait) => Some(wait),
            Self::NothingOwed { .. } | Self::Collected { .. } | Self::Declined { .. } => None,
        }
    }

    pub(super) const fn state(&self) -> State {
        match self {
            Self::Unrated(_) => State::Unrated,
            Self::Waiting(_) => State::Waiting,
            Self::NothingOwed { .. } => State::NothingOwed,
            Self::Collected { .. } => State::Collected,
            Self::Declined { .. } => State::Declined,
        }
    }
}

/// The same without its words, for what counts and sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Unrated,
    Waiting,
    NothingOwed,
    Collected,
    Declined,
}

impl State {
    pub(super) const ALL: [Self; 5] = [
        Self::Unrated,
        Self::Waiting,
        Self::NothingOwed,
        Self::Collected,
        Self::Declined,
    ];

    /// The label in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unrated => "unrated",
            Self::Waiting => "waiting",
            Self::NothingOwed => "nothing_owed",
            Self::Collected => "collected",
            Self::Declined => "declined",
        }
    }
}

//! Accounts and usage marks on disk.

use holdfast_model::usage::Operations;
use holdfast_model::{StatusCounts, UnixMillis, UsageMark};
use serde::{Deserialize, Serialize};

/// An account: what would otherwise have to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct AccountRow {
    queued: u64,
    pinning: u64,
    pinned: u64,
    failed: u64,
    /// When its newest request was made, were it deleted since.
    newest: Option<u64>,
    mark: MarkRow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct MarkRow {
    at: u64,
    level_bytes: u128,
    byte_millis: u128,
    pin: u64,
    replace: u64,
    unpin: u64,
}

/// An account as the store works with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Account {
    pub(crate) counts: StatusCounts,
    pub(crate) newest: Option<UnixMillis>,
    /// Its last usage mark.
    pub(crate) mark: UsageMark,
}

impl From<&Account> for AccountRow {
    fn from(account: &Account) -> Self {
        let StatusCounts {
            queued,
            pinning,
            pinned,
            failed,
        } = account.counts;
        Self {
            queued,
            pinning,
            pinned,
            failed,
            newest: account.newest.map(UnixMillis::as_millis),
            mark: MarkRow::from(&account.mark),
        }
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            counts: StatusCounts {
                queued: row.queued,
                pinning: row.pinning,
                pinned: row.pinned,
                failed: row.failed,
            },
            newest: row.newest.map(UnixMillis::new),
            mark: row.mark.into(),
        }
    }
}

impl From<&UsageMark> for MarkRow {
    fn from(mark: &UsageMark) -> Self {
        let Operations {
            pin,
            replace,
            unpin,
        } = mark.operations;
        Self {
            at: mark.at.as_millis(),
            level_bytes: mark.level_bytes,
            byte_millis: mark.byte_millis,
            pin,
            replace,
            unpin,
        }
    }
}

impl From<MarkRow> for UsageMark {
    fn from(row: MarkRow) -> Self {
        Self {
            at: UnixMillis::new(row.at),
            level_bytes: row.level_bytes,
            byte_millis: row.byte_millis,
            operations: Operations {
                pin: row.pin,
                replace: row.replace,
                unpin: row.unpin,
            },
        }
    }
}

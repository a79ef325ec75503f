//! The pin store: one contract in meanings, a closed set of backends that all keep it.
//!
//! *Architecture invariants:* nobody outside sees bytes, keys or tables; the store knows no
//! principal, no policy and no HTTP; what a method has answered is durable (the embedded backend
//! answers after the fsync of the group commit that carried it).

mod audit;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod cql;
mod embedded;
mod error;
mod memory;
mod metrics;
mod record;
mod row;
mod rules;
mod scan;
mod store;

pub use audit::{AUDIT_APPEND_BYTES_MAX, AUDIT_APPEND_ENTRIES_MAX};
#[cfg(any(test, feature = "contract"))]
pub use cql::outside as cql_outside;
pub use cql::schema;
pub use cql::{
    Candidate, Compression, Connections, ConsistencyLevels, Cql, CqlSettings, Flow, Layout, Level,
    Login, Pool, Probe, SeenNode, SeenRole, Serial, Stop, Swept, Timeouts, TlsFiles, Trace,
    TraceEvent,
};
pub use embedded::Embedded;
pub use error::StoreError;
pub use memory::Memory;
pub use record::{Kept, RECORD_BYTES_MAX, RECORD_NAME_BYTES_MAX, Record};
pub use scan::{PinScan, ScanMark};
pub use store::Store;

use holdfast_model::{AccountId, Cid, NewRequest, Pin, RequestId, RequestStatus, StatusCounts};
use std::time::Duration;

/// What must hold of a row for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: write whatever is there.
    Any,
    /// There is no such row.
    Absent,
    /// The row has this version.
    Version(u64),
}

/// One of many changes of pins that cluster nodes make at once.
#[derive(Debug)]
pub struct PinEntry {
    /// What is to be done.
    pub step: PinStep,
    /// Only if this holds.
    pub expect: Expect,
}

/// What is to be done with one pin.
#[derive(Debug)]
pub enum PinStep {
    /// Put it.
    Put(Box<Pin>),
    /// Delete it.
    Delete(Cid),
}

impl PinEntry {
    /// The pin that it is about.
    #[must_use]
    pub fn cid(&self) -> Cid {
        match &self.step {
            PinStep::Put(pin) => pin.cid,
            PinStep::Delete(cid) => *cid,
        }
    }
}

/// A request to be made: what was asked, by whom, under which id.
#[derive(Debug, Clone)]
pub struct RequestDraft {
    /// Fresh id.
    pub id: RequestId,
    /// Whose it will be.
    pub account: AccountId,
    /// What was asked for, checked.
    pub asked: NewRequest,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The new status.
    pub status: RequestStatus,
    /// Bytes of the whole DAG; `None` keeps what is known.
    pub dag_size: Option<u64>,
    /// What a person should know of it; `None` clears it.
    pub details: Option<String>,
}

/// What an account has now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Its requests by status.
    pub counts: StatusCounts,
    /// Bytes that it has pinned.
    pub pinned_bytes: u128,
}

/// How much of the change feed is kept for those who follow it from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For how long: where the feed's cursors are times, that is on CQL.
    pub age: Duration,
    /// For how many steps of its cursor: where they are counted, in memory and on disk. There is
    /// one for each write, and so at least one for each entry.
    pub steps: u64,
}

/// Result of every method.
pub type Result<T> = std::result::Result<T, StoreError>;

//! A row of `pins`, and where it lies.

use crate::Result;
use crate::cql::Shared;
use crate::cql::calls::OwnedRow;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::cql::trail::{QUIET_MICROS, Trail};
use crate::error::StoreError;
use holdfast_model::{Cid, PeerId, Pin, StoredPin, UnixMillis};
use uuid::Uuid;

/// The columns of a pin without its key, in the order in which every statement reads them.
pub(crate) type PinColumns = (i64, Uuid, i64, bool, Option<i64>, Vec<u8>);

/// The same with the trail, which only those read who may write the row.
type PinColumnsForChange = (i64, Uuid, i64, bool, Option<i64>, Vec<u8>, Option<Vec<u8>>);

/// The columns of a new row, and its key.
type PinValues<'a> = (
    (i64, Uuid, i64, bool, Option<i64>, &'a [u8], &'a [u8]),
    (i32, &'a [u8]),
);

/// Stands in `expires` of a pin that was removed.
pub(crate) const GRAVE: i64 = -1;

/// A pin as its row holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PinRecord {
    pub(crate) version: u64,
    /// Which operation wrote it last.
    pub(crate) op: Uuid,
    pub(crate) requests: u64,
    pub(crate) by_cluster: bool,
    /// When it is to go by itself, in milliseconds, as long as the cluster wants it.
    pub(crate) expires: Option<u64>,
    /// The pin in IPFS Cluster's protobuf form.
    pub(crate) body: Vec<u8>,
    /// What wrote it before; nothing where it was not read.
    pub(crate) trail: Trail,
}

impl From<PinColumns> for PinRecord {
    fn from((version, op, requests, by_cluster, expires, body): PinColumns) -> Self {
        Self {
            version: version.cast_unsigned(),
            op,
            requests: requests.cast_unsigned(),
            by_cluster,
            expires: expires.map(i64::cast_unsigned),
            body,
            trail: Trail::default(),
        }
    }
}

impl From<PinColumnsForChange> for PinRecord {
    fn from(columns: PinColumnsForChange) -> Self {
        let (version, op, requests, by_cluster, expires, body, trail) = columns;
        Self {
            trail: trail.into(),
            ..Self::from((version, op, requests, by_cluster, expires, body))
        }
    }
}

impl PinRecord {
    /// Whether anybody wants it. One that nobody wants counts as none: its remover is on the way,
    /// or has died.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.by_cluster || self.requests > 0
    }

    /// What a row is made of that does not exist yet, and where.
    pub(crate) fn values<'a>(&'a self, place: &'a PinPlace) -> PinValues<'a> {
        let columns = (
            self.version.cast_signed(),
            self.op,
            self.requests.cast_signed(),
            self.by_cluster,
            self.expires.map(u64::cast_signed),
            self.body.as_slice(),
            self.trail.as_bytes(),
        );
        (columns, (place.prefix, &place.key))
    }

    /// The row after an operation that gives it another body, under a version.
    pub(crate) fn then(&self, op: Uuid, version: u64, body: Vec<u8>) -> Self {
        Self {
            version,
            op,
            requests: self.requests,
            by_cluster: self.by_cluster,
            expires: self.expires,
            body,
            trail: self.trail_then(op, version),
        }
    }

    /// The row's trail after an operation, under a version.
    pub(crate) fn trail_then(&self, op: Uuid, version: u64) -> Trail {
        let is_quiet = version.saturating_sub(self.version) > QUIET_MICROS;
        self.trail.then(self.op, op, is_quiet)
    }

    /// When the pin is to go by itself, as far as the store minds it.
    pub(crate) fn expiring(&self) -> Option<UnixMillis> {
        let expires = self.expires.filter(|_| self.by_cluster);
        expires.map(UnixMillis::new)
    }

    /// Whether the pin was removed: see [`crate::cql::wanted`].
    pub(crate) fn is_grave(&self) -> bool {
        !self.is_wanted() && self.expires == Some(GRAVE.cast_unsigned())
    }

    /// The pin, if it can be shown.
    pub(crate) fn shown(&self) -> Result<Option<StoredPin>> {
        if !self.is_wanted() {
            return Ok(None);
        }
        self.stored().map(Some)
    }

    /// What the row holds of the pin when it is placed there.
    pub(crate) fn body_placed(&self, peers: &[PeerId]) -> Result<Vec<u8>> {
        let mut pin = self.stored()?.pin;
        pin.allocations = peers.to_vec();
        Ok(pin.to_proto())
    }

    /// The pin, whoever wants it.
    pub(crate) fn stored(&self) -> Result<StoredPin> {
        let unreadable = |e| StoreError::Corrupt(format!("a pin row holds {e}"));
        Ok(StoredPin {
            pin: Pin::from_proto(&self.body).map_err(unreadable)?,
            version: self.version,
            requests: self.requests,
            by_cluster: self.by_cluster,
        })
    }
}

/// Where a pin lies, and all that lies beside it.
#[derive(Debug, Clone)]
pub(crate) struct PinPlace {
    pub(crate) prefix: i32,
    pub(crate) home: Home,
    /// The bytes of the CID.
    pub(crate) key: Vec<u8>,
}

impl PinPlace {
    pub(crate) fn of(shared: &Shared, cid: &Cid) -> Self {
        let prefix = shared.params.prefix(cid);
        Self {
            prefix,
            home: shared.params.pin_home(prefix),
            key: cid.to_bytes(),
        }
    }

    /// The row as a majority knows it, without its trail.
    pub(crate) async fn read(&self, shared: &Shared) -> Result<Option<PinRecord>> {
        self.look::<PinColumns>(shared, Statement::PinRead).await
    }

    /// The same with its trail, for who may write it.
    pub(crate) async fn read_for_change(&self, shared: &Shared) -> Result<Option<PinRecord>> {
        self.look::<PinColumnsForChange>(shared, Statement::PinReadForChange)
            .await
    }

    /// The row after everything that has been begun on it.
    pub(crate) async fn read_serially(&self, shared: &Shared) -> Result<Option<PinRecord>> {
        self.look::<PinColumnsForChange>(shared, Statement::PinReadSerial)
            .await
    }

    async fn look<R: OwnedRow + Into<PinRecord>>(
        &self,
        shared: &Shared,
        statement: Statement,
    ) -> Result<Option<PinRecord>> {
        let key = (self.prefix, &self.key);
        let row: Option<R> = shared.calls.row(statement, self.home, key).await?;
        let record = row.map(R::into);
        if let Some(record) = &record {
            shared.clock.observe(record.version);
        }
        Ok(record)
    }
}

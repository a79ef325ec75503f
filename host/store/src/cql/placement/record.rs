//! A row of `placements`, and where it lies.
//!
//! What is deleted leaves a *grave* without a body, as a pin does (see [`crate::cql::wanted`]): it
//! tells a making that a frozen node carries out too late that there has been another version
//! since, shows the change that deleted as done by it, and goes by itself.

use crate::Result;
use crate::cql::Shared;
use crate::cql::calls::Cas;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use crate::cql::trail::{QUIET_MICROS, Trail};
use crate::row::decode_placement;
use holdfast_model::{Cid, PeerId, Placement};
use uuid::Uuid;

/// The columns of a placement without its key, in the order in which every statement reads them.
pub(super) type Columns = (i64, Uuid, Option<Vec<u8>>);

/// The same with the trail, of one placement.
type ColumnsOfOne = (i64, Uuid, Option<Vec<u8>>, Option<Vec<u8>>);

/// Seconds that a grave stays: far longer than any statement lies in a node, frozen or not.
const GRAVE_SECONDS: i32 = 600;

/// A placement as its row holds it.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) version: u64,
    /// Which operation wrote it last.
    pub(super) op: Uuid,
    /// None: it was deleted, and this is its grave.
    pub(super) placement: Option<Placement>,
    /// What wrote it before; nothing where it was not read.
    pub(super) trail: Trail,
}

impl Record {
    pub(super) fn of((version, op, body): Columns) -> Result<Self> {
        Ok(Self {
            version: version.cast_unsigned(),
            op,
            placement: body.as_deref().map(decode_placement).transpose()?,
            trail: Trail::default(),
        })
    }

    fn of_one((version, op, body, trail): ColumnsOfOne) -> Result<Self> {
        Ok(Self {
            trail: trail.into(),
            ..Self::of((version, op, body))?
        })
    }

    /// The row that an operation writes over one, or over none.
    pub(super) fn over(
        old: Option<&Self>,
        op: Uuid,
        version: u64,
        placement: Option<Placement>,
    ) -> Self {
        let trail = old.map_or_else(
            || Trail::begin(op),
            |old| {
                let is_quiet = version.saturating_sub(old.version) > QUIET_MICROS;
                old.trail.then(old.op, op, is_quiet)
            },
        );
        Self {
            version,
            op,
            placement,
            trail,
        }
    }
}

/// Where one placement lies.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) prefix: i32,
    pub(super) home: Home,
    /// The bytes of the CID.
    pub(super) cid: Vec<u8>,
    /// The bytes of the peer.
    pub(super) peer: Vec<u8>,
}

impl Place {
    pub(super) fn of(shared: &Shared, cid: &Cid, peer: &PeerId) -> Self {
        Self::of_bytes(shared, cid, peer.to_bytes())
    }

    pub(super) fn of_bytes(shared: &Shared, cid: &Cid, peer: Vec<u8>) -> Self {
        let prefix = shared.params.prefix(cid);
        Self {
            prefix,
            home: shared.params.pin_home(prefix),
            cid: cid.to_bytes(),
            peer,
        }
    }

    /// The row as a majority knows it.
    pub(super) async fn read(&self, shared: &Shared) -> Result<Option<Record>> {
        self.look(shared, Statement::PlacementRead).await
    }

    /// The row after everything that has been begun on it.
    pub(super) async fn read_serially(&self, shared: &Shared) -> Result<Option<Record>> {
        self.look(shared, Statement::PlacementReadSerial).await
    }

    async fn look(&self, shared: &Shared, statement: Statement) -> Result<Option<Record>> {
        let key = (self.prefix, &self.cid, &self.peer);
        let row: Option<ColumnsOfOne> = shared.calls.row(statement, self.home, key).await?;
        let record = row.map(Record::of_one).transpose()?;
        if let Some(record) = &record {
            shared.clock.observe(record.version);
        }
        Ok(record)
    }

    /// Writes a version over an older one, or over none.
    pub(super) async fn write(
        &self,
        shared: &Shared,
        old: Option<u64>,
        new: &Record,
        body: Vec<u8>,
    ) -> Result<Cas> {
        let (version, op, trail) = (new.version.cast_signed(), new.op, new.trail.as_bytes());
        let (prefix, cid, peer) = (self.prefix, &self.cid, &self.peer);
        let calls = &shared.calls;
        let Some(old) = old else {
            let values = (version, op, body, trail, prefix, cid, peer);
            let made = calls.condition(Statement::PlacementMake, self.home, values);
            return made.await;
        };
        let old = old.cast_signed();
        let values = (version, op, body, trail, prefix, cid, peer, old);
        let put = calls.condition(Statement::PlacementPut, self.home, values);
        put.await
    }

    /// Writes a grave over a version.
    pub(super) async fn bury(&self, shared: &Shared, old: u64, grave: &Record) -> Result<Cas> {
        let values = (
            GRAVE_SECONDS,
            grave.version.cast_signed(),
            grave.op,
            // As all that is remembered of the placement, it goes with the grave.
            grave.trail.as_bytes(),
            self.prefix,
            &self.cid,
            &self.peer,
            old.cast_signed(),
        );
        let calls = &shared.calls;
        let buried = calls.condition(Statement::PlacementBury, self.home, values);
        buried.await
    }
}

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
use crate::row::decode_placement;
use holdfast_model::{Cid, PeerId, Placement};
use uuid::Uuid;

/// The columns of a placement without its key, in the order in which every statement reads them.
pub(super) type Columns = (i64, Uuid, Option<Vec<u8>>);

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
}

impl Record {
    pub(super) fn of((version, op, body): Columns) -> Result<Self> {
        Ok(Self {
            version: version.cast_unsigned(),
            op,
            placement: body.as_deref().map(decode_placement).transpose()?,
        })
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
        let row: Option<Columns> = shared.calls.row(statement, self.home, key).await?;
        let record = row.map(Record::of).transpose()?;
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
        new: (u64, Uuid),
        body: Vec<u8>,
    ) -> Result<Cas> {
        let (version, op) = (new.0.cast_signed(), new.1);
        let (prefix, cid, peer) = (self.prefix, &self.cid, &self.peer);
        let calls = &shared.calls;
        let Some(old) = old else {
            let values = (version, op, body, prefix, cid, peer);
            let made = calls.condition(Statement::PlacementMake, self.home, values);
            return made.await;
        };
        let values = (version, op, body, prefix, cid, peer, old.cast_signed());
        let put = calls.condition(Statement::PlacementPut, self.home, values);
        put.await
    }

    /// Writes a grave over a version.
    pub(super) async fn bury(&self, shared: &Shared, old: u64, new: (u64, Uuid)) -> Result<Cas> {
        let values = (
            GRAVE_SECONDS,
            new.0.cast_signed(),
            new.1,
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

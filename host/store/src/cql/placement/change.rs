//! Changes of a placement.
//!
//! In this order, so that a death between two steps loses nothing: the new row of the queue, the
//! placement itself under its condition, the peer's row, and last the old row of the queue goes. A
//! change that has no row in the queue before or after it is given one meanwhile.

use super::due::Due;
use super::of_peer;
use super::record::{Place, Record};
use crate::cql::Shared;
use crate::cql::calls::Cas;
use crate::cql::pace::Pace;
use crate::cql::stop::Stop;
use crate::cql::trail::Doubt;
use crate::error::StoreError;
use crate::row::encode_placement;
use crate::rules::PLACEMENT;
use crate::{Expect, Result};
use holdfast_model::{Placement, UnixMillis};
use uuid::Uuid;

/// A change under way.
pub(super) struct Change<'a> {
    shared: &'a Shared,
    place: Place,
    expect: Expect,
    /// Marks the row as written by this change, whatever became of the answer.
    op: Uuid,
    pace: Pace,
    /// Rows of the queue that were written ahead of attempts.
    ahead: Vec<Due>,
}

impl<'a> Change<'a> {
    pub(super) fn new(shared: &'a Shared, place: Place, expect: Expect) -> Self {
        Self {
            shared,
            place,
            expect,
            op: Uuid::now_v7(),
            pace: Pace::default(),
            ahead: Vec::new(),
        }
    }

    /// Writes a placement.
    pub(super) async fn put(mut self, mut placement: Placement) -> Result<Placement> {
        // What is not there has no row in the queue that would have to go.
        let mut found = match self.expect {
            Expect::Absent => None,
            Expect::Any | Expect::Version(_) => self.place.read(self.shared).await?,
        };
        loop {
            self.check(found.as_ref()).await?;
            placement.version = self.next_version(found.as_ref());
            let new = self.next(found.as_ref(), Some(placement.clone()));
            let doubt = Doubt::of(self.op, found.as_ref().map(|old| old.op));
            let updated = placement.updated;
            let told = self.attempt(found.as_ref(), &new, updated).await;
            let before = found;
            found = self.after(told, &doubt, new).await?;
            if let Some(record) = self.own(found.as_ref()) {
                placement.version = record.version;
                self.end(before.as_ref(), record).await?;
                return Ok(placement);
            }
        }
    }

    /// Deletes a placement: leaves a grave.
    pub(super) async fn delete(mut self) -> Result<()> {
        let mut found = self.place.read(self.shared).await?;
        loop {
            self.check(found.as_ref()).await?;
            let Some(old) = found.as_ref().and_then(|record| record.placement.as_ref()) else {
                return Ok(());
            };
            let updated = old.updated;
            let new = self.next(found.as_ref(), None);
            let doubt = Doubt::of(self.op, found.as_ref().map(|old| old.op));
            let told = self.attempt(found.as_ref(), &new, updated).await;
            let before = found;
            found = self.after(told, &doubt, new).await?;
            if let Some(record) = self.own(found.as_ref()) {
                return self.end(before.as_ref(), record).await;
            }
        }
    }

    /// One attempt, after its row in the queue.
    async fn attempt(
        &mut self,
        old: Option<&Record>,
        new: &Record,
        updated: UnixMillis,
    ) -> Result<Cas> {
        let shared = self.shared;
        let had = old.and_then(|old| self.due(old));
        let due = match self.due(new) {
            None if had.is_none() => Some(Due::at(&self.place, updated, new.version)),
            due => due,
        };
        if let Some(due) = due {
            due.put(shared, &self.place.peer).await?;
            self.ahead.push(due);
        }
        shared.stop(Stop::PlacementQueued)?;
        let old = old.map(|old| old.version);
        match (&new.placement, old) {
            (Some(placement), old) => {
                let body = encode_placement(placement)?;
                self.place.write(shared, old, new, body).await
            }
            (None, Some(old)) => self.place.bury(shared, old, new).await,
            (None, None) => Err(StoreError::NotFound(PLACEMENT)),
        }
    }

    /// What follows from a placement that has been written.
    async fn end(&mut self, old: Option<&Record>, new: &Record) -> Result<()> {
        let shared = self.shared;
        shared.stop(Stop::PlacementWritten)?;
        of_peer::follow(shared, &self.place, new).await?;
        shared.stop(Stop::PlacementFollowed)?;
        self.ahead.extend(old.and_then(|old| self.due(old)));
        self.clear(new).await
    }

    /// Removes the rows of the queue that do not follow from the placement and never will.
    async fn clear(&mut self, record: &Record) -> Result<()> {
        let kept = self.due(record);
        for row in std::mem::take(&mut self.ahead) {
            if Some(&row) != kept.as_ref() && row.version <= record.version {
                row.remove(self.shared, &self.place.peer).await?;
            }
        }
        Ok(())
    }

    fn due(&self, record: &Record) -> Option<Due> {
        let placement = record.placement.as_ref()?;
        Due::of(&self.place, placement)
    }

    /// The row, if this very change wrote it.
    fn own<'r>(&self, found: Option<&'r Record>) -> Option<&'r Record> {
        found.filter(|record| record.op == self.op)
    }

    /// The row after an attempt: the new one, whoever has written since, or the one that was in the
    /// way. An attempt of which nobody said what it came to is looked for in the row's trail.
    async fn after(
        &mut self,
        told: Result<Cas>,
        doubt: &Doubt,
        new: Record,
    ) -> Result<Option<Record>> {
        let row = async {
            let found = self.place.read_serially(self.shared).await?;
            Ok(found.map(|record| (record.op, record.trail)))
        };
        if doubt.settle(told, PLACEMENT, row).await? {
            return Ok(Some(new));
        }
        self.pace.wait(PLACEMENT).await?;
        self.place.read_serially(self.shared).await
    }

    /// Whether the expectation holds. What the caller saw may have been a peer's row that a change
    /// that died has left as it was: it is brought in line, so that the next look helps.
    async fn check(&mut self, found: Option<&Record>) -> Result<()> {
        let shown = found.filter(|record| record.placement.is_some());
        let answer = self.expect.check(PLACEMENT, shown.map(|r| r.version));
        if answer.is_ok() {
            return answer;
        }
        if let Some(record) = found {
            self.clear(record).await?;
        }
        if let Expect::Version(seen) = self.expect {
            match found {
                Some(record) => of_peer::follow(self.shared, &self.place, record).await?,
                None if seen <= self.shared.clock.reached() => {
                    of_peer::remove(self.shared, &self.place, seen).await?;
                }
                None => {}
            }
        }
        answer
    }

    fn next(&self, found: Option<&Record>, placement: Option<Placement>) -> Record {
        let version = match &placement {
            Some(placement) => placement.version,
            None => self.next_version(found),
        };
        Record::over(found, self.op, version, placement)
    }

    fn next_version(&self, found: Option<&Record>) -> u64 {
        self.shared.clock.next_after(found.map_or(0, |r| r.version))
    }
}

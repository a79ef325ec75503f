//! Changes of a pin: one at a time in each process, under a condition between processes.

use super::record::{PinPlace, PinRecord};
use crate::cql::Shared;
use crate::cql::calls::{Cas, one_change, rest_of_change};
use crate::cql::feed::Ticket;
use crate::cql::lane::{Call, Lanes, Reply};
use crate::cql::pace::Pace;
use crate::cql::statement::Statement;
use crate::cql::stop::Stop;
use crate::cql::trail::{Doubt, Trail};
use crate::cql::wanted::{PinSeed, make, remove_if_unwanted, revive, touch};
use crate::error::StoreError;
use crate::rules::PIN;
use crate::{Expect, Result};
use holdfast_model::{Cid, PeerId, Pin, StoredPin, UnixMillis};
use scylla::serialize::row::SerializeRow;
use std::sync::Arc;
use uuid::Uuid;

/// The lanes of the pins: see [`crate::cql::lane`].
pub(crate) type PinLanes = Lanes<Cid, PinOp, Changed>;

/// A change that somebody wants of a pin.
#[derive(Debug)]
pub(crate) enum PinOp {
    /// Bring it in line with who wants it. All that wait are one.
    Touch(Option<Box<PinSeed>>),
    /// The cluster wants it, so; and what is stored of it. What the pin is stored under is known
    /// when it has been put.
    Put(Box<StoredPin>, Vec<u8>, Expect),
    /// The cluster no longer wants it.
    Delete(Expect),
    /// It is placed there, if it still has this version.
    Allocate(u64, Vec<PeerId>),
}

impl PinOp {
    /// # Errors
    /// A pin that is too large.
    pub(crate) fn put(pin: Pin, expect: Expect) -> Result<Self> {
        let (pin, body) = pin.into_stored_form()?;
        let stored = StoredPin {
            pin,
            version: 0,
            requests: 0,
            by_cluster: true,
        };
        Ok(Self::Put(Box::new(stored), body, expect))
    }
}

/// What a change came to.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The version after it.
    pub(crate) version: u64,
    /// The pin after it, for those who asked for a pin.
    pub(crate) pin: Option<Box<StoredPin>>,
}

impl Shared {
    /// Has a pin changed in its lane.
    pub(crate) async fn change_pin(self: &Arc<Self>, cid: &Cid, op: PinOp) -> Result<Changed> {
        let shared = Arc::clone(self);
        let carry = move |cid, calls| carry(Arc::clone(&shared), cid, calls);
        self.pins.call(*cid, op, carry).await
    }

    /// Removes the row of a pin if nobody wants it. It is no touch: the version of a pin that
    /// somebody wants again by now stays what its writer was told.
    async fn remove_pin(&self, cid: &Cid) -> Result<()> {
        let place = PinPlace::of(self, cid);
        match place.read_serially(self).await? {
            Some(row) if !row.is_wanted() && !row.is_grave() => {
                remove_if_unwanted(self, &place, &row).await
            }
            _ => Ok(()),
        }
    }

    /// Has a pin removed that nobody wants any more, without waiting for it.
    pub(crate) fn tidy_pin(self: &Arc<Self>, cid: &Cid) {
        let (shared, cid) = (Arc::clone(self), *cid);
        tokio::spawn(async move {
            // Whoever meets it next tries again.
            let _ = one_change(shared.remove_pin(&cid)).await;
        });
    }
}

async fn carry(shared: Arc<Shared>, cid: Cid, calls: Vec<Call<PinOp, Changed>>) {
    let (mut touches, mut seed, mut changes) = (Vec::new(), None, Vec::new());
    for call in calls {
        match call.into_parts() {
            (PinOp::Touch(given), reply) => {
                touches.push(reply);
                seed = seed.or(given);
            }
            change => changes.push(change),
        }
    }
    if !touches.is_empty() {
        // Touched is what somebody has begun to change.
        let touched = rest_of_change(touch(&shared, &cid, seed.as_deref())).await;
        shared.cache.forget(&cid);
        answer_all(touches, touched);
    }
    for (op, reply) in changes {
        let changed = one_change(change(&shared, &cid, op)).await;
        // Before anybody is told: who has heard of a change reads it.
        shared.cache.forget(&cid);
        reply.answer(changed);
    }
}

fn answer_all(touches: Vec<Reply<Changed>>, touched: Result<u64>) {
    for reply in touches {
        reply.answer(match &touched {
            Ok(version) => Ok(Changed {
                version: *version,
                pin: None,
            }),
            Err(error) => Err(error.again()),
        });
    }
}

async fn change(shared: &Arc<Shared>, cid: &Cid, op: PinOp) -> Result<Changed> {
    let place = PinPlace::of(shared, cid);
    let found = place.read_for_change(shared).await?;
    let mut change = Change {
        shared,
        cid,
        place,
        op: Uuid::now_v7(),
        pace: Pace::default(),
        ticket: None,
        is_tried: false,
    };
    match op {
        PinOp::Touch(seed) => {
            let version = touch(shared, cid, seed.as_deref()).await?;
            Ok(Changed { version, pin: None })
        }
        PinOp::Put(pin, body, expect) => {
            let answer = change.put((pin, body), expect, found).await;
            change.conclude(answer).await
        }
        PinOp::Delete(expect) => {
            let answer = change.delete(expect, found).await;
            change.conclude(answer).await
        }
        PinOp::Allocate(version, peers) => change.allocate(version, peers, found).await,
    }
}

/// A change under way.
struct Change<'a> {
    shared: &'a Arc<Shared>,
    cid: &'a Cid,
    place: PinPlace,
    /// Marks the row as written by this change, whatever became of the answer.
    op: Uuid,
    pace: Pace,
    ticket: Option<Ticket>,
    /// Whether anything was sent that may change the pin.
    is_tried: bool,
}

impl Change<'_> {
    async fn put(
        &mut self,
        (mut stored, body): (Box<StoredPin>, Vec<u8>),
        expect: Expect,
        mut found: Option<PinRecord>,
    ) -> Result<Changed> {
        let expires = stored.pin.options.expire_at.map(UnixMillis::as_millis);
        loop {
            expect.check(PIN, shown_version(found.as_ref()))?;
            self.announce().await?;
            let row = PinRecord {
                by_cluster: true,
                expires,
                ..self.next(found.as_ref(), body.clone())
            };
            self.shared.note_expiry(&self.place, &row).await?;
            self.shared.stop(Stop::PinAnnounced)?;
            let doubt = self.doubt(found.as_ref());
            let told = self.write(found.as_ref(), &row).await;
            let before = found;
            found = self.after(told, &doubt, row).await?;
            if let Some(row) = self.own(found.as_ref()) {
                self.forget_expiry(before.as_ref(), row).await;
                // Not read from the row again: its body was made of this very pin.
                stored.version = row.version;
                stored.requests = row.requests;
                return Ok(Changed {
                    version: row.version,
                    pin: Some(stored),
                });
            }
        }
    }

    async fn write(&mut self, old: Option<&PinRecord>, new: &PinRecord) -> Result<Cas> {
        self.is_tried = true;
        match old {
            None => make(self.shared, &self.place, new).await,
            Some(old) => self.replace(old, new).await,
        }
    }

    async fn replace(&self, old: &PinRecord, new: &PinRecord) -> Result<Cas> {
        if old.is_grave() {
            return revive(self.shared, &self.place, old, new).await;
        }
        let values = (
            new.version.cast_signed(),
            new.op,
            new.expires.map(u64::cast_signed),
            &new.body,
            new.trail.as_bytes(),
            self.place.prefix,
            &self.place.key,
            old.version.cast_signed(),
        );
        self.condition(Statement::PinPut, values).await
    }

    async fn delete(&mut self, expect: Expect, mut found: Option<PinRecord>) -> Result<Changed> {
        loop {
            expect.check(PIN, shown_version(found.as_ref()))?;
            let Some(row) = found.filter(PinRecord::is_wanted) else {
                return Ok(Changed {
                    version: 0,
                    pin: None,
                });
            };
            self.announce().await?;
            let unwanted = PinRecord {
                by_cluster: false,
                expires: None,
                ..self.next(Some(&row), row.body.clone())
            };
            let values = (
                unwanted.version.cast_signed(),
                self.op,
                unwanted.trail.as_bytes(),
                self.place.prefix,
                &self.place.key,
                row.version.cast_signed(),
            );
            self.is_tried = true;
            let doubt = self.doubt(Some(&row));
            let told = self.condition(Statement::PinUnput, values).await;
            found = self.after(told, &doubt, unwanted).await?;
            if let Some(own) = self.own(found.as_ref()) {
                self.forget_expiry(Some(&row), own).await;
                return Ok(self.deleted(own).await);
            }
        }
    }

    /// The cluster no longer wants the pin, whatever happens from here on: a row that is left
    /// behind is not shown.
    async fn deleted(&self, row: &PinRecord) -> Changed {
        if remove_if_unwanted(self.shared, &self.place, row)
            .await
            .is_err()
        {
            self.shared.tidy_pin(self.cid);
        }
        Changed {
            version: row.version,
            pin: None,
        }
    }

    async fn allocate(
        &mut self,
        version: u64,
        peers: Vec<PeerId>,
        mut found: Option<PinRecord>,
    ) -> Result<Changed> {
        loop {
            let Some(row) = found.filter(PinRecord::is_wanted) else {
                return Err(StoreError::NotFound(PIN));
            };
            Expect::Version(version).check(PIN, Some(row.version))?;
            let placed = self.next(Some(&row), row.body_placed(&peers)?);
            let values = (
                placed.version.cast_signed(),
                self.op,
                &placed.body,
                placed.trail.as_bytes(),
                self.place.prefix,
                &self.place.key,
                row.version.cast_signed(),
            );
            let doubt = self.doubt(Some(&row));
            let told = self.condition(Statement::PinAllocate, values).await;
            found = self.after(told, &doubt, placed).await?;
            if let Some(own) = self.own(found.as_ref()) {
                return Ok(Changed {
                    version: own.version,
                    pin: Some(Box::new(own.stored()?)),
                });
            }
        }
    }

    /// The row after an attempt: the new one, whoever has written since, or the one that was in the
    /// way. An attempt of which nobody said what it came to is looked for in the row's trail.
    async fn after(
        &mut self,
        told: Result<Cas>,
        doubt: &Doubt,
        new: PinRecord,
    ) -> Result<Option<PinRecord>> {
        if let Ok(Cas::Applied) = told {
            return Ok(Some(new));
        }
        // Boxed: what is hardly ever needed is not carried along by every change.
        Box::pin(self.after_all(told, doubt, new)).await
    }

    async fn after_all(
        &mut self,
        told: Result<Cas>,
        doubt: &Doubt,
        new: PinRecord,
    ) -> Result<Option<PinRecord>> {
        let row = async {
            let found = self.place.read_serially(self.shared).await?;
            Ok(found.map(|row| (row.op, row.trail)))
        };
        if doubt.settle(told, PIN, row).await? {
            return Ok(Some(new));
        }
        self.pace.wait(PIN).await?;
        self.place.read_serially(self.shared).await
    }

    /// What this change makes of a row when all that it changes is the body.
    fn next(&self, old: Option<&PinRecord>, body: Vec<u8>) -> PinRecord {
        let clock = &self.shared.clock;
        match old {
            Some(old) => old.then(self.op, clock.next_after(old.version), body),
            None => PinRecord {
                version: clock.next(),
                op: self.op,
                requests: 0,
                by_cluster: false,
                expires: None,
                body,
                trail: Trail::begin(self.op),
            },
        }
    }

    /// An attempt on a row that is about to be sent.
    fn doubt(&self, old: Option<&PinRecord>) -> Doubt {
        Doubt::of(self.op, old.map(|row| row.op))
    }

    /// Forgets when the pin was to go, if it no longer is. The pin has been changed: what stays
    /// behind here is removed by whoever meets it.
    async fn forget_expiry(&self, before: Option<&PinRecord>, now: &PinRecord) {
        if self.shared.stop(Stop::PinWritten).is_err() {
            return;
        }
        let Some(before) = before else {
            return;
        };
        let dropped = self.shared.drop_expiry(&self.place, before, now).await;
        if let Err(error) = dropped {
            tracing::debug!(%error, cid = %self.cid, "an entry of the expiry index is left behind");
        }
    }

    async fn condition(&self, statement: Statement, values: impl SerializeRow) -> Result<Cas> {
        let calls = &self.shared.calls;
        calls.condition(statement, self.place.home, values).await
    }

    /// The row, if this very change wrote it.
    fn own<'r>(&self, found: Option<&'r PinRecord>) -> Option<&'r PinRecord> {
        found.filter(|row| row.op == self.op)
    }

    async fn announce(&mut self) -> Result<()> {
        if self.ticket.is_none() {
            self.ticket = Some(self.shared.feed.announce(&[*self.cid]).await?);
        }
        Ok(())
    }

    /// Lets the feed's entry be read, or takes it back.
    async fn conclude(self, answer: Result<Changed>) -> Result<Changed> {
        let Some(ticket) = self.ticket else {
            return answer;
        };
        match &answer {
            Ok(changed) if changed.version > 0 => ticket.done().await,
            Ok(_) | Err(StoreError::Conflict(_)) => ticket.withdraw().await,
            Err(_) if !self.is_tried => ticket.withdraw().await,
            // Nobody knows: readers wait for as long as it may take.
            Err(_) => drop(ticket),
        }
        answer
    }
}

fn shown_version(found: Option<&PinRecord>) -> Option<u64> {
    found.filter(|row| row.is_wanted()).map(|row| row.version)
}

//! What the processes that write the feed tell each other, so that a reader knows how far it may
//! read: an entry is written ahead of its change, and is read when no change below it is still
//! under way anywhere.
//!
//! Each process writes a row again and again (a *beat*) and reads all rows right after. Its row
//! says: none of my entries below `low` is still to come or under way; and: I let nobody here read
//! past `reach` before my next beat. Two things make that safe, whatever the machines' clocks say:
//!
//! - *Who joins is seen, or sees.* A reader writes its `reach` and then reads the rows; a joiner
//!   writes its row and then reads the others' `reach`. Whoever came second sees the first: either
//!   the reader waits for the joiner's `low`, or the joiner's clock is moved past everything that
//!   the reader may have read.
//! - *Who is given up knows.* A row that stands still for [`Timing::dead`] of the reader's own
//!   steady
//!   clock is given up. A process counts its own row as doubtful after half of that
//!   ([`Timing::doubt`]): what it then had under way is announced once more after its change.
//!
//! A row that goes leaves its `reach` behind in the partition's static `reached`.

use super::clock::{Clock, Moment};
use holdfast_model::Cid;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How often, and how long. Tests hurry.
#[derive(Debug, Clone)]
pub(crate) struct Timing {
    /// Between two beats: with several processes, half of how far the feed lags.
    pub(crate) beat: Duration,
    /// How far ahead of its clock a process lets itself read until its next beat. A reader whose
    /// beats are later than this waits; one that ends without a word moves the clock of the next
    /// joiner ahead by so much.
    pub(crate) promise: Duration,
    /// A process whose last beat is so old counts on having been given up. Half of `dead`: the
    /// reader counts from when it saw the beat, the process from when it sent it, and a beat may
    /// be under way for as long as a write may take.
    pub(crate) doubt: Duration,
    /// A row that stands still for so long is given up: longer than a server lets a request live,
    /// so that nothing which a dead process sent can still take effect.
    pub(crate) dead: Duration,
    /// A change of unknown outcome keeps its entry unread for so long, for the same reason.
    pub(crate) linger: Duration,
    /// And after so long it is announced once more: a node that was frozen keeps no time limits,
    /// and readers cannot wait for it.
    pub(crate) late: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat: Duration::from_millis(250),
            promise: Duration::from_secs(1),
            doubt: Duration::from_secs(5),
            dead: Duration::from_secs(10),
            linger: Duration::from_secs(10),
            late: Duration::from_secs(60),
        }
    }
}

/// A row of `writers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) writer: Uuid,
    /// No entry below this is still to come or under way.
    pub(crate) low: u64,
    /// Nothing at or above this is read by that process before its next beat.
    pub(crate) reach: u64,
    /// Its newest entry.
    pub(crate) wrote: u64,
    /// When it was written, by that process's clock; the row's timestamp.
    pub(crate) beat: u64,
}

/// All of `writers`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub(crate) rows: Vec<Row>,
    /// Entries up to this have been forgotten.
    pub(crate) floor: u64,
    /// How far those may have read whose rows are gone.
    pub(crate) reached: u64,
}

/// A place in the feed that is taken for changes under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: u64,
    /// [`Standing::outages`] when it was taken.
    outages: u64,
}

/// Changes whose outcome nobody waits for any more.
#[derive(Debug)]
struct Left {
    since: Moment,
    outages: u64,
    cids: Arc<[Cid]>,
}

/// Another process, as this one sees it.
#[derive(Debug)]
struct Other {
    row: Row,
    /// When this beat was first seen.
    since: Moment,
    dead: bool,
}

/// Where this process stands among the writers: what it has under way, what it has told, what it
/// was told.
#[derive(Debug)]
pub(crate) struct Standing {
    me: Uuid,
    timing: Timing,
    /// Places taken, and those of them whose changes nobody waits for any more.
    under_way: BTreeMap<u64, Option<Left>>,
    /// Own entries whose changes are done but which cannot be read yet.
    finished: BTreeSet<u64>,
    wrote: u64,
    /// When the last beat was sent that the cluster has acknowledged; `None` before the first.
    beaten: Option<Moment>,
    /// How often this process may have been given up.
    outages: u64,
    reach: u64,
    floor: u64,
    others: HashMap<Uuid, Other>,
}

/// What hearing from the others means for this process.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Rows to be removed: their processes have been given up.
    pub(crate) dead: Vec<Row>,
    /// Somebody is gone, whose last entries may never have been told.
    pub(crate) somebody_gone: bool,
    /// The newest entry of the others.
    pub(crate) wrote: u64,
    /// This process was not heard for so long that it may have missed something.
    pub(crate) was_out: bool,
}

impl Standing {
    pub(crate) fn new(me: Uuid, timing: Timing) -> Self {
        Self {
            me,
            timing,
            under_way: BTreeMap::new(),
            finished: BTreeSet::new(),
            wrote: 0,
            beaten: None,
            outages: 0,
            reach: 0,
            floor: 0,
            others: HashMap::new(),
        }
    }

    /// Whether the others surely wait for what this process has under way.
    pub(crate) fn is_good(&self, now: &Moment) -> bool {
        let age = |beaten: &Moment| now.since(beaten);
        self.beaten
            .as_ref()
            .is_some_and(|b| age(b) < self.timing.doubt)
    }

    /// Whether they have done so ever since a place was taken.
    pub(crate) fn was_good_since(&self, place: Place, now: &Moment) -> bool {
        self.outages == place.outages && self.is_good(now)
    }

    /// Takes a place for changes that are about to be made.
    pub(crate) fn begin(&mut self, clock: &Clock) -> Place {
        let at = clock.next();
        self.under_way.insert(at, None);
        self.wrote = at;
        Place {
            at,
            outages: self.outages,
        }
    }

    /// The changes at a place have been made.
    pub(crate) fn finish(&mut self, place: Place) {
        self.under_way.remove(&place.at);
        self.finished.insert(place.at);
    }

    /// Nothing was or will be changed at a place.
    pub(crate) fn forgo(&mut self, place: Place) {
        self.under_way.remove(&place.at);
    }

    /// Nobody knows whether the changes at a place have been made or still will be.
    pub(crate) fn leave(&mut self, place: Place, cids: Arc<[Cid]>, now: Moment) {
        let left = Left {
            since: now,
            outages: place.outages,
            cids,
        };
        self.under_way.insert(place.at, Some(left));
    }

    /// Lets go of the places that were left long enough ago for their changes to have been made or
    /// never to be; answers what they are of, and whether they must be announced again, since
    /// readers may have passed them.
    pub(crate) fn let_go(&mut self, now: &Moment) -> Vec<(Arc<[Cid]>, bool)> {
        let linger = self.timing.linger;
        let is_over = |left: &Option<Left>| {
            let left = left.as_ref();
            left.is_some_and(|left| now.steadily_since(&left.since) >= linger)
        };
        let over: Vec<_> = self
            .under_way
            .iter()
            .filter(|(_, left)| is_over(left))
            .map(|(at, _)| *at)
            .collect();
        let mut let_go = Vec::new();
        for at in over {
            self.finished.insert(at);
            let Some(Some(left)) = self.under_way.remove(&at) else {
                continue;
            };
            let_go.push((left.cids, left.outages != self.outages));
        }
        let_go
    }

    /// How many places are taken by changes that somebody waits for, and how many were left.
    pub(crate) fn count_under_way(&self) -> (usize, usize) {
        let left = self.under_way.values().flatten().count();
        (self.under_way.len() - left, left)
    }

    /// What the next beat says.
    pub(crate) fn tell(&self, clock: &Clock) -> Row {
        let promise = u64::try_from(self.timing.promise.as_micros()).unwrap_or(u64::MAX);
        Row {
            writer: self.me,
            low: self.low(clock),
            reach: clock.reached().saturating_add(promise),
            wrote: self.wrote,
            beat: clock.next(),
        }
    }

    /// Takes note of what all have told, asked for after one's own beat had been acknowledged.
    pub(crate) fn hear(
        &mut self,
        told: &Told,
        beat: &Row,
        (sent, asked, now): (Moment, Moment, Moment),
        clock: &Clock,
    ) -> Heard {
        let doubt = self.timing.doubt;
        let was_out = self.beaten.is_some_and(|last| sent.since(&last) >= doubt);
        let is_new = was_out || self.beaten.is_none();
        if is_new {
            // The others may have read on without waiting: nothing of mine may lie behind them.
            told.reached_without(Some(self.me))
                .for_each(|reach| clock.observe(reach));
            self.outages += 1;
        }
        self.beaten = Some(sent);
        self.reach = beat.reach;
        self.floor = self.floor.max(told.floor);
        let mut heard = self.note_others(told, asked, now);
        heard.was_out = was_out;
        for row in told.rows.iter().filter(|row| row.writer != self.me) {
            clock.observe(row.low.max(row.wrote));
            heard.wrote = heard.wrote.max(row.wrote);
        }
        heard
    }

    fn note_others(&mut self, told: &Told, asked: Moment, now: Moment) -> Heard {
        let mut heard = Heard::default();
        let mut before = std::mem::take(&mut self.others);
        for row in told.rows.iter().filter(|row| row.writer != self.me) {
            let fresh = Other {
                row: *row,
                since: now,
                dead: false,
            };
            let seen = before.remove(&row.writer);
            let mut other = seen
                .filter(|other| other.row.beat == row.beat)
                .unwrap_or(fresh);
            if asked.steadily_since(&other.since) >= self.timing.dead {
                heard.somebody_gone |= !other.dead;
                other.dead = true;
                heard.dead.push(*row);
            }
            self.others.insert(row.writer, other);
        }
        heard.somebody_gone |= before.values().any(|other| !other.dead);
        heard
    }

    /// Entries below this can be read: none that comes later lies before them, and what they
    /// announce has happened.
    pub(crate) fn watermark(&self, clock: &Clock) -> u64 {
        let alive = self.others.values().filter(|other| !other.dead);
        let theirs = alive.map(|other| other.row.low).min();
        self.low(clock)
            .min(self.reach)
            .min(theirs.unwrap_or(u64::MAX))
    }

    /// The newest of one's own entries that has become readable since the last time.
    pub(crate) fn newly_readable(&mut self, clock: &Clock) -> Option<u64> {
        if self.finished.is_empty() {
            return None;
        }
        let watermark = self.watermark(clock);
        let mut newest = None;
        while self.finished.first().is_some_and(|at| *at < watermark) {
            newest = self.finished.pop_first();
        }
        newest
    }

    /// Entries up to this have been forgotten.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// Takes note of a floor.
    pub(crate) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
    }

    /// How many other processes are alive.
    pub(crate) fn others_alive(&self) -> usize {
        self.others.values().filter(|other| !other.dead).count()
    }

    fn low(&self, clock: &Clock) -> u64 {
        let oldest = self.under_way.first_key_value();
        oldest.map_or_else(|| clock.next(), |(at, _)| *at)
    }
}

impl Told {
    /// Everything that any reader may have reached, but for one.
    pub(crate) fn reached_without(&self, me: Option<Uuid>) -> impl Iterator<Item = u64> {
        let others = self.rows.iter().filter(move |row| Some(row.writer) != me);
        let reaches = others.map(|row| row.reach.max(row.wrote));
        reaches.chain([self.reached, self.floor])
    }
}

#[cfg(test)]
mod tests;

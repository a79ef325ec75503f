//! The last few operations that wrote a row, which every operation leaves in the row it writes.
//!
//! A conditional write whose outcome nobody told is sent again. If others have written the row by
//! then, the repeat is refused whatever became of the first, and the row's `op` is another's. Its
//! *trail* tells: it holds the operations that wrote it one after the other, its own last. Who
//! finds himself there has written; who finds the operation that he wanted to follow, and not
//! himself behind it, has not, and never will: the version that he asks for is gone for good.
//! Only if both have fallen out at the front does nobody know.
//!
//! A program that knows no trails leaves a row's trail as it is and changes its `op`. A trail that
//! does not end in its row's `op` therefore counts as none.

use super::calls::Cas;
use crate::Result;
use crate::error::StoreError;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Operations of a trail. Each process has one change of a pin under way, and where answers are
/// lost a row takes a few changes a second: enough for several deadlines. 256 bytes at most, and
/// those only while changes follow closely.
pub(crate) const TRAIL_MAX: usize = 32;

/// A row that was left alone for so long forgets what was before: the deadlines of all who could
/// ask are over. So a row that is changed now and then has a trail of two operations.
pub(crate) const QUIET_MICROS: u64 = 60_000_000;

/// So late an answer is looked for at most. Longer than any deadline, and shorter than graves stay:
/// when a row has been made anew after its grave has gone, its trail begins anew.
const ASKED_WITHIN: Duration = Duration::from_secs(300);

/// What stands for an operation: the half of its id that is made of chance. It is looked for among
/// some thirty others, so that sixty bits are enough, and each byte is there a trillion times.
type Mark = [u8; MARK];
const MARK: usize = 8;

/// Stands at the front of the trail of a row that was made: nothing was before. It is no
/// operation's, for the first bits of that half of an id are not zero.
const NOTHING: Mark = [0; MARK];

/// A trail as the row holds it: marks one after the other, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trail(Vec<u8>);

fn mark(op: Uuid) -> Mark {
    op.as_u64_pair().1.to_be_bytes()
}

impl From<Option<Vec<u8>>> for Trail {
    fn from(stored: Option<Vec<u8>>) -> Self {
        Self(stored.unwrap_or_default())
    }
}

impl Trail {
    /// The trail of a row that an operation makes where there is none.
    pub(crate) fn begin(op: Uuid) -> Self {
        Self([NOTHING, mark(op)].concat())
    }

    /// The trail after one more operation, on a row that `last` wrote. `is_quiet`: so long ago that
    /// nobody asks after what was before.
    pub(crate) fn then(&self, last: Uuid, op: Uuid, is_quiet: bool) -> Self {
        let kept = if is_quiet { 1 } else { TRAIL_MAX - 1 };
        let last_mark = mark(last);
        let marks = self.of(last).unwrap_or(&last_mark);
        let kept = marks.len().saturating_sub(kept * MARK);
        let kept = marks.get(kept..).unwrap_or_default();
        Self([kept, &mark(op)].concat())
    }

    /// As the row holds it.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its bytes, if they are those of a row that `last` wrote.
    fn of(&self, last: Uuid) -> Option<&[u8]> {
        let is_whole = self.0.len().is_multiple_of(MARK);
        (is_whole && self.0.ends_with(&mark(last))).then_some(&self.0)
    }
}

/// What became of a conditional write, as far as a row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It was written; others may have written since.
    Written,
    /// It was not written and never will be.
    Never,
    /// Nobody knows, or it may still be written.
    Unknown,
}

/// A conditional write, for as long as nobody has told what became of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doubt {
    op: Uuid,
    /// The operation that had written the row which it was to follow.
    follows: Mark,
    since: Instant,
}

impl Doubt {
    /// A write that is about to be sent: over a row that `last` wrote, or over none.
    pub(crate) fn of(op: Uuid, last: Option<Uuid>) -> Self {
        Self {
            op,
            follows: last.map_or(NOTHING, mark),
            since: Instant::now(),
        }
    }

    /// Whether the write is done, by what was answered, and by the row where no answer tells.
    ///
    /// # Errors
    /// That it could not be sent, or that nobody knows.
    pub(crate) async fn settle(
        &self,
        answer: Result<Cas>,
        what: &str,
        row: impl Future<Output = Result<Option<(Uuid, Trail)>>>,
    ) -> Result<bool> {
        let unknown = match answer {
            Ok(Cas::Applied) => return Ok(true),
            Ok(Cas::Refused) => return Ok(false),
            Ok(Cas::Doubted) => StoreError::overtaken(what),
            Err(error @ StoreError::Unsettled { .. }) => error,
            Err(error) => return Err(error),
        };
        let found = row.await;
        match found.map(|row| self.ask(row.as_ref().map(|(op, trail)| (*op, trail)))) {
            Ok(Told::Written) => Ok(true),
            Ok(Told::Never) => Ok(false),
            Ok(Told::Unknown) | Err(_) => Err(unknown),
        }
    }

    /// What the row tells that a serial read has found since.
    fn ask(&self, found: Option<(Uuid, &Trail)>) -> Told {
        let Some((last, trail)) = found else {
            return Told::Unknown;
        };
        if last == self.op {
            return Told::Written;
        }
        let Some(trail) = trail.of(last) else {
            return Told::Unknown;
        };
        let has = |mark: Mark| trail.chunks_exact(MARK).any(|one| one == mark);
        if has(mark(self.op)) {
            return Told::Written;
        }
        let is_late = self.since.elapsed() > ASKED_WITHIN;
        match mark(last) != self.follows && has(self.follows) && !is_late {
            true => Told::Never,
            false => Told::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    /// A row, and everything that ever wrote it.
    #[derive(Default)]
    struct Kept {
        row: Option<(Uuid, Trail)>,
        history: Vec<Uuid>,
    }

    impl Kept {
        fn last(&self) -> Option<Uuid> {
            self.row.as_ref().map(|(op, _)| *op)
        }

        fn write(&mut self, op: Uuid, is_quiet: bool) {
            let trail = match &self.row {
                None => Trail::begin(op),
                Some((last, trail)) => trail.then(*last, op, is_quiet),
            };
            self.row = Some((op, trail));
            self.history.push(op);
        }

        /// As a program writes that knows no trails.
        fn write_without(&mut self, op: Uuid) {
            let trail = self.row.take().map(|(_, trail)| trail);
            self.row = Some((op, trail.unwrap_or_default()));
            self.history.push(op);
        }

        fn ask(&self, doubt: &Doubt) -> Told {
            doubt.ask(self.row.as_ref().map(|(op, trail)| (*op, trail)))
        }
    }

    #[test]
    fn an_outcome_is_known_until_too_many_have_written_since() {
        for is_made in [true, false] {
            for is_written in [true, false] {
                let mut kept = Kept::default();
                if !is_made {
                    kept.write(Uuid::new_v4(), false);
                }
                let op = Uuid::new_v4();
                let doubt = Doubt::of(op, kept.last());
                if is_written {
                    kept.write(op, false);
                }
                assert_eq!(kept.ask(&doubt) == Told::Written, is_written);
                for others in 1..=2 * TRAIL_MAX {
                    kept.write(Uuid::new_v4(), false);
                    let told = kept.ask(&doubt);
                    let known = match is_written {
                        true => Told::Written,
                        false => Told::Never,
                    };
                    match others < TRAIL_MAX {
                        true => assert_eq!(told, known, "after {others}"),
                        false => assert_eq!(told, Told::Unknown, "after {others}"),
                    }
                }
                let (_, trail) = kept.row.unwrap();
                assert_eq!(trail.as_bytes().len(), TRAIL_MAX * MARK);
            }
        }
    }

    /// Writers that know trails and writers that do not, pauses and crowds: whatever is told of an
    /// operation is so.
    #[test]
    fn a_trail_never_lies() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut chance = SmallRng::seed_from_u64(seed);
        let (mut written, mut never) = (0, 0);
        for _ in 0..2_000 {
            let mut kept = Kept::default();
            let mut doubts: Vec<(Doubt, usize)> = Vec::new();
            for _ in 0..chance.random_range(1..3 * TRAIL_MAX) {
                let op = Uuid::new_v4();
                let doubt = Doubt::of(op, kept.last());
                doubts.push((doubt, kept.history.len()));
                match chance.random_range(0..40) {
                    0 => kept.write_without(op),
                    1 => kept.write(op, true),
                    2..15 => {}
                    _ => kept.write(op, false),
                }
                for (doubt, began) in &doubts {
                    let is_written = kept.history.contains(&doubt.op);
                    match kept.ask(doubt) {
                        Told::Written => assert!(is_written),
                        Told::Never => {
                            assert!(!is_written);
                            assert!(kept.history.len() > *began, "it may still be written");
                            never += 1;
                        }
                        Told::Unknown => continue,
                    }
                    written += u32::from(is_written);
                }
            }
        }
        assert!(written > 1_000 && never > 1_000, "{written} {never}");
    }

    #[test]
    fn nothing_is_told_of_what_was_asked_too_late_or_may_still_come() {
        let mut kept = Kept::default();
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        assert_eq!(kept.ask(&Doubt::of(first, None)), Told::Unknown);
        kept.write(first, false);
        let mut doubt = Doubt::of(second, kept.last());
        assert_eq!(kept.ask(&doubt), Told::Unknown);
        kept.write(Uuid::new_v4(), false);
        assert_eq!(kept.ask(&doubt), Told::Never);
        doubt.since = doubt.since.checked_sub(ASKED_WITHIN * 2).unwrap();
        assert_eq!(kept.ask(&doubt), Told::Unknown);
    }

    #[test]
    fn a_row_that_rests_has_a_short_trail() {
        let mut kept = Kept::default();
        for _ in 0..TRAIL_MAX {
            kept.write(Uuid::new_v4(), false);
        }
        kept.write(Uuid::new_v4(), true);
        let (_, trail) = kept.row.unwrap();
        assert_eq!(trail.as_bytes().len(), 2 * MARK);
    }
}

//! Reading every pin, however many there are.

use crate::cql::PinRanges;
use crate::error::StoreError;
use crate::{Result, Store};
use holdfast_model::{Cid, Invalid, StoredPin};
use serde::{Deserialize, Serialize};

/// Pins that are read at once where they lie in one place.
const PAGE_PINS: u32 = 1_000;

/// Bytes of pins that end a page before its limit does: a thousand pins of 10 MiB are more than a
/// host should hold for one reader.
pub(crate) const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// How far a scan has come: what is left of it. It can be kept, and gone on from by another process
/// at another time, as long as it is the same kind of store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanMark(pub(crate) Left);

/// What is left of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Left {
    /// One after another: everything after a pin, or nothing more.
    Walk { after: Option<Cid>, is_over: bool },
    /// Parts of the ring.
    Ranges(Vec<RangeLeft>),
}

/// What is left of a part of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RangeLeft {
    /// Tokens greater than this,
    pub(crate) after: i64,
    /// and not greater than this,
    pub(crate) upto: i64,
    /// of which everything up to this pin has been read.
    pub(crate) at: Option<Cid>,
}

/// All pins, some at a time, in no order. A pin that is there all the while comes once; one that
/// comes or goes meanwhile may be among them or not.
///
/// The memory that it takes does not depend on how many there are.
#[derive(Debug)]
pub struct PinScan(Source);

#[derive(Debug)]
enum Source {
    Walk {
        store: Store,
        after: Option<Cid>,
        is_over: bool,
        met: Met,
    },
    Ranges(PinRanges),
}

/// How many pins a walk has met, and about how many there were when it began. Of one that goes on
/// from a mark nobody knows what it met before.
#[derive(Debug)]
struct Met {
    pins: u64,
    whole: Option<u64>,
}

impl PinScan {
    pub(crate) fn begin(store: &Store, from: Option<ScanMark>) -> Result<Self> {
        let left = from.map(|mark| mark.0);
        let source = match (store, left) {
            (Store::Cql(cql), None) => Source::Ranges(PinRanges::all(cql)),
            (Store::Cql(cql), Some(Left::Ranges(left))) => {
                Source::Ranges(PinRanges::resume(cql, left))
            }
            (Store::Memory(_) | Store::Embedded(_), None) => Source::Walk {
                store: store.clone(),
                after: None,
                is_over: false,
                met: Met {
                    pins: 0,
                    whole: Some(store.pins_about()),
                },
            },
            (Store::Memory(_) | Store::Embedded(_), Some(Left::Walk { after, is_over })) => {
                Source::Walk {
                    store: store.clone(),
                    after,
                    is_over,
                    met: Met {
                        pins: 0,
                        whole: None,
                    },
                }
            }
            (_, Some(_)) => {
                let why = "was made by another kind of store; begin the scan anew";
                return Err(StoreError::Invalid(Invalid::new("mark", why)));
            }
        };
        Ok(Self(source))
    }

    /// Some more pins; `None` at the end. After an error it can be called again.
    ///
    /// # Errors
    /// The store cannot be read now.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredPin>>> {
        match &mut self.0 {
            Source::Ranges(ranges) => ranges.next().await,
            Source::Walk { is_over: true, .. } => Ok(None),
            Source::Walk {
                store,
                after,
                is_over,
                met,
            } => {
                let page = store.pins(after.as_ref(), PAGE_PINS).await?;
                let Some(last) = page.last() else {
                    *is_over = true;
                    return Ok(None);
                };
                *after = Some(last.pin.cid);
                met.pins += u64::try_from(page.len()).unwrap_or(u64::MAX);
                Ok(Some(page))
            }
        }
    }

    /// About how many millionths are done, as far as that can be told: for who waits, and for
    /// nothing else.
    #[must_use]
    pub fn millionths(&self) -> Option<u32> {
        let (done, whole) = match &self.0 {
            Source::Ranges(ranges) => ranges.done(),
            Source::Walk { met, .. } => {
                let whole = met.whole?.max(met.pins).max(1);
                (u128::from(met.pins), u128::from(whole))
            }
        };
        u32::try_from(done * 1_000_000 / whole).ok()
    }

    /// What is left after the pins that [`Self::next`] has answered.
    #[must_use]
    pub fn mark(&self) -> ScanMark {
        ScanMark(match &self.0 {
            Source::Ranges(ranges) => Left::Ranges(ranges.left()),
            Source::Walk { after, is_over, .. } => Left::Walk {
                after: *after,
                is_over: *is_over,
            },
        })
    }
}

//! The change feed: which pins may have changed, in the order of their changes.

use crate::cid::Cid;
use serde::{Deserialize, Serialize};

/// A place in the change feed. A reader keeps the cursor of the last entry that it has dealt with
/// and resumes after it, days later too.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Cursor(pub u64);

impl Cursor {
    /// Before the first change there ever was.
    pub const START: Self = Self(0);
}

/// One entry: this CID may have changed (its pin, who wants it, or that it is gone).
///
/// It names the pin and says no more; whoever follows the feed reads the pin. Delivered at least
/// once, in order for each CID, deletions included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it stands in the feed.
    pub cursor: Cursor,
    /// The pin that may have changed.
    pub cid: Cid,
}

//! The change feed.

use super::Cql;
use super::missing;
use crate::Result;
use holdfast_model::{Change, Cursor};

impl Cql {
    pub(crate) async fn changes(&self, _after: Cursor, _limit: u32) -> Result<Vec<Change>> {
        Err(missing("changes"))
    }

    pub(crate) async fn trim_changes(&self, _upto: Cursor) -> Result<()> {
        Err(missing("trim_changes"))
    }

    pub(crate) async fn follower(&self, _name: &str) -> Result<Cursor> {
        Err(missing("follower"))
    }

    pub(crate) async fn save_follower(&self, _name: &str, _cursor: Cursor) -> Result<()> {
        Err(missing("save_follower"))
    }
}

//! The feed's notice of a change, written ahead of it.

use crate::Result;
use crate::cql::Shared;
use holdfast_model::Cid;
use std::sync::Arc;

/// An entry of the feed that nobody reads before its change is done.
#[derive(Debug)]
pub(super) struct Notice;

impl Notice {
    pub(super) async fn ahead_of(_shared: &Arc<Shared>, _cid: &Cid) -> Result<Self> {
        Ok(Self)
    }

    /// The change is done: the entry can be read.
    pub(super) fn done(self) {}

    /// Nothing has changed: the entry goes.
    pub(super) async fn withdraw(self) {}

    /// Nobody knows whether it has changed.
    pub(super) fn doubt(self, _shared: &Arc<Shared>, _cid: &Cid) {}
}

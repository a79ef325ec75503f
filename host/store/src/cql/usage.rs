//! Usage.

use super::Cql;
use super::missing;
use crate::Result;
use holdfast_model::{AccountId, Period, Usage};

impl Cql {
    pub(crate) async fn usage(&self, _account: &AccountId, _period: Period) -> Result<Usage> {
        Err(missing("usage"))
    }

    pub(crate) async fn pinned_bytes(&self, _account: &AccountId) -> Result<u128> {
        Err(missing("pinned_bytes"))
    }
}

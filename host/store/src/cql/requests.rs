//! Pin requests and their accounts.

use super::Cql;
use super::missing;
use crate::{Outcome, RequestDraft, Result};
use holdfast_model::{
    AccountId, Cid, PinRequest, RequestFilter, RequestId, StatusCounts, UnixMillis,
};

impl Cql {
    pub(crate) async fn create_request(
        &self,
        _draft: RequestDraft,
        _now: UnixMillis,
    ) -> Result<PinRequest> {
        Err(missing("create_request"))
    }

    pub(crate) async fn replace_request(
        &self,
        _old: RequestId,
        _draft: RequestDraft,
        _now: UnixMillis,
    ) -> Result<PinRequest> {
        Err(missing("replace_request"))
    }

    pub(crate) async fn delete_request(
        &self,
        _account: &AccountId,
        _id: RequestId,
        _now: UnixMillis,
    ) -> Result<()> {
        Err(missing("delete_request"))
    }

    pub(crate) async fn settle_request(
        &self,
        _id: RequestId,
        _version: u64,
        _outcome: Outcome,
        _now: UnixMillis,
    ) -> Result<PinRequest> {
        Err(missing("settle_request"))
    }

    pub(crate) async fn request(&self, _id: RequestId) -> Result<Option<PinRequest>> {
        Err(missing("request"))
    }

    pub(crate) async fn requests(
        &self,
        _account: &AccountId,
        _filter: &RequestFilter,
        _limit: u32,
    ) -> Result<Vec<PinRequest>> {
        Err(missing("requests"))
    }

    pub(crate) async fn count_requests(
        &self,
        _account: &AccountId,
        _filter: &RequestFilter,
    ) -> Result<u64> {
        Err(missing("count_requests"))
    }

    pub(crate) async fn status_counts(&self, _account: &AccountId) -> Result<StatusCounts> {
        Err(missing("status_counts"))
    }

    pub(crate) async fn requests_of_pin(
        &self,
        _cid: &Cid,
        _after: Option<RequestId>,
        _limit: u32,
    ) -> Result<Vec<PinRequest>> {
        Err(missing("requests_of_pin"))
    }

    pub(crate) async fn expired_requests(
        &self,
        _now: UnixMillis,
        _limit: u32,
    ) -> Result<Vec<PinRequest>> {
        Err(missing("expired_requests"))
    }

    pub(crate) async fn accounts(
        &self,
        _after: Option<&AccountId>,
        _limit: u32,
    ) -> Result<Vec<AccountId>> {
        Err(missing("accounts"))
    }
}

//! Pin requests and their accounts.

use super::Cql;
use super::account::Head;
use super::draft::RequestOp;
use super::expiry::{Expiring, Kind};
use super::intent::account_of;
use super::number::unsigned;
use super::statement::Statement;
use crate::error::StoreError;
use crate::rules::REQUEST;
use crate::{Holdings, Outcome, RequestDraft, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::{AccountId, Cid, PinRequest, RequestId, UnixMillis};
use uuid::Uuid;

/// Requests read at once by their ids.
pub(super) const READS_AT_ONCE: usize = 32;

impl Cql {
    pub(crate) async fn create_request(
        &self,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let account = draft.account.clone();
        self.change(account, RequestOp::Create(draft, now)).await
    }

    pub(crate) async fn replace_request(
        &self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let account = draft.account.clone();
        self.change(account, RequestOp::Replace(old, draft, now))
            .await
    }

    pub(crate) async fn delete_request(
        &self,
        account: &AccountId,
        id: RequestId,
        now: UnixMillis,
    ) -> Result<()> {
        let op = RequestOp::Delete(id, now);
        self.shared.carry(account.clone(), op).await.map(drop)
    }

    pub(crate) async fn settle_request(
        &self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let request = self.request(id).await?;
        let request = request.ok_or(StoreError::NotFound(REQUEST))?;
        let op = RequestOp::Settle(id, version, outcome, now);
        self.change(request.account, op).await
    }

    pub(crate) async fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        Ok(self.shared.kept(id).await?.map(|kept| kept.request))
    }

    pub(crate) async fn holdings(&self, account: &AccountId) -> Result<Holdings> {
        let head = self.shared.head_of(account).await?;
        let of = |head: Head| Holdings {
            counts: head.account.counts,
            pinned_bytes: head.account.mark.level_bytes,
        };
        Ok(head.map(of).unwrap_or_default())
    }

    pub(crate) async fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<&PinRequest>,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let prefix = self.shared.params.prefix(cid);
        let home = self.shared.params.pin_home(prefix);
        let key = cid.to_bytes();
        let (account, id) = after.map_or(("", Uuid::nil()), |r| (r.account.as_str(), r.id.0));
        let mut last = (account.to_owned(), id);
        let limit = limit as usize;
        let mut found = Vec::new();
        while found.len() < limit {
            let rows = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let values = (prefix, &key, &last.0, last.1, rows);
            let page: Vec<(String, Uuid)> = self
                .shared
                .calls
                .rows(Statement::WishesOfPin, home, values)
                .await?;
            let Some(end) = page.last() else {
                break;
            };
            last.clone_from(end);
            let ids = page.into_iter().map(|(_, id)| RequestId(id));
            found.extend(self.requests_by_id(ids).await?.into_iter().flatten());
        }
        Ok(found)
    }

    pub(crate) async fn expired_requests(
        &self,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let (mut found, mut after) = (Vec::new(), None::<Expiring>);
        let limit = limit as usize;
        while found.len() < limit {
            let wanted = limit - found.len();
            let entries = self
                .shared
                .expired(Kind::Request, now, after.as_ref(), wanted)
                .await?;
            let Some(last) = entries.last() else {
                break;
            };
            after = Some(last.clone());
            let ids: Vec<_> = entries.iter().map(id_of).collect::<Result<_>>()?;
            let requests = self.requests_by_id(ids.into_iter()).await?;
            for (entry, request) in entries.into_iter().zip(requests) {
                match request.filter(|r| r.asked.expires == Some(entry.at)) {
                    Some(request) => found.push(request),
                    None => {
                        let stamp = self.shared.clock.next();
                        let shared = &self.shared;
                        shared.remove_expiry(Kind::Request, &entry, stamp).await?;
                    }
                }
            }
        }
        Ok(found)
    }

    pub(crate) async fn accounts(
        &self,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<AccountId>> {
        let (mut found, limit) = (Vec::new(), limit as usize);
        let mut last = after.map(|after| after.as_str().to_owned());
        while found.len() < limit {
            let rows = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let home = super::home::Home::default();
            let calls = &self.shared.calls;
            let page: Vec<(String, i64)> = match &last {
                None => calls.rows(Statement::AccountsFirst, home, (rows,)).await?,
                Some(last) => {
                    let values = (last, rows);
                    calls.rows(Statement::AccountsAfter, home, values).await?
                }
            };
            let Some((end, _)) = page.last() else {
                break;
            };
            last = Some(end.clone());
            // A row without a request was only made to keep a late one from being made.
            let ever = page.iter().filter(|(_, made)| unsigned(*made) > 0);
            for (account, _) in ever {
                found.push(account_of(account)?);
            }
        }
        Ok(found)
    }

    async fn change(&self, account: AccountId, op: RequestOp) -> Result<PinRequest> {
        let answer = self.shared.carry(account, op).await?;
        answer.ok_or(StoreError::NotFound(REQUEST))
    }

    /// Requests in the order of their ids here; `None` for those that are gone.
    pub(super) async fn requests_by_id(
        &self,
        ids: impl Iterator<Item = RequestId> + Send,
    ) -> Result<Vec<Option<PinRequest>>> {
        let ids: Vec<_> = ids.collect();
        stream::iter(ids)
            .map(|id| self.request(id))
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await
    }
}

fn id_of(entry: &Expiring) -> Result<RequestId> {
    Uuid::from_slice(&entry.key)
        .map(RequestId)
        .map_err(|e| StoreError::Corrupt(format!("an entry of the expiry index holds {e}")))
}

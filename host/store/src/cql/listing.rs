//! An account's requests: pages and counts.
//!
//! An account's list lies in buckets of some tens of thousands of rows, each newest first. The head
//! tells which bucket is the newest, so a page of the newest requests is two reads; older buckets
//! are found by where they begin.

use super::Cql;
use super::account::Head;
use super::statement::Statement;
use super::walk::Walk;
use crate::Result;
use crate::error::StoreError;
use crate::row::{decode_request, status_of};
use holdfast_model::{AccountId, Cid, PinRequest, RequestFilter, RequestId, RequestStatus};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// Rows read at once when a filter may leave most of them out.
const PAGE_ROWS: usize = 1_000;

/// Rows read at once when only their keys are looked at.
const KEY_ROWS: usize = 5_000;

/// How long a walk over an account may take, in deadlines of one read.
const WALK_IN_READS: u32 = 3;

/// A row of the list, its body not yet looked into.
type Row = (i64, Uuid, i8, Vec<u8>);

impl Cql {
    pub(crate) async fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let Some(head) = self.shared.head_of(account).await? else {
            return Ok(Vec::new());
        };
        let page = self.page_under(account, &head, filter, limit as usize);
        self.within(account, page).await
    }

    pub(crate) async fn count_requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
    ) -> Result<u64> {
        let Some(head) = self.shared.head_of(account).await? else {
            return Ok(0);
        };
        self.within(account, self.count_under(account, &head, filter))
            .await
    }

    /// A page, and how many requests the filter means: never fewer than the rows, and exactly the
    /// rows if the page is not full.
    pub(crate) async fn page_of_requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<(u64, Vec<PinRequest>)> {
        let Some(head) = self.shared.head_of(account).await? else {
            return Ok((0, Vec::new()));
        };
        let page = self.page_under(account, &head, filter, limit as usize);
        let rows = self.within(account, page).await?;
        let shown = rows.len() as u64;
        if rows.len() < limit as usize {
            return Ok((shown, rows));
        }
        let count = self.count_under(account, &head, filter);
        let count = self.within(account, count).await?;
        Ok((count.max(shown), rows))
    }

    async fn page_under(
        &self,
        account: &AccountId,
        head: &Head,
        filter: &RequestFilter,
        limit: usize,
    ) -> Result<Vec<PinRequest>> {
        if limit == 0 || counted(head, filter) == 0 {
            return Ok(Vec::new());
        }
        if !filter.cids.is_empty() {
            let mut found = self.of_cids(account, filter).await?;
            found.truncate(limit);
            return Ok(found);
        }
        let mut found = Vec::new();
        let size = page_size(filter, limit);
        let mut walk = Walk::new(&self.shared, account, head, filter);
        while found.len() < limit {
            let Some(rows) = walk.next::<Row>(Statement::ListingPage, size).await? else {
                break;
            };
            for row in rows {
                if found.len() < limit {
                    found.extend(seen_through(row, filter)?);
                }
            }
        }
        Ok(found)
    }

    async fn count_under(
        &self,
        account: &AccountId,
        head: &Head,
        filter: &RequestFilter,
    ) -> Result<u64> {
        if filter.is_by_status_only() {
            return Ok(counted(head, filter));
        }
        if counted(head, filter) == 0 {
            return Ok(0);
        }
        if !filter.cids.is_empty() {
            return Ok(self.of_cids(account, filter).await?.len() as u64);
        }
        let mut count = 0;
        let mut walk = Walk::new(&self.shared, account, head, filter);
        if filter.name.is_none() && filter.meta.is_empty() {
            while let Some(rows) = walk
                .next::<(i64, i8)>(Statement::ListingKeys, KEY_ROWS)
                .await?
            {
                for (_, status) in rows {
                    count += u64::from(filter.wants_status(status_of_row(status)?));
                }
            }
            return Ok(count);
        }
        while let Some(rows) = walk.next::<Row>(Statement::ListingPage, PAGE_ROWS).await? {
            for row in rows {
                count += u64::from(seen_through(row, filter)?.is_some());
            }
        }
        Ok(count)
    }

    /// The account's requests of some CIDs, newest first.
    async fn of_cids(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
    ) -> Result<Vec<PinRequest>> {
        let cids: HashSet<_> = filter.cids.iter().collect();
        let mut found = Vec::new();
        for cid in cids {
            let mut after = Uuid::nil();
            loop {
                let ids = self.wishes_of(account, cid, after).await?;
                let Some(last) = ids.last() else {
                    break;
                };
                after = *last;
                let requests = self.requests_by_id(ids.into_iter().map(RequestId)).await?;
                let meant = requests.into_iter().flatten().filter(|r| filter.matches(r));
                found.extend(meant);
            }
        }
        found.sort_unstable_by_key(|request| std::cmp::Reverse(request.created));
        Ok(found)
    }

    async fn wishes_of(&self, account: &AccountId, cid: &Cid, after: Uuid) -> Result<Vec<Uuid>> {
        let prefix = self.shared.params.prefix(cid);
        let home = self.shared.params.pin_home(prefix);
        let values = (prefix, cid.to_bytes(), account.as_str(), after, 5_000_i32);
        let rows: Vec<(Uuid,)> = self
            .shared
            .calls
            .rows(Statement::WishesOfAccount, home, values)
            .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    async fn within<T>(
        &self,
        account: &AccountId,
        walk: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let patience = self.shared.timeouts().read * WALK_IN_READS;
        let answer = timeout(patience, walk).await;
        answer.unwrap_or_else(|_| Err(too_long(account, patience)))
    }
}

/// How many requests of the wanted statuses there are: a bound for every other filter.
fn counted(head: &Head, filter: &RequestFilter) -> u64 {
    RequestStatus::ALL
        .into_iter()
        .filter(|status| filter.wants_status(*status))
        .map(|status| head.account.counts.get(status))
        .sum()
}

/// Rows to read at once for a page: no more than the page, if each row is sure to be on it.
fn page_size(filter: &RequestFilter, limit: usize) -> usize {
    let is_plain = filter.name.is_none() && filter.meta.is_empty() && filter.statuses.is_empty();
    if is_plain {
        limit.min(PAGE_ROWS)
    } else {
        PAGE_ROWS
    }
}

/// The request of a row, if the filter means it. Its body is read last.
fn seen_through(row: Row, filter: &RequestFilter) -> Result<Option<PinRequest>> {
    let (_, id, status, body) = row;
    if !filter.wants_status(status_of_row(status)?) {
        return Ok(None);
    }
    let request = decode_request(RequestId(id), &body)?;
    Ok(filter.matches(&request).then_some(request))
}

fn status_of_row(number: i8) -> Result<RequestStatus> {
    status_of(number.cast_unsigned())
}

fn too_long(account: &AccountId, patience: Duration) -> StoreError {
    StoreError::Unavailable {
        doing: format!("look through the requests of account {account}"),
        source: std::io::Error::other(format!(
            "it took longer than {} ms; narrow the filter by before and after, or by status alone",
            patience.as_millis()
        )),
    }
}

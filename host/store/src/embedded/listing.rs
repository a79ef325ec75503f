//! Reads of pin requests: one, pages, counts.

use super::key;
use super::table::{Table, Tables, View};
use crate::error::StoreError;
use crate::row::{decode_request, status_of};
use crate::{Holdings, Result};
use holdfast_model::{
    AccountId, Cid, PinRequest, RequestFilter, RequestId, RequestStatus, UnixMillis,
};
use std::cmp::Reverse;
use std::ops::Bound;

/// What an index tells of a request without reading its row.
struct Listed {
    id: RequestId,
    created: UnixMillis,
    /// Known where the index holds it.
    status: Option<RequestStatus>,
}

impl Tables {
    pub(super) fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        let row = self.get(Table::Requests, id.0.as_bytes())?;
        row.map(|row| decode_request(id, &row)).transpose()
    }

    pub(super) fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let view = self.view();
        let mut page = Vec::new();
        let mut listing = view.listed(account, filter)?;
        while page.len() < limit as usize {
            let Some(listed) = listing.next().transpose()? else {
                break;
            };
            let request = view.listed_request(listed.id)?;
            if filter.matches(&request) {
                page.push(request);
            }
        }
        Ok(page)
    }

    pub(super) fn count_requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
    ) -> Result<u64> {
        if filter.is_by_status_only() {
            let counts = self.account(account)?.counts;
            let wanted = RequestStatus::ALL.into_iter();
            let wanted = wanted.filter(|status| filter.wants_status(*status));
            return Ok(wanted.map(|status| counts.get(status)).sum());
        }
        let view = self.view();
        let mut count = 0;
        for listed in view.listed(account, filter)? {
            let listed = listed?;
            let status_told = listed.status.is_some() || filter.statuses.is_empty();
            let told = status_told && filter.name.is_none() && filter.meta.is_empty();
            if told || filter.matches(&view.listed_request(listed.id)?) {
                count += 1;
            }
        }
        Ok(count)
    }

    pub(super) fn holdings(&self, account: &AccountId) -> Result<Holdings> {
        let account = self.account(account)?;
        Ok(Holdings {
            counts: account.counts,
            pinned_bytes: account.mark.level_bytes,
        })
    }

    pub(super) fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<PinRequest>> {
        let view = self.view();
        let after = after.map(|id| id.0.into_bytes());
        let range = key::page(&cid.to_bytes(), after.as_ref().map(<[u8; 16]>::as_slice));
        let entries = view.range(Table::PinRequests, range).take(limit as usize);
        entries
            .map(|entry| view.listed_request(key::request_id_at_end(&entry?.0)?))
            .collect()
    }

    pub(super) fn expired_requests(&self, now: UnixMillis, limit: u32) -> Result<Vec<PinRequest>> {
        let view = self.view();
        let entries = view.range(Table::RequestExpiry, key::until(now));
        entries
            .take(limit as usize)
            .map(|entry| view.listed_request(key::request_id_at_end(&entry?.0)?))
            .collect()
    }
}

type Listing<'v> = Box<dyn Iterator<Item = Result<Listed>> + 'v>;

impl View<'_> {
    /// An account's requests, newest first, as far as CIDs, instants and (where the index has it)
    /// status decide; whatever else the filter asks for is left to the row.
    fn listed<'v>(&'v self, account: &AccountId, filter: &'v RequestFilter) -> Result<Listing<'v>> {
        if !filter.cids.is_empty() {
            return self.listed_by_cid(account, filter);
        }
        let range = within(&key::of_account(account), filter);
        let entries = self.range(Table::Listing, range).map(|entry| {
            let (place, entry) = entry?;
            let status = entry.first().copied().unwrap_or(u8::MAX);
            Ok(Listed {
                id: key::request_id_at_end(&entry)?,
                created: key::created_of(&place)?,
                status: Some(status_of(status)?),
            })
        });
        let wanted = |listed: &Result<Listed>| match listed {
            Ok(listed) => listed.status.is_none_or(|s| filter.wants_status(s)),
            Err(_) => true,
        };
        Ok(Box::new(entries.filter(wanted)))
    }

    /// A filter names few CIDs and an account has few requests of each, so they fit in memory.
    fn listed_by_cid<'v>(
        &'v self,
        account: &AccountId,
        filter: &'v RequestFilter,
    ) -> Result<Listing<'v>> {
        let mut all = Vec::new();
        let mut cids = filter.cids.clone();
        cids.sort_unstable();
        cids.dedup();
        for cid in cids {
            let range = within(&key::of_account_pin(account, &cid), filter);
            for entry in self.range(Table::AccountPins, range) {
                let (place, id) = entry?;
                all.push(Listed {
                    id: key::request_id_at_end(&id)?,
                    created: key::created_of(&place)?,
                    status: None,
                });
            }
        }
        all.sort_by_key(|listed| Reverse(listed.created));
        Ok(Box::new(all.into_iter().map(Ok)))
    }

    fn listed_request(&self, id: RequestId) -> Result<PinRequest> {
        let row = self.get(Table::Requests, id.0.as_bytes())?;
        let missing = || StoreError::Corrupt(format!("request {id} is listed and is not there"));
        decode_request(id, &row.ok_or_else(missing)?)
    }
}

/// The keys under a prefix, newest first, whose instants a filter means.
fn within(prefix: &[u8], filter: &RequestFilter) -> super::table::KeyRange {
    let start = match filter.before {
        Some(before) => Bound::Excluded(key::newest_first(prefix, before)),
        None => Bound::Included(prefix.to_vec()),
    };
    let end = match filter.after {
        Some(after) => Bound::Excluded(key::newest_first(prefix, after)),
        None => key::end_of(prefix),
    };
    (start, end)
}

//! Pin requests, accounts and usage in memory.

use super::{Account, State};
use crate::error::StoreError;
use crate::rules::{PIN, REQUEST, begin_pin, begin_request, created_after};
use crate::{Holdings, Outcome, RequestDraft, Result};
use holdfast_model::{
    AccountId, Cid, Operation, Period, PinRequest, RequestFilter, RequestId, StoredPin, UnixMillis,
    Usage, UsageMark,
};
use std::collections::btree_map::Entry;

impl State {
    pub(crate) fn create_request(
        &mut self,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let cid = draft.asked.cid;
        let request = self.insert_request(draft, now)?;
        self.mark(&request.account, now, 0, Some(Operation::Pin));
        let number = self.next_number();
        self.want_pin(&request, now, number)?;
        self.announce(number, cid);
        Ok(request)
    }

    pub(crate) fn replace_request(
        &mut self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let replaced = self.own_request(&draft.account, old)?.clone();
        let request = self.insert_request(draft, now)?;
        self.remove_request(&replaced);
        let freed = replaced.billable_bytes();
        self.mark(&request.account, now, freed, Some(Operation::Replace));
        let number = self.next_number();
        self.want_pin(&request, now, number)?;
        self.announce(number, request.asked.cid);
        if replaced.asked.cid == request.asked.cid {
            self.unwant_pin(&replaced.asked.cid, number)?;
        } else {
            let number = self.next_number();
            self.unwant_pin(&replaced.asked.cid, number)?;
            self.announce(number, replaced.asked.cid);
        }
        Ok(request)
    }

    pub(crate) fn delete_request(
        &mut self,
        account: &AccountId,
        id: RequestId,
        now: UnixMillis,
    ) -> Result<()> {
        let request = self.own_request(account, id)?.clone();
        self.remove_request(&request);
        let freed = request.billable_bytes();
        self.mark(account, now, freed, Some(Operation::Unpin));
        let number = self.next_number();
        self.unwant_pin(&request.asked.cid, number)?;
        self.announce(number, request.asked.cid);
        Ok(())
    }

    pub(crate) fn settle_request(
        &mut self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let request = self
            .requests
            .get_mut(&id)
            .ok_or(StoreError::NotFound(REQUEST))?;
        if request.version != version {
            return Err(StoreError::Conflict(REQUEST));
        }
        let before = request.billable_bytes();
        request.status = outcome.status;
        request.dag_size = outcome.dag_size.or(request.dag_size);
        request.details = outcome.details;
        request.updated = now;
        request.version += 1;
        let settled = request.clone();
        let after = settled.billable_bytes();
        if before != after {
            let account = self.accounts.entry(settled.account.clone()).or_default();
            account.mark(now, before, after, None);
        }
        Ok(settled)
    }

    pub(crate) fn request(&self, id: RequestId) -> Option<PinRequest> {
        self.requests.get(&id).cloned()
    }

    pub(crate) fn requests(
        &self,
        account: &AccountId,
        filter: &RequestFilter,
        limit: u32,
    ) -> Vec<PinRequest> {
        self.requests_of(account)
            .filter(|request| filter.matches(request))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    pub(crate) fn count_requests(&self, account: &AccountId, filter: &RequestFilter) -> u64 {
        let meant = self.requests_of(account).filter(|r| filter.matches(r));
        meant.count() as u64
    }

    pub(crate) fn holdings(&self, account: &AccountId) -> Holdings {
        let mut held = Holdings::default();
        for request in self.requests_of(account) {
            *held.counts.get_mut(request.status) += 1;
            held.pinned_bytes += u128::from(request.billable_bytes());
        }
        held
    }

    pub(crate) fn requests_of_pin(
        &self,
        cid: &Cid,
        after: Option<&PinRequest>,
        limit: u32,
    ) -> Vec<PinRequest> {
        self.requests
            .values()
            .filter(|r| r.asked.cid == *cid && after.is_none_or(|after| r.id > after.id))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    pub(crate) fn expired_requests(&self, now: UnixMillis, limit: u32) -> Vec<PinRequest> {
        let mut expired: Vec<_> = self
            .requests
            .values()
            .filter(|r| r.asked.expires.is_some_and(|end| end <= now))
            .cloned()
            .collect();
        expired.sort_by_key(|r| (r.asked.expires, r.id));
        expired.truncate(limit as usize);
        expired
    }

    pub(crate) fn usage(&self, account: &AccountId, period: Period) -> Usage {
        let before = |end: UnixMillis| -> Option<UsageMark> {
            let marks = &self.accounts.get(account)?.marks;
            marks.range(..end).next_back().map(|(_, mark)| *mark)
        };
        Usage::between(period, before(period.start), before(period.end))
    }

    pub(crate) fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Vec<AccountId> {
        self.accounts
            .keys()
            .filter(|id| after.is_none_or(|after| *id > after))
            .take(limit as usize)
            .cloned()
            .collect()
    }

    /// An account's requests, newest first.
    fn requests_of(&self, account: &AccountId) -> impl Iterator<Item = &PinRequest> {
        let account = self.accounts.get(account);
        let ids = account.into_iter().flat_map(|a| a.requests.values().rev());
        ids.filter_map(|id| self.requests.get(id))
    }

    fn own_request(&self, account: &AccountId, id: RequestId) -> Result<&PinRequest> {
        let request = self.requests.get(&id).filter(|r| r.account == *account);
        request.ok_or(StoreError::NotFound(REQUEST))
    }

    fn insert_request(&mut self, draft: RequestDraft, now: UnixMillis) -> Result<PinRequest> {
        let Entry::Vacant(place) = self.requests.entry(draft.id) else {
            return Err(StoreError::Conflict(REQUEST));
        };
        let newest = self.accounts.get(&draft.account).and_then(|a| a.newest);
        let created = created_after(newest, now)?;
        let request = place.insert(begin_request(draft, created, now)).clone();
        let account = self.accounts.entry(request.account.clone()).or_default();
        account.requests.insert(created, request.id);
        account.newest = Some(created);
        Ok(request)
    }

    fn remove_request(&mut self, request: &PinRequest) {
        self.requests.remove(&request.id);
        if let Some(account) = self.accounts.get_mut(&request.account) {
            account.requests.remove(&request.created);
        }
    }

    fn mark(
        &mut self,
        account: &AccountId,
        now: UnixMillis,
        freed: u64,
        operation: Option<Operation>,
    ) {
        let account = self.accounts.entry(account.clone()).or_default();
        account.mark(now, freed, 0, operation);
    }

    fn want_pin(&mut self, request: &PinRequest, now: UnixMillis, version: u64) -> Result<()> {
        match self.pins.entry(request.asked.cid.to_bytes()) {
            Entry::Occupied(mut pin) => {
                pin.get_mut().requests += 1;
                pin.get_mut().version = version;
            }
            Entry::Vacant(place) => {
                place.insert(StoredPin {
                    pin: begin_pin(&request.asked, now)?.0,
                    version,
                    requests: 1,
                    by_cluster: false,
                });
            }
        }
        Ok(())
    }

    fn unwant_pin(&mut self, cid: &Cid, version: u64) -> Result<()> {
        let Entry::Occupied(mut pin) = self.pins.entry(cid.to_bytes()) else {
            return Err(StoreError::NotFound(PIN));
        };
        pin.get_mut().requests -= 1;
        pin.get_mut().version = version;
        if !pin.get().is_wanted() {
            pin.remove();
        }
        Ok(())
    }
}

impl Account {
    fn mark(&mut self, now: UnixMillis, before: u64, after: u64, operation: Option<Operation>) {
        let last = self.marks.last_key_value();
        let last = last.map(|(_, mark)| *mark).unwrap_or_default();
        let mark = last.next(now, before, after, operation);
        self.marks.insert(mark.at, mark);
    }
}

//! Writes to pin requests, with everything that hangs on them: lists, counts, usage, pins, feed.

use super::draft::Draft;
use super::key;
use super::table::Table;
use crate::error::StoreError;
use crate::row::{
    Account, AccountRow, MarkRow, decode, decode_request, encode, encode_request, status_number,
};
use crate::rules::{REQUEST, begin_request, created_after};
use crate::{Outcome, RequestDraft, Result};
use holdfast_model::{AccountId, Operation, PinRequest, RequestId, UnixMillis};

impl Draft<'_> {
    pub(super) fn create_request(
        &mut self,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let mut account = self.account(&draft.account)?;
        let request = self.insert_request(draft, &mut account, now)?;
        account.mark = account.mark.next(now, 0, 0, Some(Operation::Pin));
        self.put_account(&request.account, &account)?;
        let number = self.next_number();
        self.want_pin(&request.asked, now, number)?;
        self.announce(number, &request.asked.cid);
        Ok(request)
    }

    pub(super) fn replace_request(
        &mut self,
        old: RequestId,
        draft: RequestDraft,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let replaced = self.own_request(&draft.account, old)?;
        let mut account = self.account(&draft.account)?;
        let request = self.insert_request(draft, &mut account, now)?;
        self.remove_request(&replaced, &mut account);
        let freed = replaced.billable_bytes();
        account.mark = account.mark.next(now, freed, 0, Some(Operation::Replace));
        self.put_account(&request.account, &account)?;
        let number = self.next_number();
        self.announce(number, &request.asked.cid);
        if replaced.asked.cid == request.asked.cid {
            return self.touch_pin(&request.asked.cid, number).map(|()| request);
        }
        self.want_pin(&request.asked, now, number)?;
        let number = self.next_number();
        self.unwant_pin(&replaced.asked.cid, number)?;
        self.announce(number, &replaced.asked.cid);
        Ok(request)
    }

    pub(super) fn delete_request(
        &mut self,
        account: &AccountId,
        id: RequestId,
        now: UnixMillis,
    ) -> Result<()> {
        let request = self.own_request(account, id)?;
        let mut account = self.account(account)?;
        self.remove_request(&request, &mut account);
        let freed = request.billable_bytes();
        account.mark = account.mark.next(now, freed, 0, Some(Operation::Unpin));
        self.put_account(&request.account, &account)?;
        let number = self.next_number();
        self.unwant_pin(&request.asked.cid, number)?;
        self.announce(number, &request.asked.cid);
        Ok(())
    }

    pub(super) fn settle_request(
        &mut self,
        id: RequestId,
        version: u64,
        outcome: Outcome,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        let old = self.request(id)?.ok_or(StoreError::NotFound(REQUEST))?;
        if old.version != version {
            return Err(StoreError::Conflict(REQUEST));
        }
        let settled = PinRequest {
            status: outcome.status,
            dag_size: outcome.dag_size.or(old.dag_size),
            details: outcome.details,
            updated: now,
            version: version + 1,
            ..old.clone()
        };
        let (before, after) = (old.billable_bytes(), settled.billable_bytes());
        if before != after || old.status != settled.status {
            let mut account = self.account(&settled.account)?;
            count_down(&mut account, &old);
            *account.counts.get_mut(settled.status) += 1;
            if before != after {
                account.mark = account.mark.next(now, before, after, None);
                self.put_mark(&settled.account, &account)?;
            }
            self.put_account_row(&settled.account, &account)?;
        }
        self.put(Table::Requests, key::request(id), encode_request(&settled)?);
        if old.status != settled.status {
            self.list(&settled);
        }
        Ok(settled)
    }

    fn request(&self, id: RequestId) -> Result<Option<PinRequest>> {
        let row = self.get(Table::Requests, &key::request(id))?;
        row.map(|row| decode_request(id, &row)).transpose()
    }

    fn own_request(&self, account: &AccountId, id: RequestId) -> Result<PinRequest> {
        let request = self.request(id)?.filter(|r| r.account == *account);
        request.ok_or(StoreError::NotFound(REQUEST))
    }

    fn account(&self, id: &AccountId) -> Result<Account> {
        let row = self.get(Table::Accounts, id.as_str().as_bytes())?;
        let row = row.map(|row| decode::<AccountRow>("account", &row));
        Ok(row.transpose()?.map(Account::from).unwrap_or_default())
    }

    /// Writes an account whose usage mark has moved.
    fn put_account(&mut self, id: &AccountId, account: &Account) -> Result<()> {
        self.put_mark(id, account)?;
        self.put_account_row(id, account)
    }

    fn put_account_row(&mut self, id: &AccountId, account: &Account) -> Result<()> {
        let row = encode(&AccountRow::from(account))?;
        self.put(Table::Accounts, id.as_str().as_bytes().to_vec(), row);
        Ok(())
    }

    /// Writes the account's last mark. One of the same instant is replaced: marks are cumulative.
    fn put_mark(&mut self, id: &AccountId, account: &Account) -> Result<()> {
        let row = encode(&MarkRow::from(&account.mark))?;
        self.put(Table::Marks, key::mark(id, account.mark.at), row);
        Ok(())
    }

    fn insert_request(
        &mut self,
        draft: RequestDraft,
        account: &mut Account,
        now: UnixMillis,
    ) -> Result<PinRequest> {
        if self
            .get(Table::Requests, &key::request(draft.id))?
            .is_some()
        {
            return Err(StoreError::Conflict(REQUEST));
        }
        let created = created_after(account.newest, now)?;
        let request = begin_request(draft, created, now);
        account.newest = Some(created);
        *account.counts.get_mut(request.status) += 1;
        let (id, asked) = (request.id, &request.asked);
        self.put(Table::Requests, key::request(id), encode_request(&request)?);
        self.list(&request);
        let of_account = key::account_pin(&request.account, &asked.cid, created);
        self.put(Table::AccountPins, of_account, id.0.as_bytes());
        self.put(Table::PinRequests, key::pin_request(&asked.cid, id), []);
        if let Some(expires) = asked.expires {
            self.put(Table::RequestExpiry, key::at(expires, id.0.as_bytes()), []);
        }
        Ok(request)
    }

    fn remove_request(&mut self, request: &PinRequest, account: &mut Account) {
        let PinRequest {
            id, created, asked, ..
        } = request;
        count_down(account, request);
        self.remove(Table::Requests, key::request(*id));
        self.remove(Table::Listing, key::listing(&request.account, *created));
        let of_account = key::account_pin(&request.account, &asked.cid, *created);
        self.remove(Table::AccountPins, of_account);
        self.remove(Table::PinRequests, key::pin_request(&asked.cid, *id));
        if let Some(expires) = asked.expires {
            self.remove(Table::RequestExpiry, key::at(expires, id.0.as_bytes()));
        }
    }

    /// Writes a request's entry in its account's list, where its status stands beside its id.
    fn list(&mut self, request: &PinRequest) {
        let mut entry = vec![status_number(request.status)];
        entry.extend_from_slice(request.id.0.as_bytes());
        let place = key::listing(&request.account, request.created);
        self.put(Table::Listing, place, entry);
    }
}

fn count_down(account: &mut Account, request: &PinRequest) {
    let count = account.counts.get_mut(request.status);
    *count = count.saturating_sub(1);
}

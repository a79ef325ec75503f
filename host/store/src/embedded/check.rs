//! The consistency walk: every index, count and mark against the rows that it follows from.

mod audit;

use super::key;
use super::keys::key_hash;
use super::table::{Table, Tables, View};
use crate::Result;
use crate::row::{
    Account, AccountRow, MarkRow, PinRow, decode, decode_key, decode_placement, decode_record,
    decode_request, status_number,
};
use holdfast_model::{AccountId, Cid, StatusCounts, UnixMillis, UsageMark};
use std::collections::BTreeMap;

/// Faults told at most: a damaged store has either a few or more than anybody reads.
const FAULTS_MAX: usize = 100;

/// What is wrong with the database, in words; nothing if all is well.
pub(super) fn faults(tables: &Tables) -> Result<Vec<String>> {
    let view = tables.view();
    let mut walk = Walk {
        view: &view,
        faults: Vec::new(),
    };
    walk.requests()?;
    walk.pins()?;
    walk.placements()?;
    walk.keys()?;
    walk.records()?;
    walk.audit()?;
    walk.feed()?;
    Ok(walk.faults)
}

struct Walk<'v> {
    view: &'v View<'v>,
    faults: Vec<String>,
}

/// What an account's row must say, from its requests.
#[derive(Default)]
struct Tally {
    counts: StatusCounts,
    billable: u128,
    newest: Option<UnixMillis>,
}

impl Walk<'_> {
    fn fault(&mut self, what: impl FnOnce() -> String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(what());
        }
    }

    /// An index entry must be there, with this value.
    fn indexed(&mut self, table: Table, place: &[u8], value: &[u8], of: &str) -> Result<()> {
        if self.view.get(table, place)?.as_deref() != Some(value) {
            self.fault(|| format!("{} lacks {of}", table.name()));
        }
        Ok(())
    }

    /// An index must have as many entries as its rows account for: all of those have been looked
    /// up, so any further one leads nowhere.
    fn sized(&mut self, table: Table, expected: u64) -> Result<()> {
        let mut found = 0;
        for entry in self.view.all(table) {
            entry?;
            found += 1;
        }
        if found != expected {
            self.fault(|| {
                format!(
                    "{} has {found} entries, its rows account for {expected}",
                    table.name()
                )
            });
        }
        Ok(())
    }

    fn requests(&mut self) -> Result<()> {
        let mut accounts: BTreeMap<AccountId, Tally> = BTreeMap::new();
        let (mut rows, mut expiring) = (0, 0);
        for entry in self.view.all(Table::Requests) {
            let (place, row) = entry?;
            let r = decode_request(key::request_id_at_end(&place)?, &row)?;
            let (id, of) = (r.id.0.as_bytes(), format!("request {}", r.id));
            let listed = [&[status_number(r.status)], id.as_slice()].concat();
            self.indexed(
                Table::Listing,
                &key::listing(&r.account, r.created),
                &listed,
                &of,
            )?;
            let of_account = key::account_pin(&r.account, &r.asked.cid, r.created);
            self.indexed(Table::AccountPins, &of_account, id, &of)?;
            let of_pin = key::pin_request(&r.asked.cid, r.id);
            self.indexed(Table::PinRequests, &of_pin, &[], &of)?;
            if let Some(expires) = r.asked.expires {
                self.indexed(Table::RequestExpiry, &key::at(expires, id), &[], &of)?;
                expiring += 1;
            }
            rows += 1;
            let tally = accounts.entry(r.account.clone()).or_default();
            *tally.counts.get_mut(r.status) += 1;
            tally.billable += u128::from(r.billable_bytes());
            tally.newest = tally.newest.max(Some(r.created));
        }
        for table in [Table::Listing, Table::AccountPins, Table::PinRequests] {
            self.sized(table, rows)?;
        }
        self.sized(Table::RequestExpiry, expiring)?;
        self.accounts(accounts)
    }

    fn accounts(&mut self, mut tallies: BTreeMap<AccountId, Tally>) -> Result<()> {
        for entry in self.view.all(Table::Accounts) {
            let (name, row) = entry?;
            let name = String::from_utf8_lossy(&name);
            let account = Account::from(decode::<AccountRow>("account", &row)?);
            let Ok(id) = AccountId::parse(&name) else {
                self.fault(|| format!("{name:?} is no account"));
                continue;
            };
            let tally = tallies.remove(&id).unwrap_or_default();
            if account.counts != tally.counts {
                self.fault(|| {
                    format!(
                        "{id} counts {:?} and has {:?}",
                        account.counts, tally.counts
                    )
                });
            }
            if account.mark.level_bytes != tally.billable {
                let level = account.mark.level_bytes;
                self.fault(|| format!("{id} has {} bytes pinned, marked {level}", tally.billable));
            }
            if account.newest < tally.newest {
                self.fault(|| format!("{id} has a newer request than it knows of"));
            }
            self.marks(&id, &account.mark)?;
        }
        for id in tallies.into_keys() {
            self.fault(|| format!("{id} has requests and no row"));
        }
        Ok(())
    }

    /// Each mark must follow from the one before: the integral grows by level times time.
    fn marks(&mut self, id: &AccountId, last: &UsageMark) -> Result<()> {
        let mut before = UsageMark::default();
        let prefix = key::of_account(id);
        for entry in self.view.range(Table::Marks, key::page(&prefix, None)) {
            let mark = UsageMark::from(decode::<MarkRow>("usage", &entry?.1)?);
            if before.byte_millis_at(mark.at) != mark.byte_millis {
                self.fault(|| format!("usage of {id} breaks at {}", mark.at));
            }
            before = mark;
        }
        if before != *last {
            self.fault(|| format!("the last usage mark of {id} is not the one in its row"));
        }
        Ok(())
    }

    fn pins(&mut self) -> Result<()> {
        let (mut wanted, mut expiring) = (0, 0);
        for entry in self.view.all(Table::Pins) {
            let (place, row) = entry?;
            let cid = key::cid(&place)?;
            let pin: PinRow<'_> = decode("pin", &row)?;
            let requests = self.requests_of(&cid)?;
            if pin.requests != requests || !pin.is_wanted() {
                self.fault(|| format!("pin {cid} counts {} requests of {requests}", pin.requests));
            }
            wanted += requests;
            if let Some(expires) = pin.expires() {
                self.indexed(
                    Table::PinExpiry,
                    &key::at(expires, &place),
                    &[],
                    "a pin's expiry",
                )?;
                expiring += 1;
            }
            let stored = pin.into_pin()?;
            if stored.pin.cid != cid {
                self.fault(|| format!("pin {cid} holds {}", stored.pin.cid));
            }
        }
        self.sized(Table::PinRequests, wanted)?;
        self.sized(Table::PinExpiry, expiring)
    }

    fn requests_of(&self, cid: &Cid) -> Result<u64> {
        let mut count = 0;
        for entry in self
            .view
            .range(Table::PinRequests, key::page(&cid.to_bytes(), None))
        {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    fn placements(&mut self) -> Result<()> {
        let (mut rows, mut due) = (0, 0);
        for entry in self.view.all(Table::Placements) {
            let p = decode_placement(&entry?.1)?;
            let of = format!("the placement of {} on {}", p.cid, p.peer);
            let of_peer = key::peer_placement(&p.peer, &p.cid);
            self.indexed(Table::PeerPlacements, &of_peer, &[], &of)?;
            if let Some(at) = p.due {
                self.indexed(Table::Due, &key::due(&p.peer, at, &p.cid), &[], &of)?;
                due += 1;
            }
            rows += 1;
        }
        self.sized(Table::PeerPlacements, rows)?;
        self.sized(Table::Due, due)
    }

    fn keys(&mut self) -> Result<()> {
        let mut rows = 0;
        for entry in self.view.all(Table::Keys) {
            let (hash, row) = entry?;
            let k = decode_key(key_hash(&hash)?, &row)?;
            let of = format!("key {}", k.id);
            self.indexed(Table::KeyIds, k.id.as_str().as_bytes(), &hash, &of)?;
            let of_tenant = key::tenant_key(k.account.tenant(), &k.id);
            self.indexed(Table::TenantKeys, &of_tenant, &hash, &of)?;
            rows += 1;
        }
        self.sized(Table::KeyIds, rows)?;
        self.sized(Table::TenantKeys, rows)
    }

    fn records(&mut self) -> Result<()> {
        let mut expiring = 0;
        for entry in self.view.all(Table::Records) {
            let (place, row) = entry?;
            let row = decode_record(&row)?;
            let of = || {
                format!(
                    "record {}",
                    String::from_utf8_lossy(&place).replace('\0', "/")
                )
            };
            if serde_json::from_slice::<serde::de::IgnoredAny>(&row.json).is_err() {
                self.fault(|| format!("{} holds no JSON", of()));
            }
            if let Some(expires) = row.expires {
                self.indexed(Table::RecordExpiry, &key::at(expires, &place), &[], &of())?;
                expiring += 1;
            }
        }
        self.sized(Table::RecordExpiry, expiring)
    }

    /// The feed must lie between what was trimmed and its head.
    fn feed(&mut self) -> Result<()> {
        let numbers = self.view.numbers()?;
        for entry in self.view.all(Table::Feed) {
            let cursor = key::cursor_of(&entry?.0)?;
            if cursor <= numbers.trimmed() || cursor > numbers.head() {
                self.fault(|| format!("feed entry {} lies outside the feed", cursor.0));
            }
        }
        Ok(())
    }
}

//! Requests against their lists, wishes and accounts.

use super::Walk;
use crate::Result;
use crate::cql::statement::Statement;
use crate::row::{MarkRow, decode, decode_request, status_number};
use holdfast_model::{PinRequest, RequestId, StatusCounts, UsageMark};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use uuid::Uuid;

/// Requests, in the expiry index.
const KIND: i8 = 0;

type Listed = (String, i32, i64, Uuid, i8, Vec<u8>, Vec<u8>);
type Head = (String, i64, i64, i64, i64, i64, i64, Vec<u8>);
type Marks = BTreeMap<i64, UsageMark>;

/// What is known of a request.
struct Known {
    account: String,
    bucket: i32,
    created: i64,
    status: i8,
    cid: Vec<u8>,
    body: u64,
    is_listed: bool,
    is_wished: bool,
}

/// What an account's row must say, from its requests.
#[derive(Default)]
struct Tally {
    counts: StatusCounts,
    billable: u128,
    newest: i64,
    number: u64,
}

impl Walk<'_> {
    pub(super) async fn requests(&mut self) -> Result<()> {
        let rows: Vec<(Uuid, i32, Vec<u8>)> = self.all(Statement::ScanRequests).await?;
        let mut known = HashMap::with_capacity(rows.len());
        let mut tallies: HashMap<String, Tally> = HashMap::new();
        for (id, bucket, body) in rows {
            let request = decode_request(RequestId(id), &body)?;
            tallies
                .entry(request.account.as_str().to_owned())
                .or_default()
                .add(&request);
            if let Some(at) = request.asked.expires {
                let entry = (KIND, signed(at.as_millis()), id.as_bytes().to_vec());
                if !self.expiry.contains(&entry) {
                    self.fault(|| format!("expiry lacks request {id}"));
                }
            }
            known.insert(id, Known::of(&request, bucket, &body));
        }
        self.listing(&mut known).await?;
        self.wishes(&mut known).await?;
        for (id, known) in &known {
            if !known.is_listed {
                self.fault(|| format!("the list of {} lacks request {id}", known.account));
            }
            if !known.is_wished {
                self.fault(|| format!("pin_requests lacks request {id}"));
            }
        }
        self.accounts(tallies).await
    }

    async fn listing(&mut self, known: &mut HashMap<Uuid, Known>) -> Result<()> {
        let buckets: Vec<(String, i64, i32)> = self.all(Statement::ScanBuckets).await?;
        let buckets: HashMap<_, _> = buckets
            .into_iter()
            .map(|(account, first, bucket)| ((account, bucket), first))
            .collect();
        let rows: Vec<Listed> = self.all(Statement::ScanListing).await?;
        for (account, bucket, created, id, status, cid, body) in rows {
            let Some(request) = known.get_mut(&id) else {
                self.fault(|| {
                    format!("the list of {account} has request {id}, which is not there")
                });
                continue;
            };
            let is_same = request.account == account
                && request.bucket == bucket
                && request.created == created
                && request.status == status
                && request.cid == cid
                && request.body == hash(&body);
            request.is_listed |= is_same;
            if !is_same {
                self.fault(|| format!("the list of {account} shows request {id} otherwise"));
            }
            let first = buckets.get(&(account, bucket));
            if first.is_none_or(|first| *first > created) {
                self.fault(|| format!("request {id} lies in a bucket that nobody looks into"));
            }
        }
        Ok(())
    }

    async fn wishes(&mut self, known: &mut HashMap<Uuid, Known>) -> Result<()> {
        let rows: Vec<(i32, Vec<u8>, String, Uuid)> = self.all(Statement::ScanWishes).await?;
        for (prefix, cid, account, id) in rows {
            let request = known.get_mut(&id);
            match request.filter(|r| r.account == account && r.cid == cid) {
                Some(request) => {
                    request.is_wished = true;
                    let is_there = self.is_prefix_of(prefix, &cid)?;
                    if !is_there {
                        self.fault(|| format!("request {id} lies at prefix {prefix}"));
                    }
                }
                None => self.fault(|| {
                    format!("pin_requests has request {id} of {account}, which is not there")
                }),
            }
            *self.wanted.entry(cid).or_default() += 1;
        }
        Ok(())
    }

    async fn accounts(&mut self, mut tallies: HashMap<String, Tally>) -> Result<()> {
        let mut marks = self.marks().await?;
        let heads: Vec<Head> = self.all(Statement::ScanAccounts).await?;
        for (id, queued, pinning, pinned, failed, newest, made, mark) in heads {
            let tally = tallies.remove(&id).unwrap_or_default();
            let counts = [queued, pinning, pinned, failed].map(i64::unsigned_abs);
            if counts != tally.in_order() {
                self.fault(|| format!("{id} counts {counts:?} and has {:?}", tally.in_order()));
            }
            if made.unsigned_abs() < tally.number || newest < tally.newest {
                self.fault(|| format!("{id} has a newer request than it knows of"));
            }
            let mark = UsageMark::from(decode::<MarkRow>("usage mark", &mark)?);
            if mark.level_bytes != tally.billable {
                let level = mark.level_bytes;
                self.fault(|| format!("{id} has {} bytes pinned, marked {level}", tally.billable));
            }
            let marks = marks.remove(&id).unwrap_or_default();
            self.marks_of(&id, &marks, &mark);
        }
        for id in tallies.into_keys() {
            self.fault(|| format!("{id} has requests and no row"));
        }
        for id in marks.into_keys() {
            self.fault(|| format!("{id} has usage marks and no row"));
        }
        Ok(())
    }

    async fn marks(&mut self) -> Result<HashMap<String, Marks>> {
        let slots: Vec<(String, i64)> = self.all(Statement::ScanUsageSlots).await?;
        let slots: HashSet<_> = slots.into_iter().collect();
        let rows: Vec<(String, i64, i64, Vec<u8>)> = self.all(Statement::ScanMarks).await?;
        let mut marks: HashMap<String, Marks> = HashMap::new();
        for (account, slot, at, mark) in rows {
            let mark = UsageMark::from(decode::<MarkRow>("usage mark", &mark)?);
            let place = (account, slot);
            if !slots.contains(&place) {
                self.fault(|| format!("usage of {} at {at} is not in its index", place.0));
            }
            marks.entry(place.0).or_default().insert(at, mark);
        }
        Ok(marks)
    }

    /// Each mark must follow from the one before: the integral grows by level times time.
    fn marks_of(&mut self, id: &str, marks: &Marks, last: &UsageMark) {
        let mut before = UsageMark::default();
        for (at, mark) in marks {
            let is_right = before.byte_millis_at(mark.at) == mark.byte_millis;
            if !is_right || *at != signed(mark.at.as_millis()) {
                self.fault(|| format!("usage of {id} breaks at {}", mark.at));
            }
            before = *mark;
        }
        if before != *last {
            self.fault(|| format!("the last usage mark of {id} is not the one in its row"));
        }
    }
}

impl Known {
    fn of(request: &PinRequest, bucket: i32, body: &[u8]) -> Self {
        Self {
            account: request.account.as_str().to_owned(),
            bucket,
            created: signed(request.created.as_millis()),
            status: i8::from_be_bytes([status_number(request.status)]),
            cid: request.asked.cid.to_bytes(),
            body: hash(body),
            is_listed: false,
            is_wished: false,
        }
    }
}

impl Tally {
    fn add(&mut self, request: &PinRequest) {
        *self.counts.get_mut(request.status) += 1;
        self.billable += u128::from(request.billable_bytes());
        self.newest = self.newest.max(signed(request.created.as_millis()));
        self.number += 1;
    }

    const fn in_order(&self) -> [u64; 4] {
        let StatusCounts {
            queued,
            pinning,
            pinned,
            failed,
        } = self.counts;
        [queued, pinning, pinned, failed]
    }
}

fn hash(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

//! Conditional writes whose outcome nobody tells while others write the same rows.
//!
//! The first store's conditional writes are carried out, but what it hears is a timeout each time,
//! until others have written. Then its repeat is refused, and only the row's trail can tell it what
//! became of its write.

use super::*;
use crate::contract::Backend;
use crate::contract::audit::run;
use crate::contract::sample::{at, cid, draft, key, peer, placement, request_id};
use crate::cql::trail::TRAIL_MAX;
use crate::cql::trial::Trial;
use crate::cql::{Cql, Statement, Stop};
use crate::record::{RawRecord, RecordKey};
use crate::rules::begin_tenant;
use crate::{Expect, RequestDraft, StoreError};
use holdfast_model::{
    AccountId, AuditHead, Cid, Pin, Placement, RequestFilter, StoredPin, TenantId,
};
use scylla::errors::{DbError, WriteType};
use std::future::Future;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long the others may take to write: as long as a conditional write is repeated here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store that hears nothing of its conditional writes, and another process.
struct Meeting {
    mine: Cql,
    others: Cql,
    rig: Rig,
    trial: Trial,
}

impl Meeting {
    async fn start() -> Self {
        Self::start_in(Trial::start().await).await
    }

    async fn start_in(trial: Trial) -> Self {
        let (mine, others) = (trial.cql().clone(), trial.another().await);
        let rig = Rig::between(&mine, |settings| {
            settings.timeouts.condition = PATIENCE;
            settings.timeouts.read = PATIENCE;
        })
        .await;
        Self {
            mine,
            others,
            rig,
            trial,
        }
    }

    /// What conditional writes are answered is a timeout from now on; they are carried out.
    fn hush(&mut self) {
        self.hush_what(answers_a_condition());
    }

    /// As [`Meeting::hush`], but for writes that were refused: those answers have the row with
    /// them.
    fn hush_what_was_applied(&mut self) {
        let column = |name: &[u8]| Condition::BodyContainsCaseSensitive(name.into());
        let refused = column(b"\0\x02op").or(column(b"\0\x05value"));
        self.hush_what(answers_a_condition().and(Condition::not(refused)));
    }

    fn hush_what(&mut self, answer: Condition) {
        let timed_out = ResponseReaction::transform_frame(Arc::new(|frame| {
            let forged = ResponseFrame::forged_error(frame.params, write_timeout(), None);
            forged.unwrap()
        }));
        let rule = ResponseRule(answer, timed_out);
        self.rig.proxy.running_nodes[0].change_response_rules(Some(vec![rule]));
    }

    fn begin<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(call)
    }

    /// Puts a pin that is there, and has others put it so many times afterwards.
    async fn put(&self, n: u64, others: usize) -> JoinHandle<Result<StoredPin>> {
        let first = self.others.put_pin(pin(n), Expect::Absent).await.unwrap();
        let (mine, expect) = (self.mine.clone(), Expect::Version(first.version));
        let put = self.begin(async move { mine.put_pin(pin(n), expect).await });
        self.written(n, Some(first.version)).await;
        self.others_put(n, others).await;
        put
    }

    async fn others_put(&self, n: u64, times: usize) {
        for _ in 0..times {
            self.others.put_pin(pin(n), Expect::Any).await.unwrap();
        }
    }

    /// Waits until a pin no longer has this version.
    async fn written(&self, n: u64, before: Option<u64>) {
        let cid = cid(n).unwrap();
        until(async || {
            let found = self.others.pin(&cid).await.unwrap();
            found.map(|pin| pin.version) != before
        })
        .await;
    }
}

fn answers_a_condition() -> Condition {
    Condition::ResponseOpcode(ResponseOpcode::Result).and(Condition::BodyContainsCaseSensitive(
        b"[applied]".as_slice().into(),
    ))
}

async fn until(is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it does not come");
}

fn write_timeout() -> DbError {
    DbError::WriteTimeout {
        consistency: scylla::statement::Consistency::LocalQuorum,
        received: 0,
        required: 1,
        write_type: WriteType::Cas,
    }
}

fn of(n: u64) -> Cid {
    cid(n).unwrap()
}

fn pin(n: u64) -> Pin {
    Pin::recursive(of(n), at(1_000))
}

#[tokio::test]
async fn a_put_is_recognised_behind_others_and_not_behind_too_many() {
    let mut meeting = Meeting::start().await;
    meeting.hush();
    let cases = [(1, 1), (2, TRAIL_MAX - 1), (3, TRAIL_MAX)];
    let mut put = Vec::new();
    for (n, others) in cases {
        put.push((n, meeting.put(n, others).await));
    }
    meeting.rig.proxy.turn_off_rules();
    for (n, put) in put {
        let (put, found) = (put.await.unwrap(), meeting.others.pin(&of(n)).await);
        let found = found.unwrap().unwrap();
        match put {
            Ok(put) => assert!(n < 3 && put.version < found.version, "{n}"),
            Err(error) => {
                assert!(n == 3, "{n}: {error}");
                assert!(matches!(error, StoreError::Unsettled { .. }), "{error}");
            }
        }
    }
}

/// Making, deleting and placing a pin, each followed by others before anybody has told.
#[tokio::test]
async fn every_change_of_a_pin_is_recognised() {
    let mut meeting = Meeting::start().await;
    let mut first = Vec::new();
    for n in [1, 2, 3] {
        first.push(
            meeting
                .others
                .put_pin(pin(n), Expect::Absent)
                .await
                .unwrap(),
        );
    }
    meeting.hush();
    let [mine, again, third] = [(); 3].map(|()| meeting.mine.clone());
    let deletion = Expect::Version(first[0].version);
    let deleted = meeting.begin(async move { mine.delete_pin(&of(1), deletion).await });
    meeting.written(1, Some(first[0].version)).await;
    meeting.others_put(1, 2).await;

    let version = first[1].version;
    let peers = vec![peer(1).unwrap()];
    let placed = meeting.begin(async move { again.allocate_pin(&of(2), version, peers).await });
    meeting.written(2, Some(version)).await;
    meeting.others_put(2, 2).await;

    // A grave remembers who made what lies in it, and who lay there before it was made again.
    let made = meeting.begin(async move { third.put_pin(pin(4), Expect::Absent).await });
    meeting.written(4, None).await;
    let others = &meeting.others;
    others.delete_pin(&of(4), Expect::Any).await.unwrap();
    others.delete_pin(&of(3), Expect::Any).await.unwrap();
    let mine = meeting.mine.clone();
    let revived = meeting.begin(async move { mine.put_pin(pin(3), Expect::Absent).await });
    meeting.written(3, None).await;
    others.delete_pin(&of(3), Expect::Any).await.unwrap();
    meeting.others_put(3, 1).await;

    meeting.rig.proxy.turn_off_rules();
    deleted.await.unwrap().unwrap();
    let placed = placed.await.unwrap().unwrap();
    assert_eq!(placed.pin.allocations, [peer(1).unwrap()]);
    assert!(made.await.unwrap().unwrap().version > 0);
    assert!(revived.await.unwrap().unwrap().version > first[2].version);
    // What the others did stands.
    assert_eq!(meeting.others.pin(&of(4)).await.unwrap(), None);
    for n in [1, 2, 3] {
        let found = meeting.others.pin(&of(n)).await.unwrap().unwrap();
        assert_eq!(found.pin.allocations, [], "{n}");
    }
}

#[tokio::test]
async fn every_change_of_a_placement_is_recognised() {
    let mut meeting = Meeting::start().await;
    let others = meeting.others.clone();
    let found = async |n: u64| {
        let found = others.placement(&of(n), &peer(1).unwrap()).await.unwrap();
        found.map(|placement| placement.version)
    };
    let given = |n: u64| -> Placement { placement(n, 1).unwrap() };
    let [first, second] = [1, 2].map(given);
    let first = others.put_placement(first, Expect::Absent).await.unwrap();
    let second = others.put_placement(second, Expect::Absent).await.unwrap();
    meeting.hush();

    let (mine, version) = (meeting.mine.clone(), first.version);
    let put = meeting.begin(async move {
        let changed = placement(1, 1).unwrap();
        mine.put_placement(changed, Expect::Version(version)).await
    });
    until(async || found(1).await != Some(version)).await;
    others.put_placement(given(1), Expect::Any).await.unwrap();

    let (mine, version) = (meeting.mine.clone(), second.version);
    let deleted = meeting.begin(async move {
        let expect = Expect::Version(version);
        mine.delete_placement(&of(2), &peer(1).unwrap(), expect)
            .await
    });
    until(async || found(2).await.is_none()).await;
    others
        .put_placement(given(2), Expect::Absent)
        .await
        .unwrap();

    let mine = meeting.mine.clone();
    let made = meeting.begin(async move {
        let new = placement(3, 1).unwrap();
        mine.put_placement(new, Expect::Absent).await
    });
    until(async || found(3).await.is_some()).await;
    let peer = peer(1).unwrap();
    others
        .delete_placement(&of(3), &peer, Expect::Any)
        .await
        .unwrap();

    meeting.rig.proxy.turn_off_rules();
    assert!(put.await.unwrap().unwrap().version > first.version);
    deleted.await.unwrap().unwrap();
    assert!(made.await.unwrap().unwrap().version > 0);
    assert!(found(1).await.is_some() && found(2).await.is_some());
    assert_eq!(found(3).await, None);
    // What follows from placements follows from the others' alone.
    until(async || others.check().await.unwrap().is_empty()).await;
}

/// A write that never was is known as such: its condition has failed, or it is tried again.
#[tokio::test]
async fn what_was_not_written_is_known_not_to_be() {
    let mut meeting = Meeting::start().await;
    let mut first = Vec::new();
    for n in [1, 2] {
        first.push(
            meeting
                .others
                .put_pin(pin(n), Expect::Absent)
                .await
                .unwrap(),
        );
    }
    let forge = RequestReaction::forge_with_error(write_timeout());
    let mut heard = meeting.rig.first(Statement::PinPut, usize::MAX, forge);
    let [mine, again] = [(); 2].map(|()| meeting.mine.clone());
    let expect = Expect::Version(first[0].version);
    let refused = meeting.begin(async move { mine.put_pin(pin(1), expect).await });
    let written = meeting.begin(async move { again.put_pin(pin(2), Expect::Any).await });
    for _ in 0..4 {
        heard.0.recv().await.unwrap();
    }
    meeting.others_put(1, 2).await;
    meeting.others_put(2, 2).await;
    let before = meeting.others.pin(&of(2)).await.unwrap().unwrap();
    meeting.rig.proxy.turn_off_rules();
    let refused = refused.await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    let written = written.await.unwrap().unwrap();
    assert!(written.version > before.version);
    let found = meeting.others.pin(&of(2)).await.unwrap();
    assert_eq!(found, Some(written));
}

/// Requests of accounts that others make requests for too: the first of one, which makes the
/// account's head, and one more of another, which moves it.
#[tokio::test]
async fn a_request_is_recognised_behind_others_of_its_account() {
    let mut meeting = Meeting::start().await;
    let others = meeting.others.clone();
    let accounts = ["acme/web", "acme/new"].map(|name| AccountId::parse(name).unwrap());
    let asked = |id, account: &AccountId| RequestDraft {
        account: account.clone(),
        ..draft(id, id).unwrap()
    };
    let made = |id, account| others.create_request(asked(id, account), at(id));
    made(1, &accounts[0]).await.unwrap();

    let of_heads = Condition::BodyContainsCaseSensitive(b"accounts".as_slice().into());
    meeting.hush_what(answers_a_condition().and(of_heads));
    let mut mine = Vec::new();
    for (id, account) in (2..).zip(&accounts) {
        let (store, draft) = (meeting.mine.clone(), asked(id, account));
        mine.push(meeting.begin(async move { store.create_request(draft, at(id)).await }));
        let before = u64::from(id == 2);
        let has_moved = async || others.holdings(account).await.unwrap().counts.total() > before;
        until(has_moved).await;
        made(10 + id, account).await.unwrap();
        made(20 + id, account).await.unwrap();
    }
    meeting.rig.proxy.turn_off_rules();
    for (id, made) in (2..).zip(mine) {
        assert_eq!(made.await.unwrap().unwrap().id, request_id(id));
    }
    let all = RequestFilter::default();
    let wanted: [&[u64]; 2] = [&[22, 12, 2, 1], &[23, 13, 3]];
    for (account, wanted) in accounts.iter().zip(wanted) {
        let listed = others.requests(account, &all, 10);
        let ids: Vec<_> = listed.await.unwrap().iter().map(|one| one.id).collect();
        let wanted: Vec<_> = wanted.iter().map(|id| request_id(*id)).collect();
        assert_eq!(ids, wanted);
        let counts = others.holdings(account).await.unwrap().counts;
        assert_eq!(counts.total(), wanted.len() as u64);
    }
    assert_eq!(others.check().await.unwrap(), [""; 0]);
}

/// A tenant that was written is not written again over what others have made of it since.
#[tokio::test]
async fn a_tenant_is_written_once() {
    let mut meeting = Meeting::start().await;
    let id = TenantId::parse("tenant").unwrap();
    let of_instant = |n| begin_tenant(TenantId::parse("tenant").unwrap(), at(n));
    let others = meeting.others.clone();
    others.put_tenant(of_instant(1)).await.unwrap();
    meeting.hush();
    let mine = meeting.mine.clone();
    let put = meeting.begin(async move { mine.put_tenant(of_instant(2)).await });
    let is = async |n: u64| others.tenant(&id).await.unwrap() == Some(of_instant(n));
    until(async || is(2).await).await;
    others.put_tenant(of_instant(3)).await.unwrap();
    meeting.rig.proxy.turn_off_rules();
    put.await.unwrap().unwrap();
    assert!(is(3).await);
}

/// A nonce is taken once: who has taken it hears so, though it has been deleted since.
#[tokio::test]
async fn every_change_of_a_record_is_recognised() {
    let mut meeting = Meeting::start().await;
    let key = |id: &str| RecordKey::new("nonce", "tenant", id).unwrap();
    let row = |json: &str| RawRecord {
        version: 0,
        expires: None,
        json: json.as_bytes().to_vec(),
    };
    let others = meeting.others.clone();
    let found = async |id: &str| others.record(&key(id), at(1)).await.unwrap();
    let put = others.put_record(key("b"), row("0"), Expect::Absent, at(1));
    let first = put.await.unwrap();
    meeting.hush();
    let [mine, again] = [(); 2].map(|()| meeting.mine.clone());
    let taken = meeting.begin(async move {
        let key = RecordKey::new("nonce", "tenant", "a").unwrap();
        mine.put_record(key, row("1"), Expect::Absent, at(1)).await
    });
    until(async || found("a").await.is_some()).await;
    let gone = others.delete_record(key("a"), Expect::Any, at(1));
    gone.await.unwrap();
    let deleted = meeting.begin(async move {
        let key = RecordKey::new("nonce", "tenant", "b").unwrap();
        again
            .delete_record(key, Expect::Version(first), at(1))
            .await
    });
    until(async || found("b").await.is_none()).await;
    let put = others.put_record(key("b"), row("2"), Expect::Absent, at(1));
    put.await.unwrap();

    meeting.rig.proxy.turn_off_rules();
    assert!(taken.await.unwrap().unwrap() > 0);
    deleted.await.unwrap().unwrap();
    assert_eq!(found("a").await, None);
    assert_eq!(found("b").await.unwrap().json, b"2");
}

/// Claims are not trailed: nobody takes over one that is young, so whoever is not told whether he
/// has it looks. Here no claim, no taking over of a dead one's claim, and no key is ever told.
#[tokio::test]
async fn a_claim_that_nobody_told_of_is_still_had() {
    let mut meeting = Meeting::start_in(Trial::in_a_time_of_its_own().await).await;
    let dying = meeting.trial.another().await;
    dying.die_at(Stop::KeyClaimed);
    assert!(dying.add_first_key(key(1).unwrap()).await.is_err());
    let mine = meeting.mine.clone();
    meeting.hush_what_was_applied();
    assert!(!mine.add_first_key(key(1).unwrap()).await.is_ok_and(|is| is));
    // A minute later, as the clocks of all who read what was stamped then tell.
    let later = mine.shared.clock.reached() + 61_000_000;
    mine.shared.clock.observe(later);
    assert!(mine.add_first_key(key(1).unwrap()).await.unwrap());
    mine.add_key(key(2).unwrap()).await.unwrap();
    for n in [1, 2] {
        let key = key(n).unwrap();
        let found = meeting.others.key_by_hash(&key.hash).await.unwrap();
        assert_eq!(found, Some(key));
    }
}

/// An append is known to have happened however many have followed; one that somebody else's took
/// the place of is known not to have.
#[tokio::test]
async fn an_append_is_recognised_by_its_hash() {
    let mut meeting = Meeting::start().await;
    let others = meeting.others.clone();
    let anew = AuditHead::start("acme");
    let first = run(anew, 1, 1).unwrap();
    others.append_audit("acme", anew, &first).await.unwrap();
    let start = first[0].head();
    let entered = run(start, 2, 3).unwrap();
    meeting.hush();
    let [mine, again] = [(); 2].map(|()| meeting.mine.clone());
    let entries = entered.clone();
    let happened = meeting.begin(async move { mine.append_audit("acme", start, &entries).await });
    let head_is = async |seq: u64| others.audit_head("acme").await.unwrap().seq == seq;
    until(async || head_is(4).await).await;
    for seq in 5..=(TRAIL_MAX as u64 + 10) {
        let head = others.audit_head("acme").await.unwrap();
        let next = run(head, seq, 1).unwrap();
        others.append_audit("acme", head, &next).await.unwrap();
    }
    // It follows from what is the head no more.
    let third = entered[2].head();
    let rival = run(third, 77, 2).unwrap();
    let refused = meeting.begin(async move { again.append_audit("acme", third, &rival).await });
    meeting.rig.proxy.turn_off_rules();
    happened.await.unwrap().unwrap();
    let refused = refused.await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(_)), "{refused}");
    assert_eq!(meeting.others.check().await.unwrap(), [""; 0]);
}

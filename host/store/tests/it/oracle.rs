//! Any sequence of operations gives the same answers and the same store, in memory, on disk and in
//! a cluster.

mod chains;
mod notes;
mod place;

use holdfast_model::request::NameMatch;
use holdfast_model::{
    AccountId, Cid, Cursor, Period, Pin, RequestFilter, RequestStatus, Tenant, TenantId,
};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{
    at, cid, full_draft, key, pairs, peer, placement, request_id,
};
use holdfast_store::{Expect, Outcome, RequestDraft, Store};
use place::Place;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Sequences that are tried: each opens a store several times, which is most of what it costs.
const CASES: u32 = 24;

/// The same in a cluster, where an operation takes a hundred times as long.
const CLUSTER_CASES: u32 = 4;

/// For how long a cluster may not answer, or not tell of a change.
const PATIENCE: Duration = Duration::from_secs(60);

/// Operations of a sequence.
const STEPS_MAX: usize = 60;

/// Few of everything, so that operations meet. Request 0 is none: its id would be the nil UUID,
/// which nobody draws and which lists begin behind.
const ACCOUNTS: [&str; 3] = ["acme/web", "acme/web2", "zoo/web"];
const IDS: u64 = 10;
const CIDS: u64 = 4;
const PEERS: u8 = 2;
const KEYS: u8 = 4;
const INSTANTS: u64 = 4_000;

#[derive(Debug, Clone)]
enum Step {
    Create {
        id: u64,
        of: u64,
        account: usize,
        now: u64,
        expires: Option<u64>,
    },
    Replace {
        old: u64,
        id: u64,
        of: u64,
        account: usize,
        now: u64,
    },
    Delete {
        id: u64,
        account: usize,
        now: u64,
    },
    Settle {
        id: u64,
        seen: Seen,
        status: usize,
        size: Option<u64>,
        now: u64,
    },
    PutPin {
        of: u64,
        seen: Seen,
        expires: Option<u64>,
    },
    DeletePin {
        of: u64,
        seen: Seen,
    },
    Allocate {
        of: u64,
        seen: Seen,
        on: u8,
    },
    Place {
        of: u64,
        on: u8,
        seen: Seen,
        due: Option<u64>,
    },
    Unplace {
        of: u64,
        on: u8,
        seen: Seen,
    },
    Trim {
        percent: u64,
    },
    Follow {
        cursor: u64,
    },
    AddKey {
        n: u8,
        first: bool,
    },
    RevokeKey {
        n: u8,
        now: u64,
    },
    PutTenant {
        account: usize,
    },
    PutNote {
        n: usize,
        seen: Seen,
        until: Option<u64>,
        now: u64,
    },
    DeleteNote {
        n: usize,
        seen: Seen,
        now: u64,
    },
    Sweep {
        now: u64,
    },
    Chain(chains::Step),
    Reopen,
}

/// What a conditional write has seen of its row.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Nothing,
    Absence,
    TheRow,
    AnOlderRow,
}

impl Seen {
    fn expect(self, version: Option<u64>) -> Expect {
        match (self, version) {
            (Self::Nothing, _) => Expect::Any,
            (Self::Absence, _) => Expect::Absent,
            (Self::TheRow, version) => Expect::Version(version.unwrap_or(1)),
            (Self::AnOlderRow, version) => Expect::Version(version.unwrap_or(1).saturating_sub(1)),
        }
    }

    fn version(self, version: Option<u64>) -> u64 {
        match self.expect(version) {
            Expect::Version(version) => version,
            Expect::Any | Expect::Absent => version.unwrap_or(1),
        }
    }
}

fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        3 => Just(Seen::Nothing),
        1 => Just(Seen::Absence),
        4 => Just(Seen::TheRow),
        1 => Just(Seen::AnOlderRow),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (id, of, account, now) = (1..IDS, 0..CIDS, 0..ACCOUNTS.len(), 0..INSTANTS);
    let instant = || proptest::option::of(0..INSTANTS);
    let request = (id.clone(), of.clone(), account.clone(), now.clone());
    prop_oneof![
        8 => (request.clone(), instant()).prop_map(|((id, of, account, now), expires)| {
            Step::Create { id, of, account, now, expires }
        }),
        3 => (id.clone(), request).prop_map(|(old, (id, of, account, now))| {
            Step::Replace { old, id, of, account, now }
        }),
        3 => (id.clone(), account.clone(), now.clone())
            .prop_map(|(id, account, now)| Step::Delete { id, account, now }),
        6 => (id, seen(), 0..4_usize, proptest::option::of(0..100_u64), now.clone())
            .prop_map(|(id, seen, status, size, now)| Step::Settle { id, seen, status, size, now }),
        3 => (of.clone(), seen(), instant())
            .prop_map(|(of, seen, expires)| Step::PutPin { of, seen, expires }),
        2 => (of.clone(), seen()).prop_map(|(of, seen)| Step::DeletePin { of, seen }),
        1 => (of.clone(), seen(), 0..PEERS)
            .prop_map(|(of, seen, on)| Step::Allocate { of, seen, on }),
        4 => (of.clone(), 0..PEERS, seen(), instant())
            .prop_map(|(of, on, seen, due)| Step::Place { of, on, seen, due }),
        2 => (of, 0..PEERS, seen()).prop_map(|(of, on, seen)| Step::Unplace { of, on, seen }),
        1 => (0..120_u64).prop_map(|percent| Step::Trim { percent }),
        1 => (0..50_u64).prop_map(|cursor| Step::Follow { cursor }),
        2 => (0..KEYS, any::<bool>()).prop_map(|(n, first)| Step::AddKey { n, first }),
        1 => (0..KEYS, now.clone()).prop_map(|(n, now)| Step::RevokeKey { n, now }),
        3 => (account.clone(), seen(), instant(), now.clone())
            .prop_map(|(n, seen, until, now)| Step::PutNote { n, seen, until, now }),
        1 => (account.clone(), seen(), now.clone())
            .prop_map(|(n, seen, now)| Step::DeleteNote { n, seen, now }),
        1 => now.prop_map(|now| Step::Sweep { now }),
        1 => account.prop_map(|account| Step::PutTenant { account }),
        5 => chains::step().prop_map(Step::Chain),
        1 => Just(Step::Reopen),
    ]
}

/// An answer as text: errors cannot be compared otherwise.
fn told<T: Debug>(answer: holdfast_store::Result<T>) -> String {
    format!("{answer:?}")
}

/// What of an answer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lens {
    /// All of it: both draw their versions and cursors from a row of numbers.
    Exact,
    /// All but versions and cursors, which are times in a cluster, and orders of the backend's own.
    Meaning,
}

impl Lens {
    fn line(self, line: String) -> String {
        match self {
            Self::Exact => line,
            Self::Meaning => without_number(&without_number(&line, "version: "), "Cursor("),
        }
    }

    fn told<T: Debug>(self, answer: holdfast_store::Result<T>) -> String {
        self.line(told(answer))
    }

    /// Rows that each backend answers in an order of its own.
    fn rows<T: Debug>(self, answer: holdfast_store::Result<Vec<T>>) -> String {
        if self == Self::Exact {
            return told(answer);
        }
        let rows = answer.unwrap().into_iter();
        let mut rows: Vec<_> = rows.map(|row| self.line(format!("{row:?}"))).collect();
        rows.sort();
        format!("{rows:?}")
    }
}

/// A line without the numbers that stand after some words.
fn without_number(line: &str, after: &str) -> String {
    let mut parts = line.split(after);
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        left.push_str(after);
        left.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    left
}

fn account(n: usize) -> AccountId {
    AccountId::parse(ACCOUNTS[n]).unwrap()
}

fn draft(id: u64, of: u64, n: usize) -> RequestDraft {
    let mut draft = full_draft(id, of).unwrap();
    draft.account = account(n);
    draft
}

async fn take(store: &Store, step: &Step) -> String {
    match step.clone() {
        Step::Create {
            id,
            of,
            account,
            now,
            expires,
        } => {
            let mut draft = draft(id, of, account);
            draft.asked.expires = expires.map(at);
            told(store.create_request(draft, at(now)).await)
        }
        Step::Replace {
            old,
            id,
            of,
            account,
            now,
        } => {
            let draft = draft(id, of, account);
            told(store.replace_request(request_id(old), draft, at(now)).await)
        }
        Step::Delete {
            id,
            account: n,
            now,
        } => told(
            store
                .delete_request(&account(n), request_id(id), at(now))
                .await,
        ),
        Step::Settle {
            id,
            seen,
            status,
            size,
            now,
        } => {
            let request = store.request(request_id(id)).await.unwrap();
            let version = seen.version(request.map(|r| r.version));
            let outcome = Outcome {
                status: RequestStatus::ALL[status],
                dag_size: size,
                details: size.map(|s| s.to_string()),
            };
            told(
                store
                    .settle_request(request_id(id), version, outcome, at(now))
                    .await,
            )
        }
        Step::AddKey { n, first: true } => told(store.add_first_key(key(n).unwrap()).await),
        Step::AddKey { n, first: false } => told(store.add_key(key(n).unwrap()).await),
        Step::RevokeKey { n, now } => told(store.revoke_key(&key(n).unwrap().id, at(now)).await),
        Step::PutTenant { account: n } => {
            let tenant = Tenant {
                id: account(n).tenant().clone(),
                created: at(1),
                attributes: pairs(&[("plan", ACCOUNTS[n])]),
            };
            told(store.put_tenant(tenant).await)
        }
        step @ (Step::PutNote { .. } | Step::DeleteNote { .. } | Step::Sweep { .. }) => {
            notes::take(store, step).await
        }
        Step::Chain(step) => chains::take(store, step).await,
        step => take_pin_step(store, step).await,
    }
}

async fn take_pin_step(store: &Store, step: Step) -> String {
    let version_of = async |of| {
        let pin = store.pin(&cid(of).unwrap()).await.unwrap();
        pin.map(|p| p.version)
    };
    let placed = async |of, on| {
        let placement = store.placement(&cid(of).unwrap(), &peer(on).unwrap()).await;
        placement.unwrap().map(|p| p.version)
    };
    match step {
        Step::PutPin { of, seen, expires } => {
            let expect = seen.expect(version_of(of).await);
            let mut pin = Pin::recursive(cid(of).unwrap(), at(1_234));
            pin.options.expire_at = expires.map(at);
            told(store.put_pin(pin, expect).await)
        }
        Step::DeletePin { of, seen } => {
            let expect = seen.expect(version_of(of).await);
            told(store.delete_pin(&cid(of).unwrap(), expect).await)
        }
        Step::Allocate { of, seen, on } => {
            let version = seen.version(version_of(of).await);
            let peers = vec![peer(on).unwrap()];
            told(store.allocate_pin(&cid(of).unwrap(), version, peers).await)
        }
        Step::Place { of, on, seen, due } => {
            let expect = seen.expect(placed(of, on).await);
            let mut given = placement(of, on).unwrap();
            given.due = due.map(at);
            told(store.put_placement(given, expect).await)
        }
        Step::Unplace { of, on, seen } => {
            let expect = seen.expect(placed(of, on).await);
            told(
                store
                    .delete_placement(&cid(of).unwrap(), &peer(on).unwrap(), expect)
                    .await,
            )
        }
        Step::Trim { percent } => {
            let head = store.head().borrow().0;
            told(store.trim_changes(Cursor(head * percent / 100)).await)
        }
        Step::Follow { cursor } => told(store.save_follower("kubo", Cursor(cursor)).await),
        other => unreachable!("{other:?} is no step of a pin"),
    }
}

/// Everything that can be asked, as text; of notes from an instant on.
async fn picture(store: &Store, lens: Lens, notes_from: u64) -> Vec<String> {
    let mut lines = vec![
        lens.rows(store.accounts(None, 100).await),
        told(store.tenants(None, 100).await),
    ];
    for name in ACCOUNTS {
        lines.extend(picture_of_account(store, &AccountId::parse(name).unwrap()).await);
    }
    for id in 1..IDS {
        lines.push(told(store.request(request_id(id)).await));
    }
    for of in 0..CIDS {
        let cid = cid(of).unwrap();
        lines.push(lens.rows(store.requests_of_pin(&cid, None, 100).await));
        lines.push(lens.told(store.placements_of_pin(&cid).await));
        if lens == Lens::Exact {
            let first = store.requests_of_pin(&cid, None, 1).await.unwrap();
            lines.push(told(store.requests_of_pin(&cid, first.last(), 100).await));
            lines.push(told(store.pins(Some(&cid), 100).await));
        }
    }
    for on in 0..PEERS {
        let peer = peer(on).unwrap();
        lines.push(lens.rows(store.placements_of_peer(&peer, None, 100).await));
        lines.push(lens.rows(store.due_placements(&peer, at(INSTANTS / 2), 100).await));
        lines.push(told(store.next_due(&peer).await));
    }
    for n in 0..KEYS {
        let key = key(n).unwrap();
        lines.push(told(store.key_by_hash(&key.hash).await));
        lines.push(told(store.key(&key.id).await));
    }
    lines.extend(notes::picture(store, lens, notes_from).await);
    lines.extend(chains::picture(store, lens).await);
    lines.push(lens.rows(store.pins(None, 100).await));
    lines.push(lens.rows(store.expired_pins(at(INSTANTS / 2), 100).await));
    lines.push(lens.rows(store.expired_requests(at(INSTANTS / 2), 100).await));
    if lens == Lens::Exact {
        lines.push(told(store.changes(Cursor::START, 1_000).await));
    }
    lines.push(told(store.follower("kubo").await));
    lines.push(lens.line(format!("{:?}", *store.head().borrow())));
    lines
}

async fn picture_of_account(store: &Store, account: &AccountId) -> Vec<String> {
    let filters = [
        RequestFilter::default(),
        RequestFilter {
            statuses: vec![RequestStatus::Pinned, RequestStatus::Failed],
            ..Default::default()
        },
        RequestFilter {
            cids: vec![cid(0).unwrap(), cid(2).unwrap()],
            before: Some(at(INSTANTS / 2)),
            ..Default::default()
        },
        RequestFilter {
            name: Some(("№1".into(), NameMatch::Partial)),
            after: Some(at(INSTANTS / 4)),
            ..Default::default()
        },
    ];
    let tenant: &TenantId = account.tenant();
    let mut lines = vec![
        told(store.holdings(account).await),
        told(store.tenant(tenant).await),
        told(store.keys(tenant, None, 100).await),
    ];
    for filter in &filters {
        lines.push(told(store.requests(account, filter, 3).await));
        lines.push(told(store.count_requests(account, filter).await));
    }
    for start in (0..INSTANTS).step_by(500) {
        let period = Period {
            start: at(start),
            end: at(start + 700),
        };
        lines.push(told(store.usage(account, period).await));
    }
    lines
}

/// How often each CID was announced.
async fn announced(store: &Store) -> BTreeMap<Cid, usize> {
    let mut announced = BTreeMap::new();
    for change in store.changes(Cursor::START, 10_000).await.unwrap() {
        *announced.entry(change.cid).or_default() += 1;
    }
    announced
}

/// Every change is announced, and nothing else; but in a cluster perhaps more than once, and later:
/// a process that was not heard for some seconds announces again what it may have changed then.
async fn agree_on_the_feed(memory: &Store, store: &Store) {
    let expected = announced(memory).await;
    let begun = Instant::now();
    loop {
        let found = announced(store).await;
        assert!(
            found.keys().all(|cid| expected.contains_key(cid)),
            "{found:?} {expected:?}"
        );
        let is_there = |(cid, count): (&Cid, &usize)| found.get(cid).is_some_and(|n| n >= count);
        if expected.iter().all(is_there) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{found:?} {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn agree(memory: &Store, store: &Store, lens: Lens, notes_from: u64) {
    if lens == Lens::Meaning {
        agree_on_the_feed(memory, store).await;
    }
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    let expected = picture(memory, lens, notes_from).await;
    let found = picture(store, lens, notes_from).await;
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected);
    }
}

async fn run(place: &Place, steps: &[Step]) {
    let lens = place.lens();
    let memory = Store::memory();
    let mut store = place.open().await;
    let mut notes_from = INSTANTS / 2;
    for step in steps {
        if lens == Lens::Meaning {
            notes_from = notes::instant(step).unwrap_or(notes_from);
        }
        match step {
            Step::Reopen => {
                agree(&memory, &store, lens, notes_from).await;
                store.close().await.unwrap();
                store = place.open().await;
            }
            // By a share of the cursors, which is another share of the entries where they are
            // times.
            Step::Trim { .. } if lens == Lens::Meaning => {}
            step => assert_eq!(
                lens.line(take(&store, step).await),
                lens.line(take(&memory, step).await),
                "{step:?}"
            ),
        }
    }
    agree(&memory, &store, lens, notes_from).await;
    store.close().await.unwrap();
    let store = place.open().await;
    agree(&memory, &store, lens, notes_from).await;
    store.close().await.unwrap();
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..STEPS_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_agrees(steps in steps()) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let place = Place::Dir(tempfile::tempdir().unwrap());
        runtime.block_on(run(&place, &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CLUSTER_CASES,
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_agrees_in_a_cluster(
        steps in steps().prop_map(notes::in_order),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let place = Place::Keyspace(Keyspace::empty().await.unwrap());
            run(&place, &steps).await;
        });
    }
}

//! Rows as they are in use, to be measured on disk: where `schema/README.md` has its bytes from.
//!
//! `cargo test -p holdfast-store sample_rows -- --ignored --nocapture` loads them into a keyspace
//! of the tests' node and names it. Once the node has been stopped (`.ci/tools/cassandra stop`),
//! they are all in the files of that keyspace: `*-Data.db` has the bytes on disk, and
//! `*-CompressionInfo.db` says how many there were before compression.

use crate::contract::{cassandra, sample};
use crate::cql::trail::Trail;
use crate::row::{MarkRow, encode, encode_placement, encode_request};
use crate::rules::{begin_pin, begin_request};
use crate::{CqlSettings, RequestDraft, schema};
use futures_util::{StreamExt, stream};
use holdfast_model::usage::Operations;
use holdfast_model::{
    AccountId, Cid, NewRequest, Operation, PeerId, PinRequest, Placement, PlacementState,
    RequestId, UnixMillis, UsageMark,
};
use rand::RngExt;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlValue;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Pins that are loaded, each with what belongs to it.
const PINS: u64 = 50_000;

/// So many that a partition has about as many rows as with 10^12 pins and 28 bits.
const PREFIXES: u64 = 13;

/// Accounts that ask for them, and peers that have them.
const ACCOUNTS: u64 = 25;
const PEERS: u64 = 20;

/// Placements of a pin.
const COPIES: u64 = 3;

/// Writes at once.
const AT_ONCE: usize = 64;

/// 2026-11-01, in milliseconds.
const BEGAN: u64 = 1_793_491_200_000;

type Values = Vec<Option<CqlValue>>;

/// A row's table and its values, in the order of the table's columns.
type Row = (&'static str, Values);

/// Columns of the tables that grow with the pins.
const COLUMNS: [(&str, &str); 8] = [
    (
        "pins",
        "prefix, cid, version, op, requests, by_cluster, expires, body, trail",
    ),
    ("pin_requests", "prefix, cid, account, id"),
    ("placements", "prefix, cid, peer, version, op, body, trail"),
    ("placements_by_peer", "peer, bucket, cid, body"),
    ("requests", "id, bucket, body"),
    (
        "requests_by_account",
        "account, bucket, created, id, status, cid, body",
    ),
    ("usage_marks", "account, slot, at, mark"),
    ("change_feed", "slot, shard, at, cid"),
];

fn int(n: u64) -> Option<CqlValue> {
    Some(CqlValue::Int(n.try_into().unwrap()))
}

fn bigint(n: u64) -> Option<CqlValue> {
    Some(CqlValue::BigInt(n.cast_signed()))
}

fn blob(bytes: &[u8]) -> Option<CqlValue> {
    Some(CqlValue::Blob(bytes.to_vec()))
}

fn uuid(id: Uuid) -> Option<CqlValue> {
    Some(CqlValue::Uuid(id))
}

fn text(text: &str) -> Option<CqlValue> {
    Some(CqlValue::Text(text.to_owned()))
}

/// A peer with a random id, the same for the same number.
fn peer(n: u64) -> PeerId {
    use sha2::{Digest, Sha256};
    let mut bytes = vec![0x12, 0x20];
    bytes.extend(Sha256::digest(n.to_be_bytes()));
    PeerId::from_bytes(&bytes).unwrap()
}

fn draft(n: u64, cid: Cid, at: u64) -> RequestDraft {
    let account = n % ACCOUNTS;
    RequestDraft {
        id: RequestId(Uuid::from_u128(
            (u128::from(at) << 80) | rand::rng().random::<u64>() as u128,
        )),
        account: AccountId::parse(&format!("tenant-{account:04}/account-{account:06}")).unwrap(),
        asked: NewRequest {
            cid,
            name: Some(format!("backup-{n:012}.car")),
            origins: Vec::new(),
            meta: sample::pairs(&[("app", "site"), ("stage", "live")]),
            expires: None,
        },
    }
}

/// All rows of one pin.
fn rows_of(n: u64) -> Vec<Row> {
    let mut bytes = vec![0x01, 0x70, 0x12, 0x20];
    bytes.extend(rand::rng().random::<[u8; 32]>());
    let cid = Cid::from_bytes(&bytes).unwrap();
    let at = BEGAN + n * 40;
    let now = UnixMillis::new(at);
    let mut request = begin_request(draft(n, cid, at), now, now);
    request.dag_size = Some(1_000_000 + n);
    request.version = 3;
    let mut rows = of_request(&request, n);
    rows.extend(of_marks(&request, n));
    rows.extend((0..COPIES).flat_map(|copy| of_placement(cid, n, copy, now)));
    rows
}

fn of_request(request: &PinRequest, n: u64) -> Vec<Row> {
    let cid = blob(&request.asked.cid.to_bytes());
    let (id, account) = (uuid(request.id.0), text(request.account.as_str()));
    let at = request.created.as_millis();
    let pin = blob(&begin_pin(&request.asked, request.created).unwrap().1);
    let body = blob(&encode_request(request).unwrap());
    let (prefix, version, (op, trail)) = (int(n % PREFIXES), bigint(at * 1_000), written(1));
    let (not, status) = (Some(CqlValue::Boolean(false)), Some(CqlValue::TinyInt(2)));
    let pin = [
        &prefix,
        &cid,
        &version,
        &op,
        &bigint(1),
        &not,
        &None,
        &pin,
        &trail,
    ];
    let listed = [&account, &int(0), &bigint(at), &id, &status, &cid, &body];
    vec![
        ("pins", pin.map(Clone::clone).to_vec()),
        ("requests_by_account", listed.map(Clone::clone).to_vec()),
        (
            "pin_requests",
            vec![prefix, cid.clone(), account, id.clone()],
        ),
        ("requests", vec![id, int(0), body]),
        (
            "change_feed",
            vec![bigint(at >> 19), int(n % 4), version, cid],
        ),
    ]
}

/// One when it is asked for and one when its size is known.
fn of_marks(request: &PinRequest, n: u64) -> Vec<Row> {
    let (now, account) = (request.created, text(request.account.as_str()));
    let first = UsageMark {
        at: now,
        level_bytes: u128::from(n) * 1_000_000,
        byte_millis: u128::from(n) * 3_600_000_000_000,
        operations: Operations {
            pin: n,
            replace: n / 100,
            unpin: n / 10,
        },
    };
    let second = first.next(now, 0, 1_000_000, Some(Operation::Pin));
    let marks = [(0, first), (20, second)].into_iter();
    let row = |(later, mark): (u64, UsageMark)| {
        let mark = encode(&MarkRow::from(&mark)).unwrap();
        let at = now.as_millis();
        let values = vec![
            account.clone(),
            bigint(at >> 19),
            bigint(at + later),
            blob(&mark),
        ];
        ("usage_marks", values)
    };
    marks.map(row).collect()
}

fn of_placement(cid: Cid, n: u64, copy: u64, now: UnixMillis) -> [Row; 2] {
    let placement = Placement {
        cid,
        peer: peer((n + copy * 7) % PEERS),
        state: PlacementState::Pinned,
        due: None,
        attempts: 1,
        error: None,
        dag_size: Some(1_000_000 + n),
        updated: now,
        version: now.as_millis() * 1_000,
    };
    let body = blob(&encode_placement(&placement).unwrap());
    let (peer, cid) = (blob(&placement.peer.to_bytes()), blob(&cid.to_bytes()));
    // Asked for, begun, done.
    let (version, (op, trail)) = (bigint(placement.version), written(3));
    let derived = vec![peer.clone(), int(n % 4), cid.clone(), body.clone()];
    [
        (
            "placements",
            vec![int(n % PREFIXES), cid, peer, version, op, body, trail],
        ),
        ("placements_by_peer", derived),
    ]
}

/// The last operation and the trail of a row that was written so often.
fn written(times: usize) -> (Option<CqlValue>, Option<CqlValue>) {
    let mut op = Uuid::now_v7();
    let mut trail = Trail::begin(op);
    for _ in 1..times {
        let next = Uuid::now_v7();
        trail = trail.then(op, next, false);
        op = next;
    }
    (uuid(op), blob(trail.as_bytes()))
}

async fn connect(settings: &CqlSettings) -> Session {
    let login = settings.login.as_ref().unwrap();
    let builder = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .user(&login.username, &login.password);
    let session = builder.build().await.unwrap();
    session
        .use_keyspace(&settings.keyspace, false)
        .await
        .unwrap();
    session
}

#[ignore = "loads rows to be measured on disk by hand"]
#[tokio::test(flavor = "multi_thread")]
async fn sample_rows_are_loaded() {
    let node = tokio::task::block_in_place(cassandra::single).unwrap();
    let settings = node.settings(&node.keyspace());
    schema::up(&settings).await.unwrap();
    let session = connect(&settings).await;
    let mut inserts: BTreeMap<&str, PreparedStatement> = BTreeMap::new();
    for (table, columns) in COLUMNS {
        let marks = vec!["?"; columns.split(',').count()].join(", ");
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({marks})");
        inserts.insert(table, session.prepare(insert).await.unwrap());
    }
    let rows = stream::iter((0..PINS).flat_map(rows_of));
    rows.for_each_concurrent(AT_ONCE, |(table, values)| {
        let (session, insert) = (&session, &inserts[table]);
        async move {
            session.execute_unpaged(insert, values).await.unwrap();
        }
    })
    .await;
    println!("{PINS} pins are in keyspace {}", settings.keyspace);
}

//! What the embedded store costs: a point read, a page, and durable writes that share their fsync.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench may stop"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use holdfast_model::{AccountId, Cid, NewRequest, RequestFilter, RequestId, UnixMillis};
use holdfast_store::{RequestDraft, Store};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Runtime;

/// Requests in the store while it is read.
const ROWS: u64 = 20_000;

/// Tasks that write at once.
const WRITERS: u64 = 64;

static NEXT: AtomicU64 = AtomicU64::new(0);

fn draft() -> RequestDraft {
    let mut bytes = vec![1, 0x55, 0, 8];
    bytes.extend(NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let asked = NewRequest {
        cid: Cid::from_bytes(&bytes).unwrap(),
        name: Some("bench".into()),
        origins: Vec::new(),
        meta: BTreeMap::new(),
        expires: None,
    };
    let account = AccountId::parse("acme/web").unwrap();
    RequestDraft {
        id: RequestId(uuid::Uuid::now_v7()),
        account,
        asked,
    }
}

async fn write_many(store: &Store, count: u64) -> RequestId {
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut last = None;
                for _ in 0..count.div_ceil(WRITERS) {
                    let now = UnixMillis::new(1_700_000_000_000);
                    last = Some(store.create_request(draft(), now).await.unwrap().id);
                }
                last
            })
        })
        .collect();
    let mut last = None;
    for task in tasks {
        last = task.await.unwrap();
    }
    last.unwrap()
}

fn embedded(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = runtime.block_on(Store::embedded(dir.path())).unwrap();
    let id = runtime.block_on(write_many(&store, ROWS));
    let account = AccountId::parse("acme/web").unwrap();
    let mut group = c.benchmark_group("embedded");
    group.bench_function("request", |b| {
        b.iter(|| black_box(runtime.block_on(store.request(id)).unwrap()));
    });
    group.bench_function("first_page", |b| {
        let filter = RequestFilter::default();
        b.iter(|| {
            black_box(
                runtime
                    .block_on(store.requests(&account, &filter, 10))
                    .unwrap(),
            )
        });
    });
    group.throughput(Throughput::Elements(WRITERS * 16));
    group.sample_size(10);
    group.bench_function("create_request_64_writers", |b| {
        b.iter(|| runtime.block_on(write_many(&store, WRITERS * 16)));
    });
    group.finish();
    runtime.block_on(store.close()).unwrap();
}

criterion_group!(benches, embedded);
criterion_main!(benches);

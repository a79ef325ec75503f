//! Durable writes over HTTP beside the bare embedded store's own group-committed writes.

use super::{Plan, ROUNDS};
use crate::client::{self, Load, Requests};
use crate::host::Host;
use crate::table::Row;
use anyhow::{Result, ensure};
use holdfast_model::{AccountId, Cid, NewRequest, RequestId, UnixMillis};
use holdfast_store::{RequestDraft, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Connections over HTTP, and tasks at the bare store.
const WRITERS: usize = 64;

/// The `n`-th CID: an identity CID that carries its number.
pub(super) fn cid(n: u64) -> Cid {
    let mut bytes = vec![1, 0x55, 0, 8];
    bytes.extend(n.to_be_bytes());
    #[expect(clippy::expect_used, reason = "a fixed form that is always a CID")]
    Cid::from_bytes(&bytes).expect("an identity CID")
}

/// POST of a pin request, durable when answered.
pub(super) fn post_pin(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let next = Arc::new(AtomicU64::new(0));
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let (key, numbers) = (host.key.clone(), Arc::clone(&next));
        let ours = client::run(Load {
            addr: host.addr,
            requests: Requests::Numbered(Arc::new(move |_| {
                let n = numbers.fetch_add(1, Ordering::Relaxed);
                let body = format!("{{\"cid\":\"{}\",\"name\":\"load-{n}\"}}", cid(n));
                client::post("/psa/pins", &key, &body)
            })),
            connections: WRITERS,
            duration: plan.stretch,
            status: 202,
        })?;
        ensure!(
            ours.failed == 0,
            "{} POSTs were not answered 202",
            ours.failed
        );
        pairs.push((ours.per_second, bare_store(plan)?));
    }
    Ok(Row::from_pairs(
        "post_pin",
        "req/s",
        "the bare embedded store",
        ">= 0.6 or >= 20k/s",
        &pairs,
    ))
}

/// The same requests put straight into an embedded store by as many tasks.
fn bare_store(plan: &Plan) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let store = Store::embedded(dir.path()).await?;
        let account = AccountId::parse("bare/store")?;
        let next = Arc::new(AtomicU64::new(0));
        let begin = Instant::now();
        let end = begin + plan.stretch;
        let tasks: Vec<_> = (0..WRITERS)
            .map(|_| {
                tokio::spawn(write_until(
                    store.clone(),
                    account.clone(),
                    Arc::clone(&next),
                    end,
                ))
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        let written = u32::try_from(next.load(Ordering::Relaxed))?;
        let seconds = begin.elapsed().as_secs_f64();
        store.close().await?;
        #[expect(clippy::float_arithmetic, reason = "a rate for people, no money")]
        let rate = f64::from(written) / seconds;
        Ok(rate)
    })
}

async fn write_until(
    store: Store,
    account: AccountId,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Result<()> {
    while Instant::now() < end {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let asked = NewRequest {
            cid: cid(n),
            name: Some(format!("load-{n}")),
            origins: Vec::new(),
            meta: std::collections::BTreeMap::new(),
            expires: None,
        };
        let draft = RequestDraft {
            id: RequestId(uuid::Uuid::now_v7()),
            account: account.clone(),
            asked,
        };
        store
            .create_request(draft, UnixMillis::new(1_700_000_000_000 + n))
            .await?;
    }
    Ok(())
}

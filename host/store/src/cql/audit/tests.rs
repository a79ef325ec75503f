//! What time does to chains, and what a process leaves that dies half-way.

use super::*;
use crate::contract::Backend;
use crate::contract::audit::{grow, run};
use crate::contract::sample::at;
use crate::cql::trial::Trial;
use crate::{Expect, Store};
use holdfast_model::AuditCheckpoint;
use holdfast_model::audit::{AUDIT_SEGMENT_ENTRIES, verify};

/// Time that is nearly over, in seconds.
const SOON: i32 = 1_000;

/// Sends a statement that the store never would.
async fn raw(trial: &Trial, statement: &str) {
    let connected = trial.cql().shared.calls.connected();
    let sent = connected.session.query_unpaged(statement, ()).await;
    sent.unwrap();
}

async fn left(trial: &Trial, tenant: &str) -> i32 {
    let chain = Chain::of(&trial.cql().shared, tenant);
    chain.head_in(0).await.unwrap().unwrap().ttl.unwrap()
}

/// Signs a segment up to the chain's last entry in it.
async fn sign(store: &Store, segment: u64, head: AuditHead) {
    let checkpoint = AuditCheckpoint {
        segment,
        first_at: at(1),
        last_at: at(2),
        last_seq: head.seq,
        last_hash: head.hash,
        root: [0; 32],
        signature: Vec::new(),
        anchor: None,
    };
    let put = store.put_audit_checkpoint("acme", &checkpoint, Expect::Any);
    put.await.unwrap();
}

#[tokio::test]
async fn heads_of_chains_that_rest_are_renewed_in_rounds() {
    let trial = Trial::start().await;
    let store = trial.store();
    let mut heads = Vec::new();
    for tenant in ["a", "b", "c"] {
        heads.push(grow(store, tenant, 2).await.unwrap());
        assert!(left(&trial, tenant).await > SOON);
        let hash: String = heads[heads.len() - 1]
            .hash
            .map(|byte| format!("{byte:02x}"))
            .concat();
        let aged = format!(
            "UPDATE audit USING TTL {SOON} SET head = 2, head_hash = 0x{hash} \
             WHERE tenant = '{tenant}' AND segment = 0 IF head = 2"
        );
        raw(&trial, &aged).await;
        assert!(left(&trial, tenant).await <= SOON);
    }
    // Two in the first round, the third in the next, and then from the beginning.
    assert_eq!(store.sweep_audit(at(0), 2).await.unwrap(), 0);
    assert!(left(&trial, "a").await > SOON && left(&trial, "b").await > SOON);
    assert!(left(&trial, "c").await <= SOON);
    assert_eq!(store.sweep_audit(at(0), 2).await.unwrap(), 0);
    assert!(left(&trial, "c").await > SOON);
    for (tenant, head) in ["a", "b", "c"].iter().zip(heads) {
        assert_eq!(store.audit_head(tenant).await.unwrap(), head);
        assert_eq!(grow(store, tenant, 3).await.unwrap().seq, 3);
    }
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

/// Entries that are over leave the chain as it was: first a segment, then everything.
#[tokio::test]
async fn a_chain_outlives_its_entries() {
    const FULL: u64 = AUDIT_SEGMENT_ENTRIES;
    let trial = Trial::start().await;
    let store = trial.store();
    let sealed = grow(store, "acme", FULL).await.unwrap();
    sign(store, 0, sealed).await;
    let end = grow(store, "acme", FULL + 3).await.unwrap();
    raw(
        &trial,
        "DELETE FROM audit WHERE tenant = 'acme' AND segment = 0",
    )
    .await;
    let page = store.audit_entries("acme", 1, 10).await.unwrap();
    assert_eq!(verify(&sealed, &page, &[end]).unwrap(), end);
    let page = store.audit_entries_before("acme", u64::MAX, 10).await;
    assert_eq!(page.unwrap().len(), 3);
    let page = store.audit_entries_before("acme", FULL, 10).await.unwrap();
    assert_eq!(page, []);
    assert_eq!(store.check().await.unwrap(), [""; 0]);

    sign(store, 1, end).await;
    raw(
        &trial,
        "DELETE FROM audit WHERE tenant = 'acme' AND segment = 1",
    )
    .await;
    assert_eq!(store.audit_head("acme").await.unwrap(), end);
    assert_eq!(store.audit_entries("acme", 1, 10).await.unwrap(), []);
    // It goes on where it was, and never begins anew.
    let anew = AuditHead::start("acme");
    let entries = run(anew, 1, 1).unwrap();
    let refused = store.append_audit("acme", anew, &entries);
    assert!(matches!(refused.await, Err(StoreError::Conflict(_))));
    let more = grow(store, "acme", FULL + 5).await.unwrap();
    let page = store.audit_entries("acme", 1, 10).await.unwrap();
    assert_eq!(verify(&end, &page, &[more]).unwrap(), more);
    assert_eq!(store.audit_head("acme").await.unwrap(), more);
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

/// Rows that lead to a segment and no segment: as if nothing had been begun.
#[tokio::test]
async fn a_segment_that_was_only_begun_is_taken_up() {
    let trial = Trial::start().await;
    let store = trial.store();
    let chain = Chain::of(&trial.cql().shared, "acme");
    chain.begin(0).await.unwrap();
    let start = AuditHead::start("acme");
    assert_eq!(store.audit_head("acme").await.unwrap(), start);
    assert_eq!(store.audit_entries("acme", 1, 10).await.unwrap(), []);
    assert_eq!(store.audit_checkpoints("acme", None, 10).await.unwrap(), []);
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    let head = grow(store, "acme", 2).await.unwrap();
    // Nobody begins a segment so early, but what is begun must not matter.
    chain.begin(1).await.unwrap();
    assert_eq!(store.audit_head("acme").await.unwrap(), head);
    let page = store.audit_entries_before("acme", u64::MAX, 10).await;
    assert_eq!(page.unwrap().len(), 2);
    assert_eq!(store.audit_entries("acme", 1, 10).await.unwrap().len(), 2);
    assert_eq!(grow(store, "acme", 4).await.unwrap().seq, 4);
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

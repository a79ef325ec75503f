//! Audit chains among the steps.

use super::{INSTANTS, Lens, Seen, seen, told};
use holdfast_model::{AuditCheckpoint, AuditHead};
use holdfast_store::Store;
use holdfast_store::contract::audit::run;
use holdfast_store::contract::sample::at;
use proptest::prelude::*;

/// Whose the chains are.
const TENANTS: [&str; 3] = ["", "acme", "acme-2"];

/// Rows of the longest page that is asked for.
const PAGE: u32 = 200;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Append {
        of: usize,
        behind: Behind,
        /// What is entered; the same again is the same append.
        event: u64,
        count: u64,
    },
    Sign {
        of: usize,
        seen: Seen,
    },
    Sweep {
        now: u64,
    },
}

/// What an append is to follow.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind {
    TheHead,
    /// What was the head some entries ago.
    AnOlderHead(u64),
    TheStart,
    Nothing,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let of = || 0..TENANTS.len();
    let behind = prop_oneof![
        6 => Just(Behind::TheHead),
        3 => (1..4_u64).prop_map(Behind::AnOlderHead),
        2 => Just(Behind::TheStart),
        1 => Just(Behind::Nothing),
    ];
    prop_oneof![
        6 => (of(), behind, 0..3_u64, 0..4_u64)
            .prop_map(|(of, behind, event, count)| Step::Append { of, behind, event, count }),
        2 => (of(), seen()).prop_map(|(of, seen)| Step::Sign { of, seen }),
        1 => (0..INSTANTS).prop_map(|now| Step::Sweep { now }),
    ]
}

pub(super) async fn take(store: &Store, step: Step) -> String {
    match step {
        Step::Append {
            of,
            behind,
            event,
            count,
        } => {
            let tenant = TENANTS[of];
            let after = head(store, tenant, behind).await;
            let entries = run(after, event, count).unwrap();
            told(store.append_audit(tenant, after, &entries).await)
        }
        Step::Sign { of, seen } => sign(store, TENANTS[of], seen).await,
        Step::Sweep { now } => told(store.sweep_audit(at(now), 2).await),
    }
}

async fn head(store: &Store, tenant: &str, behind: Behind) -> AuditHead {
    let head = store.audit_head(tenant).await.unwrap();
    match behind {
        Behind::TheHead => head,
        Behind::AnOlderHead(by) => {
            let before = head.seq.saturating_sub(by) + 1;
            let older = store.audit_entries_before(tenant, before, 1).await.unwrap();
            let older = older.first().map(|entry| entry.head());
            older.unwrap_or_else(|| AuditHead::start(tenant))
        }
        Behind::TheStart => AuditHead::start(tenant),
        Behind::Nothing => AuditHead {
            seq: head.seq,
            hash: [0; 32],
        },
    }
}

async fn sign(store: &Store, tenant: &str, seen: Seen) -> String {
    let last = store.audit_entries_before(tenant, u64::MAX, 1).await;
    let last = last.unwrap().pop();
    let Some(last) = last else {
        return "nothing to sign".to_owned();
    };
    let known = store.audit_checkpoints(tenant, None, 1).await.unwrap();
    let checkpoint = AuditCheckpoint {
        segment: 0,
        first_at: at(1),
        last_at: last.at,
        last_seq: last.seq,
        last_hash: last.hash,
        root: last.hash,
        signature: last.seq.to_string().into_bytes(),
        anchor: None,
    };
    let expect = seen.expect(known.first().map(|kept| kept.version));
    let answer = store.put_audit_checkpoint(tenant, &checkpoint, expect);
    told(answer.await.map(|version| format!("version: {version}")))
}

/// Every entry that can be asked for, as text.
pub(super) async fn picture(store: &Store, lens: Lens) -> Vec<String> {
    let mut lines = vec![told(store.audit_tenants(None, PAGE).await)];
    for tenant in TENANTS {
        lines.push(told(store.audit_head(tenant).await));
        lines.push(told(store.audit_entries(tenant, 1, PAGE).await));
        lines.push(told(store.audit_entries(tenant, 3, 2).await));
        lines.push(told(store.audit_entries_before(tenant, 5, 3).await));
        lines.push(lens.told(store.audit_checkpoints(tenant, None, PAGE).await));
    }
    lines
}

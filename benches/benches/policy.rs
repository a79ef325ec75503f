//! What a decision costs: remembered, and evaluated because the asker is new.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench may stop"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use holdfast_model::action::{ReadRequest, RequestRef};
use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Principal, PrincipalId, RequestId, Role, Roles};
use holdfast_policy::{Context, Gate};
use std::hint::black_box;
use std::sync::Arc;

/// More askers than the gate remembers, so that each is new when its turn comes again.
const ASKERS: u128 = 100_000;

fn question(n: u128) -> (Arc<Principal>, RequestRef) {
    let account = AccountId::parse(&format!("tenant-{n}/web")).unwrap();
    let principal = Principal {
        id: PrincipalId::of_token("https://idp.example", &n.to_string()),
        account: account.clone(),
        roles: Roles::NONE.with(Role::TenantUser),
        proof: Proof::Token {
            issuer: "https://idp.example".into(),
        },
    };
    (
        Arc::new(principal),
        RequestRef {
            account,
            id: RequestId(uuid::Uuid::from_u128(n)),
        },
    )
}

fn decisions(c: &mut Criterion) {
    let gate = Gate::open(None).unwrap();
    let mut group = c.benchmark_group("decide");
    let (principal, on) = question(1);
    group.bench_function("remembered", |b| {
        b.iter(|| {
            let permit = gate.permit::<ReadRequest>(&principal, on.clone(), &Context::default());
            black_box(permit.unwrap())
        });
    });
    let questions: Vec<_> = (0..ASKERS).map(question).collect();
    let mut turn = questions.iter().cycle();
    group.bench_function("evaluated", |b| {
        b.iter(|| {
            let (principal, on) = turn.next().unwrap();
            let permit = gate.permit::<ReadRequest>(principal, on.clone(), &Context::default());
            black_box(permit.unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);

//! What a warm plugin call costs: the shipped authorizer, and a quote.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a bench may stop"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Action, Cid, Period, PrincipalId, Role, Roles, UnixMillis, Usage};
use holdfast_runtime::{AuthorizeCall, Plugins, PluginsConfig, QuoteCall};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

fn shipped(dir: &Path) -> Plugins {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    for name in ["authorizer-quota.wasm", "pricing-tiered.wasm"] {
        std::fs::copy(dist.join(name), dir.join(name)).unwrap();
    }
    Plugins::open(PluginsConfig {
        dir: dir.to_owned(),
        ..PluginsConfig::default()
    })
    .unwrap()
}

fn calls(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let plugins = shipped(dir.path());
    let account = AccountId::parse("acme/web").unwrap();
    let principal = PrincipalId::of_worker("bench");
    let attributes = BTreeMap::from([("quota_bytes".to_owned(), "1000000000000".to_owned())]);
    let call = AuthorizeCall {
        action: Action::CreateRequest,
        principal: &principal,
        roles: Roles::NONE.with(Role::TenantUser),
        account: &account,
        attributes: &attributes,
        cid: Some(Cid::parse("bafkqaaa").unwrap()),
        meta: None,
        request_count: 7,
        pinned_bytes: 1 << 30,
        dag_size: None,
        time: UnixMillis::EPOCH,
    };
    let usage = Usage {
        period: Period {
            start: UnixMillis::EPOCH,
            end: UnixMillis::new(2_592_000_000),
        },
        byte_millis: 5_000_000_000_000_000_000_000,
        level_bytes: 2_000_000_000_000,
        operations: Operations {
            pin: 3,
            replace: 1,
            unpin: 1,
        },
    };
    let quote = QuoteCall {
        account: &account,
        tenant: account.tenant(),
        attributes: &attributes,
        usage: &usage,
    };
    let mut group = c.benchmark_group("plugins");
    group.bench_function("authorizer_warm", |b| {
        // As the server asks: it listens to who says what.
        b.iter(|| {
            let mut heard = Vec::new();
            let verdict = plugins.authorize_heard(&call, &mut heard).unwrap();
            black_box((verdict, heard))
        });
    });
    group.bench_function("quote_warm", |b| {
        b.iter(|| black_box(plugins.quote(&quote).unwrap()))
    });
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);

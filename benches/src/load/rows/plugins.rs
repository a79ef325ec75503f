//! A warm call of the shipped authorizer.

use super::{Plan, ROUNDS};
use crate::host::repository;
use crate::table::Row;
use anyhow::{Result, anyhow, ensure};
use holdfast_model::{AccountId, Action, Cid, PrincipalId, Role, Roles, UnixMillis};
use holdfast_runtime::{AuthorizeCall, Plugins, PluginsConfig, Verdict};
use std::collections::BTreeMap;
use std::time::Instant;

/// What a warm call may take, in microseconds.
const GOAL_MICROS: f64 = 2.0;

/// Calls between two looks at the clock.
const CALLS: u32 = 10_000;

/// One call of `authorizer-quota`, its instance warm, a quota to be looked up.
pub(super) fn authorizer_warm(plan: &Plan) -> Result<Row> {
    let dir = tempfile::tempdir()?;
    let name = "authorizer-quota.wasm";
    std::fs::copy(
        repository().join("plugins/dist").join(name),
        dir.path().join(name),
    )?;
    let config = PluginsConfig {
        dir: dir.path().to_owned(),
        ..PluginsConfig::default()
    };
    let plugins = Plugins::open(config).map_err(|e| anyhow!("{e}"))?;
    let account = AccountId::parse("acme/web")?;
    let principal = PrincipalId::of_worker("bench");
    let attributes = BTreeMap::from([("quota_bytes".to_owned(), "1000000000000".to_owned())]);
    let call = AuthorizeCall {
        action: Action::CreateRequest,
        principal: &principal,
        roles: Roles::NONE.with(Role::TenantUser),
        account: &account,
        attributes: &attributes,
        cid: Some(Cid::parse("bafkqaaa")?),
        meta: None,
        request_count: 7,
        pinned_bytes: 1 << 30,
        dag_size: None,
        time: UnixMillis::EPOCH,
    };
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let mut calls = 0_u32;
        while begin.elapsed() < plan.stretch {
            for _ in 0..CALLS {
                let verdict = plugins.authorize(&call).map_err(|e| anyhow!("{e}"))?;
                ensure!(verdict == Verdict::Allow, "the authorizer says {verdict:?}");
            }
            calls += CALLS;
        }
        #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
        let micros = begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls);
        pairs.push((micros, GOAL_MICROS));
    }
    Ok(Row::from_pairs(
        "authorizer_warm",
        "us",
        "the goal itself",
        "<= 2 us",
        &pairs,
    ))
}

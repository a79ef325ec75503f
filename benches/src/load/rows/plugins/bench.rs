//! A plugins folder in this process, and calls to it.

use crate::host::repository;
use crate::rows::Plan;
use anyhow::{Context, Result, anyhow, ensure};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Action, Cid, Period, PrincipalId, Role, Roles, UnixMillis, Usage};
use holdfast_runtime::{
    AuthorizeCall, Compiler, Plugins, PluginsConfig, Quote, QuoteCall, Verdict,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Calls between two looks at the clock.
const CALLS: u32 = 1_000;

const DAY_MILLIS: u64 = 86_400_000;

/// What the tenant of the calls may have.
pub(super) const QUOTA_BYTES: u64 = 1_000_000_000_000;

/// Plugins, and somebody who calls them.
pub(super) struct Bench {
    dir: TempDir,
    pub(super) plugins: Plugins,
    account: AccountId,
    principal: PrincipalId,
    attributes: BTreeMap<String, String>,
    cid: Cid,
}

impl Bench {
    /// Each plugin by its component, its name and its manifest; compiled where a host does it, in a
    /// process of its own.
    pub(super) fn with(plan: &Plan, plugins: &[(&str, &str, &str)]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = PluginsConfig {
            dir: dir.path().to_owned(),
            compiler: Compiler::Child {
                program: plan.binary.clone(),
                args: ["plugin", "compile"].map(str::to_owned).into(),
            },
            ..PluginsConfig::default()
        };
        let bench = Self {
            plugins: Plugins::open(config).map_err(|e| anyhow!("{e}"))?,
            dir,
            account: AccountId::parse("acme/web")?,
            principal: PrincipalId::of_worker("bench"),
            attributes: BTreeMap::from([("quota_bytes".to_owned(), QUOTA_BYTES.to_string())]),
            cid: Cid::parse("bafkqaaa")?,
        };
        for (component, name, manifest) in plugins {
            bench.install(&component_bytes(component)?, name, manifest)?;
        }
        Ok(bench)
    }

    /// Puts a component into the folder by rename, and takes it in.
    pub(super) fn install(&self, wasm: &[u8], name: &str, manifest: &str) -> Result<()> {
        let place = |file: String, bytes: &[u8]| {
            let beside = self.dir.path().join(format!(".{file}.tmp"));
            std::fs::write(&beside, bytes)?;
            std::fs::rename(beside, self.dir.path().join(file))
        };
        place(format!("{name}.toml"), manifest.as_bytes())?;
        place(format!("{name}.wasm"), wasm)?;
        self.plugins.rescan();
        let infos = self.plugins.list();
        let refused = infos.iter().find_map(|info| info.error.as_ref());
        refused.map_or(Ok(()), |why| Err(anyhow!("{name} is refused: {why}")))
    }

    /// Asks for a new request, as the server does: it listens to who says what.
    pub(super) fn authorize(&self) -> Result<Verdict> {
        let call = AuthorizeCall {
            action: Action::CreateRequest,
            principal: &self.principal,
            roles: Roles::NONE.with(Role::TenantUser),
            account: &self.account,
            attributes: &self.attributes,
            cid: Some(self.cid),
            meta: None,
            request_count: 7,
            pinned_bytes: 1 << 30,
            dag_size: None,
            time: UnixMillis::EPOCH,
        };
        let mut heard = Vec::new();
        let verdict = self.plugins.authorize_heard(&call, &mut heard);
        ensure!(
            heard.len() == 1,
            "one authorizer is there, and {heard:?} were heard"
        );
        verdict.map_err(|e| anyhow!("{e}"))
    }

    /// Asks what an account's day costs; each number is another account.
    pub(super) fn quote(&self, number: u64) -> Result<Quote> {
        let call = QuoteCall {
            account: &self.account,
            tenant: self.account.tenant(),
            attributes: &self.attributes,
            usage: &usage(number),
        };
        self.plugins.quote(&call).map_err(|e| anyhow!("{e}"))
    }
}

/// What an account used in a day: from a megabyte to some terabytes, and a few operations.
pub(super) fn usage(number: u64) -> Usage {
    let megabytes = u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 42);
    Usage {
        period: Period {
            start: UnixMillis::EPOCH,
            end: UnixMillis::new(DAY_MILLIS),
        },
        byte_millis: megabytes
            .saturating_mul(1_000_000)
            .saturating_mul(DAY_MILLIS.into()),
        level_bytes: 0,
        operations: Operations {
            pin: number % 5,
            replace: number % 2,
            unpin: number % 3,
        },
    }
}

/// Puts so many plugins into a folder, half of each kind; all are different files.
pub(super) fn fill(dir: &Path, plugins: u8) -> Result<()> {
    for mark in 0..plugins {
        let component = match mark % 2 {
            0 => "authorizer-quota",
            _ => "pricing-tiered",
        };
        let mut wasm = component_bytes(component)?;
        // A custom section at the end: another file, and the same plugin.
        wasm.extend([0, 3, 1, b'v', mark]);
        std::fs::write(dir.join(format!("plugin-{mark}.wasm")), wasm)?;
    }
    Ok(())
}

/// Opens a folder with a cache, and sees that all in it serves or stands by.
pub(super) fn open_cached(dir: &Path, cache: &Path, plugins: u8) -> Result<()> {
    let config = PluginsConfig {
        cache: Some(cache.to_owned()),
        dir: dir.to_owned(),
        ..PluginsConfig::default()
    };
    let opened = Plugins::open(config).map_err(|e| anyhow!("{e}"))?;
    let infos = opened.list();
    let is_whole = infos.len() == usize::from(plugins) && infos.iter().all(|i| i.error.is_none());
    ensure!(is_whole, "not all are loaded: {infos:?}");
    Ok(())
}

/// A built component.
pub(super) fn component_bytes(component: &str) -> Result<Vec<u8>> {
    let path = dist().join(format!("{component}.wasm"));
    std::fs::read(&path).with_context(|| format!("{}: run plugins/build", path.display()))
}

/// Where the built components are.
pub(super) fn dist() -> PathBuf {
    repository().join("plugins/dist")
}

/// Repeats a call for as long as told: what each takes, in microseconds.
pub(super) fn micros_per_call(
    stretch: Duration,
    mut call: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let begin = Instant::now();
    let mut calls = 0_u32;
    while begin.elapsed() < stretch {
        for _ in 0..CALLS {
            call()?;
        }
        calls = calls.saturating_add(CALLS);
    }
    #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

//! How long calls take, on the serving path and not on the workbench's own engine.

use super::golden::Vector;
use super::stand::GENERATION;
use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::call::QuoteCall;
use crate::job::{JobMould, JobVectored, Jobs, JobsConfig};
use crate::kind::Kind;
use crate::metrics::RuntimeMetrics;
use crate::plugins::{Plugins, PluginsConfig};
use crate::vectors::Vectored;
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Period, UnixMillis, Usage};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::Component;

/// Calls before any is timed: the first ones fault their memory in.
const WARM_UP: usize = 100;

/// A plugin where a host has it that serves, to be timed.
pub struct Track(Lane);

/// What differs by kind: the hot kinds are alone in a plugins folder, jobs on threads of their own.
enum Lane {
    Authorizer(Plugins),
    Pricing(Plugins),
    Payment(JobMould<Payment>),
    Config(JobMould<Config>),
}

/// How long calls took, in nanoseconds, the quickest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times(Vec<u64>);

impl Times {
    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a thousand calls took at most.
    #[must_use]
    pub fn within(&self, of_thousand: usize) -> u64 {
        let last = self.0.len().saturating_sub(1);
        let at = self.0.len().saturating_mul(of_thousand) / 1_000;
        self.0.get(at.min(last)).copied().unwrap_or_default()
    }

    /// How many took less than each power of two of nanoseconds, and at least the one before.
    #[must_use]
    pub fn histogram(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for nanos in &self.0 {
            let bound = nanos.saturating_add(1).checked_next_power_of_two();
            let bound = bound.unwrap_or(u64::MAX);
            let count: &mut usize = counts.entry(bound).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }
}

impl Track {
    /// Takes a component in, in a folder that must be empty; `manifest` is the text of its
    /// `NAME.toml`.
    ///
    /// # Errors
    /// What a host would refuse it for; the folder cannot be written.
    pub fn open(dir: &Path, wasm: &[u8], manifest: &str, kind: Kind) -> Result<Self, String> {
        Ok(Self(match kind {
            Kind::Authorizer => Lane::Authorizer(serving(dir, wasm, manifest)?),
            Kind::Pricing => Lane::Pricing(serving(dir, wasm, manifest)?),
            Kind::Payment => Lane::Payment(job(wasm, manifest)?),
            Kind::Config => Lane::Config(job(wasm, manifest)?),
        }))
    }

    /// Makes calls with a vector's input, one after another. A hot plugin has the settings of its
    /// `NAME.toml`. A job has the vector's own settings and environment, for what it calls depends
    /// on them, and the vector's exchanges answer for those out there.
    ///
    /// # Errors
    /// The input makes no sense, a call traps or breaks a limit, or a job calls what was not
    /// recorded.
    pub fn time(&self, vector: &Vector, calls: usize) -> Result<Times, String> {
        let input = &vector.input;
        match &self.0 {
            Lane::Pricing(plugins) => {
                let account = account(input)?;
                let (attributes, usage) = (texts(input, "attributes")?, usage(input)?);
                let call = QuoteCall {
                    account: &account,
                    tenant: account.tenant(),
                    attributes: &attributes,
                    usage: &usage,
                };
                timed(calls, || clocked(|| plugins.quote(&call)))
            }
            Lane::Authorizer(plugins) => {
                let asked = Authorizer::input(input.clone())?;
                let call = asked.facts.borrowed();
                timed(calls, || clocked(|| plugins.authorize(&call)))
            }
            Lane::Payment(mould) => mould.time(json!(vector), calls),
            Lane::Config(mould) => mould.time(json!(vector), calls),
        }
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").finish_non_exhaustive()
    }
}

/// A host's plugins, of which this is the only one.
fn serving(dir: &Path, wasm: &[u8], manifest: &str) -> Result<Plugins, String> {
    let put = |file: &str, bytes: &[u8]| {
        fs::write(dir.join(file), bytes).map_err(|e| format!("{}: {e}", dir.display()))
    };
    put("plugin.toml", manifest.as_bytes())?;
    put("plugin.wasm", wasm)?;
    let config = PluginsConfig {
        dir: dir.to_owned(),
        ..PluginsConfig::default()
    };
    let plugins = Plugins::open(config).map_err(|e| e.to_string())?;
    let refused = plugins.list().into_iter().find_map(|info| info.error);
    refused.map_or(Ok(plugins), Err)
}

/// What a host makes a job's instances from: on the engine that serves, with the limits of its
/// manifest. Nothing of the environment is in it but what vectors have.
fn job<W: JobVectored>(wasm: &[u8], manifest: &str) -> Result<JobMould<W>, String> {
    let (_, candidate, grants) = super::read("plugin", wasm, manifest)?;
    let jobs = Jobs::new(JobsConfig::default()).map_err(|e| e.to_string())?;
    let floor = jobs.floor(candidate.limits.stack_bytes)?;
    let component = Component::from_binary(floor.engine(), wasm);
    let component = component.map_err(|e| format!("does not compile: {e:#}"))?;
    let metrics = RuntimeMetrics::new().map_err(|e| e.to_string())?;
    let metrics = Arc::new(metrics.of(&candidate.name, GENERATION));
    JobMould::new(&floor, &candidate, GENERATION, &component, &grants, metrics)
}

/// What a call took, if it was answered.
fn clocked<T, E: fmt::Display>(call: impl Fn() -> Result<T, E>) -> Result<Duration, String> {
    let start = Instant::now();
    let answer = call();
    let took = start.elapsed();
    answer.map(|_| took).map_err(|e| e.to_string())
}

/// Calls often enough, and then as often as told, the times of which are kept.
pub(crate) fn timed(
    calls: usize,
    call: impl Fn() -> Result<Duration, String>,
) -> Result<Times, String> {
    for _ in 0..WARM_UP {
        call()?;
    }
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        times.push(u64::try_from(call()?.as_nanos()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    Ok(Times(times))
}

fn account(input: &Value) -> Result<AccountId, String> {
    let told = input.get("account").and_then(Value::as_str);
    AccountId::parse(told.unwrap_or("acme/web")).map_err(|e| e.to_string())
}

fn texts(input: &Value, field: &str) -> Result<BTreeMap<String, String>, String> {
    match input.get(field) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(pairs) => serde_json::from_value(pairs.clone()).map_err(|e| format!("{field}: {e}")),
    }
}

fn usage(input: &Value) -> Result<Usage, String> {
    let millis = |pointer: &str| {
        let millis = input.pointer(pointer).and_then(Value::as_u64);
        UnixMillis::new(millis.unwrap_or_default())
    };
    let meter = |measure: &str| {
        let meters = input.get("meters").and_then(Value::as_array);
        let mut found = meters.into_iter().flatten();
        let found = found.find(|meter| meter.get("measure").is_some_and(|name| name == measure));
        wide(found.and_then(|meter| meter.get("quantity")))
    };
    let count =
        |measure: &str| meter(measure).map(|quantity| u64::try_from(quantity).unwrap_or(u64::MAX));
    Ok(Usage {
        period: Period {
            start: millis("/period/start"),
            end: millis("/period/end"),
        },
        byte_millis: meter("storage")?.saturating_mul(1_000),
        level_bytes: 0,
        operations: Operations {
            pin: count("pin")?,
            replace: count("replace")?,
            unpin: count("unpin")?,
        },
    })
}

fn wide(value: Option<&Value>) -> Result<u128, String> {
    match value {
        None | Some(Value::Null) => Ok(0),
        Some(Value::String(text)) => text.parse().map_err(|_| format!("{text:?} is no number")),
        Some(value) => value
            .as_u64()
            .map(u128::from)
            .ok_or_else(|| format!("{value} is no whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::Action;

    #[test]
    fn quantiles_and_buckets_are_of_what_was_seen() {
        let times = Times((1..=1_000).collect());
        assert_eq!(
            (times.within(500), times.within(990), times.within(1_000)),
            (501, 991, 1_000)
        );
        let histogram = times.histogram();
        assert_eq!(histogram.values().sum::<usize>(), 1_000);
        assert_eq!(histogram.get(&512), Some(&256));
        assert_eq!(Times(Vec::new()).within(500), 0);
    }

    #[test]
    fn inputs_of_vectors_become_calls() {
        let input = serde_json::json!({
            "action": "create_request", "account": "a/b", "roles": ["tenant-user"],
            "pinned_bytes": "18446744073709551616", "attributes": {"x": "y"},
        });
        let asked = Authorizer::input(input).unwrap().facts;
        assert_eq!(asked.action, Action::CreateRequest);
        assert_eq!(asked.pinned_bytes, 1 << 64);
        assert!(Authorizer::input(serde_json::json!({"action": "fly"})).is_err());
        let input = serde_json::json!({"meters": [{"measure": "storage", "quantity": "7"}]});
        assert_eq!(usage(&input).unwrap().byte_millis, 7_000);
    }
}

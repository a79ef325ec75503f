//! How long calls take, on the serving path and not on the workbench's own engine.

use crate::bindings::authorizer::Authorizer;
use crate::call::QuoteCall;
use crate::kind::Kind;
use crate::plugins::{Plugins, PluginsConfig};
use crate::vectors::Vectored;
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Period, UnixMillis, Usage};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

/// Calls before any is timed: the first ones fault their memory in.
const WARM_UP: usize = 100;

/// A plugin alone in a host's plugins folder, to be timed.
#[derive(Debug)]
pub struct Track {
    plugins: Plugins,
    kind: Kind,
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
    /// Takes a component in, in a folder that must be empty.
    ///
    /// # Errors
    /// What a host would refuse it for; the folder cannot be written; a kind that calls out.
    pub fn open(dir: &Path, wasm: &[u8], manifest: &str, kind: Kind) -> Result<Self, String> {
        if matches!(kind, Kind::Payment | Kind::Config) {
            return Err(format!(
                "a {kind} plugin waits for others most of its time; there is nothing to measure here"
            ));
        }
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
        match refused {
            Some(why) => Err(why),
            None => Ok(Self { plugins, kind }),
        }
    }

    /// Makes calls with an input as vectors have it, one after another.
    ///
    /// # Errors
    /// The input makes no sense, or a call traps or breaks a limit.
    pub fn time(&self, input: &Value, calls: usize) -> Result<Times, String> {
        match self.kind {
            Kind::Pricing => {
                let account = account(input)?;
                let (attributes, usage) = (texts(input, "attributes")?, usage(input)?);
                let call = QuoteCall {
                    account: &account,
                    tenant: account.tenant(),
                    attributes: &attributes,
                    usage: &usage,
                };
                timed(calls, || self.plugins.quote(&call).map(drop))
            }
            Kind::Authorizer => {
                let asked = Authorizer::input(input.clone())?;
                let call = asked.facts.borrowed();
                timed(calls, || self.plugins.authorize(&call).map(drop))
            }
            Kind::Payment | Kind::Config => Err("calls out".into()),
        }
    }
}

fn timed<E: std::fmt::Display>(
    calls: usize,
    call: impl Fn() -> Result<(), E>,
) -> Result<Times, String> {
    for _ in 0..WARM_UP {
        call().map_err(|e| e.to_string())?;
    }
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = Instant::now();
        let answer = call();
        let took = start.elapsed().as_nanos();
        answer.map_err(|e| e.to_string())?;
        times.push(u64::try_from(took).unwrap_or(u64::MAX));
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

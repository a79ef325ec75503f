//! The `[limits]` table of `NAME.toml`.

use super::{
    INSTANCES_MAX, KIB, Limits, MEMORY_BYTES_CEILING, MIB, WASM_BYTES_CEILING, WASM_STACK_SIZES,
};
use serde::Deserialize;
use std::time::Duration;

/// The most time that a call can be given: a thread that serves others is held up by a hot plugin,
/// and a job that takes longer than a few minutes is one that hangs.
const CPU_MS_CEILING: u64 = 10_000;
const WALL_MS_CEILING: u64 = 300_000;

/// Some two minutes of work.
const FUEL_CEILING: u64 = 100_000_000_000;

/// More would be another way to fill the host's log.
const LOG_LINES_PER_SECOND_CEILING: u64 = 10_000;

const HOSTCALL_BYTES_CEILING: usize = 16 * MIB;
const HANDLES_CEILING: usize = 64 * KIB;
const OUTPUT_BYTES_CEILING: usize = 4 * MIB;

/// Instances that stand ready take their places in the pool whether calls come or not.
const STANDBY_CEILING: usize = 128;

const EGRESS_CALLS_CEILING: u64 = 1_000;
const EGRESS_BYTES_CEILING: u64 = 256 * MIB as u64;

/// More than any network carries.
const EGRESS_BYTES_PER_SECOND_CEILING: u64 = 64 * 1024 * MIB as u64;

/// Connections of one plugin: file descriptors are for those who call the host. What all plugins
/// may hold together is a setting of the host's.
const EGRESS_CONNECTIONS_CEILING: usize = 256;

/// What the operator wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsOverlay {
    wasm_bytes: Option<u64>,
    memory_bytes: Option<u64>,
    stack_bytes: Option<u64>,
    cpu_ms: Option<u64>,
    wall_ms: Option<u64>,
    fuel: Option<u64>,
    hostcall_bytes: Option<u64>,
    handles: Option<u64>,
    output_bytes: Option<u64>,
    log_lines_per_second: Option<u64>,
    concurrency: Option<u64>,
    standby: Option<u64>,
    max_invocations: Option<u64>,
    egress_calls: Option<u64>,
    egress_bytes: Option<u64>,
    egress_bytes_per_second: Option<u64>,
    egress_connections: Option<u64>,
}

impl Limits {
    /// These limits, with what the operator wrote in their place.
    pub(crate) fn overlaid(self, by: &LimitsOverlay) -> Result<Self, String> {
        let [egress_calls, egress_bytes, egress_bytes_per_second] = self.amounts(by)?;
        Ok(Self {
            wasm_bytes: size(
                "wasm_bytes",
                by.wasm_bytes,
                self.wasm_bytes,
                WASM_BYTES_CEILING,
            )?,
            memory_bytes: size(
                "memory_bytes",
                by.memory_bytes,
                self.memory_bytes,
                MEMORY_BYTES_CEILING,
            )?,
            stack_bytes: stack(by.stack_bytes, self.stack_bytes)?,
            cpu: millis("cpu_ms", by.cpu_ms, self.cpu, CPU_MS_CEILING)?,
            wall: millis("wall_ms", by.wall_ms, self.wall, WALL_MS_CEILING)?,
            fuel: within("fuel", by.fuel, self.fuel, FUEL_CEILING)?,
            hostcall_bytes: size(
                "hostcall_bytes",
                by.hostcall_bytes,
                self.hostcall_bytes,
                HOSTCALL_BYTES_CEILING,
            )?,
            handles: size("handles", by.handles, self.handles, HANDLES_CEILING)?,
            output_bytes: size(
                "output_bytes",
                by.output_bytes,
                self.output_bytes,
                OUTPUT_BYTES_CEILING,
            )?,
            log_lines_per_second: count(
                "log_lines_per_second",
                by.log_lines_per_second,
                self.log_lines_per_second,
                LOG_LINES_PER_SECOND_CEILING,
            )?,
            concurrency: size(
                "concurrency",
                by.concurrency,
                self.concurrency,
                INSTANCES_MAX as usize,
            )?,
            standby: size("standby", by.standby, self.standby, STANDBY_CEILING)?,
            max_invocations: within(
                "max_invocations",
                by.max_invocations,
                self.max_invocations,
                u64::MAX,
            )?,
            egress_calls,
            egress_bytes,
            egress_bytes_per_second,
            egress_connections: size(
                "egress_connections",
                by.egress_connections,
                self.egress_connections,
                EGRESS_CONNECTIONS_CEILING,
            )?,
        })
    }

    /// How much goes out and in: requests and bytes of a call, and bytes a second.
    fn amounts(&self, by: &LimitsOverlay) -> Result<[u64; 3], String> {
        Ok([
            within(
                "egress_calls",
                by.egress_calls,
                self.egress_calls,
                EGRESS_CALLS_CEILING,
            )?,
            within(
                "egress_bytes",
                by.egress_bytes,
                self.egress_bytes,
                EGRESS_BYTES_CEILING,
            )?,
            within(
                "egress_bytes_per_second",
                by.egress_bytes_per_second,
                self.egress_bytes_per_second,
                EGRESS_BYTES_PER_SECOND_CEILING,
            )?,
        ])
    }
}

fn size(name: &str, value: Option<u64>, usual: usize, most: usize) -> Result<usize, String> {
    let bounded = within(name, value, usual as u64, most as u64)?;
    Ok(usize::try_from(bounded).unwrap_or(usual))
}

/// One of the sizes that there are engines for.
fn stack(value: Option<u64>, usual: usize) -> Result<usize, String> {
    let Some(value) = value else {
        return Ok(usual);
    };
    let mut sizes = WASM_STACK_SIZES.into_iter();
    sizes.find(|size| *size as u64 == value).ok_or_else(|| {
        let sizes = WASM_STACK_SIZES.map(|size| size.to_string()).join(", ");
        format!("limits.stack_bytes: {value} is no size that stacks have; write one of {sizes}")
    })
}

fn count(name: &str, value: Option<u64>, usual: u32, most: u64) -> Result<u32, String> {
    let bounded = within(name, value, usual.into(), most)?;
    Ok(u32::try_from(bounded).unwrap_or(usual))
}

fn millis(name: &str, value: Option<u64>, usual: Duration, most: u64) -> Result<Duration, String> {
    let usual = u64::try_from(usual.as_millis()).unwrap_or(most);
    Ok(Duration::from_millis(within(name, value, usual, most)?))
}

/// The value, if it is there and fits. What is usually nothing is nothing that this kind of plugin
/// has at all.
fn within(name: &str, value: Option<u64>, usual: u64, most: u64) -> Result<u64, String> {
    match value {
        None => Ok(usual),
        Some(_) if usual == 0 => Err(format!(
            "limits.{name}: plugins of this kind have nothing that it bounds; leave it out"
        )),
        Some(value) if (1..=most).contains(&value) => Ok(value),
        Some(value) => Err(format!(
            "limits.{name}: {value} is out of bounds; write 1 to {most}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn overlay(text: &str) -> LimitsOverlay {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_overlay_stays_within_its_ceilings() {
        let usual = Limits::of(Kind::Authorizer);
        let limits = usual.overlaid(&overlay("cpu_ms = 20")).unwrap();
        assert_eq!(limits.cpu, Duration::from_millis(20));
        assert_eq!(limits.memory_bytes, usual.memory_bytes);
        for (key, most) in [
            ("wasm_bytes", WASM_BYTES_CEILING as u64),
            ("memory_bytes", MEMORY_BYTES_CEILING as u64),
            ("cpu_ms", CPU_MS_CEILING),
            ("wall_ms", WALL_MS_CEILING),
            ("fuel", FUEL_CEILING),
            ("hostcall_bytes", HOSTCALL_BYTES_CEILING as u64),
            ("handles", HANDLES_CEILING as u64),
            ("output_bytes", OUTPUT_BYTES_CEILING as u64),
            ("log_lines_per_second", LOG_LINES_PER_SECOND_CEILING),
            ("concurrency", INSTANCES_MAX.into()),
            ("standby", STANDBY_CEILING as u64),
        ] {
            let usual = Limits::of(Kind::Pricing);
            let with = |value: u64| usual.overlaid(&overlay(&format!("{key} = {value}")));
            assert!(with(most).is_ok(), "{key}");
            for value in [0, most + 1] {
                let refused = with(value).unwrap_err();
                assert!(
                    refused.contains(&format!("limits.{key}: {value}")),
                    "{refused}"
                );
                assert!(refused.contains(&format!("1 to {most}")), "{refused}");
            }
        }
    }

    #[test]
    fn stacks_come_in_a_few_sizes() {
        let usual = Limits::of(Kind::Payment);
        for size in WASM_STACK_SIZES {
            let limits = usual.overlaid(&overlay(&format!("stack_bytes = {size}")));
            assert_eq!(limits.unwrap().stack_bytes, size);
        }
        let refused = usual.overlaid(&overlay("stack_bytes = 65537")).unwrap_err();
        assert!(refused.contains("65537"), "{refused}");
        assert!(refused.ends_with("write one of 65536, 131072, 262144, 524288, 1048576"));
    }

    #[test]
    fn what_a_kind_does_not_have_cannot_be_bounded() {
        for (kind, text) in [
            (Kind::Authorizer, "fuel = 1000"),
            (Kind::Pricing, "egress_calls = 1"),
            (Kind::Authorizer, "egress_bytes = 1"),
            (Kind::Authorizer, "egress_bytes_per_second = 1"),
            (Kind::Pricing, "egress_connections = 1"),
            (Kind::Payment, "fuel = 1000"),
            (Kind::Config, "standby = 2"),
        ] {
            let refused = Limits::of(kind).overlaid(&overlay(text)).unwrap_err();
            assert!(refused.contains("leave it out"), "{refused}");
        }
        let limits = Limits::of(Kind::Payment)
            .overlaid(&overlay("egress_calls = 3\negress_connections = 2"))
            .unwrap();
        assert_eq!((limits.egress_calls, limits.egress_connections), (3, 2));
    }
}

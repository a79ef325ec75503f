//! Every bound on what a plugin may do, each with its reason.

use crate::error::OverLimit;
use serde::Deserialize;
use std::time::Duration;
use wasmtime::ResourceLimiter;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest component file. One in Rust has some 50 to 200 KiB, and compiling takes 1 to 2 ms per
/// KiB.
pub(crate) const WASM_BYTES_MAX: usize = 4 * MIB;

/// Largest `NAME.toml`: read whole, and handed to every new instance as JSON.
pub(crate) const MANIFEST_BYTES_MAX: usize = 64 * KIB;

/// Stack of a guest. The host calls it on its own threads, whose stacks have 2 MiB (tokio's).
pub(crate) const WASM_STACK_BYTES: usize = 256 * KIB;

/// Elements of a table. A guest's table holds its function pointers: hundreds.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 10_000;

/// Component handles alive at once in an instance. A call lends one.
pub(crate) const HANDLES_MAX: usize = 256;

/// Core instances, memories and tables in one component: a Rust guest has four core instances
/// (itself and the generator's shims), one memory and two tables.
pub(crate) const PARTS_MAX: usize = 16;

/// Instances alive at once, of all plugins together. Each reserves 4 GiB of address space and no
/// memory; together they are a terabyte of the 128 that a process has.
pub(crate) const INSTANCES_MAX: u32 = 256;

/// The most that `[limits]` can give one instance in memory: what a pool slot is made for.
pub(crate) const MEMORY_BYTES_CEILING: usize = 64 * MIB;

/// The most that `[limits]` can give one call in time: a thread that serves others is held up.
const DEADLINE_MS_CEILING: u64 = 10_000;

/// How long `describe` and `init` may take: they read settings, and run off the serving path at
/// first.
pub(crate) const INIT_DEADLINE: Duration = Duration::from_millis(500);

/// How long a call waits for a free place before it is turned away: longer than any good call
/// takes.
pub(crate) const BUSY_WAIT: Duration = Duration::from_millis(250);

/// Instances that a plugin keeps warm: more than threads that serve.
pub(crate) const IDLE_MAX: usize = 16;

/// Lines of one quote.
pub(crate) const QUOTE_LINES_MAX: usize = 1_000;
/// Bytes of a line's item: a column in a table.
pub(crate) const ITEM_BYTES_MAX: usize = 128;
/// Bytes of a line's explanation: a few sentences.
pub(crate) const EXPLANATION_BYTES_MAX: usize = 2 * KIB;
/// Bytes of a line's unit: a word.
pub(crate) const UNIT_BYTES_MAX: usize = 32;
/// Bytes of a refusal's message: it stands in an error body and in logs.
pub(crate) const MESSAGE_BYTES_MAX: usize = KIB;
/// Bytes of what a plugin says of itself, each text.
pub(crate) const METADATA_BYTES_MAX: usize = 256;

/// Log lines of one call.
pub(crate) const LOG_LINES_PER_CALL: u32 = 8;
/// Log lines of one plugin in a second, all instances together.
pub(crate) const LOG_LINES_PER_SECOND: u32 = 50;
/// Bytes of one log line.
pub(crate) const LOG_LINE_BYTES_MAX: usize = KIB;

/// What one plugin may use. The operator can change it under `[limits]` in `NAME.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory of one instance, all its memories together.
    pub(crate) memory_bytes: usize,
    /// How long a call may run.
    pub(crate) deadline: Duration,
    /// Bytes that one call can carry from guest to host.
    pub(crate) hostcall_bytes: usize,
    /// Bytes of all texts in an answer.
    pub(crate) output_bytes: usize,
    /// Calls that run at once.
    pub(crate) concurrency: usize,
    /// Calls after which an instance is replaced: a slow leak in a guest never fills its memory.
    pub(crate) max_invocations: u64,
}

impl Limits {
    /// For authorizers: they run within requests, so they get little time.
    pub(crate) const AUTHORIZER: Self = Self {
        memory_bytes: 16 * MIB,
        deadline: Duration::from_millis(5),
        hostcall_bytes: 256 * KIB,
        output_bytes: 64 * KIB,
        concurrency: 64,
        max_invocations: 10_000,
    };

    /// For pricing: it runs per quote and per invoice.
    pub(crate) const PRICING: Self = Self {
        deadline: Duration::from_millis(500),
        ..Self::AUTHORIZER
    };

    /// These limits, with what the operator wrote in their place.
    pub(crate) fn overlaid(self, by: &LimitsOverlay) -> Result<Self, String> {
        let or = |name: &str, value: Option<u64>, default: usize, most: usize| {
            within(name, value, default as u64, most as u64)
                .map(|v| usize::try_from(v).unwrap_or(default))
        };
        let deadline = u64::try_from(self.deadline.as_millis()).unwrap_or(DEADLINE_MS_CEILING);
        Ok(Self {
            memory_bytes: or(
                "memory_bytes",
                by.memory_bytes,
                self.memory_bytes,
                MEMORY_BYTES_CEILING,
            )?,
            deadline: Duration::from_millis(within(
                "deadline_ms",
                by.deadline_ms,
                deadline,
                DEADLINE_MS_CEILING,
            )?),
            hostcall_bytes: or(
                "hostcall_bytes",
                by.hostcall_bytes,
                self.hostcall_bytes,
                16 * MIB,
            )?,
            output_bytes: or("output_bytes", by.output_bytes, self.output_bytes, 4 * MIB)?,
            concurrency: or(
                "concurrency",
                by.concurrency,
                self.concurrency,
                INSTANCES_MAX as usize,
            )?,
            max_invocations: within(
                "max_invocations",
                by.max_invocations,
                self.max_invocations,
                u64::MAX,
            )?,
        })
    }
}

fn within(name: &str, value: Option<u64>, default: u64, most: u64) -> Result<u64, String> {
    match value {
        None => Ok(default),
        Some(value) if (1..=most).contains(&value) => Ok(value),
        Some(value) => Err(format!(
            "limits.{name}: {value} is out of bounds; write 1 to {most}"
        )),
    }
}

/// The `[limits]` table of `NAME.toml`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsOverlay {
    memory_bytes: Option<u64>,
    deadline_ms: Option<u64>,
    hostcall_bytes: Option<u64>,
    output_bytes: Option<u64>,
    concurrency: Option<u64>,
    max_invocations: Option<u64>,
}

/// Counts what an instance holds. Wasmtime's own limiter bounds each memory by itself; a component
/// can have several, so this one sums them.
#[derive(Debug)]
pub(crate) struct Held {
    memory_bytes: usize,
    memory_bytes_max: usize,
}

impl Held {
    /// Nothing yet.
    pub(crate) const fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max,
        }
    }
}

impl ResourceLimiter for Held {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let sum = self.memory_bytes.saturating_add(growth);
        if sum > self.memory_bytes_max {
            // An error rather than a refusal: the guest would abort anyway, and this says why.
            return Err(OverLimit(format!(
                "asked for more than its {} bytes of memory; mend it or raise memory_bytes under [limits]",
                self.memory_bytes_max
            ))
            .into());
        }
        self.memory_bytes = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(OverLimit(format!(
                "asked for a table of more than {TABLE_ELEMENTS_MAX} elements"
            ))
            .into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_are_summed() {
        let mut held = Held::new(10);
        assert!(held.memory_growing(0, 6, None).unwrap());
        assert!(held.memory_growing(0, 4, None).unwrap());
        assert!(held.memory_growing(4, 5, None).is_err());
    }

    #[test]
    fn an_overlay_stays_within_its_ceilings() {
        let overlay = |text: &str| toml::from_str::<LimitsOverlay>(text).unwrap();
        let limits = Limits::AUTHORIZER
            .overlaid(&overlay("deadline_ms = 20"))
            .unwrap();
        assert_eq!(limits.deadline, Duration::from_millis(20));
        assert_eq!(limits.memory_bytes, Limits::AUTHORIZER.memory_bytes);
        for text in [
            "deadline_ms = 0",
            "deadline_ms = 10001",
            "memory_bytes = 67108865",
        ] {
            let refused = Limits::PRICING.overlaid(&overlay(text)).unwrap_err();
            assert!(refused.contains("limits."), "{refused}");
        }
    }
}

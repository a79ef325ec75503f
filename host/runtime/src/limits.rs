//! Every bound on what a plugin may do, each with its reason.
//!
//! What is the same for all plugins is a constant here; what one plugin may use is [`Limits`]: they
//! depend on its kind, and the operator can change them.

#[cfg(test)]
mod documented;
mod held;
mod overlay;

use crate::kind::Kind;
use std::time::Duration;

pub(crate) use held::Held;
pub(crate) use overlay::LimitsOverlay;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest component file that is read at all. JavaScript and Python bring their engines along: 12
/// to 18 MiB. What one plugin may have is `wasm_bytes` under `[limits]`.
pub(crate) const WASM_BYTES_CEILING: usize = 32 * MIB;

/// Largest `NAME.toml`: read whole, and handed to every new instance as JSON.
pub(crate) const MANIFEST_BYTES_MAX: usize = 64 * KIB;

/// Stack of a guest unless its operator says otherwise: what the interpreters in JavaScript and
/// Python guests are used to.
pub(crate) const WASM_STACK_BYTES: usize = 512 * KIB;

/// Stacks that a guest can be given. Wasmtime bounds them by the engine, so there is an engine for
/// each size that is in use, and only these few sizes. The host calls guests on its own threads,
/// whose stacks have 2 MiB (tokio's): the largest leaves half of that to the host.
pub(crate) const WASM_STACK_SIZES: [usize; 5] = [64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB];

/// Elements of a table. A Rust guest's table holds its function pointers: hundreds. Python has some
/// ten thousand.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 32_000;

/// Core instances, memories and tables in one component. A Rust guest has four core instances
/// (itself and the generator's shims), one memory and two tables; Python has its libraries as
/// modules of their own.
pub(crate) const PARTS_MAX: usize = 64;

/// Instances alive at once on one engine, of all plugins together. Each reserves 4 GiB of address
/// space and no memory; together they are 4 TiB of the 128 that a process has.
pub(crate) const INSTANCES_MAX: u32 = 1_024;

/// The most that `[limits]` can give one instance in memory: what a pool slot is made for.
pub(crate) const MEMORY_BYTES_CEILING: usize = 256 * MIB;

/// What `describe` and `init` may use of the processor: they read settings, and run off the serving
/// path.
pub(crate) const INIT_CPU: Duration = Duration::from_millis(500);

/// The same by the wall clock.
pub(crate) const INIT_WALL: Duration = Duration::from_secs(10);

/// The same in fuel, which is not what bounds them: no answer depends on when they are stopped.
pub(crate) const INIT_FUEL: u64 = u64::MAX;

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
/// Bytes of one log line.
pub(crate) const LOG_LINE_BYTES_MAX: usize = KIB;

/// What one plugin may use. The operator can change it under `[limits]` in `NAME.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of the component.
    pub(crate) wasm_bytes: usize,
    /// Memory of one instance, all its memories together.
    pub(crate) memory_bytes: usize,
    /// Stack of one instance, beside its memory: one of [`WASM_STACK_SIZES`].
    pub(crate) stack_bytes: usize,
    /// How much processor time a call may use.
    pub(crate) cpu: Duration,
    /// How long a call may take by the wall clock, however busy the machine.
    pub(crate) wall: Duration,
    /// What a call may do in units of fuel, about one for an instruction: the same on every
    /// machine. 0 where fuel is not counted.
    pub(crate) fuel: u64,
    /// Bytes that one call can carry from guest to host.
    pub(crate) hostcall_bytes: usize,
    /// Handles of resources alive at once in one instance.
    pub(crate) handles: usize,
    /// Bytes of all texts in an answer.
    pub(crate) output_bytes: usize,
    /// Log lines in a second, all instances together.
    pub(crate) log_lines_per_second: u32,
    /// Calls that run at once.
    pub(crate) concurrency: usize,
    /// Fresh instances that stand ready where each call gets its own.
    pub(crate) standby: usize,
    /// Calls after which an instance is replaced: a slow leak in a guest never fills its memory.
    pub(crate) max_invocations: u64,
    /// Requests that one call may send out. 0 where there is no way out.
    pub(crate) egress_calls: u64,
    /// Bytes that one call may send and receive in all. 0 where there is no way out.
    pub(crate) egress_bytes: u64,
    /// The same in a second, of all its calls together. 0 where there is no way out.
    pub(crate) egress_bytes_per_second: u64,
    /// Connections to the outside at once, of all its calls together. 0 where there is no way out.
    pub(crate) egress_connections: usize,
}

impl Limits {
    /// Whether a component is small enough. The error says how to make it so.
    pub(crate) fn check_size(&self, wasm: &[u8]) -> Result<(), String> {
        let most = self.wasm_bytes;
        if wasm.len() > most {
            return Err(format!(
                "has {} bytes, and this plugin may have {most}; build it with --release, opt-level = \"s\" and strip = true, or raise wasm_bytes under [limits]",
                wasm.len()
            ));
        }
        Ok(())
    }

    /// What a plugin of this kind may use if the operator says nothing else.
    pub(crate) fn of(kind: Kind) -> Self {
        let hot = Self {
            wasm_bytes: 4 * MIB,
            memory_bytes: 16 * MIB,
            stack_bytes: WASM_STACK_BYTES,
            cpu: Duration::from_millis(5),
            wall: Duration::from_millis(250),
            fuel: 0,
            hostcall_bytes: 256 * KIB,
            handles: 256,
            output_bytes: 64 * KIB,
            log_lines_per_second: 50,
            concurrency: usual_concurrency(),
            standby: 16,
            max_invocations: 10_000,
            egress_calls: 0,
            egress_bytes: 0,
            egress_bytes_per_second: 0,
            egress_connections: 0,
        };
        let job = Self {
            memory_bytes: 64 * MIB,
            cpu: Duration::from_millis(500),
            wall: Duration::from_secs(30),
            hostcall_bytes: MIB,
            handles: KIB,
            concurrency: 4,
            standby: 0,
            max_invocations: 1,
            egress_calls: 16,
            egress_bytes: 8 * MIB as u64,
            // A call never waits for itself, and many leave most of a network to others.
            egress_bytes_per_second: 8 * MIB as u64,
            // One for each job that runs at once: who sends, waits for the answer.
            egress_connections: 4,
            ..hot
        };
        match kind {
            // They run within requests, so they get little time.
            Kind::Authorizer => hot,
            // It runs per quote and per invoice.
            Kind::Pricing => Self {
                cpu: Duration::from_millis(500),
                wall: Duration::from_secs(5),
                fuel: 500_000_000,
                ..hot
            },
            Kind::Payment | Kind::Config => job,
        }
    }

    /// Instances that it may have at once.
    pub(crate) fn instances(&self, isolation: Isolation) -> usize {
        match isolation {
            Isolation::Warm => self.concurrency,
            // Beside those that run there are those that are ready, and those that were used and
            // are not yet thrown away.
            Isolation::Call => self
                .concurrency
                .saturating_add(self.standby.saturating_mul(2)),
        }
    }
}

/// Whether calls share instances.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Isolation {
    /// An instance serves many calls, one at a time: for plugins that were reviewed. What a call
    /// leaves in the guest's memory is there for the next.
    #[default]
    Warm,
    /// Every call has an instance of its own, made before it came and thrown away after.
    Call,
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Warm => "warm",
            Self::Call => "call",
        })
    }
}

/// Twice the processors: guests never wait for anything else. Bounded, because each place is
/// memory that is set aside.
fn usual_concurrency() -> usize {
    std::thread::available_parallelism()
        .map_or(4, std::num::NonZero::get)
        .saturating_mul(2)
        .clamp(8, 16)
}

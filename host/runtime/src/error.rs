//! What can go wrong with a plugin: seen from outside, and from within.

use crate::deadline::Over;
use holdfast_model::ErrorKind;
use std::fmt;
use wasmtime::Trap;

/// Why a plugin's answer cannot be used. It costs this call and nothing else.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PluginError {
    /// No component of this kind is loaded.
    #[error("no {0} component is loaded; put one into the plugins folder")]
    None(&'static str),
    /// It failed.
    #[error("plugin {plugin}: {why}")]
    Failed {
        /// Which.
        plugin: String,
        /// How.
        why: String,
    },
    /// Too many calls at once; the same call may succeed later.
    #[error("plugin {plugin} is busy: {why}")]
    Overloaded {
        /// Which.
        plugin: String,
        /// Which bound was reached.
        why: String,
    },
    /// It only failed of late, so it is not asked for a while; or it served before a restart and
    /// cannot be loaded, and nothing else may answer in its place.
    #[error("plugin {plugin} {why}")]
    Open {
        /// Which.
        plugin: String,
        /// How it failed, and when it is asked again.
        why: String,
    },
}

impl PluginError {
    /// The kind of the failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::None(_) | Self::Open { .. } => ErrorKind::Unavailable,
            Self::Failed { .. } => ErrorKind::Internal,
            Self::Overloaded { .. } => ErrorKind::Overloaded,
        }
    }

    /// It served before a restart, and cannot be loaded now.
    pub(crate) fn missing(plugin: &str) -> Self {
        Self::Open {
            plugin: plugin.to_owned(),
            why: "served before the restart and cannot be loaded now; mend it (`holdfast plugin list` says what is wrong), or remove its files".to_owned(),
        }
    }

    pub(crate) fn of(plugin: &str, fault: &Fault) -> Self {
        let plugin = plugin.to_owned();
        let why = fault.to_string();
        match fault {
            Fault::Busy(_) => Self::Overloaded { plugin, why },
            _ => Self::Failed { plugin, why },
        }
    }
}

/// How one call into a guest failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It used more processor time than it may.
    Deadline,
    /// It took longer than it may by the wall clock.
    Wall,
    /// It used more fuel than it may.
    Fuel,
    /// It asked for more memory, table elements or handles than it may have.
    Memory(String),
    /// Its stack overflowed.
    Stack,
    /// It trapped otherwise: a panic, mostly.
    Trap(String),
    /// Its answer breaks the contract.
    Nonsense(String),
    /// It answered with an error. The instance is sound.
    Refused(String),
    /// A bound of the host was reached before it ran.
    Busy(String),
}

impl Fault {
    /// Every label of [`Fault::label`], and `ok`.
    pub(crate) const LABELS: [&'static str; 10] = [
        "ok", "deadline", "wall", "fuel", "memory", "stack", "trap", "nonsense", "refused", "busy",
    ];

    /// The label in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Wall => "wall",
            Self::Fuel => "fuel",
            Self::Memory(_) => "memory",
            Self::Stack => "stack",
            Self::Trap(_) => "trap",
            Self::Nonsense(_) => "nonsense",
            Self::Refused(_) => "refused",
            Self::Busy(_) => "busy",
        }
    }

    /// Whether the instance that it happened in can be used again.
    pub(crate) const fn spares_instance(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str(
                "ran over its deadline (it used up its processor time) and was stopped; mend its loop or raise cpu_ms under [limits]",
            ),
            Self::Wall => f.write_str(
                "took too long by the clock and was stopped, though it used little processor time; whom it calls is slow, the machine is overloaded, or wall_ms under [limits] is too low",
            ),
            Self::Fuel => f.write_str(
                "used up its fuel and was stopped; mend its loop or raise fuel under [limits]",
            ),
            Self::Memory(what) => f.write_str(what),
            Self::Stack => f.write_str(
                "overflowed its stack; mend its recursion or raise stack_bytes under [limits]",
            ),
            Self::Trap(what) => write!(f, "trapped: {what}"),
            Self::Nonsense(what) => write!(f, "its answer is not usable: {what}"),
            Self::Refused(what) => write!(f, "it answered with an error: {what}"),
            Self::Busy(what) => f.write_str(what),
        }
    }
}

/// A limit that the guest ran into; raised as a trap from within wasmtime and found again here.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OverLimit(pub(crate) String);

impl From<wasmtime::Error> for Fault {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(over) = error.downcast_ref::<OverLimit>() {
            return Self::Memory(over.0.clone());
        }
        match error.downcast_ref::<Over>() {
            Some(Over::Cpu) => return Self::Deadline,
            Some(Over::Wall) => return Self::Wall,
            None => {}
        }
        if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
            return Self::Trap("it exited".into());
        }
        // Wasmtime keeps the types of these errors to itself, or wraps them.
        let root = error.root_cause().to_string();
        if root.contains("allocated for hostcalls") {
            return Self::Nonsense(
                "more bytes than one call may carry; answer less or raise hostcall_bytes under [limits]".into(),
            );
        }
        if root.contains("store handle limit exceeded")
            || root.contains("resource table has no free keys")
        {
            return Self::Memory(
                "holds more handles at once than it may; drop them earlier or raise handles under [limits]".into(),
            );
        }
        if let Some(limit) = error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>() {
            return Self::Busy(format!("all instances are in use ({limit})"));
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline,
            Some(Trap::OutOfFuel) => Self::Fuel,
            Some(Trap::StackOverflow) => Self::Stack,
            Some(Trap::UnreachableCodeReached) => Self::Trap("it panicked or aborted".into()),
            // The stack that compilers put into a guest's memory lies at its bottom, and who goes
            // below is outside.
            Some(Trap::MemoryOutOfBounds) => Self::Trap(
                "it reached outside of its memory; mend its recursion, or what makes its frames or its pointers so large".into(),
            ),
            Some(trap) => Self::Trap(trap.to_string()),
            None => Self::Trap(root),
        }
    }
}

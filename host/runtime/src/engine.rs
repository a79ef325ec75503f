//! The hot engines: synchronous, without concurrency support, with only the features of WebAssembly
//! that plugins need. Their ticker makes deadlines pass.
//!
//! There are two, because whether fuel is counted is decided when code is compiled. Pricing is
//! metered: what a bill may cost to work out is the same on every machine, so a quote that is
//! refused here is refused everywhere. Authorizers are only timed: they run within requests, where
//! time is what counts, and need not pay for counting instructions. How large guests' stacks are is
//! the engine's too: who is given another size has one more, made when the first such plugin comes.

#[cfg(test)]
mod tests;

use crate::kind::Kind;
use crate::limits::{
    INSTANCES_MAX, MEMORY_BYTES_CEILING, PARTS_MAX, TABLE_ELEMENTS_MAX, WASM_STACK_BYTES,
};
use crate::ticker;
use parking_lot::Mutex;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{
    Config, Engine, EngineWeak, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy,
};

/// Bytes at the bottom of an instance's memory that stay in place between two uses of its slot, and
/// are put in order for the next guest: all that a small guest uses, so that its instances are made
/// and called without a page fault, and what it takes for a text of a mebibyte. The rest goes back
/// to the kernel, and others of this process feel each page that goes and comes (docs/speed.md).
///
/// The kernel could be asked which pages are dirty (`pagemap_scan`), so that only those need be put
/// in order, wherever they are. Wasmtime 48 then leaves out a dirty page that is not in memory just
/// now, swapped out or about to be moved, and the next guest in the slot would find it as it was
/// left (bytecodealliance/wasmtime#14357). That would be as quick for guests with large stacks, and
/// no isolation.
const KEEP_RESIDENT_BYTES: usize = 2 * 1024 * 1024;

/// Slots that nobody uses and that keep it: 32 MiB in each engine. A plugin that comes anew takes
/// another's slot before it takes one more than these.
const WARM_SLOTS_MAX: u32 = 16;

/// Bytes of a table that stay in place likewise: two thousand functions. Most have a page or two,
/// and to zero them costs less than to give them back.
const KEEP_RESIDENT_TABLE_BYTES: usize = 16 * 1024;

/// Tables for each instance that the pool has room for. A Rust guest has two; a component that has
/// more of them or more memories than one takes the places of several.
const TABLES_PER_PLACE: u32 = 4;

/// Memories that one component may have.
const MEMORIES_MAX: u32 = 4;

/// How code is compiled. What is compiled by one recipe runs on that recipe's engine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// Bounded by time.
    Timed,
    /// Bounded by time and by fuel.
    Metered,
    /// What may wait for the outside.
    Job,
}

impl Recipe {
    /// The recipe for a kind.
    pub(crate) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Authorizer => Self::Timed,
            Kind::Pricing => Self::Metered,
            Kind::Payment | Kind::Config => Self::Job,
        }
    }

    /// The name, as a child process is told it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timed => "timed",
            Self::Metered => "metered",
            Self::Job => "job",
        }
    }

    /// The recipe of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Self::Timed, Self::Metered, Self::Job];
        all.into_iter().find(|recipe| recipe.as_str() == name)
    }

    /// All that decides about the code, and nothing about where instances live. Stacks have the
    /// usual size; code is the same for all of them.
    pub(crate) fn config(self) -> Config {
        if self == Self::Job {
            return crate::job::config();
        }
        let mut config = Config::new();
        config
            .strategy(Strategy::Cranelift)
            .cranelift_opt_level(OptLevel::Speed)
            // The same floats everywhere, so that a quote can be derived again on another machine.
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .concurrency_support(false)
            .epoch_interruption(true)
            .consume_fuel(self == Self::Metered)
            .max_wasm_stack(WASM_STACK_BYTES)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            .wasm_tail_call(false)
            .wasm_component_model(true);
        config
    }
}

/// The engines of the kinds that run hot.
pub(crate) struct Engines {
    timed: Engine,
    metered: Engine,
    /// Those with stacks of another size than the usual one.
    others: Mutex<Vec<Other>>,
    ticked: Ticked,
}

/// An engine with stacks of another size.
struct Other {
    recipe: Recipe,
    stack_bytes: usize,
    engine: Engine,
}

/// The engines for which time passes.
type Ticked = Arc<Mutex<Vec<EngineWeak>>>;

impl Engines {
    /// Makes the engines and starts their ticker.
    pub(crate) fn start() -> wasmtime::Result<Self> {
        let timed = engine(Recipe::Timed, WASM_STACK_BYTES)?;
        let metered = engine(Recipe::Metered, WASM_STACK_BYTES)?;
        let ticked: Ticked = Arc::new(Mutex::new(vec![timed.weak(), metered.weak()]));
        start_ticker(Arc::clone(&ticked))?;
        Ok(Self {
            timed,
            metered,
            others: Mutex::default(),
            ticked,
        })
    }

    /// The engine of a recipe that runs hot, with stacks of this size. Jobs have their own, which
    /// are started when the first of them comes. The error is for the operator.
    pub(crate) fn of(&self, recipe: Recipe, stack_bytes: usize) -> Result<Engine, String> {
        let (recipe, usual) = match recipe {
            Recipe::Timed => (Recipe::Timed, &self.timed),
            Recipe::Metered | Recipe::Job => (Recipe::Metered, &self.metered),
        };
        if stack_bytes == WASM_STACK_BYTES {
            return Ok(usual.clone());
        }
        let mut others = self.others.lock();
        let mut found = others.iter();
        let is_it = |other: &&Other| other.recipe == recipe && other.stack_bytes == stack_bytes;
        if let Some(other) = found.find(is_it) {
            return Ok(other.engine.clone());
        }
        let engine = engine(recipe, stack_bytes)
            .map_err(|e| format!("no engine with such stacks can be started ({e:#})"))?;
        self.ticked.lock().push(engine.weak());
        others.push(Other {
            recipe,
            stack_bytes,
            engine: engine.clone(),
        });
        Ok(engine)
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").finish_non_exhaustive()
    }
}

/// Pooled slots make instances quickly and need terabytes of address space. Where that cannot be
/// had (a process limit, a small machine) instances are allocated on demand instead.
fn engine(recipe: Recipe, stack_bytes: usize) -> wasmtime::Result<Engine> {
    let mut config = recipe.config();
    config.max_wasm_stack(stack_bytes);
    match Engine::new(config.allocation_strategy(pool(INSTANCES_MAX))) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(%error, "no address space for pooled plugin instances: they are allocated on demand, and calls on fresh ones are slower");
            Engine::new(config.allocation_strategy(InstanceAllocationStrategy::OnDemand))
        }
    }
}

/// How many of the pool's places an instance takes: the pool has one memory and a few tables for
/// each.
pub(crate) fn places(component: &Component) -> usize {
    // A component that is handed its modules when it is instantiated does not link here anyway.
    let needed = component.resources_required();
    needed.map_or(1, |needed| {
        let tables = needed.num_tables.div_ceil(TABLES_PER_PLACE);
        needed.num_memories.max(tables).max(1) as usize
    })
}

/// Bytes of a component's code in whole MiB, with the data that its memories begin with: a small
/// file can become much.
pub(crate) fn code_bytes(component: &Component) -> usize {
    const MIB: usize = 1024 * 1024;
    let image = component.image_range();
    let bytes = image.end.addr().saturating_sub(image.start.addr());
    bytes.div_ceil(MIB).saturating_mul(MIB)
}

fn pool(instances: u32) -> InstanceAllocationStrategy {
    let parts = u32::try_from(PARTS_MAX).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(parts))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_PLACE))
        .max_core_instances_per_component(parts)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(parts)
        .max_memory_size(MEMORY_BYTES_CEILING)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(WARM_SLOTS_MAX)
        .table_keep_resident(KEEP_RESIDENT_TABLE_BYTES);
    InstanceAllocationStrategy::Pooling(pool)
}

/// It ends with the engines.
fn start_ticker(engines: Ticked) -> wasmtime::Result<()> {
    let tick = |engine: &EngineWeak| engine.upgrade().map(|engine| engine.increment_epoch());
    let tick_all = move || engines.lock().iter().filter_map(tick).count() > 0;
    Ok(ticker::start("plugin-ticker", tick_all)?)
}

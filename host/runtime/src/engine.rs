//! The hot engine: synchronous, without concurrency support, with only the features of WebAssembly
//! that plugins need. Its ticker makes deadlines pass.

use crate::limits::{
    HANDLES_MAX, INSTANCES_MAX, MEMORY_BYTES_CEILING, PARTS_MAX, TABLE_ELEMENTS_MAX,
    WASM_STACK_BYTES,
};
use std::time::Duration;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
};

/// How finely time is told to guests. A deadline can be late by one tick.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Bytes of an instance's memory that stay resident between two uses of its slot: what a small Rust
/// guest dirties. More is slower, because it is zeroed whether dirty or not.
const KEEP_RESIDENT_BYTES: usize = 64 * 1024;

/// Makes the engine and starts its ticker.
///
/// Pooled slots make instances quickly and need a terabyte of address space. Where that cannot be
/// had (a process limit, a small machine) instances are allocated on demand instead.
pub(crate) fn hot() -> wasmtime::Result<Engine> {
    let pooled = Engine::new(config().allocation_strategy(pool()));
    let engine = match pooled {
        Ok(engine) => engine,
        Err(error) => {
            tracing::warn!(%error, "no address space for pooled plugin instances: they are allocated on demand, and calls on fresh ones are slower");
            Engine::new(config().allocation_strategy(InstanceAllocationStrategy::OnDemand))?
        }
    };
    start_ticker(&engine)?;
    Ok(engine)
}

/// Ticks in a duration, at least one.
pub(crate) fn ticks(duration: Duration) -> u64 {
    let ticks = duration.as_millis() / TICK.as_millis();
    u64::try_from(ticks).unwrap_or(u64::MAX).max(1)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The same floats everywhere, so that a quote can be derived again on another machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_component_model(true);
    config
}

fn pool() -> InstanceAllocationStrategy {
    let parts = u32::try_from(PARTS_MAX).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX.saturating_mul(parts))
        .total_memories(INSTANCES_MAX)
        .total_tables(INSTANCES_MAX.saturating_mul(4))
        .max_core_instances_per_component(parts)
        .max_memories_per_component(4)
        .max_tables_per_component(parts)
        .max_memory_size(MEMORY_BYTES_CEILING)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    InstanceAllocationStrategy::Pooling(pool)
}

/// A thread of its own, not a task: a guest that loops may hold every worker of the async runtime,
/// and its watchdog must run all the same. It ends with the engine.
fn start_ticker(engine: &Engine) -> wasmtime::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("plugin-ticker".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(())
}

/// The bound on handles, as stores take it.
pub(crate) const fn handles() -> usize {
    HANDLES_MAX
}

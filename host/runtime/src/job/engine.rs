//! The job engine: asynchronous, because what a job does most is wait; and its own threads, so that
//! a job that runs wild takes none that serve calls.

use crate::limits::WASM_STACK_BYTES;
use crate::priority::step_back;
use crate::ticker;
use std::sync::mpsc;
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Config, Engine, OptLevel, Strategy};

/// Ticks after which a guest is looked at, and lets others run.
pub(crate) const TICKS: u64 = 1;

/// Threads of jobs. They wait nearly always.
const THREADS: usize = 2;

/// Threads for look-ups of names, which block; one that hangs holds one of these.
const LOOKUP_THREADS_MAX: usize = 8;

/// All that decides about the code of jobs.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
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

/// Makes the engine and starts its ticker. Instances are few and fresh each time, so they are
/// allocated on demand and no pool holds address space for them.
pub(crate) fn start(config: &Config) -> wasmtime::Result<Engine> {
    let engine = Engine::new(config)?;
    let weak = engine.weak();
    let tick = move || weak.upgrade().map(|engine| engine.increment_epoch());
    ticker::start("plugin-job-tick", move || tick().is_some())?;
    Ok(engine)
}

/// The threads that jobs run on.
#[derive(Debug)]
pub(crate) struct Crew(Option<Runtime>);

impl Crew {
    /// Starts them.
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(LOOKUP_THREADS_MAX)
            .thread_name("plugin-job")
            // Nobody's request waits for money to be collected, nor for configuration.
            .on_thread_start(step_back)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a job; the answer is `None` if the host stops meanwhile. Whoever stops waiting ends it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = self.0.as_ref()?.spawn(job);
        let _end = EndOnDrop(task.abort_handle());
        task.await.ok()
    }

    /// The same for a caller that is no future. It must not be called from within one.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let _task = self.0.as_ref()?.spawn(async move {
            // Whoever asked is waiting; and if not, nobody wants the answer.
            let _ = answer.send(job.await);
        });
        answered.recv().ok()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // The last one to go may be a future, in which a runtime cannot be waited for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct EndOnDrop(tokio::task::AbortHandle);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

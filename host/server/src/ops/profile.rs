//! What the processor is busy with: samples of all threads' stacks, drawn as a flame graph.
//!
//! A timer of the system interrupts whichever thread runs, some hundred times a second of
//! processor time, and the handler walks that thread's stack. Doing so costs a few percent while it
//! lasts, and walking a stack inside a signal handler is as safe as the unwinder is: samples that
//! fall into the C library, the dynamic linker or the unwinder are left out, because their locks
//! may be held. Both are why it is off in production unless the configuration turns it on
//! (`ops.profiling`).

mod flame;

use crate::config::Live;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use flame::Flames;
use pprof::ProfilerGuardBuilder;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Samples a second of processor time. A prime, so that work that recurs in round spans of time is
/// not met always or never.
const SAMPLES_A_SECOND: i32 = 99;

/// The longest look. What takes longer is to be looked at again.
const SECONDS_MAX: u64 = 60;

/// What is looked for when nobody says.
const SECONDS_USUAL: u64 = 5;

/// Libraries in which no stack is walked: a thread that is interrupted there may hold the locks
/// that walking takes.
const NOT_WALKED: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Draws flame graphs, one at a time.
#[derive(Debug, Clone)]
pub struct Profiler {
    live: Arc<Live>,
    one_at_a_time: Arc<Semaphore>,
}

/// What is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    seconds: Option<u64>,
}

impl Profiler {
    /// As the configuration that is in force says.
    #[must_use]
    pub fn of(live: &Arc<Live>) -> Self {
        Self {
            live: Arc::clone(live),
            one_at_a_time: Arc::new(Semaphore::new(1)),
        }
    }

    fn is_on(&self) -> bool {
        let config = self.live.get();
        config.ops.profiling.unwrap_or(!config.general.production)
    }
}

/// Answers with the flame graph of the next seconds, as SVG.
pub(super) async fn flamegraph(
    State(profiler): State<Profiler>,
    Query(asked): Query<Asked>,
) -> Response {
    if !profiler.is_on() {
        let why = "profiling is off; set ops.profiling = true (it counts at once)\n";
        return (StatusCode::NOT_FOUND, why).into_response();
    }
    let seconds = asked.seconds.unwrap_or(SECONDS_USUAL);
    if !(1..=SECONDS_MAX).contains(&seconds) {
        let why = format!("seconds is a whole number from 1 to {SECONDS_MAX}\n");
        return (StatusCode::BAD_REQUEST, why).into_response();
    }
    let Ok(_place) = profiler.one_at_a_time.try_acquire() else {
        let why = "somebody is looking already; ask again when they are done\n";
        return (StatusCode::CONFLICT, why).into_response();
    };
    // The samples' names are looked up in the program's own symbols, which takes a while.
    let looking = tokio::task::spawn_blocking(move || look(Duration::from_secs(seconds)));
    match looking.await {
        Ok(Ok(svg)) => ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "no flame graph can be drawn");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
        Err(died) => {
            tracing::error!(error = %died, "drawing a flame graph died");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn look(time: Duration) -> Result<String, pprof::Error> {
    let guard = ProfilerGuardBuilder::default()
        .frequency(SAMPLES_A_SECOND)
        .blocklist(&NOT_WALKED)
        .build()?;
    std::thread::sleep(time);
    let report = guard.report().build()?;
    drop(guard);
    let mut flames = Flames::default();
    for (stack, count) in &report.data {
        // From the thread inwards; a frame is several functions where some were inlined.
        let inwards = stack.frames.iter().rev();
        let names = inwards
            .flat_map(|frame| frame.iter().rev())
            .map(pprof::Symbol::name);
        let thread = std::iter::once(stack.thread_name_or_id());
        flames.add(thread.chain(names), u64::try_from(*count).unwrap_or(0));
    }
    Ok(flames.svg())
}

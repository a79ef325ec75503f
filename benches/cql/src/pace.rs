//! A closed loop: so many at once, each beginning anew when it has ended, for so long.

use anyhow::{Context, Result};
use futures_util::future::{BoxFuture, try_join_all};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something done again and again, by the number of who does it. Boxed on both sides, so that the
/// cost of that cancels out.
pub(crate) type Deed = Arc<dyn Fn(usize) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Makes a deed of a function.
pub(crate) fn deed<F, A>(does: F) -> Deed
where
    F: Fn(usize) -> A + Send + Sync + 'static,
    A: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |who| Box::pin(does(who)))
}

/// What one stretch came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p99_micros: f64,
    /// Of this process, all threads; the server is another process.
    pub(crate) cpu_micros_each: f64,
}

/// Does a deed for a stretch, `at_once` at any time.
pub(crate) async fn pace(deed: &Deed, at_once: usize, stretch: Duration) -> Result<Measured> {
    let (begin, cpu) = (Instant::now(), cpu_time());
    let end = begin + stretch;
    let tasks = (0..at_once).map(|who| tokio::spawn(go_on(Arc::clone(deed), who, end)));
    let done: Result<Vec<_>> = try_join_all(tasks).await?.into_iter().collect();
    let took = done?.into_iter().flatten().collect();
    measured(took, begin.elapsed(), cpu_time().saturating_sub(cpu))
}

#[expect(clippy::float_arithmetic, reason = "rates for people, no money")]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
fn measured(mut took: Vec<Duration>, lasted: Duration, cpu: Duration) -> Result<Measured> {
    took.sort_unstable();
    let last = took.len().saturating_sub(1) * 99 / 100;
    let p99 = took.get(last).context("nothing was done in this stretch")?;
    let count = took.len() as f64;
    Ok(Measured {
        per_second: count / lasted.as_secs_f64(),
        p99_micros: p99.as_secs_f64() * 1e6,
        cpu_micros_each: cpu.as_secs_f64() * 1e6 / count,
    })
}

async fn go_on(deed: Deed, who: usize, end: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let began = Instant::now();
        deed(who).await?;
        took.push(began.elapsed());
        if Instant::now() >= end {
            return Ok(took);
        }
    }
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::from_secs(now.tv_sec.cast_unsigned())
        + Duration::from_nanos(now.tv_nsec.cast_unsigned())
}

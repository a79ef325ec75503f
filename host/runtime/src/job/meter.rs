//! The processor time of one job: what the guest uses while it runs, and nothing of what it waits.
//!
//! A job is a future, and the guest runs only while that is polled. So the time of the polling
//! thread is taken before and after each poll. Between them the guest may be interrupted by the
//! epoch, which asks here whether the guest may go on.

use crate::deadline::thread_time;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much a job has used. One thread at a time writes to it: the one that polls.
#[derive(Debug)]
pub(crate) struct Meter {
    most_nanos: AtomicU64,
    spent_nanos: AtomicU64,
    /// What the thread's clock showed when the poll began.
    began_nanos: AtomicU64,
}

impl Meter {
    /// Nothing used of so much.
    pub(crate) fn new(most: Duration) -> Self {
        Self {
            most_nanos: AtomicU64::new(nanos(most)),
            spent_nanos: AtomicU64::new(0),
            began_nanos: AtomicU64::new(0),
        }
    }

    /// Begins anew with so much.
    pub(crate) fn renew(&self, most: Duration) {
        self.most_nanos.store(nanos(most), Ordering::Relaxed);
        self.spent_nanos.store(0, Ordering::Relaxed);
    }

    /// What was used in polls that are over.
    pub(crate) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_nanos.load(Ordering::Relaxed))
    }

    /// Whether it is used up, asked from within a poll.
    pub(crate) fn is_used_up(&self) -> bool {
        let spent = self.spent_nanos.load(Ordering::Relaxed);
        spent.saturating_add(self.of_this_poll()) >= self.most_nanos.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        let now = nanos(thread_time());
        self.began_nanos.store(now, Ordering::Relaxed);
    }

    fn end(&self) {
        let spent = self.of_this_poll();
        self.spent_nanos.fetch_add(spent, Ordering::Relaxed);
    }

    fn of_this_poll(&self) -> u64 {
        let began = self.began_nanos.load(Ordering::Relaxed);
        nanos(thread_time()).saturating_sub(began)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A future whose polls are measured.
pub(crate) struct Metered<'a, T> {
    inner: Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    meter: Arc<Meter>,
}

impl<'a, T> Metered<'a, T> {
    /// Measures a future.
    pub(crate) fn new(meter: Arc<Meter>, inner: impl Future<Output = T> + Send + 'a) -> Self {
        Self {
            inner: Box::pin(inner),
            meter,
        }
    }
}

impl<T> Future for Metered<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.meter.begin();
        let polled = self.inner.as_mut().poll(cx);
        self.meter.end();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(time: Duration) {
        let start = thread_time();
        while thread_time().saturating_sub(start) < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn waiting_is_free_and_running_is_not() {
        let meter = Arc::new(Meter::new(Duration::from_millis(20)));
        let own = Arc::clone(&meter);
        Metered::new(Arc::clone(&meter), async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            assert!(!own.is_used_up());
            spin(Duration::from_millis(5));
            tokio::task::yield_now().await;
            assert!(!own.is_used_up());
            spin(Duration::from_millis(16));
            assert!(own.is_used_up());
        })
        .await;
        assert!(meter.spent() >= Duration::from_millis(21));
        meter.renew(Duration::from_millis(1));
        assert_eq!(meter.spent(), Duration::ZERO);
    }
}

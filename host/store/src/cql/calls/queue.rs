//! How much goes on at once, and who waits.

use crate::Result;
use crate::error::StoreError;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Places for what keeps this process among the others: a beat, what the others say, a ping.
const VITAL_PLACES: usize = 4;

/// Places for calls and, apart from them, for pages of long streams and for what is vital.
#[derive(Debug)]
pub(crate) struct Queue {
    calls: Semaphore,
    pages: Semaphore,
    vital: Semaphore,
    places: usize,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Queue {
    /// Room for so many calls under way, so many that wait, and so many pages.
    pub(crate) fn new(calls: usize, waiting_max: usize, pages: usize) -> Self {
        Self {
            calls: Semaphore::new(calls),
            pages: Semaphore::new(pages),
            vital: Semaphore::new(VITAL_PLACES),
            places: calls,
            waiting: AtomicUsize::new(0),
            waiting_max,
        }
    }

    /// A place for a call: at once, or when one falls free before its deadline.
    pub(crate) async fn enter(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.calls.try_acquire() {
            return Ok(place);
        }
        let _waiting = self.wait()?;
        in_time(&self.calls, deadline).await
    }

    /// A place for a statement of a change that has begun: it waits however many do, and for as
    /// long as they do.
    pub(crate) async fn enter_begun(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.calls.try_acquire() {
            return Ok(place);
        }
        let (_waiting, _) = Waiting::beside(&self.waiting);
        in_time(&self.calls, deadline).await
    }

    /// A place for what must go on however many call: a process that is given up by the others, or
    /// taken for dead by who balances the load, because it has much to do, helps nobody.
    pub(crate) async fn enter_vital(&self, deadline: Instant) -> Result<SemaphorePermit<'_>> {
        in_time(&self.vital, deadline).await
    }

    /// A place for a page. Streams are patient: they wait until there is one.
    pub(crate) async fn enter_page(&self) -> Result<SemaphorePermit<'_>> {
        self.pages.acquire().await.map_err(|_| StoreError::Closed)
    }

    /// Calls under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.places.saturating_sub(self.calls.available_permits())
    }

    /// Calls that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn wait(&self) -> Result<Waiting<'_>> {
        let (waiting, others) = Waiting::beside(&self.waiting);
        match others < self.waiting_max {
            true => Ok(waiting),
            false => Err(StoreError::Overloaded),
        }
    }
}

/// A place that falls free before a deadline.
async fn in_time(places: &Semaphore, deadline: Instant) -> Result<SemaphorePermit<'_>> {
    match timeout_at(deadline, places.acquire()).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_)) => Err(StoreError::Closed),
        Err(_) => Err(StoreError::Overloaded),
    }
}

/// One that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// One more, and how many others there are.
    fn beside(all: &'a AtomicUsize) -> (Self, usize) {
        let others = all.fetch_add(1, Ordering::Relaxed);
        (Self(all), others)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_turned_away_at_once() {
        let queue = Queue::new(1, 1, 1);
        let first = queue.enter(soon()).await.unwrap();
        let (second, third) = tokio::join!(queue.enter(soon()), async {
            let third = queue.enter(soon()).await;
            assert_eq!(queue.waiting(), 1);
            drop(first);
            third
        });
        assert!(second.is_ok() && queue.in_flight() == 1);
        assert!(matches!(third, Err(StoreError::Overloaded)));
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_past_the_deadline() {
        let queue = Queue::new(1, 8, 1);
        let _first = queue.enter(soon()).await.unwrap();
        let second = queue.enter(Instant::now()).await;
        assert!(matches!(second, Err(StoreError::Overloaded)));
    }

    #[tokio::test]
    async fn what_has_begun_waits_however_many_do() {
        let queue = Queue::new(1, 2, 1);
        let first = queue.enter(soon()).await.unwrap();
        let late = queue.enter_begun(Instant::now()).await;
        assert!(matches!(late, Err(StoreError::Overloaded)));
        let (second, third, fourth) = tokio::join!(
            queue.enter_begun(soon()),
            queue.enter_begun(soon()),
            async {
                assert_eq!(queue.waiting(), 2);
                let fourth = queue.enter(soon()).await;
                queue.calls.add_permits(1);
                drop(first);
                fourth
            }
        );
        assert!(second.is_ok() && third.is_ok());
        // Nothing new is let in before them.
        assert!(matches!(fourth, Err(StoreError::Overloaded)));
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn pages_leave_room_for_calls() {
        let queue = Queue::new(1, 0, 1);
        let _page = queue.enter_page().await.unwrap();
        let _call = queue.enter(soon()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_vital_waits_for_no_call() {
        let queue = Queue::new(1, 0, 1);
        let _call = queue.enter(soon()).await.unwrap();
        let refused = queue.enter(soon()).await;
        assert!(matches!(refused, Err(StoreError::Overloaded)));
        let mut places = Vec::new();
        for _ in 0..VITAL_PLACES {
            places.push(queue.enter_vital(soon()).await.unwrap());
        }
        let late = queue.enter_vital(Instant::now()).await;
        assert!(matches!(late, Err(StoreError::Overloaded)));
        drop(places);
        drop(queue.enter_vital(soon()).await.unwrap());
    }
}

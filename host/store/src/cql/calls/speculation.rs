//! A second attempt elsewhere, when the first one has not been answered for a while.
//!
//! The driver can do this too, at the price of a timer and a set of futures for every call, hardly
//! any of which is ever late. Here the one timer that a round has anyway goes off early first, and
//! nothing is made for a second attempt before it is due.

use futures_util::future::select_ok;
use std::pin::{Pin, pin};
use tokio::time::{Instant, Sleep, sleep_until};

/// For how long a round waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// When a second attempt is due, if there is to be one.
    pub(super) second: Option<Instant>,
    /// When the round is given up.
    pub(super) until: Instant,
}

/// Makes an attempt, and a second one when it is due and `may` go elsewhere, and answers with the
/// first success; `None` if there is no answer in time. Attempts that have lost are dropped.
pub(super) async fn attempt<A, T, E>(
    make: impl Fn() -> A,
    may: impl FnOnce() -> bool,
    patience: Patience,
) -> Option<Result<T, E>>
where
    A: Future<Output = Result<T, E>>,
{
    let due = patience.second.filter(|due| *due < patience.until);
    let mut alarm = pin!(sleep_until(due.unwrap_or(patience.until)));
    let mut first = pin!(make());
    let in_time = before(&mut alarm, first.as_mut()).await;
    if in_time.is_some() || due.is_none() {
        return in_time;
    }
    alarm.as_mut().reset(patience.until);
    if may() {
        // Boxed: the driver's call takes kilobytes, and hardly ever is there a second one.
        let mut second = Box::pin(make());
        let both = select_ok([first, second.as_mut()]);
        let answer = before(&mut alarm, pin!(both)).await;
        return answer.map(|answer| answer.map(|(answer, _)| answer));
    }
    before(&mut alarm, first.as_mut()).await
}

/// What comes of a future before the alarm goes off.
async fn before<F: Future>(alarm: &mut Pin<&mut Sleep>, future: Pin<&mut F>) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = alarm => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{BoxFuture, FutureExt, pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::Notify;

    type End = Result<u64, u64>;

    /// Long enough for every machine, and never waited for.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(5);

    /// Runs attempts, the first one until the second is made; answers how many were made, too.
    async fn run(
        first: BoxFuture<'static, End>,
        second: impl Fn() -> BoxFuture<'static, End>,
        may: bool,
        (due, until): (Option<Duration>, Duration),
    ) -> (Option<End>, usize) {
        let made = AtomicUsize::new(0);
        let first = std::cell::Cell::new(Some(first));
        let make = || {
            made.fetch_add(1, Ordering::Relaxed);
            first.take().unwrap_or_else(&second)
        };
        let now = Instant::now();
        let patience = Patience {
            second: due.map(|due| now + due),
            until: now + until,
        };
        let came = attempt(make, || may, patience).await;
        (came, made.load(Ordering::Relaxed))
    }

    fn end(end: End) -> BoxFuture<'static, End> {
        ready(end).boxed()
    }

    fn never() -> BoxFuture<'static, End> {
        pending().boxed()
    }

    #[tokio::test]
    async fn who_is_answered_in_time_makes_one_attempt() {
        for answer in [Ok(1), Err(1)] {
            let came = run(end(answer), never, true, (Some(LONG), LONG)).await;
            assert_eq!(came, (Some(answer), 1));
            let came = run(end(answer), never, true, (None, LONG)).await;
            assert_eq!(came, (Some(answer), 1));
        }
    }

    #[tokio::test]
    async fn the_first_success_of_two_counts() {
        let due = (Some(SHORT), LONG);
        let came = run(never(), || end(Ok(2)), true, due).await;
        assert_eq!(came, (Some(Ok(2)), 2));
        // The first answers, well or not, when the second has failed.
        for answer in [Ok(1), Err(1)] {
            let failed = std::sync::Arc::new(Notify::new());
            let told = std::sync::Arc::clone(&failed);
            let first = async move {
                failed.notified().await;
                answer
            };
            let second = || {
                told.notify_one();
                end(Err(2))
            };
            let came = run(first.boxed(), second, true, due).await;
            assert_eq!(came.1, 2);
            assert_eq!(came.0.unwrap().is_ok(), answer.is_ok());
        }
    }

    #[tokio::test]
    async fn where_there_is_no_other_node_the_first_is_waited_for() {
        let late = tokio::time::sleep(SHORT * 4).map(|()| Ok(1)).boxed();
        let came = run(late, never, false, (Some(SHORT), LONG)).await;
        assert_eq!(came, (Some(Ok(1)), 1));
    }

    #[tokio::test]
    async fn nobody_waits_past_the_end() {
        for (due, may, made) in [
            (Some(SHORT), true, 2),
            (Some(SHORT), false, 1),
            (Some(LONG), true, 1),
            (None, true, 1),
        ] {
            let came = run(never(), never, may, (due, SHORT * 4)).await;
            assert_eq!(came, (None, made), "{due:?} {may}");
        }
    }
}

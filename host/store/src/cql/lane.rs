//! Group commit by key: what waits for one row is carried to it together.
//!
//! A row under a condition takes one writer at a time; many at once only refuse one another. So
//! each key that has something to do has a *lane*: one task that carries a batch, and then all that
//! has come in meanwhile as the next batch. A lane ends when nothing waits.

use super::calls::spawn;
use crate::Result;
use crate::error::StoreError;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// Calls of one batch: what a batch writes beforehand must stay well under the size at which
/// servers refuse a mutation (16 MiB), with every call at its largest.
pub(crate) const BATCH_CALLS_MAX: usize = 128;

/// Calls that wait in one lane: eight batches, which is about as long as a client waits.
const LANE_CALLS_MAX: usize = 8 * BATCH_CALLS_MAX;

/// The lanes of one kind of row.
pub(crate) struct Lanes<K, Op, Answer> {
    state: Mutex<State<K, Op, Answer>>,
    ended: Notify,
}

struct State<K, Op, Answer> {
    /// A key is here as long as a task carries for it.
    waiting: HashMap<K, VecDeque<Call<Op, Answer>>>,
    closed: bool,
}

/// What one caller wants, and how to answer it.
pub(crate) struct Call<Op, Answer> {
    op: Op,
    to: oneshot::Sender<Result<Answer>>,
}

impl<Op, Answer> Call<Op, Answer> {
    /// Takes the call apart: what is to be done, and how to answer.
    pub(crate) fn into_parts(self) -> (Op, Reply<Answer>) {
        (self.op, Reply(self.to))
    }
}

/// How to answer one caller.
pub(crate) struct Reply<Answer>(oneshot::Sender<Result<Answer>>);

impl<Answer> Reply<Answer> {
    /// Answers the caller, if it still listens.
    pub(crate) fn answer(self, answer: Result<Answer>) {
        // Who has gone away wants no answer.
        let _ = self.0.send(answer);
    }
}

impl<K, Op, Answer> Default for Lanes<K, Op, Answer> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: HashMap::new(),
                closed: false,
            }),
            ended: Notify::new(),
        }
    }
}

impl<K, Op, Answer> std::fmt::Debug for Lanes<K, Op, Answer> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lanes({} at work)", self.state.lock().waiting.len())
    }
}

impl<K, Op, Answer> Lanes<K, Op, Answer>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    Op: Send + 'static,
    Answer: Send + 'static,
{
    /// Has an operation carried in the lane of its key, and waits for the answer.
    ///
    /// `carry` is given a batch and answers each call of it, before or after its own end; the next
    /// batch begins when it has ended. A call that it drops is answered [`StoreError::Closed`]. It
    /// runs in a task of its own: a caller that goes away stops nothing that has begun, and what
    /// has not begun by then is not carried.
    pub(crate) async fn call<Carry, Carried>(
        self: &Arc<Self>,
        key: K,
        op: Op,
        carry: Carry,
    ) -> Result<Answer>
    where
        Carry: Fn(K, Vec<Call<Op, Answer>>) -> Carried + Send + Sync + 'static,
        Carried: Future<Output = ()> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        if self.join(&key, Call { op, to })? {
            let lane = Lane {
                lanes: Arc::clone(self),
                key,
                ended: false,
            };
            // Who looks into a call wants to see what was carried for it.
            spawn(lane.run(carry));
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Takes no further call, and waits until every lane has ended.
    pub(crate) async fn close(&self) {
        loop {
            let ended = self.ended.notified();
            {
                let mut state = self.state.lock();
                state.closed = true;
                if state.waiting.is_empty() {
                    return;
                }
            }
            ended.await;
        }
    }

    /// Puts a call in its lane; answers whether the lane is new and needs a task.
    fn join(&self, key: &K, call: Call<Op, Answer>) -> Result<bool> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let is_new = !state.waiting.contains_key(key);
        let lane = state.waiting.entry(key.clone()).or_default();
        if lane.len() >= LANE_CALLS_MAX {
            return Err(StoreError::Overloaded);
        }
        lane.push_back(call);
        Ok(is_new)
    }

    /// The next batch of a lane. `None` ends the lane: who comes later begins a new one.
    fn next(&self, key: &K) -> Option<Vec<Call<Op, Answer>>> {
        let mut state = self.state.lock();
        let lane = state.waiting.get_mut(key)?;
        lane.retain(|call| !call.to.is_closed());
        let left = lane.split_off(lane.len().min(BATCH_CALLS_MAX));
        let batch = std::mem::replace(lane, left);
        if batch.is_empty() {
            state.waiting.remove(key);
            if state.closed {
                self.ended.notify_waiters();
            }
            return None;
        }
        Some(batch.into())
    }
}

/// A lane at work.
struct Lane<K: Eq + Hash, Op, Answer> {
    lanes: Arc<Lanes<K, Op, Answer>>,
    key: K,
    /// Whether the lane was given up in good order; its key may be another lane's by now.
    ended: bool,
}

impl<K, Op, Answer> Lane<K, Op, Answer>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    Op: Send + 'static,
    Answer: Send + 'static,
{
    async fn run<Carry, Carried>(mut self, carry: Carry)
    where
        Carry: Fn(K, Vec<Call<Op, Answer>>) -> Carried,
        Carried: Future<Output = ()>,
    {
        while let Some(batch) = self.lanes.next(&self.key) {
            carry(self.key.clone(), batch).await;
        }
        self.ended = true;
    }
}

impl<K: Eq + Hash, Op, Answer> Drop for Lane<K, Op, Answer> {
    /// However the task ends, its key must not be left behind: nobody would carry for it again.
    fn drop(&mut self) {
        if !self.ended {
            self.lanes.state.lock().waiting.remove(&self.key);
            self.lanes.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    type Numbers = Lanes<&'static str, usize, usize>;

    /// Carries batches when it is let, and notes their sizes.
    #[derive(Clone)]
    struct Gate {
        open: Arc<Semaphore>,
        sizes: Arc<Mutex<Vec<usize>>>,
        at_once: Arc<AtomicUsize>,
    }

    impl Gate {
        fn new() -> Self {
            Self {
                open: Arc::new(Semaphore::new(0)),
                sizes: Arc::default(),
                at_once: Arc::default(),
            }
        }

        async fn carry(self, batch: Vec<Call<usize, usize>>) {
            assert_eq!(self.at_once.fetch_add(1, Ordering::SeqCst), 0);
            self.sizes.lock().push(batch.len());
            self.open.acquire().await.unwrap().forget();
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            for call in batch {
                let (op, reply) = call.into_parts();
                reply.answer(Ok(op * 2));
            }
        }

        fn call(&self, lanes: &Arc<Numbers>, op: usize) -> tokio::task::JoinHandle<Result<usize>> {
            let (lanes, gate) = (Arc::clone(lanes), self.clone());
            tokio::spawn(async move {
                lanes
                    .call("row", op, move |_, batch| gate.clone().carry(batch))
                    .await
            })
        }
    }

    async fn until(holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("it never came to hold");
    }

    fn waiting(lanes: &Numbers) -> usize {
        lanes.state.lock().waiting.values().map(VecDeque::len).sum()
    }

    #[tokio::test]
    async fn what_waits_is_carried_together_and_answered_apart() {
        let (lanes, gate) = (Arc::new(Numbers::default()), Gate::new());
        let mut calls = vec![gate.call(&lanes, 0)];
        until(|| gate.sizes.lock().len() == 1).await;
        calls.extend((1..=300).map(|op| gate.call(&lanes, op)));
        until(|| waiting(&lanes) == 300).await;
        gate.open.add_permits(4);
        for (op, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), op * 2);
        }
        assert_eq!(*gate.sizes.lock(), [1, 128, 128, 44]);
        until(|| lanes.state.lock().waiting.is_empty()).await;
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_stops_nothing() {
        let (lanes, gate) = (Arc::new(Numbers::default()), Gate::new());
        let gone = gate.call(&lanes, 1);
        until(|| gate.sizes.lock().len() == 1).await;
        gone.abort();
        let next = gate.call(&lanes, 2);
        until(|| waiting(&lanes) == 1).await;
        gate.open.add_permits(2);
        assert_eq!(next.await.unwrap().unwrap(), 4);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_before_its_turn_is_not_carried() {
        let (lanes, gate) = (Arc::new(Numbers::default()), Gate::new());
        let first = gate.call(&lanes, 1);
        until(|| gate.sizes.lock().len() == 1).await;
        let gone = gate.call(&lanes, 2);
        until(|| waiting(&lanes) == 1).await;
        gone.abort();
        let _ = gone.await;
        let last = gate.call(&lanes, 3);
        until(|| waiting(&lanes) == 2).await;
        gate.open.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        assert_eq!(last.await.unwrap().unwrap(), 6);
        assert_eq!(*gate.sizes.lock(), [1, 1]);
    }

    #[tokio::test]
    async fn too_many_are_turned_away_at_once() {
        let (lanes, gate) = (Arc::new(Numbers::default()), Gate::new());
        let mut calls = vec![gate.call(&lanes, 0)];
        until(|| gate.sizes.lock().len() == 1).await;
        calls.extend((0..LANE_CALLS_MAX).map(|op| gate.call(&lanes, op)));
        until(|| waiting(&lanes) == LANE_CALLS_MAX).await;
        let refused = gate.call(&lanes, 7).await.unwrap();
        assert!(matches!(refused, Err(StoreError::Overloaded)));
        gate.open.add_permits(9);
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn closing_waits_for_what_was_accepted() {
        let (lanes, gate) = (Arc::new(Numbers::default()), Gate::new());
        let accepted = gate.call(&lanes, 4);
        until(|| gate.sizes.lock().len() == 1).await;
        let closing = tokio::spawn({
            let lanes = Arc::clone(&lanes);
            async move { lanes.close().await }
        });
        until(|| lanes.state.lock().closed).await;
        let late = gate.call(&lanes, 5).await.unwrap();
        assert!(matches!(late, Err(StoreError::Closed)));
        gate.open.add_permits(1);
        assert_eq!(accepted.await.unwrap().unwrap(), 8);
        closing.await.unwrap();
    }

    #[tokio::test]
    async fn a_carrier_that_dies_answers_and_makes_room() {
        let lanes = Arc::new(Numbers::default());
        let dying = lanes.call("row", 1, |_, _| async { panic!("as wanted") });
        assert!(matches!(dying.await, Err(StoreError::Closed)));
        let gate = Gate::new();
        gate.open.add_permits(1);
        until(|| lanes.state.lock().waiting.is_empty()).await;
        assert_eq!(gate.call(&lanes, 3).await.unwrap().unwrap(), 6);
    }
}

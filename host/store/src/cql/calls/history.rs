//! What happened in one call to the driver: every attempt, speculative ones too.
//!
//! The driver tells a listener that belongs to a statement, and statements are shared by all calls.
//! It tells from within the call's own future, so the call's history is a local of the task.

use super::failure::{Failure, Heard};
use super::nodes::{Node, Nodes};
use scylla::errors::{RequestAttemptError, RequestError};
use scylla::observability::history::{AttemptId, HistoryListener, RequestId, SpeculativeId};
use scylla::policies::retry::RetryDecision;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

tokio::task_local! {
    static CURRENT: RefCell<Option<History>>;
}

/// Nodes that one call remembers to have failed; more than there are attempts is no use.
const AVOIDED_MAX: usize = 8;

/// The attempts of one round.
#[derive(Debug)]
pub(crate) struct History {
    nodes: Arc<Nodes>,
    attempts: Vec<Attempt>,
    shun: Shun,
}

/// Where a call would rather not go, from what its earlier rounds have met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shun {
    pub(crate) nodes: Vec<IpAddr>,
    /// The home datacenter has too few replicas: others first.
    pub(crate) home: bool,
}

impl Shun {
    /// Remembers a failed round.
    pub(crate) fn learn(&mut self, heard: &Heard) {
        self.home |= heard.failure == Failure::Unavailable;
        if let Some(node) = heard.node
            && self.nodes.len() < AVOIDED_MAX
            && !self.nodes.contains(&node)
        {
            self.nodes.push(node);
        }
    }
}

#[derive(Debug)]
struct Attempt {
    node: Arc<Node>,
    /// Another one was under way when it began.
    is_speculative: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    UnderWay,
    Answered,
    Failed(Heard),
}

/// What the metrics want to know of a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) attempts: u32,
    pub(crate) speculative: u32,
    /// The answer came from a speculative attempt.
    pub(crate) speculative_won: bool,
}

impl History {
    pub(crate) fn new(nodes: Arc<Nodes>, shun: Shun) -> Self {
        Self {
            nodes,
            attempts: Vec::new(),
            shun,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for attempt in &self.attempts {
            tally.attempts += 1;
            tally.speculative += u32::from(attempt.is_speculative);
            tally.speculative_won |=
                attempt.is_speculative && matches!(attempt.state, State::Answered);
        }
        tally
    }

    /// What says most of all that failed.
    pub(crate) fn failure(&self) -> Option<Heard> {
        let heard = self
            .attempts
            .iter()
            .filter_map(|attempt| match &attempt.state {
                State::Failed(heard) => Some(heard),
                State::UnderWay | State::Answered => None,
            });
        heard.min_by_key(|heard| heard.failure).cloned()
    }

    /// The round was given up: who was asked and has not answered has failed.
    pub(crate) fn give_up(&mut self) {
        for attempt in &mut self.attempts {
            if matches!(attempt.state, State::UnderWay) {
                attempt.node.end();
                self.nodes.failed(&attempt.node);
                let node = Some(attempt.node.address);
                attempt.state = State::Failed(Heard::timeout(node));
            }
        }
    }

    /// What a call remembers of its earlier rounds.
    pub(crate) fn into_shun(mut self) -> Shun {
        std::mem::take(&mut self.shun)
    }

    /// Whether the call would rather go elsewhere than to a node.
    fn shuns(&self, address: IpAddr, is_home: impl FnOnce() -> bool) -> bool {
        let is_asked = |attempt: &Attempt| {
            attempt.node.address == address && matches!(attempt.state, State::UnderWay)
        };
        self.attempts.iter().any(is_asked)
            || self.shun.nodes.contains(&address)
            || self.shun.home && is_home()
    }

    fn begin(&mut self, address: IpAddr) -> AttemptId {
        let node = self.nodes.at(address);
        node.begin();
        let is_under_way = |attempt: &Attempt| matches!(attempt.state, State::UnderWay);
        let is_speculative = self.attempts.iter().any(is_under_way);
        self.attempts.push(Attempt {
            node,
            is_speculative,
            state: State::UnderWay,
        });
        AttemptId(self.attempts.len() - 1)
    }

    fn answered(&mut self, id: AttemptId) {
        if let Some(attempt) = self.attempts.get_mut(id.0) {
            attempt.node.end();
            attempt.state = State::Answered;
            self.nodes.answered(&attempt.node);
        }
    }

    fn failed(&mut self, id: AttemptId, error: &RequestAttemptError) {
        if let Some(attempt) = self.attempts.get_mut(id.0) {
            let heard = Heard::attempt(attempt.node.address, error);
            attempt.node.end();
            if heard.failure.is_of_the_node() {
                self.nodes.failed(&attempt.node);
            } else {
                self.nodes.answered(&attempt.node);
            }
            attempt.state = State::Failed(heard);
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        for attempt in &self.attempts {
            if matches!(attempt.state, State::UnderWay) {
                attempt.node.end();
            }
        }
    }
}

/// A call with a place for the history of each of its rounds.
pub(crate) fn recorded<F: Future>(call: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(RefCell::default(), call)
}

/// A round begins: from now on the driver's attempts are put down in its history.
pub(crate) fn begin(round: History) {
    // In a call that is not `recorded` there is none to be taken, and the round counts as lost.
    let _ = CURRENT.try_with(|current| current.replace(Some(round)));
}

/// The history of a round that has ended or been given up.
pub(crate) fn take() -> Option<History> {
    CURRENT.try_with(RefCell::take).ok().flatten()
}

/// The history of the round that is under way on this task.
fn current<T>(deed: impl FnOnce(&mut History) -> T) -> Option<T> {
    let done = CURRENT.try_with(|current| current.borrow_mut().as_mut().map(deed));
    done.ok().flatten()
}

/// Whether the current call would rather go elsewhere than to a node: it, or its datacenter, has
/// failed this very call, or has it under way.
pub(crate) fn shuns(address: IpAddr, is_home: impl FnOnce() -> bool) -> bool {
    current(|history| history.shuns(address, is_home)).unwrap_or(false)
}

/// Hears from the driver, on behalf of the call whose future is running. If there is none, it is
/// not a call of the store (a new connection being proven), and nobody keeps its history.
#[derive(Debug)]
pub(crate) struct Listener;

/// Attempts of nobody's call.
const NOBODY: AttemptId = AttemptId(usize::MAX);

impl HistoryListener for Listener {
    fn log_request_start(&self) -> RequestId {
        RequestId(0)
    }

    fn log_request_success(&self, _request: RequestId) {}

    fn log_request_error(&self, _request: RequestId, _error: &RequestError) {}

    fn log_new_speculative_fiber(&self, _request: RequestId) -> SpeculativeId {
        SpeculativeId(0)
    }

    fn log_attempt_start(
        &self,
        _request: RequestId,
        _speculative: Option<SpeculativeId>,
        node: SocketAddr,
    ) -> AttemptId {
        current(|history| history.begin(node.ip())).unwrap_or(NOBODY)
    }

    fn log_attempt_success(&self, attempt: AttemptId) {
        let _ours = current(|history| history.answered(attempt));
    }

    fn log_attempt_error(
        &self,
        attempt: AttemptId,
        error: &RequestAttemptError,
        _decision: &RetryDecision,
    ) {
        let _ours = current(|history| history.failed(attempt, error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scylla::errors::DbError;
    use scylla::statement::Consistency;

    /// The driver tells what the last node of its plan came to: mostly that there is no connection
    /// to it. What a replica has said before stays known, for it decides what is done.
    #[test]
    fn a_replica_s_word_outlives_a_connection_that_is_not_there() {
        let mut history = History::new(Arc::new(Nodes::new(8)), Shun::default());
        assert!(history.failure().is_none());
        let unavailable = DbError::Unavailable {
            consistency: Consistency::LocalQuorum,
            required: 2,
            alive: 1,
        };
        let said = RequestAttemptError::DbError(unavailable, "too few".to_owned());
        let silent = RequestAttemptError::UnableToAllocStreamId;
        for (node, error) in [(1, &silent), (2, &said), (3, &silent)] {
            let attempt = history.begin(IpAddr::from([127, 0, 0, node]));
            history.failed(attempt, error);
        }
        let heard = history.failure().unwrap();
        assert_eq!(heard.failure, Failure::Unavailable);
        assert_eq!(heard.node, Some(IpAddr::from([127, 0, 0, 2])));
    }
}

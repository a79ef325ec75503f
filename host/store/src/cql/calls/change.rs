//! Changes of several statements, which are turned away at their first write or not at all.
//!
//! A change that has written something and is then refused is half done: its account or pin waits
//! until somebody finishes it, and while readers keep the queue full it would be refused for ever.
//! So the statements after the first write wait for their places however many wait already. They
//! count among those that wait, so that as long as they fill the queue nothing new is let in: there
//! are no more of them than changes whose first write had a place.

use std::cell::Cell;

tokio::task_local! {
    /// Whether the change that this task makes has written anything.
    static HAS_BEGUN: Cell<bool>;
}

// Neither is an `async fn`: that would hold its argument twice, and every change would take twice
// the memory while it is under way.

/// Sends the statements of one change. Part of another change, it is as far as that one is.
pub(crate) fn one_change<F: Future>(statements: F) -> impl Future<Output = F::Output> {
    HAS_BEGUN.scope(Cell::new(has_begun()), statements)
}

/// Sends what follows from a change that was made, maybe by another task.
pub(crate) fn rest_of_change<F: Future>(statements: F) -> impl Future<Output = F::Output> {
    HAS_BEGUN.scope(Cell::new(true), statements)
}

/// Whether the next statement is one of a change that has begun.
pub(super) fn has_begun() -> bool {
    HAS_BEGUN.try_with(Cell::get).unwrap_or(false)
}

/// A write has got its place.
pub(super) fn writes() {
    // Who makes no change of several statements has none to finish.
    let _ = HAS_BEGUN.try_with(|has_begun| has_begun.set(true));
}

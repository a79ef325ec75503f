//! Trims the change feed: entries go when every worker that follows it has read them and they lie
//! farther behind the head than the operator wants for those who follow from outside.
//!
//! The feed knows no times, so what is kept is counted in steps of its cursor and not in days.

use super::crew::{Crew, WorkError};
use super::placement;
use holdfast_model::Cursor;
use tokio_util::sync::CancellationToken;

const WORKER: &str = "retention";

/// Trims until `stop`.
pub(super) async fn run(crew: Crew, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&crew).await {
            crew.failed(WORKER, &error);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(crew.tuning().retention) => {}
        }
    }
}

async fn round(crew: &Crew) -> Result<(), WorkError> {
    let read = placement::cursor(crew).await?;
    let head = *crew.store.head().borrow();
    let kept = crew.tuning().feed_span;
    let upto = Cursor(head.0.saturating_sub(kept)).min(read);
    if upto > Cursor::START {
        crew.store.trim_changes(upto).await?;
    }
    Ok(())
}

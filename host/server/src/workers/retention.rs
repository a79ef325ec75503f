//! Trims the change feed: entries go when every worker that follows it has read them and they lie
//! farther behind the head than the operator wants for those who follow from outside.
//!
//! On CQL the feed's cursors are times and what is kept is an age. The embedded feed knows no
//! times: there it is a number of steps.

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
    let upto = crew.store.outdated(crew.tuning().feed_kept).min(read);
    if upto > Cursor::START {
        crew.store.trim_changes(upto).await?;
    }
    Ok(())
}

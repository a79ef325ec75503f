//! Removes what has expired: requests with a last day, and pins to which a cluster node gave one.

use super::crew::{Crew, WorkError, together};
use crate::pins::expire::{expire_pin, expire_request};
use tokio_util::sync::CancellationToken;

const WORKER: &str = "expiry";

/// Rows removed in one go.
const BATCH_ROWS: u32 = 256;

/// Rows removed at once: enough to share a group commit.
const REMOVED_AT_ONCE: usize = 32;

/// Removes until `stop`.
pub(super) async fn run(crew: Crew, stop: CancellationToken) {
    loop {
        let pause = match round(&crew).await {
            Ok(more) if more => continue,
            Ok(_) => crew.tuning().expiry,
            Err(error) => {
                crew.failed(WORKER, &error);
                crew.tuning().expiry
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Removes one batch; says whether there may be more.
async fn round(crew: &Crew) -> Result<bool, WorkError> {
    let (store, now) = (&crew.store, crew.now());
    store.sweep_records(now, BATCH_ROWS).await?;
    let requests = store.expired_requests(now, BATCH_ROWS).await?;
    let pins = store.expired_pins(now, BATCH_ROWS).await?;
    if requests.is_empty() && pins.is_empty() {
        return Ok(false);
    }
    let permit = crew.permit(WORKER)?;
    let more = requests.len().max(pins.len()) >= BATCH_ROWS as usize;
    let count = |what, n: usize| {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        crew.metrics.expired.with_label_values(&[what]).inc_by(n);
    };
    count("request", requests.len());
    count("pin", pins.len());
    let expired = requests
        .iter()
        .map(|request| expire_request(store, &permit, request, now));
    together(expired.collect(), REMOVED_AT_ONCE).await?;
    let expired = pins.iter().map(|pin| expire_pin(store, &permit, pin));
    together(expired.collect(), REMOVED_AT_ONCE).await?;
    Ok(more)
}

//! Following the feed for this process itself: where it ends, and what the cache must forget.

use super::{Shared, signed};
use crate::Result;
use crate::cql::writers::Heard;
use holdfast_model::Cursor;
use std::sync::Arc;

/// Entries read at once.
const PAGE_ROWS: u32 = 1_000;

/// How far the feed has been followed.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Everything up to this has been seen.
    seen: u64,
    /// The newest entry that another process is known to have written.
    wrote: u64,
    /// Somebody has gone, and may have written more than was told.
    is_unsure: bool,
}

impl Shared {
    /// Finds the feed's end as it is when the process begins.
    pub(super) async fn begin_tail(&self) -> Result<()> {
        let end = self.watermark();
        let newest = self.newest(end).await?;
        let floor = self.standing.lock().floor();
        self.move_head(newest.unwrap_or(0).max(floor));
        self.tail.lock().await.seen = end.saturating_sub(1);
        Ok(())
    }

    /// Takes note of what the others have written.
    pub(super) async fn note_news(&self, heard: &Heard) {
        let mut tail = self.tail.lock().await;
        tail.wrote = tail.wrote.max(heard.wrote);
        tail.is_unsure |= heard.somebody_gone;
        self.news.notify_one();
    }

    pub(super) async fn follow_on(self: Arc<Self>) {
        loop {
            self.news.notified().await;
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "the change feed's end was not read");
            }
        }
    }

    /// Reads what has become readable.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let mut tail = self.tail.lock().await;
        let end = self.watermark();
        let is_unsure = std::mem::take(&mut tail.is_unsure);
        if !is_unsure && tail.wrote <= tail.seen {
            // Only this process has written, and it knows what.
            tail.seen = tail.seen.max(end.saturating_sub(1));
            return Ok(());
        }
        tail.is_unsure = true;
        loop {
            let page = self.page(Cursor(tail.seen), end, PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                break;
            };
            page.iter().for_each(|entry| self.cache.forget(&entry.cid));
            tail.seen = last.cursor.0;
            self.move_head(last.cursor.0);
        }
        tail.seen = tail.seen.max(end.saturating_sub(1));
        tail.is_unsure = false;
        debug_assert!(signed(tail.seen) >= 0, "stamps fit");
        Ok(())
    }
}

//! Reading a whole table, in parallel ranges of its tokens.

use super::Walk;
use crate::Result;
use crate::cql::calls::OwnedRow;
use crate::cql::home::Home;
use crate::cql::statement::Statement;
use futures_util::stream::{self, StreamExt, TryStreamExt};

/// Ranges that a table is cut into, and how many of them are read at once.
const RANGES: i128 = 8;
const RANGES_AT_ONCE: usize = 8;

impl Walk<'_> {
    /// All rows of a table, in no order.
    pub(super) async fn all<R: OwnedRow + Send + 'static>(
        &self,
        statement: Statement,
    ) -> Result<Vec<R>> {
        let calls = &self.shared.calls;
        let ranges = stream::iter(ranges()).map(|range| async move {
            let rows = calls.stream::<R>(statement, Home::default(), range).await?;
            rows.try_collect::<Vec<R>>().await
        });
        let parts: Vec<Vec<R>> = ranges
            .buffer_unordered(RANGES_AT_ONCE)
            .try_collect()
            .await?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// After one token, up to the other: all there are.
fn ranges() -> impl Iterator<Item = (i64, i64)> {
    let edge = |n: i128| {
        let all = i128::from(i64::MAX) - i128::from(i64::MIN);
        let token = i128::from(i64::MIN) + all * n / RANGES;
        i64::try_from(token).unwrap_or(i64::MAX)
    };
    (0..RANGES).map(move |n| (edge(n), edge(n + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_meet_and_leave_nothing_out() {
        let all: Vec<_> = ranges().collect();
        assert_eq!(all[0].0, i64::MIN);
        assert_eq!(all[all.len() - 1].1, i64::MAX);
        assert!(all.windows(2).all(|two| two[0].1 == two[1].0));
        assert!(all.iter().all(|(from, upto)| from < upto));
    }
}

//! By how much each account's bill would change.

use super::{ROWS_MAX, Rows};
use crate::call::{OwnedQuoteCall, Quote};
use crate::error::Fault;
use holdfast_model::{Money, Period};
use serde::Serialize;
use std::collections::BTreeMap;

/// The quotes of one account that came out differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillDifference {
    /// Whose.
    pub account: String,
    /// The currency of what serves.
    pub currency: String,
    /// Quotes that came out differently.
    pub calls: u64,
    /// What they cost together, as it is.
    pub live_micros: i64,
    /// What they would cost, where the candidate answered in the same currency.
    pub candidate_micros: i64,
    /// The difference of the two.
    pub difference_micros: i64,
    /// Quotes with the same total, and other lines.
    pub other_lines: u64,
    /// Quotes in another currency.
    pub other_currency: u64,
    /// Quotes in which the candidate failed.
    pub failed: u64,
    /// The last one whose total differed: one bill reads easier than a sum.
    pub last: Option<Priced>,
}

/// One quote by both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Priced {
    /// For what.
    pub period: Period,
    /// What it costs, as it is.
    pub live: Money,
    /// What it would cost.
    pub candidate: Money,
}

/// The rows.
#[derive(Debug, Default)]
pub(crate) struct Bills(BTreeMap<String, BillDifference>);

impl Bills {
    /// All rows, the largest differences first.
    pub(super) fn rows(&self) -> Vec<BillDifference> {
        let mut rows: Vec<_> = self.0.values().cloned().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.difference_micros.unsigned_abs()));
        rows
    }
}

impl Rows for Bills {
    type Call = OwnedQuoteCall;
    type Answer = Quote;

    fn compare(
        &mut self,
        call: &OwnedQuoteCall,
        live: &Quote,
        candidate: Result<&Quote, &Fault>,
    ) -> Option<bool> {
        if candidate.is_ok_and(|quote| quote.total == live.total && quote.lines == live.lines) {
            return None;
        }
        let account = call.account.as_str();
        if self.0.len() >= ROWS_MAX && !self.0.contains_key(account) {
            return Some(false);
        }
        let row = self
            .0
            .entry(account.to_owned())
            .or_insert_with_key(|key| BillDifference {
                account: key.clone(),
                currency: live.currency.to_string(),
                calls: 0,
                live_micros: 0,
                candidate_micros: 0,
                difference_micros: 0,
                other_lines: 0,
                other_currency: 0,
                failed: 0,
                last: None,
            });
        row.calls = row.calls.saturating_add(1);
        let Ok(quote) = candidate else {
            row.failed = row.failed.saturating_add(1);
            return Some(true);
        };
        if quote.currency == live.currency {
            row.live_micros = row.live_micros.saturating_add(live.total.micros);
            row.candidate_micros = row.candidate_micros.saturating_add(quote.total.micros);
            row.difference_micros = row.candidate_micros.saturating_sub(row.live_micros);
        } else {
            row.other_currency = row.other_currency.saturating_add(1);
        }
        if quote.total == live.total {
            row.other_lines = row.other_lines.saturating_add(1);
        } else {
            row.last = Some(Priced {
                period: call.usage.period,
                live: live.total,
                candidate: quote.total,
            });
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::usage::Operations;
    use holdfast_model::{AccountId, Currency, UnixMillis, Usage};

    fn call(account: &str) -> OwnedQuoteCall {
        OwnedQuoteCall {
            account: AccountId::parse(account).unwrap(),
            attributes: BTreeMap::new(),
            usage: Usage {
                period: Period {
                    start: UnixMillis::new(1),
                    end: UnixMillis::new(2),
                },
                byte_millis: 0,
                level_bytes: 0,
                operations: Operations::default(),
            },
        }
    }

    fn quote(micros: i64, currency: &str) -> Quote {
        let currency = Currency::parse(currency).unwrap();
        Quote {
            lines: Vec::new(),
            total: Money { micros, currency },
            plugin: "p".into(),
            digest: String::new(),
            currency,
        }
    }

    #[test]
    fn each_account_has_its_difference_and_the_largest_comes_first() {
        let mut bills = Bills::default();
        let live = quote(100, "EUR");
        let same = Quote {
            plugin: "another name".into(),
            ..live.clone()
        };
        assert_eq!(bills.compare(&call("a/b"), &live, Ok(&same)), None);
        for (account, candidate) in [
            ("a/b", quote(110, "EUR")),
            ("a/b", quote(105, "EUR")),
            ("a/c", quote(10, "EUR")),
            ("a/d", quote(100, "USD")),
        ] {
            let has_row = bills.compare(&call(account), &live, Ok(&candidate));
            assert_eq!(has_row, Some(true));
        }
        bills.compare(&call("a/e"), &live, Err(&Fault::Deadline));
        let rows = bills.rows();
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.account.as_str(), row.calls, row.difference_micros))
            .collect();
        assert_eq!(
            told,
            [
                ("a/c", 1, -90),
                ("a/b", 2, 15),
                ("a/d", 1, 0),
                ("a/e", 1, 0)
            ]
        );
        assert_eq!(rows[1].last.as_ref().unwrap().candidate.micros, 105);
        assert_eq!((rows[2].other_currency, rows[3].failed), (1, 1));
    }
}

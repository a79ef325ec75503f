//! Usage, invoices and snapshots, with what a test does not care about filled in.

use holdfast_plugin::config::{Entry, Snapshot};
use holdfast_plugin::payment::{Invoice, Line, Money, Progress};
use holdfast_plugin::pricing::{Measure, Meter, Period, Usage};

/// January 2026.
const JANUARY: Period = Period {
    start: 1_767_225_600_000,
    end: 1_769_904_000_000,
};

/// Usage of `acme/web` in January 2026, of a tenant with these attributes.
#[must_use]
pub fn usage(attributes: &[(&str, &str)], meters: &[(Measure, u128)]) -> Usage {
    Usage {
        account: "acme/web".into(),
        tenant: "acme".into(),
        attributes: pairs(attributes),
        period: JANUARY,
        meters: meters
            .iter()
            .map(|(measure, quantity)| Meter {
                measure: measure.clone(),
                quantity: (*quantity).into(),
            })
            .collect(),
    }
}

/// An invoice of `acme/web` for January 2026 with one line, due by the middle of February.
#[must_use]
pub fn invoice(id: &str, total: Money) -> Invoice {
    Invoice {
        id: id.into(),
        account: "acme/web".into(),
        tenant: "acme".into(),
        attributes: Vec::new(),
        period: JANUARY,
        lines: vec![Line::charge("storage", total.clone()).because("as agreed")],
        total,
        due: JANUARY.end + 14 * 86_400_000,
    }
}

/// The progress at an attempt: 1 is the first.
#[must_use]
pub fn progress(attempt: u32, memo: &str) -> Progress {
    Progress {
        attempt,
        idempotency_key: "inv-1-key".into(),
        memo: memo.into(),
        time: JANUARY.end,
    }
}

/// A configuration of these values, each with its JSON text.
#[must_use]
pub fn snapshot(revision: u64, values: &[(&str, &str)]) -> Snapshot {
    let mut values: Vec<Entry> = pairs(values)
        .into_iter()
        .map(|(key, value)| Entry { key, value })
        .collect();
    values.sort_by(|a, b| a.key.cmp(&b.key));
    Snapshot { revision, values }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut owned: Vec<_> = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    owned.sort();
    owned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_sorts_is_sorted() {
        let snapshot = snapshot(1, &[("b", "2"), ("a.b", "1")]);
        assert_eq!(snapshot.value("b"), Some("2"));
        assert_eq!(snapshot.value("a.b"), Some("1"));
        assert_eq!(snapshot.value("c"), None);
        let usage = usage(&[("z", "1"), ("a", "2")], &[(Measure::Pin, 3)]);
        assert_eq!(usage.attributes[0].0, "a");
        assert_eq!(usage.quantity(&Measure::Pin).unwrap(), Some(3));
        assert_eq!(usage.attribute("z"), Some("1"));
    }

    #[test]
    fn an_invoice_adds_up() {
        let invoice = invoice("1", Money::new(7, "EUR"));
        assert_eq!(invoice.lines[0].amount, invoice.total);
        assert_eq!(progress(2, "m").attempt, 2);
    }
}

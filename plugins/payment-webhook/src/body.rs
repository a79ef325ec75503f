//! The invoice as JSON. Numbers that may be over 2^53, which not every reader takes, are texts.

use holdfast_plugin::money::{MICROS_PER_UNIT, Money};
use holdfast_plugin::payment::{Invoice, Line, LineKind, Progress};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is posted.
pub(crate) fn of(invoice: &Invoice, progress: &Progress) -> Value {
    let attributes: BTreeMap<&str, &str> = invoice
        .attributes
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    json!({
        "id": invoice.id,
        "account": invoice.account,
        "tenant": invoice.tenant,
        "attributes": attributes,
        "period": {"start_ms": invoice.period.start, "end_ms": invoice.period.end},
        "lines": invoice.lines.iter().map(line).collect::<Vec<_>>(),
        "total": money(&invoice.total),
        "due_ms": invoice.due,
        "attempt": progress.attempt,
        "memo": progress.memo,
    })
}

fn line(line: &Line) -> Value {
    json!({
        "kind": match line.kind {
            LineKind::Charge => "charge",
            LineKind::Credit => "credit",
        },
        "item": line.item,
        "explanation": line.explanation,
        "quantity": u128::from(line.quantity).to_string(),
        "unit": line.unit,
        "amount": money(&line.amount),
    })
}

/// `{"amount": "-1.500000", "micros": "-1500000", "currency": "EUR"}`.
fn money(money: &Money) -> Value {
    let sign = if money.micros < 0 { "-" } else { "" };
    let micros = money.micros.unsigned_abs();
    json!({
        "amount": format!(
            "{sign}{}.{:06}",
            micros / MICROS_PER_UNIT,
            micros % MICROS_PER_UNIT
        ),
        "micros": money.micros.to_string(),
        "currency": money.currency,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_testkit::{invoice, progress};

    #[test]
    fn great_numbers_are_texts() {
        let body = of(
            &invoice("inv-1", Money::new(i64::MIN, "EUR")),
            &progress(3, "m"),
        );
        assert_eq!(body["total"]["amount"], "-9223372036854.775808");
        assert_eq!(body["total"]["micros"], "-9223372036854775808");
        assert_eq!(body["attempt"], 3);
    }
}

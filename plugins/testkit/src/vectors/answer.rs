//! What plugins answer, as vectors write it.

use holdfast_plugin::authorizer::{Cause, Decision};
use holdfast_plugin::config::{ConfigError, Entry, Finding, Severity};
use holdfast_plugin::payment::{CollectError, Line, LineKind, Money, Step};
use holdfast_plugin::pricing::{Quote, RatingError};
use serde_json::{Value, json};

pub(super) fn decision(decision: Decision) -> Value {
    match decision {
        Decision::Allow => json!("allow"),
        Decision::Deny(reason) => {
            let cause = match reason.cause {
                Cause::Exhausted => json!("exhausted"),
                Cause::Forbidden => json!("forbidden"),
                Cause::Other(what) => json!({"other": what}),
            };
            json!({"deny": {"cause": cause, "message": reason.message}})
        }
    }
}

pub(super) fn rated(rated: Result<Quote, RatingError>) -> Value {
    match rated {
        Ok(quote) => {
            let lines: Vec<Value> = quote.lines.iter().map(line).collect();
            json!({"ok": {"lines": lines, "total": money(&quote.total)}})
        }
        Err(RatingError::InvalidUsage(why)) => json!({"error": {"invalid_usage": why}}),
        Err(RatingError::Overflow(why)) => json!({"error": {"overflow": why}}),
        Err(RatingError::Other(why)) => json!({"error": {"other": why}}),
    }
}

pub(super) fn collected(collected: Result<Step, CollectError>) -> Value {
    match collected {
        Ok(Step::Collected(receipt)) => json!({"ok": {"collected": {
            "reference": receipt.reference,
            "amount": money(&receipt.amount),
        }}}),
        Ok(Step::Pending(pending)) => json!({"ok": {"pending": {
            "memo": pending.memo,
            "again_after_ms": pending.again_after_ms,
            "message": pending.message,
        }}}),
        Ok(Step::Declined(why)) => json!({"ok": {"declined": why}}),
        Ok(Step::Other(what)) => json!({"ok": {"other": what}}),
        Err(CollectError::Unavailable(millis)) => json!({"error": {"unavailable": millis}}),
        Err(CollectError::InvalidInvoice(why)) => json!({"error": {"invalid_invoice": why}}),
        Err(CollectError::Refused(why)) => json!({"error": {"refused": why}}),
        Err(CollectError::Other(why)) => json!({"error": {"other": why}}),
    }
}

pub(super) fn supplied(supplied: Result<Vec<Entry>, ConfigError>) -> Value {
    let entry = |entry: &Entry| json!({"key": entry.key, "value": entry.value});
    match supplied {
        Ok(entries) => json!({"ok": entries.iter().map(entry).collect::<Vec<_>>()}),
        Err(error) => config_error(error),
    }
}

pub(super) fn checked(checked: Result<Vec<Finding>, ConfigError>) -> Value {
    let finding = |finding: Finding| {
        let severity = match finding.severity {
            Severity::Warn => json!("warn"),
            Severity::Refuse => json!("refuse"),
            Severity::Other(what) => json!({"other": what}),
        };
        json!({"key": finding.key, "severity": severity, "message": finding.message})
    };
    match checked {
        Ok(findings) => json!({"ok": findings.into_iter().map(finding).collect::<Vec<_>>()}),
        Err(error) => config_error(error),
    }
}

fn config_error(error: ConfigError) -> Value {
    match error {
        ConfigError::Unavailable(why) => json!({"error": {"unavailable": why}}),
        ConfigError::Malformed(why) => json!({"error": {"malformed": why}}),
        ConfigError::Other(why) => json!({"error": {"other": why}}),
    }
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

fn money(money: &Money) -> Value {
    json!({"micros": money.micros, "currency": money.currency})
}

//! What the receiver's answer means.

use crate::retry_after;
use holdfast_plugin::http::Response;
use holdfast_plugin::payment::{CollectError, Invoice, Pending, Progress, Receipt, Step};
use serde_json::Value;

/// Bytes of a reference, a memo and a message that the host takes.
const REFERENCE_BYTES_MAX: usize = 256;
const MEMO_BYTES_MAX: usize = 4_096;
const MESSAGE_BYTES_MAX: usize = 1_024;

/// The step that an answer makes.
pub(crate) fn step(
    response: &Response,
    invoice: &Invoice,
    progress: &Progress,
    again_after_ms: u64,
) -> Result<Step, CollectError> {
    let body = response.json().unwrap_or(Value::Null);
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let status = response.status;
    let message = |default: &str| {
        let said = text("message").filter(|said| !said.trim().is_empty());
        one_line(said.unwrap_or(default), MESSAGE_BYTES_MAX)
    };
    match status {
        200 | 201 | 204 => {
            let reference = text("reference").filter(|said| !said.trim().is_empty());
            Ok(Step::Collected(Receipt {
                // Without a name of the receiver's own, the key is the one by which it can find it.
                reference: one_line(
                    reference.unwrap_or(&progress.idempotency_key),
                    REFERENCE_BYTES_MAX,
                ),
                amount: invoice.total.clone(),
            }))
        }
        202 => {
            let memo = text("memo").unwrap_or(&progress.memo);
            if memo.len() > MEMO_BYTES_MAX {
                return Err(CollectError::Other(format!(
                    "the memo has {} bytes; answer with at most {MEMO_BYTES_MAX}",
                    memo.len()
                )));
            }
            let again = body.get("again_after_ms").and_then(Value::as_u64);
            Ok(Step::Pending(Pending {
                memo: memo.into(),
                again_after_ms: again
                    .filter(|millis| *millis > 0)
                    .or_else(|| wait(response, progress))
                    .unwrap_or(again_after_ms),
                message: message("the receiver is at work on it"),
            }))
        }
        402 => Ok(Step::Declined(message("the receiver declined it"))),
        429 | 500..=599 => Err(CollectError::Unavailable(wait(response, progress))),
        400 | 422 => Err(CollectError::InvalidInvoice(message(
            "the receiver cannot read the invoice and does not say why",
        ))),
        300..=399 => Err(CollectError::Refused(format!(
            "the receiver answered with the redirect {status}, which is not followed; write the \
             new address under settings.url and [[egress]]"
        ))),
        _ => Err(CollectError::Refused(format!(
            "the receiver answered with {status}: {}",
            message("it does not say why; look at settings.url and at the secret's header")
        ))),
    }
}

fn wait(response: &Response, progress: &Progress) -> Option<u64> {
    retry_after::millis(response.header("retry-after")?, progress.time)
}

/// The text on one line, cut between two letters.
fn one_line(text: &str, bytes_max: usize) -> String {
    let mut line = String::new();
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if line.len().saturating_add(c.len_utf8()) > bytes_max {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_plugin::money::Money;
    use holdfast_testkit::{invoice, progress};

    fn answered(status: u16, body: &str) -> Result<Step, CollectError> {
        let response = Response {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        };
        let invoice = invoice("inv-1", Money::new(1, "EUR"));
        step(&response, &invoice, &progress(1, "before"), 60_000)
    }

    #[test]
    fn what_the_receiver_says_is_cut_to_what_the_host_takes() {
        let long = format!(r#"{{"reference": "{}"}}"#, "ü".repeat(300));
        let Ok(Step::Collected(receipt)) = answered(200, &long) else {
            panic!("not collected");
        };
        assert_eq!(receipt.reference.len(), 256);
        let lines = answered(402, r#"{"message": "card\r\nexpired"}"#);
        assert_eq!(lines, Ok(Step::Declined("card  expired".into())));
        let memo = format!(r#"{{"memo": "{}"}}"#, "x".repeat(4_097));
        let Err(CollectError::Other(why)) = answered(202, &memo) else {
            panic!("taken");
        };
        assert!(why.contains("4097"), "{why}");
    }

    #[test]
    fn a_memo_that_is_not_said_anew_stays() {
        let Ok(Step::Pending(pending)) = answered(202, "") else {
            panic!("not pending");
        };
        assert_eq!(
            (pending.memo.as_str(), pending.again_after_ms),
            ("before", 60_000)
        );
    }

    #[test]
    fn no_status_is_taken_for_a_payment_by_mistake() {
        for status in 100..=599 {
            let paid = matches!(answered(status, "{}"), Ok(Step::Collected(_)));
            assert_eq!(paid, [200, 201, 204].contains(&status), "{status}");
        }
    }
}

//! Asking a payment plugin for the next step of collecting an invoice, and checking what it says.

use super::guest::JobGuest;
use super::mould::Asking;
use super::plugin::JobPlugin;
use crate::bindings::authorizer::holdfast::plugin::types::{
    Line, LineKind, Money as WitMoney, Period as WitPeriod, U128,
};
use crate::bindings::payment::Payment;
use crate::bindings::payment::exports::holdfast::plugin::collection::{
    CollectError as WitError, Invoice as WitInvoice, Progress as WitProgress, Step as WitStep,
};
use crate::call::QuoteLine;
use crate::error::{Fault, PluginError};
use crate::facts::halves;
use crate::guest::printable;
use crate::limits::MESSAGE_BYTES_MAX;
use holdfast_model::{AccountId, Currency, Money, Period, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use wasmtime::Store;

/// Bytes of what a plugin remembers between two steps: some ids.
const MEMO_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a collector's name for a receipt.
const REFERENCE_BYTES_MAX: usize = 256;

/// Characters of an idempotency key; providers take at least so many.
const KEY_CHARS_MAX: usize = 64;

/// The shortest wait before the next step: a plugin cannot make the host spin.
const AGAIN_AFTER_MIN: Duration = Duration::from_secs(1);

/// The longest. An invoice that nobody looks at for longer is forgotten.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// Unique, for ever.
    pub id: String,
    /// Who owes.
    pub account: AccountId,
    /// What the operator says of the tenant.
    pub attributes: BTreeMap<String, String>,
    /// What was used when.
    pub period: Period,
    /// How the total came about.
    pub lines: Vec<QuoteLine>,
    /// What is to be collected.
    pub total: Money,
    /// Until when it is to be paid.
    pub due: UnixMillis,
}

impl Invoice {
    /// Whether it can be collected at all.
    ///
    /// # Errors
    /// It is over nothing, or does not add up.
    pub fn check(&self) -> Result<(), &'static str> {
        let none = Money {
            micros: 0,
            ..self.total
        };
        let sum = self
            .lines
            .iter()
            .try_fold(none, |sum, line| sum.checked_add(line.amount));
        if self.total.micros <= 0 {
            return Err("its total is nothing, or less");
        }
        if sum != Some(self.total) {
            return Err("its lines do not sum up to its total");
        }
        Ok(())
    }
}

/// How far the collecting has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// From 1 on.
    pub attempt: u32,
    /// The same for every attempt at this invoice.
    pub idempotency_key: String,
    /// What the plugin said last in a [`Step::Pending`]; empty at first.
    pub memo: String,
    /// Now.
    pub time: UnixMillis,
}

/// Proof that money was collected. The amount is the invoice's total: it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The collector's name for it.
    pub reference: String,
    /// How much.
    pub amount: Money,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The money is there.
    Collected(Receipt),
    /// Not yet.
    Pending {
        /// To be stored before the next attempt.
        memo: String,
        /// How long to wait before it.
        again_after: Duration,
        /// For people.
        message: String,
    },
    /// Trying again would not help; a person must see to it.
    Declined(String),
}

/// Why an attempt came to nothing. The invoice stays in the queue, whichever it is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CollectError {
    /// The collector has no time, and when it asks to be tried again, if it said so.
    #[error("the collector is not available")]
    Unavailable {
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The invoice cannot be collected as it is.
    #[error("the invoice cannot be collected: {0}")]
    InvalidInvoice(String),
    /// The collector turns this host down.
    #[error("the collector refuses this host: {0}")]
    Refused(String),
    /// The plugin answered with another error.
    #[error("it cannot be collected: {0}")]
    Other(String),
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

impl JobPlugin<Payment> {
    /// Takes the next step of collecting an invoice.
    pub(crate) async fn collect(
        &self,
        invoice: &Invoice,
        progress: &Progress,
    ) -> Result<Step, CollectError> {
        check_asked(invoice, progress)?;
        let asked = self.mould.ask(asking(invoice, progress)).await;
        self.answered(asked)
    }

    /// The same for a caller that is no future.
    pub(crate) fn collect_blocking(
        &self,
        invoice: &Invoice,
        progress: &Progress,
    ) -> Result<Step, CollectError> {
        check_asked(invoice, progress)?;
        self.answered(self.mould.ask_blocking(None, asking(invoice, progress)))
    }

    fn answered(&self, asked: Result<Answer, Fault>) -> Answer {
        asked
            .map_err(|fault| CollectError::from(PluginError::of(&self.load.candidate.name, &fault)))
            .and_then(|answer| answer)
    }
}

/// Where an instance lives that is asked.
type Asked<'a> = &'a mut Store<JobGuest>;

/// The question, ready to be put to an instance.
fn asking(
    invoice: &Invoice,
    progress: &Progress,
) -> impl for<'a> FnOnce(&'a Payment, Asked<'a>) -> Asking<'a, Answer> + Send + 'static {
    let (invoice, progress, total) = (of_invoice(invoice), of_progress(progress), invoice.total);
    move |world, store| {
        Box::pin(async move {
            let answer = world
                .holdfast_plugin_collection()
                .call_collect(store, &invoice, &progress)
                .await?;
            checked(answer, total)
        })
    }
}

/// What is asked must make sense before it costs anybody money.
fn check_asked(invoice: &Invoice, progress: &Progress) -> Result<(), CollectError> {
    let wrong = |why: &str| Err(CollectError::InvalidInvoice(why.to_owned()));
    if let Err(why) = invoice.check() {
        return wrong(why);
    }
    let key = &progress.idempotency_key;
    let is_plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !(1..=KEY_CHARS_MAX).contains(&key.len()) || !is_plain {
        return wrong("its idempotency key is not 1 to 64 letters, digits and -");
    }
    if progress.attempt == 0 || progress.memo.len() > MEMO_BYTES_MAX {
        return wrong("its attempt is 0, or its memo is too long");
    }
    Ok(())
}

/// What became of an attempt, or why it came to nothing.
pub(super) type Answer = Result<Step, CollectError>;

/// Holds an answer against the contract that holds for every one.
pub(super) fn checked(answer: Result<WitStep, WitError>, total: Money) -> Result<Answer, Fault> {
    let nonsense = |why: String| Err(Fault::Nonsense(why));
    Ok(match answer {
        Ok(WitStep::Collected(receipt)) => {
            let reference = one_line(
                "a receipt's reference",
                receipt.reference,
                REFERENCE_BYTES_MAX,
            )?;
            let currency = Currency::parse(&receipt.amount.currency).ok();
            if currency != Some(total.currency) || receipt.amount.micros != total.micros {
                return nonsense(format!(
                    "it collected {} millionths of {:?}, and the invoice is over {total}; look at the \
                     collector what was paid",
                    receipt.amount.micros,
                    printable(&receipt.amount.currency)
                ));
            }
            Ok(Step::Collected(Receipt {
                reference,
                amount: total,
            }))
        }
        Ok(WitStep::Pending(pending)) => {
            if pending.memo.len() > MEMO_BYTES_MAX {
                return nonsense(format!(
                    "a memo has {} bytes; write at most {MEMO_BYTES_MAX}",
                    pending.memo.len()
                ));
            }
            let again_after = Duration::from_millis(pending.again_after_ms);
            Ok(Step::Pending {
                memo: pending.memo,
                again_after: again_after.clamp(AGAIN_AFTER_MIN, AGAIN_AFTER_MAX),
                message: one_line("a message", pending.message, MESSAGE_BYTES_MAX)?,
            })
        }
        Ok(WitStep::Declined(why)) => Ok(Step::Declined(one_line(
            "a message",
            why,
            MESSAGE_BYTES_MAX,
        )?)),
        Ok(WitStep::Other(what)) => {
            return nonsense(format!("the step {:?} is not known here", printable(&what)));
        }
        Err(WitError::Unavailable(after)) => Err(CollectError::Unavailable {
            retry_after: after.map(|ms| Duration::from_millis(ms).min(AGAIN_AFTER_MAX)),
        }),
        Err(WitError::InvalidInvoice(why)) => Err(CollectError::InvalidInvoice(printable(&why))),
        Err(WitError::Refused(why)) => Err(CollectError::Refused(printable(&why))),
        Err(WitError::Other(why)) => Err(CollectError::Other(printable(&why))),
    })
}

pub(super) fn one_line(what: &str, text: String, most: usize) -> Result<String, Fault> {
    if text.is_empty() || text.len() > most {
        return Err(Fault::Nonsense(format!(
            "{what} has {} bytes; write 1 to {most}",
            text.len()
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::Nonsense(format!(
            "{what} has control characters; write one plain line"
        )));
    }
    Ok(text)
}

fn of_invoice(invoice: &Invoice) -> WitInvoice {
    WitInvoice {
        id: invoice.id.clone(),
        account: invoice.account.as_str().to_owned(),
        tenant: invoice.account.tenant().as_str().to_owned(),
        attributes: invoice
            .attributes
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        period: WitPeriod {
            start: invoice.period.start.as_millis(),
            end: invoice.period.end.as_millis(),
        },
        lines: invoice.lines.iter().map(of_line).collect(),
        total: of_money(invoice.total),
        due: invoice.due.as_millis(),
    }
}

fn of_progress(progress: &Progress) -> WitProgress {
    WitProgress {
        attempt: progress.attempt,
        idempotency_key: progress.idempotency_key.clone(),
        memo: progress.memo.clone(),
        time: progress.time.as_millis(),
    }
}

fn of_line(line: &QuoteLine) -> Line {
    let (high, low) = halves(line.quantity);
    Line {
        kind: match line.amount.micros < 0 {
            true => LineKind::Credit,
            false => LineKind::Charge,
        },
        item: line.item.clone(),
        explanation: line.explanation.clone(),
        quantity: U128 { high, low },
        unit: line.unit.clone(),
        amount: of_money(line.amount),
    }
}

fn of_money(money: Money) -> WitMoney {
    WitMoney {
        micros: money.micros,
        currency: money.currency.to_string(),
    }
}

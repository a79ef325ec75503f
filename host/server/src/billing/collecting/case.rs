//! One invoice and how far it has come.

use super::{CollectingError, ID_BYTES_MAX, INVOICE_BYTES_MAX};
use holdfast_model::{Money, UnixMillis};
use holdfast_runtime::{CollectError, Invoice, PluginError, Progress, Step};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The format of a file.
const VERSION: u32 = 1;

/// The wait after a first failure; each further one in a row doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// The longest wait after a failure: a collector that was down for a night is asked again within
/// the hour.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Attempts of one invoice. At one an hour that is a month and a half: whoever has not noticed by
/// then must be told by a state that does not change any more.
const ATTEMPTS_MAX: u32 = 1_000;

/// Where an invoice stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// It waits for its next attempt.
    Waiting {
        /// When that is.
        due: UnixMillis,
        /// What it waits for, for people.
        why: String,
        /// Failures in a row.
        failures: u32,
        /// Whether the plugin is to blame, so that another one is worth a try at once.
        is_plugins_fault: bool,
    },
    /// The money is there.
    Collected {
        /// The collector's name for it.
        reference: String,
        /// How much: the invoice's total.
        amount: Money,
        /// Since when it is known.
        at: UnixMillis,
    },
    /// It is not tried any more until somebody has it tried.
    Declined {
        /// What the collector said.
        why: String,
        /// When.
        at: UnixMillis,
    },
}

/// The same without its words, for what counts and sorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Collected,
    Declined,
}

impl State {
    pub(super) const ALL: [Self; 3] = [Self::Waiting, Self::Collected, Self::Declined];

    /// The label in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Collected => "collected",
            Self::Declined => "declined",
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    version: u32,
    /// Which payment plugin collects it.
    pub(super) plugin: String,
    pub(super) invoice: Invoice,
    /// Attempts that were begun.
    pub(super) attempts: u32,
    /// What the plugin said last in a `pending`.
    memo: String,
    standing: Standing,
}

/// The key by which the collector knows an invoice, and by which its file is named. It follows from
/// the id alone, so that it is the same even if the folder is lost.
pub(super) fn key_of(id: &str) -> String {
    let digest = Sha256::new_with_prefix(b"holdfast invoice v1\0")
        .chain_update(id)
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Case {
    /// An invoice that nobody has tried yet.
    pub(super) fn new(
        plugin: &str,
        invoice: Invoice,
        now: UnixMillis,
    ) -> Result<Self, CollectingError> {
        let wrong = |why: String| Err(CollectingError::Invalid(why));
        if invoice.id.is_empty() || invoice.id.len() > ID_BYTES_MAX {
            return wrong(format!(
                "its id has {} bytes; write 1 to {ID_BYTES_MAX}",
                invoice.id.len()
            ));
        }
        invoice
            .check()
            .map_err(|why| CollectingError::Invalid(why.to_owned()))?;
        let case = Self {
            version: VERSION,
            plugin: plugin.to_owned(),
            invoice,
            attempts: 0,
            memo: String::new(),
            standing: Standing::Waiting {
                due: now,
                why: "it was not tried yet".to_owned(),
                failures: 0,
                is_plugins_fault: false,
            },
        };
        let bytes = case.to_bytes().len();
        match bytes > INVOICE_BYTES_MAX {
            true => wrong(format!(
                "it has {bytes} bytes, and may have {INVOICE_BYTES_MAX}; put fewer lines on it"
            )),
            false => Ok(case),
        }
    }

    /// Reads a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let case: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match case.version == VERSION {
            true => Ok(case),
            false => Err(format!(
                "it has version {}, and this host knows {VERSION}",
                case.version
            )),
        }
    }

    /// What a file has.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // It cannot fail: keys are text, and numbers are whole.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    pub(super) fn key(&self) -> String {
        key_of(&self.invoice.id)
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    pub(super) const fn state(&self) -> State {
        match self.standing {
            Standing::Waiting { .. } => State::Waiting,
            Standing::Collected { .. } => State::Collected,
            Standing::Declined { .. } => State::Declined,
        }
    }

    /// When it is to be tried, if it waits.
    pub(super) const fn due(&self) -> UnixMillis {
        match self.standing {
            Standing::Waiting { due, .. } => due,
            Standing::Collected { .. } | Standing::Declined { .. } => UnixMillis::MAX,
        }
    }

    pub(super) const fn is_plugins_fault(&self) -> bool {
        matches!(
            self.standing,
            Standing::Waiting {
                is_plugins_fault: true,
                ..
            }
        )
    }

    /// Whether it is the same invoice for the same plugin.
    pub(super) fn is_for(&self, other: &Self) -> bool {
        self.plugin == other.plugin && self.invoice == other.invoice
    }

    /// The next attempt, begun. What is known of the last one stays until it is over.
    pub(super) fn begun(mut self) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        self
    }

    /// What the plugin is told of how far it has come.
    pub(super) fn progress(&self, now: UnixMillis) -> Progress {
        Progress {
            attempt: self.attempts,
            idempotency_key: self.key(),
            memo: self.memo.clone(),
            time: now,
        }
    }

    /// To be tried now, as if it had never failed.
    pub(super) fn renewed(mut self, now: UnixMillis) -> Self {
        self.attempts = self.attempts.min(ATTEMPTS_MAX / 2);
        self.standing = Standing::Waiting {
            due: now,
            why: "somebody has it tried again".to_owned(),
            failures: 0,
            is_plugins_fault: false,
        };
        self
    }

    /// How it stands after an attempt, and how that is counted.
    pub(super) fn after(
        mut self,
        outcome: Result<Step, CollectError>,
        now: UnixMillis,
    ) -> (Self, &'static str) {
        let label = label(&outcome);
        self.standing = match outcome {
            Ok(Step::Collected(receipt)) => Standing::Collected {
                reference: receipt.reference,
                amount: receipt.amount,
                at: now,
            },
            Ok(Step::Declined(why)) => Standing::Declined { why, at: now },
            Ok(Step::Pending {
                memo,
                again_after,
                message,
            }) => {
                self.memo = memo;
                Standing::Waiting {
                    due: later(now, again_after),
                    why: message,
                    failures: 0,
                    is_plugins_fault: false,
                }
            }
            Err(error) => self.failed(&error, now),
        };
        if self.attempts >= ATTEMPTS_MAX
            && let Standing::Waiting { why, .. } = &self.standing
        {
            let why = format!("given up after {ATTEMPTS_MAX} attempts: {why}");
            self.standing = Standing::Declined { why, at: now };
        }
        (self, label)
    }

    fn failed(&mut self, error: &CollectError, now: UnixMillis) -> Standing {
        if was_not_asked(error) {
            // The plugin is told of attempts that it knows of.
            self.attempts = self.attempts.saturating_sub(1);
        }
        let failures = match &self.standing {
            Standing::Waiting { failures, .. } => failures.saturating_add(1),
            Standing::Collected { .. } | Standing::Declined { .. } => 1,
        };
        let wait = match error {
            CollectError::Unavailable {
                retry_after: Some(asked),
            } => pause(failures).max(*asked),
            _ => pause(failures),
        };
        Standing::Waiting {
            due: later(now, wait),
            why: error.to_string(),
            failures,
            is_plugins_fault: matches!(error, CollectError::Plugin(_)),
        }
    }
}

/// Whether the attempt ended before the plugin heard of it.
fn was_not_asked(error: &CollectError) -> bool {
    matches!(
        error,
        CollectError::Plugin(
            PluginError::None(_) | PluginError::Open { .. } | PluginError::Overloaded { .. }
        )
    )
}

/// Outcomes as metrics have them.
pub(super) const OUTCOMES: [&str; 9] = [
    "collected",
    "pending",
    "declined",
    "unavailable",
    "invalid_invoice",
    "refused",
    "other",
    "plugin_failed",
    "not_asked",
];

const fn label(outcome: &Result<Step, CollectError>) -> &'static str {
    match outcome {
        Ok(Step::Collected(_)) => "collected",
        Ok(Step::Pending { .. }) => "pending",
        Ok(Step::Declined(_)) => "declined",
        Err(CollectError::Unavailable { .. }) => "unavailable",
        Err(CollectError::InvalidInvoice(_)) => "invalid_invoice",
        Err(CollectError::Refused(_)) => "refused",
        Err(CollectError::Other(_)) => "other",
        Err(CollectError::Plugin(PluginError::Failed { .. })) => "plugin_failed",
        Err(CollectError::Plugin(_)) => "not_asked",
    }
}

/// The wait after so many failures in a row.
fn pause(failures: u32) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX)
}

fn later(now: UnixMillis, wait: Duration) -> UnixMillis {
    now.plus_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{AccountId, Currency, Period};
    use holdfast_runtime::{QuoteLine, Receipt};
    use std::collections::BTreeMap;

    fn invoice() -> Invoice {
        let amount = Money {
            micros: 5,
            currency: Currency::parse("EUR").unwrap(),
        };
        Invoice {
            id: "2026-01/acme".into(),
            account: AccountId::parse("acme/web").unwrap(),
            attributes: BTreeMap::new(),
            period: Period {
                start: UnixMillis::EPOCH,
                end: UnixMillis::new(1),
            },
            lines: vec![QuoteLine {
                item: "storage".into(),
                explanation: "as used".into(),
                quantity: u128::MAX,
                unit: "byte".into(),
                amount,
            }],
            total: amount,
            due: UnixMillis::new(2),
        }
    }

    fn failed(why: &str) -> Result<Step, CollectError> {
        Err(CollectError::Plugin(PluginError::Failed {
            plugin: "pay".into(),
            why: why.into(),
        }))
    }

    #[test]
    fn a_file_holds_all_of_it() {
        let case = Case::new("pay", invoice(), UnixMillis::new(7)).unwrap();
        let (case, _) = case.begun().after(failed("trapped"), UnixMillis::new(9));
        assert_eq!(Case::parse(&case.to_bytes()).unwrap(), case);
        assert!(Case::parse(b"{}").is_err());
        let newer = String::from_utf8(case.to_bytes()).unwrap();
        let newer = newer.replacen("\"version\": 1", "\"version\": 2", 1);
        assert!(Case::parse(newer.as_bytes()).unwrap_err().contains('2'));
    }

    #[test]
    fn each_failure_waits_longer_and_none_for_ever() {
        let mut case = Case::new("pay", invoice(), UnixMillis::EPOCH).unwrap();
        let mut waits = Vec::new();
        for _ in 0..20 {
            (case, _) = case.begun().after(failed("trapped"), UnixMillis::EPOCH);
            waits.push(case.due().as_millis());
        }
        assert_eq!(waits[..4], [5_000, 10_000, 20_000, 40_000]);
        assert_eq!(waits[19], 3_600_000);
        assert_eq!(case.progress(UnixMillis::EPOCH).attempt, 20);
        let soon = Err(CollectError::Unavailable {
            retry_after: Some(Duration::from_secs(86_400)),
        });
        (case, _) = case.begun().after(soon, UnixMillis::EPOCH);
        assert_eq!(
            case.due().as_millis(),
            86_400_000,
            "a collector may ask for longer"
        );
        let pending = Step::Pending {
            memo: "m".into(),
            again_after: Duration::from_secs(1),
            message: "soon".into(),
        };
        (case, _) = case.begun().after(Ok(pending), UnixMillis::EPOCH);
        assert_eq!(
            (
                case.due().as_millis(),
                case.progress(UnixMillis::EPOCH).memo.as_str()
            ),
            (1_000, "m")
        );
        (case, _) = case.begun().after(failed("trapped"), UnixMillis::EPOCH);
        assert_eq!(
            case.due().as_millis(),
            5_000,
            "what was answered is no failure"
        );
    }

    #[test]
    fn an_attempt_that_the_plugin_never_saw_is_none() {
        let case = Case::new("pay", invoice(), UnixMillis::EPOCH).unwrap();
        let absent = Err(CollectError::Plugin(PluginError::None("payment")));
        let (case, label) = case.begun().after(absent, UnixMillis::EPOCH);
        assert_eq!((case.attempts, label), (0, "not_asked"));
        assert!(case.is_plugins_fault());
        let (case, label) = case.begun().after(failed("trapped"), UnixMillis::EPOCH);
        assert_eq!((case.attempts, label), (1, "plugin_failed"));
    }

    #[test]
    fn after_very_many_attempts_it_is_a_persons() {
        let mut case = Case::new("pay", invoice(), UnixMillis::EPOCH).unwrap();
        for _ in 0..ATTEMPTS_MAX {
            (case, _) = case.begun().after(failed("trapped"), UnixMillis::EPOCH);
        }
        assert_eq!(case.state(), State::Declined);
        let case = case.renewed(UnixMillis::EPOCH);
        assert_eq!(case.state(), State::Waiting);
        let receipt = Receipt {
            reference: "r".into(),
            amount: case.invoice.total,
        };
        let (case, label) = case
            .begun()
            .after(Ok(Step::Collected(receipt)), UnixMillis::EPOCH);
        assert_eq!((case.state(), label), (State::Collected, "collected"));
    }

    #[test]
    fn what_is_no_invoice_is_not_taken() {
        let taken = |invoice| Case::new("pay", invoice, UnixMillis::EPOCH);
        let refused = |invoice| taken(invoice).unwrap_err().to_string();
        assert!(
            refused(Invoice {
                id: String::new(),
                ..invoice()
            })
            .contains("id")
        );
        assert!(
            refused(Invoice {
                lines: Vec::new(),
                ..invoice()
            })
            .contains("sum")
        );
        let line = invoice().lines.remove(0);
        let mut large = Invoice {
            lines: vec![line; 10_000],
            ..invoice()
        };
        large.total.micros *= 10_000;
        assert!(refused(large).contains("fewer lines"));
        // Whatever the id has in it, the key is one that every collector takes.
        for id in ["a", "../../etc", "ü\n"] {
            let key = key_of(id);
            assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
}

//! One invoice and how far it has come.

use super::billable::{Billable, RatedBy};
use super::outcome::{Counted, Failure, Outcome, PAYMENT, RATING};
use super::standing::{Standing, State, Wait};
use super::{CollectingError, INVOICE_BYTES_MAX, check_id};
use holdfast_model::UnixMillis;
use holdfast_runtime::{Invoice, Progress, Quote, Receipt, Step};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The wait after a first failure; each further one in a row doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// The longest wait after a failure: a collector that was down for a night is asked again within
/// the hour.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// Attempts of one step of one invoice. At one an hour that is a month and a half: whoever has not
/// noticed by then must be told by a state that does not change any more.
const ATTEMPTS_MAX: u32 = 1_000;

/// An invoice in the queue, from its usage to its receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    /// Which payment plugin collects it.
    pub(super) plugin: String,
    pub(super) matter: Matter,
    /// Attempts that were begun to get a price or, since there is one, to collect it.
    pub(super) attempts: u32,
    /// What the payment plugin said last in a `pending`.
    pub(super) memo: String,
    pub(super) standing: Standing,
}

/// What there is of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Matter {
    /// Usage that has no price yet.
    Unrated(Billable),
    /// The invoice, whose price never changes, and what it was rated from unless it was handed in
    /// with its price.
    Priced(Invoice, Option<Box<Origin>>),
}

/// What an invoice was rated from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) billable: Billable,
    pub(super) by: RatedBy,
}

impl Matter {
    fn id(&self) -> &str {
        match self {
            Self::Unrated(billable) => &billable.id,
            Self::Priced(invoice, _) => &invoice.id,
        }
    }

    /// The usage that was handed in, if it was usage.
    fn billable(&self) -> Option<&Billable> {
        match self {
            Self::Unrated(billable) => Some(billable),
            Self::Priced(_, origin) => origin.as_ref().map(|origin| &origin.billable),
        }
    }
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
        check_id(&invoice.id)?;
        invoice
            .check()
            .map_err(|why| CollectingError::Invalid(why.to_owned()))?;
        Self::begin(plugin, Matter::Priced(invoice, None), now)
    }

    /// Usage that nobody has rated yet.
    pub(super) fn unrated(
        plugin: &str,
        billable: Billable,
        now: UnixMillis,
    ) -> Result<Self, CollectingError> {
        billable.check()?;
        Self::begin(plugin, Matter::Unrated(billable), now)
    }

    fn begin(plugin: &str, matter: Matter, now: UnixMillis) -> Result<Self, CollectingError> {
        let wait = Wait::over("it was not tried yet", now);
        let case = Self {
            plugin: plugin.to_owned(),
            standing: match &matter {
                Matter::Unrated(_) => Standing::Unrated(wait),
                Matter::Priced(..) => Standing::Waiting(wait),
            },
            matter,
            attempts: 0,
            memo: String::new(),
        };
        case.check_size().map_err(CollectingError::Invalid)?;
        Ok(case)
    }

    fn check_size(&self) -> Result<(), String> {
        let bytes = self.to_bytes().len();
        match bytes > INVOICE_BYTES_MAX {
            true => Err(format!(
                "it has {bytes} bytes, and may have {INVOICE_BYTES_MAX}; put fewer lines and attributes on it"
            )),
            false => Ok(()),
        }
    }

    pub(super) fn id(&self) -> &str {
        self.matter.id()
    }

    pub(super) fn key(&self) -> String {
        key_of(self.id())
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing.clone()
    }

    pub(super) const fn state(&self) -> State {
        self.standing.state()
    }

    /// When it is to be tried, if it is.
    pub(super) fn due(&self) -> Option<UnixMillis> {
        self.standing.wait()?.due
    }

    pub(super) fn is_plugins_fault(&self) -> bool {
        self.standing
            .wait()
            .is_some_and(|wait| wait.is_plugins_fault)
    }

    /// Whether the same was handed in for the same plugin.
    pub(super) fn is_for(&self, other: &Self) -> bool {
        let is_same = match (self.matter.billable(), other.matter.billable()) {
            (None, None) => self.matter == other.matter,
            (mine, others) => mine == others,
        };
        is_same && self.plugin == other.plugin
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
        self.standing = self.waiting(Wait::over("somebody has it tried again", now));
        self
    }

    /// How it stands after an attempt, and how that is counted.
    pub(super) fn after(mut self, outcome: impl Into<Outcome>, now: UnixMillis) -> (Self, Counted) {
        let (step, ended) = match outcome.into() {
            Outcome::Rating(rated) => {
                let rated = rated.map_err(Failure::from);
                (RATING, rated.and_then(|quote| self.rated(quote, now)))
            }
            Outcome::Payment(stepped) => {
                let stepped = stepped.map_err(Failure::from);
                (PAYMENT, stepped.map(|step| self.stepped(step, now)))
            }
        };
        let (label, standing) =
            ended.unwrap_or_else(|failure| (failure.label, self.failed(failure, now)));
        self.standing = standing;
        if self.attempts >= ATTEMPTS_MAX {
            self.give_up(now);
        }
        (self, [step, label])
    }

    /// Takes a price, the first and only one.
    fn rated(
        &mut self,
        quote: Quote,
        now: UnixMillis,
    ) -> Result<(&'static str, Standing), Failure> {
        let Matter::Unrated(billable) = &self.matter else {
            return Ok(("rated", self.standing()));
        };
        let (plugin, total) = (quote.plugin.clone(), quote.total);
        let origin = Origin {
            billable: billable.clone(),
            by: RatedBy {
                plugin: quote.plugin.clone(),
                digest: quote.digest.clone(),
                at: now,
            },
        };
        let invoice = billable.priced(quote);
        let priced = Matter::Priced(invoice, Some(Box::new(origin)));
        let unrated = std::mem::replace(&mut self.matter, priced);
        if let Err(why) = self.check_size() {
            self.matter = unrated;
            let why = format!("plugin {plugin}: its price makes no invoice: {why}");
            return Err(Failure::of_plugin(why));
        }
        // The payment plugin counts its own.
        self.attempts = 0;
        let standing = match total.micros > 0 {
            true => Standing::Waiting(Wait::over("it has its price and was not tried yet", now)),
            false => Standing::NothingOwed { total, at: now },
        };
        Ok(("rated", standing))
    }

    fn stepped(&mut self, step: Step, now: UnixMillis) -> (&'static str, Standing) {
        match step {
            Step::Collected(Receipt { reference, amount }) => {
                let at = now;
                let paid = Standing::Collected {
                    reference,
                    amount,
                    at,
                };
                ("collected", paid)
            }
            Step::Declined(why) => ("declined", Standing::Declined { why, at: now }),
            Step::Pending {
                memo,
                again_after,
                message,
            } => {
                self.memo = memo;
                let wait = Wait::over(&message, later(now, again_after));
                ("pending", self.waiting(wait))
            }
        }
    }

    fn failed(&mut self, failure: Failure, now: UnixMillis) -> Standing {
        if !failure.was_asked() {
            // The plugin is told of attempts that it knows of.
            self.attempts = self.attempts.saturating_sub(1);
        }
        let before = self.standing.wait().map_or(0, |wait| wait.failures);
        let failures = before.saturating_add(1);
        let pause = pause(failures).max(failure.retry_after.unwrap_or_default());
        self.waiting(Wait {
            due: Some(later(now, pause)),
            why: failure.why,
            failures,
            is_plugins_fault: failure.is_plugins_fault,
        })
    }

    /// It waits for its next step.
    const fn waiting(&self, wait: Wait) -> Standing {
        match self.matter {
            Matter::Unrated(_) => Standing::Unrated(wait),
            Matter::Priced(..) => Standing::Waiting(wait),
        }
    }

    /// Leaves it to a person, if it still waits: without a price if it has none.
    fn give_up(&mut self, now: UnixMillis) {
        let tell = |why: &str| format!("given up after {ATTEMPTS_MAX} attempts: {why}");
        match &mut self.standing {
            Standing::Unrated(wait) => {
                wait.why = tell(&wait.why);
                wait.due = None;
                wait.is_plugins_fault = false;
            }
            Standing::Waiting(wait) => {
                let why = tell(&wait.why);
                self.standing = Standing::Declined { why, at: now };
            }
            Standing::NothingOwed { .. }
            | Standing::Collected { .. }
            | Standing::Declined { .. } => {}
        }
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
pub(super) mod tests;

//! Invoices on their way from usage to being paid: a queue that survives restarts, and the worker
//! that takes each to the pricing plugin until it has a price, and then to its payment plugin until
//! the money is there.
//!
//! Whatever goes wrong, an invoice stays: a plugin that fails, that is out of service or not
//! loaded, a collector that has no time or refuses. It is tried again, later each time, and at
//! once when the plugin was replaced. What must not happen is that somebody pays twice, or another
//! price than the one that was written down. So a price is on the disk before anybody is asked for
//! it, and the question is never put again; the key by which the collector knows an invoice follows
//! from the invoice's id alone, an attempt is written down before it is made, and what was handed
//! in before is not taken again.
//!
//! The queue lies in a folder of its own (`shelf`), one file for each invoice, and belongs to one
//! process. Only what the next look needs is kept in memory.

mod billable;
mod case;
mod metrics;
mod outcome;
mod round;
mod shelf;
mod standing;
mod written;

pub use billable::Billable;
pub use metrics::CollectMetrics;
pub use standing::{Standing, Wait};

use crate::aside::Aside;
use crate::clock::Clock;
use case::{Case, Matter};
use holdfast_model::{ErrorKind, UnixMillis};
use holdfast_runtime::{Invoice, Plugins};
use parking_lot::Mutex;
use shelf::Shelf;
use standing::State;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::Notify;

/// Invoices in the queue, those included that are paid and not yet forgotten: a month's invoices
/// of all accounts that one process bills.
pub const INVOICES_MAX: usize = 100_000;

/// Bytes of an invoice as it is written: a thousand lines with all that they may say would be
/// four times this, and nobody reads such an invoice.
pub const INVOICE_BYTES_MAX: usize = 1 << 20;

/// Bytes of an invoice's id.
const ID_BYTES_MAX: usize = 200;

/// Why an invoice cannot be taken, or the queue cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CollectingError {
    /// The invoice is not one.
    #[error("the invoice cannot be collected: {0}")]
    Invalid(String),
    /// There is another one with this id.
    #[error(
        "invoice {0} was handed in before, and it was another one; give each invoice its own id"
    )]
    Conflict(String),
    /// There are too many.
    #[error("{INVOICES_MAX} invoices are in the queue; forget those that are paid")]
    Full,
    /// There is no such invoice.
    #[error("there is no invoice {0} in the queue")]
    NotFound(String),
    /// The folder cannot be read or written.
    #[error("{}: {source}; look at the disk and at the rights of the folder", path.display())]
    Folder {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {why}; mend it, or move it away and look at the collector what was paid", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl CollectingError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::Full => ErrorKind::Overloaded,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Folder { .. } => ErrorKind::Internal,
            Self::Broken { .. } => ErrorKind::Corrupt,
        }
    }
}

/// The queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Collecting(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    shelf: Shelf,
    clock: Clock,
    metrics: CollectMetrics,
    /// By key.
    slots: Mutex<BTreeMap<String, Slot>>,
    /// Held while an invoice is taken in, so that one that comes twice at once is written once.
    taking: tokio::sync::Mutex<()>,
    /// Rung when there may be something to do.
    bell: Notify,
}

/// What is kept of an invoice in memory.
#[derive(Debug, Clone)]
struct Slot {
    plugin: String,
    state: State,
    /// When it is looked at again; the end of time if it is not.
    due: UnixMillis,
    /// Whether an attempt is under way.
    is_busy: bool,
    /// Which generation of the plugin was to blame for the last failure; a collector that has no
    /// time is nobody's blame. 0 if no such plugin was loaded.
    blamed: Option<u64>,
    /// What came of the last attempt, while it could not be written.
    unwritten: Option<Box<Case>>,
}

impl Collecting {
    /// Opens a folder, which is made if it is not there, and reads what waits in it. It blocks.
    ///
    /// # Errors
    /// The folder cannot be had, or another process has it. A file in it that cannot be read is
    /// logged, counted and left alone.
    pub fn open(
        dir: &Path,
        clock: Clock,
        metrics: CollectMetrics,
    ) -> Result<Self, CollectingError> {
        let shelf = Shelf::open(dir)?;
        let now = clock.now();
        let mut slots = BTreeMap::new();
        for (key, read) in shelf.read_all()? {
            match read {
                Ok(case) => {
                    slots.insert(key, Slot::reopened(&case, now));
                }
                Err(error) => {
                    metrics.unreadable.inc();
                    tracing::error!(%error, "an invoice in the queue cannot be read and is not tried");
                }
            }
        }
        let queue = Queue {
            shelf,
            clock,
            metrics,
            slots: Mutex::new(slots),
            taking: tokio::sync::Mutex::default(),
            bell: Notify::new(),
        };
        queue.gauge();
        Ok(Self(Arc::new(queue)))
    }

    /// Takes an invoice in, to be collected by the payment plugin of this name, and answers where
    /// it stands. It is on the disk by then. One that was handed in before is not taken twice.
    ///
    /// # Errors
    /// It is no invoice, it is another one than before, there are too many, or the folder cannot
    /// be written.
    pub async fn hand_in(
        &self,
        plugin: &str,
        invoice: Invoice,
    ) -> Result<Standing, CollectingError> {
        let case = Case::new(plugin, invoice, self.0.clock.now())?;
        self.take_in(case).await
    }

    /// The same for usage that has no price yet: the live pricing plugin is asked for one until it
    /// gives one, and the invoice at that price is collected.
    ///
    /// # Errors
    /// It cannot become an invoice, it is another one than before, there are too many, or the
    /// folder cannot be written.
    pub async fn hand_in_unrated(
        &self,
        plugin: &str,
        billable: Billable,
    ) -> Result<Standing, CollectingError> {
        let case = Case::unrated(plugin, billable, self.0.clock.now())?;
        self.take_in(case).await
    }

    async fn take_in(&self, case: Case) -> Result<Standing, CollectingError> {
        let (key, id) = (case.key(), case.id().to_owned());
        let _turn = self.0.taking.lock().await;
        if self.0.slots.lock().contains_key(&key) {
            let before = self.0.read(&key).await?;
            return match before.is_for(&case) {
                true => Ok(before.standing()),
                false => Err(CollectingError::Conflict(id)),
            };
        }
        if self.0.slots.lock().len() >= INVOICES_MAX {
            return Err(CollectingError::Full);
        }
        let standing = case.standing();
        let slot = Slot::reopened(&case, self.0.clock.now());
        self.0.write_new(&key, case).await?;
        self.0.slots.lock().insert(key, slot);
        self.0.gauge();
        self.0.bell.notify_one();
        Ok(standing)
    }

    /// Where an invoice stands.
    ///
    /// # Errors
    /// There is none with this id, or its file cannot be read.
    pub async fn standing(&self, id: &str) -> Result<Standing, CollectingError> {
        let key = case::key_of(id);
        let unwritten = {
            let slots = self.0.slots.lock();
            let slot = slots.get(&key);
            let slot = slot.ok_or_else(|| CollectingError::NotFound(id.to_owned()))?;
            slot.unwritten.as_ref().map(|case| case.standing())
        };
        match unwritten {
            Some(standing) => Ok(standing),
            None => Ok(self.0.read(&key).await?.standing()),
        }
    }

    /// The invoice, none while it has no price. A price that could not be written down yet is not
    /// told.
    ///
    /// # Errors
    /// There is none with this id, or its file cannot be read.
    pub async fn invoice(&self, id: &str) -> Result<Option<Invoice>, CollectingError> {
        let key = case::key_of(id);
        if !self.0.slots.lock().contains_key(&key) {
            return Err(CollectingError::NotFound(id.to_owned()));
        }
        Ok(match self.0.read(&key).await?.matter {
            Matter::Unrated(_) => None,
            Matter::Priced(invoice, _) => Some(invoice),
        })
    }

    /// Has an invoice tried again now: one that waits, one that was given up without a price, or
    /// that was declined and whose customer has mended their means of payment.
    ///
    /// # Errors
    /// There is none with this id, it is paid or nothing is owed, an attempt is under way, or its
    /// file cannot be written.
    pub async fn retry(&self, id: &str) -> Result<Standing, CollectingError> {
        let key = case::key_of(id);
        let _turn = self.0.taking.lock().await;
        self.claim(&key, id)?;
        let retried = match self.0.settled(&key).await {
            Ok(case) => self.0.keep(&key, case.renewed(self.0.clock.now())).await,
            Err(error) => Err(error),
        };
        match &retried {
            Ok(case) => self.0.release(&key, case, None),
            Err(_) => self.0.let_go(&key),
        }
        self.0.bell.notify_one();
        retried.map(|case| case.standing())
    }

    /// Takes an invoice out of the queue that is paid or over nothing, for whoever keeps its
    /// receipt elsewhere.
    ///
    /// # Errors
    /// There is none with this id, something is owed, or its file cannot be removed.
    pub async fn forget(&self, id: &str) -> Result<Standing, CollectingError> {
        let key = case::key_of(id);
        let _turn = self.0.taking.lock().await;
        let standing = self.standing(id).await?;
        if !matches!(standing.state(), State::Collected | State::NothingOwed) {
            let why = "it is not paid, and would be lost; wait, or have it tried again";
            return Err(CollectingError::Invalid(why.to_owned()));
        }
        self.0.remove(&key).await?;
        self.0.slots.lock().remove(&key);
        self.0.gauge();
        Ok(standing)
    }

    /// Rates and collects until it is dropped. What is under way then is given up: the next start
    /// asks again, a collector with the same key.
    pub async fn run(self, plugins: Arc<Plugins>, aside: Aside) {
        round::run(self.0, plugins, aside).await;
    }

    /// Keeps the worker's hands off an invoice.
    fn claim(&self, key: &str, id: &str) -> Result<(), CollectingError> {
        let mut slots = self.0.slots.lock();
        let slot = slots.get_mut(key);
        let slot = slot.ok_or_else(|| CollectingError::NotFound(id.to_owned()))?;
        if slot.is_busy {
            let why = "an attempt is under way; ask again when it is over";
            return Err(CollectingError::Invalid(why.to_owned()));
        }
        let over = match slot.state {
            State::Collected => Some("it is paid"),
            State::NothingOwed => Some("nothing is owed"),
            State::Unrated | State::Waiting | State::Declined => None,
        };
        if let Some(why) = over {
            return Err(CollectingError::Invalid(why.to_owned()));
        }
        slot.is_busy = true;
        Ok(())
    }
}

impl Slot {
    /// A slot for what is on the disk. A start may be what mends a plugin, so what failed for its
    /// sake is due at once.
    fn reopened(case: &Case, now: UnixMillis) -> Self {
        Self {
            plugin: case.plugin.clone(),
            state: case.state(),
            due: match case.is_plugins_fault() {
                true => now,
                false => due(case),
            },
            is_busy: false,
            blamed: None,
            unwritten: None,
        }
    }
}

impl Queue {
    async fn read(&self, key: &str) -> Result<Case, CollectingError> {
        let (shelf, key) = (self.shelf.clone(), key.to_owned());
        blocking(move || shelf.read(&key)).await
    }

    async fn write_new(&self, key: &str, case: Case) -> Result<(), CollectingError> {
        let (shelf, key) = (self.shelf.clone(), key.to_owned());
        blocking(move || shelf.write_new(&key, &case)).await
    }

    async fn remove(&self, key: &str) -> Result<(), CollectingError> {
        let (shelf, key) = (self.shelf.clone(), key.to_owned());
        blocking(move || shelf.remove(&key)).await
    }

    /// Writes how far an invoice has come.
    async fn keep(&self, key: &str, case: Case) -> Result<Case, CollectingError> {
        let (shelf, key) = (self.shelf.clone(), key.to_owned());
        blocking(move || shelf.write(&key, &case).map(|()| case)).await
    }

    /// How far an invoice has come, with what could not be written last time written now.
    async fn settled(&self, key: &str) -> Result<Case, CollectingError> {
        let unwritten = self
            .slots
            .lock()
            .get(key)
            .and_then(|slot| slot.unwritten.clone());
        match unwritten {
            None => self.read(key).await,
            Some(case) => {
                let case = self.keep(key, *case).await?;
                if let Some(slot) = self.slots.lock().get_mut(key) {
                    slot.unwritten = None;
                }
                Ok(case)
            }
        }
    }

    /// Lets an invoice go again, as it stands now.
    fn release(&self, key: &str, case: &Case, blamed: Option<u64>) {
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.is_busy = false;
            slot.state = case.state();
            slot.due = due(case);
            slot.blamed = blamed;
        }
        self.gauge();
    }

    /// The same as it was, if nothing is known.
    fn let_go(&self, key: &str) {
        if let Some(slot) = self.slots.lock().get_mut(key) {
            slot.is_busy = false;
        }
    }

    /// Counts what is in the queue.
    fn gauge(&self) {
        let slots = self.slots.lock();
        for state in State::ALL {
            let count = slots.values().filter(|slot| slot.state == state).count();
            let gauge = self.metrics.invoices.with_label_values(&[state.as_str()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// When the worker looks at an invoice again.
fn due(case: &Case) -> UnixMillis {
    case.due().unwrap_or(UnixMillis::MAX)
}

/// Refuses what cannot be an invoice's id.
fn check_id(id: &str) -> Result<(), CollectingError> {
    match id.is_empty() || id.len() > ID_BYTES_MAX {
        true => Err(CollectingError::Invalid(format!(
            "its id has {} bytes; write 1 to {ID_BYTES_MAX}",
            id.len()
        ))),
        false => Ok(()),
    }
}

/// Files are no work for a thread that answers.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CollectingError> + Send + 'static,
) -> Result<T, CollectingError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|died| {
        Err(CollectingError::Folder {
            path: PathBuf::new(),
            source: io::Error::other(died),
        })
    })
}

//! The auditor: one thread that carries the queue's lines into the chains in the store.
//!
//! Each round it reads what is synced, writes down where that begins and how long the chains are
//! that it goes to ([`Cursor`]), and appends. Whatever ends it between the two, the next round
//! begins at the same line, looks what the chains have got since, and leaves that out: nothing is
//! entered twice, and nothing is lost. A store that does not take them is tried again for ever; the
//! queue then grows up to its bound, and beyond that callers wait.

mod chores;

use super::carried::event_of;
use super::cursor::Cursor;
use super::intents::Open;
use super::lock::Lock;
use super::notary::Notary;
use super::spool::{Batch, Place};
use super::{Audit, AuditError, Shared};
use crate::clock::Clock;
use holdfast_model::audit::{AuditEntry, AuditEvent, AuditHead, last_seq_of, segment_of};
use holdfast_model::{ErrorKind, UnixMillis};
use holdfast_store::{AUDIT_APPEND_BYTES_MAX, AUDIT_APPEND_ENTRIES_MAX, Store, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bytes of the queue that are carried in one round: some six thousand lines, and a few
/// milliseconds of hashing.
const ROUND_BYTES: u64 = 4 * 1024 * 1024;

/// How long it lets lines come together after a round, and as of how many bytes it does not: each
/// round writes a cursor and a piece of the store, and keeps the disk from those who serve.
const GATHER: Duration = Duration::from_millis(50);
const GATHERED_BYTES: u64 = 256 * 1024;

/// How often the auditor looks when nobody wakes it: for checkpoints that fall due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long it waits after the store has failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Chains whose heads are kept at hand. Of others the store is asked again.
const HEADS_MAX: usize = 4_096;

/// How much earlier than a line an entry may say it happened that was entered after it: processes'
/// clocks differ, and callers wait before they are written down.
const CLOCKS_APART_MILLIS: u64 = 10 * 60 * 1_000;

/// Entries of one look into a chain.
const LOOK_ENTRIES: u32 = 1_000;

/// How the auditor works.
#[derive(Debug, Clone, Default)]
pub struct AuditorSettings {
    /// Who signs checkpoints; without one there are none.
    pub notary: Option<Arc<Notary>>,
    /// Entries after which a chain gets a checkpoint. Every segment's end gets one.
    pub checkpoint_entries: u64,
    /// How long after an entry a checkpoint is made at the latest.
    pub checkpoint_every: Duration,
    /// How long entries are kept; for ever if it is not said.
    pub keep: Option<Duration>,
}

/// A running auditor. Dropped, it ends after its round.
#[derive(Debug)]
pub struct Auditor {
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Drop for Auditor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Auditor {
    /// Starts carrying a log into a store. A log that is off needs nobody.
    ///
    /// # Errors
    /// A thread that cannot be started, a cursor that cannot be read, a log that was closed.
    pub fn start(
        audit: &Audit,
        store: Store,
        clock: Clock,
        settings: AuditorSettings,
    ) -> Result<Self, AuditError> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let auditor = Self {
            stop: stop.clone(),
            ended: ended.clone(),
        };
        let Some(shared) = &audit.shared else {
            ended.cancel();
            return Ok(auditor);
        };
        if let Some(notary) = &settings.notary {
            // Only the first counts; a log has one auditor.
            let _ = shared.notary.set(Arc::clone(notary));
        }
        let carrier = Carrier::open(Arc::clone(&shared.0), store, clock, settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| AuditError::Start(e.to_string()))?;
        std::thread::Builder::new()
            .name("auditor".to_owned())
            .spawn(move || {
                let _ended = ended.drop_guard();
                // Calls go first.
                holdfast_runtime::step_back();
                runtime.block_on(carrier.run(&stop));
            })
            .map_err(|e| AuditError::Start(e.to_string()))?;
        Ok(auditor)
    }

    /// Carries what is there, if the store takes it, and ends. Says whether it has ended in time.
    pub async fn end(self, patience: Duration) -> bool {
        self.stop.cancel();
        let ended = tokio::time::timeout(patience, self.ended.cancelled());
        ended.await.is_ok()
    }
}

/// What may have been entered before, of the lines up to the queue's end.
#[derive(Debug)]
enum Doubt {
    /// Nothing.
    None,
    /// What these chains have got behind these lengths.
    Behind(BTreeMap<String, u64>),
    /// Anything: there is no cursor.
    All,
}

struct Carrier {
    shared: Arc<Shared>,
    /// The files are read, and the cursor is written, for a while after the log was closed.
    _lock: Arc<Lock>,
    store: Store,
    clock: Clock,
    settings: AuditorSettings,
    place: Place,
    open: Open,
    doubt: Doubt,
    /// Events of the chains in doubt that were entered before.
    known: HashMap<String, HashSet<u128>>,
    heads: HashMap<String, AuditHead>,
    /// Chains that have grown since their last checkpoint: by how much, and since when.
    grown: BTreeMap<String, (u64, UnixMillis)>,
    /// Up to which tenant was looked for checkpoints that a process before this one owed.
    owed: Option<String>,
    swept: UnixMillis,
    is_failing: bool,
}

/// What a round has come to.
enum Round {
    Nothing,
    Carried,
    /// It has carried some of much, or much has come meanwhile.
    MoreToCarry,
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the queue's files: {0}")]
    Files(#[from] std::io::Error),
    #[error(transparent)]
    Invalid(#[from] holdfast_model::Invalid),
}

impl Carrier {
    fn open(
        shared: Arc<Shared>,
        store: Store,
        clock: Clock,
        settings: AuditorSettings,
    ) -> Result<Self, AuditError> {
        let start = |e: std::io::Error| AuditError::Start(e.to_string());
        let lock = shared.lock.upgrade().ok_or(AuditError::Closed)?;
        let cursor = Cursor::load(shared.spool.cursor_path()).map_err(start)?;
        let mut carrier = Self {
            shared,
            _lock: lock,
            store,
            clock,
            settings,
            place: Place::default(),
            open: Open::default(),
            doubt: Doubt::All,
            known: HashMap::new(),
            heads: HashMap::new(),
            grown: BTreeMap::new(),
            owed: Some(String::new()),
            swept: UnixMillis::EPOCH,
            is_failing: false,
        };
        if let Some(cursor) = cursor
            && let Some(place) = carrier.shared.spool.find(&cursor).map_err(start)?
        {
            carrier.place = place;
            carrier.open = Open(cursor.open);
            carrier.doubt = Doubt::Behind(cursor.heads);
        }
        Ok(carrier)
    }

    async fn run(mut self, stop: &CancellationToken) {
        loop {
            let is_last = stop.is_cancelled();
            let spool = Arc::clone(&self.shared);
            let (pause, is_woken) = match self.round().await {
                Ok(Round::Nothing) if is_last => return,
                Ok(Round::Carried) if is_last => continue,
                Ok(Round::MoreToCarry) => continue,
                Ok(done) => {
                    self.is_failing = false;
                    self.chores().await;
                    match done {
                        Round::Nothing => (LOOK_EVERY, true),
                        _ => (GATHER, false),
                    }
                }
                Err(_) if is_last => return,
                Err(stuck) => {
                    self.report(&stuck);
                    (RETRY_AFTER, false)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = spool.spool.grown.notified(), if is_woken => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn report(&mut self, stuck: &Stuck) {
        self.shared.metrics.carry_failures.inc();
        if !self.is_failing {
            tracing::error!(error = %stuck, "the audit log cannot be carried into the store; it waits in its files and is tried again");
        }
        self.is_failing = true;
    }

    /// Carries some lines.
    async fn round(&mut self) -> Result<Round, Stuck> {
        let batch = self.shared.spool.read(self.place, ROUND_BYTES)?;
        if batch.end == self.place {
            self.end_doubt();
            return Ok(Round::Nothing);
        }
        let by_chain = self.sort(&batch);
        let mut heads = BTreeMap::new();
        for tenant in by_chain.keys() {
            heads.insert(tenant.clone(), self.head(tenant).await?.seq);
        }
        // Doubts of an earlier round that failed hold on until its lines are through.
        if let Doubt::Behind(before) = &self.doubt {
            for (tenant, seq) in before {
                heads
                    .entry(tenant.clone())
                    .and_modify(|head| *head = (*head).min(*seq));
            }
        }
        self.save(heads.clone())?;
        if let Err(stuck) = self.enter_all(by_chain).await {
            // Nobody knows how far it came.
            self.heads.clear();
            self.known.clear();
            if !matches!(self.doubt, Doubt::All) {
                self.doubt = Doubt::Behind(heads);
            }
            return Err(stuck);
        }
        for line in batch.lines() {
            self.open.follow(line);
        }
        self.place = batch.end;
        self.shared.spool.carried_to(self.place);
        if self.shared.spool.read(self.place, 1)?.end == self.place {
            self.save(BTreeMap::new())?;
            self.end_doubt();
        }
        match self.shared.spool.backlog() {
            bytes if bytes >= GATHERED_BYTES => Ok(Round::MoreToCarry),
            _ => Ok(Round::Carried),
        }
    }

    /// All that is there is carried: what comes from now on was not entered before.
    fn end_doubt(&mut self) {
        self.doubt = Doubt::None;
        self.known.clear();
    }

    /// The events of a batch, by the chain that they go to.
    fn sort(&self, batch: &Batch) -> BTreeMap<String, Vec<AuditEvent>> {
        let now = self.clock.now();
        let mut by_chain: BTreeMap<String, Vec<AuditEvent>> = BTreeMap::new();
        for line in batch.lines() {
            let (tenant, event) = event_of(line, now);
            by_chain.entry(tenant).or_default().push(event);
        }
        by_chain
    }

    /// Writes down where this round begins.
    fn save(&self, heads: BTreeMap<String, u64>) -> Result<(), Stuck> {
        let spool = &self.shared.spool;
        // In a file without a line there is nothing to begin at, and nothing was carried of it.
        if let Some((first, offset)) = spool.name(self.place)? {
            let cursor = Cursor {
                first,
                offset,
                heads,
                open: self.open.0.clone(),
            };
            cursor.save(spool.cursor_path())?;
            spool.drop_before(self.place);
        }
        Ok(())
    }

    async fn enter_all(
        &mut self,
        by_chain: BTreeMap<String, Vec<AuditEvent>>,
    ) -> Result<(), Stuck> {
        for (tenant, events) in by_chain {
            self.enter(&tenant, events).await?;
        }
        Ok(())
    }

    /// Enters events into a chain, each once.
    async fn enter(&mut self, tenant: &str, mut events: Vec<AuditEvent>) -> Result<(), Stuck> {
        if let Some(known) = self.known_of(tenant, &events).await? {
            events.retain(|event| !known.contains(&event.id));
        }
        let before = self.head(tenant).await?.seq;
        while !events.is_empty() {
            let head = self.head(tenant).await?;
            let entries = follow(&head, &events)?;
            match self.store.append_audit(tenant, head, &entries).await {
                Ok(reached) => {
                    events.drain(..entries.len());
                    self.heads.insert(tenant.to_owned(), reached);
                    self.note_growth(tenant, &entries);
                }
                // Another process has entered something, or a call of ours did whose answer was
                // lost.
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.heads.remove(tenant);
                    let entered = self.ids_behind(tenant, before, UnixMillis::EPOCH).await?;
                    events.retain(|event| !entered.contains(&event.id));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn note_growth(&mut self, tenant: &str, entries: &[AuditEntry]) {
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.shared.metrics.carried.inc_by(count);
        let now = self.clock.now();
        let (grown, _) = self.grown.entry(tenant.to_owned()).or_insert((0, now));
        *grown = grown.saturating_add(count);
        // The end of a segment is due at once.
        if entries
            .last()
            .is_some_and(|last| last.seq == last_seq_of(segment_of(last.seq)))
        {
            *grown = u64::MAX;
        }
    }

    async fn head(&mut self, tenant: &str) -> Result<AuditHead, StoreError> {
        if let Some(head) = self.heads.get(tenant) {
            return Ok(*head);
        }
        if self.heads.len() >= HEADS_MAX {
            self.heads.clear();
        }
        let head = self.store.audit_head(tenant).await?;
        self.heads.insert(tenant.to_owned(), head);
        Ok(head)
    }

    /// What of a chain may be among the lines that are read again.
    async fn known_of(
        &mut self,
        tenant: &str,
        events: &[AuditEvent],
    ) -> Result<Option<HashSet<u128>>, Stuck> {
        if let Some(known) = self.known.get(tenant) {
            return Ok(Some(known.clone()));
        }
        let known = match &self.doubt {
            Doubt::None => return Ok(None),
            Doubt::Behind(heads) => match heads.get(tenant) {
                Some(before) => self.ids_behind(tenant, *before, UnixMillis::EPOCH).await?,
                None => return Ok(None),
            },
            Doubt::All => {
                let first = events.iter().map(|event| event.at.as_millis()).min();
                let since = first
                    .unwrap_or_default()
                    .saturating_sub(CLOCKS_APART_MILLIS);
                self.ids_behind(tenant, 0, UnixMillis::new(since)).await?
            }
        };
        self.known.insert(tenant.to_owned(), known.clone());
        Ok(Some(known))
    }

    /// The names of a chain's entries behind a length, as far back as an instant.
    async fn ids_behind(
        &self,
        tenant: &str,
        length: u64,
        since: UnixMillis,
    ) -> Result<HashSet<u128>, StoreError> {
        let mut ids = HashSet::new();
        let mut before = u64::MAX;
        loop {
            let look = self
                .store
                .audit_entries_before(tenant, before, LOOK_ENTRIES);
            let entries = look.await?;
            let Some(last) = entries.last() else {
                return Ok(ids);
            };
            before = last.seq;
            let is_enough = before <= length + 1 || entries.iter().all(|entry| entry.at < since);
            let behind = entries.iter().filter(|entry| entry.seq > length);
            ids.extend(behind.map(|entry| entry.id));
            if is_enough {
                return Ok(ids);
            }
        }
    }
}

/// The entries of as many events as one append takes.
fn follow(head: &AuditHead, events: &[AuditEvent]) -> Result<Vec<AuditEntry>, Stuck> {
    let segment = segment_of(head.seq.saturating_add(1));
    let room = last_seq_of(segment).saturating_sub(head.seq);
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let (mut head, mut bytes) = (*head, 0);
    let mut entries = Vec::new();
    for event in events.iter().take(AUDIT_APPEND_ENTRIES_MAX.min(room)) {
        let entry = AuditEntry::follow(&head, event.clone())?;
        bytes += entry.bytes();
        if bytes > AUDIT_APPEND_BYTES_MAX && !entries.is_empty() {
            break;
        }
        head = entry.head();
        entries.push(entry);
    }
    Ok(entries)
}

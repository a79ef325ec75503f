//! Runs what migrations are missing, one process at a time.
//!
//! Whatever happens in between (a node that does not answer, a lost answer, a process that is
//! killed, a second process), the next runner looks at what there is and goes on from there: every
//! statement makes one thing that is either there or not.

use super::door::Door;
use super::flavour::Flavour;
use super::lease::{Holder, Lease};
use super::ledger::{self, Entry};
use super::migrations::{self, Migration};
use super::present::Present;
use super::script::{self, Makes, Step};
use super::{CqlSettings, SchemaError, at_rest, keyspace};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often one migration's statements are gone through until all that they make is there.
const MIGRATION_ATTEMPTS: u32 = 3;

/// Between looks at a lease that another process has.
const LEASE_POLL: Duration = Duration::from_millis(500);

/// Between lines in the log while waiting.
const WAIT_TOLD_EVERY: Duration = Duration::from_secs(15);

/// How many leases another process may take before this one gives up: if it lives it is done by
/// then, and if it died its lease has ended.
const LEASES_WAITED: u32 = 3;

/// Brings one keyspace up to date.
#[derive(Debug)]
pub(super) struct Runner<'s> {
    pub(super) door: Door<'s>,
    pub(super) settings: &'s CqlSettings,
    pub(super) flavour: Flavour,
    pub(super) known: Vec<Migration>,
}

impl Runner<'_> {
    /// The version that this program needs.
    pub(super) fn newest(&self) -> u32 {
        self.known.last().map_or(0, |migration| migration.version)
    }

    /// How far the keyspace is, without changing anything.
    pub(super) async fn look(&self) -> Result<u32, SchemaError> {
        let present = self.present().await?;
        let at = self.position(&present).await?;
        if at == self.newest() {
            self.must_be_whole(&present)?;
        }
        Ok(at)
    }

    /// Makes all that is missing.
    pub(super) async fn run(&self) -> Result<(), SchemaError> {
        at_rest::can_be(self.settings, self.flavour)?;
        if self.look().await? == self.newest() {
            return Ok(());
        }
        self.prepare().await?;
        let (began, mut told) = (Instant::now(), None::<Instant>);
        loop {
            let other = match self.take_lease().await? {
                Ok(mut lease) => {
                    let done = self.run_under(&mut lease).await;
                    lease.give_back().await;
                    return done;
                }
                Err(other) => other,
            };
            if began.elapsed() > self.lease() * LEASES_WAITED {
                return Err(self.busy(other, began.elapsed()));
            }
            if told.is_none_or(|at| at.elapsed() > WAIT_TOLD_EVERY) {
                tracing::info!(
                    by = other.run_by,
                    "waiting for another process that migrates"
                );
                told = Some(Instant::now());
            }
            sleep(LEASE_POLL).await;
            if self.look().await? == self.newest() {
                return Ok(());
            }
        }
    }

    pub(super) async fn present(&self) -> Result<Present, SchemaError> {
        Present::load(&self.door, &self.settings.keyspace).await
    }

    pub(super) async fn ledger(&self, present: &Present) -> Result<Vec<Entry>, SchemaError> {
        match present.has_table("schema_migrations") {
            true => ledger::read(&self.door, &self.settings.keyspace).await,
            false => Ok(Vec::new()),
        }
    }

    async fn position(&self, present: &Present) -> Result<u32, SchemaError> {
        let ledger = self.ledger(present).await?;
        migrations::position(&self.settings.keyspace, &ledger, &self.known)
    }

    fn must_be_whole(&self, present: &Present) -> Result<(), SchemaError> {
        match present.complaint(&self.known) {
            Some(what) => Err(SchemaError::Altered {
                keyspace: self.settings.keyspace.clone(),
                what,
            }),
            None => Ok(()),
        }
    }

    /// Makes the keyspace and the tables that the migrations themselves need. No lease can be had
    /// yet, so that all of it may be done by two processes at once.
    async fn prepare(&self) -> Result<(), SchemaError> {
        if keyspace::find(&self.door, &self.settings.keyspace)
            .await?
            .is_none()
        {
            keyspace::make(&self.door, self.settings, self.flavour).await?;
        }
        let Some(first) = self.known.first() else {
            return Ok(());
        };
        let present = self.present().await?;
        for step in first.steps.iter().filter(|step| !present.has(&step.makes)) {
            self.define(first, step).await?;
        }
        self.door.agree().await
    }

    async fn take_lease(&self) -> Result<Result<Lease<'_, '_>, Holder>, SchemaError> {
        let settings = self.settings;
        let run_by = &settings.schema.run_by;
        Lease::take(&self.door, &settings.keyspace, run_by, self.lease()).await
    }

    fn lease(&self) -> Duration {
        self.settings.timeouts.lease
    }

    fn busy(&self, holder: Holder, waited: Duration) -> SchemaError {
        SchemaError::Busy {
            keyspace: self.settings.keyspace.clone(),
            holder: holder.run_by,
            waited,
        }
    }

    /// Runs every migration that is not done, in order.
    async fn run_under(&self, lease: &mut Lease<'_, '_>) -> Result<(), SchemaError> {
        let keyspace = &self.settings.keyspace;
        let ledger = ledger::read_serially(&self.door, keyspace).await?;
        let done = migrations::position(keyspace, &ledger, &self.known)?;
        for migration in self.known.iter().filter(|m| m.version > done) {
            let began = Instant::now();
            let run_by = &self.settings.schema.run_by;
            ledger::begin(&self.door, keyspace, migration, lease.id, run_by).await?;
            self.run_one(migration, lease).await?;
            if !ledger::finish(&self.door, keyspace, migration, lease.id).await? {
                return Err(self.lease_lost());
            }
            tracing::info!(
                keyspace,
                version = migration.version,
                name = migration.name,
                millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                "migrated"
            );
        }
        self.must_be_whole(&self.present().await?)
    }

    /// Goes through one migration until all that it makes is there.
    async fn run_one(
        &self,
        migration: &Migration,
        lease: &mut Lease<'_, '_>,
    ) -> Result<(), SchemaError> {
        let mut attempt = 1;
        loop {
            let tried = self.try_one(migration, lease).await;
            let present = self.present().await?;
            let is_missing =
                |step: &Step| step.makes != Makes::Options && !present.has(&step.makes);
            match (tried, migration.steps.iter().find(|step| is_missing(step))) {
                (Ok(()), None) => return Ok(()),
                (Err(error), _) if attempt == MIGRATION_ATTEMPTS || !error.may_pass() => {
                    return Err(error);
                }
                (Err(error), _) => {
                    tracing::warn!(%error, version = migration.version, "the migration goes on");
                }
                (Ok(()), Some(step)) if attempt == MIGRATION_ATTEMPTS => {
                    return Err(SchemaError::Altered {
                        keyspace: self.settings.keyspace.clone(),
                        what: format!("{:?} has made nothing", step.text),
                    });
                }
                (Ok(()), Some(_)) => (),
            }
            attempt += 1;
        }
    }

    async fn try_one(
        &self,
        migration: &Migration,
        lease: &mut Lease<'_, '_>,
    ) -> Result<(), SchemaError> {
        let present = self.present().await?;
        for step in migration
            .steps
            .iter()
            .filter(|step| !present.has(&step.makes))
        {
            lease.renew().await?;
            self.define(migration, step).await?;
        }
        lease.renew().await?;
        self.door.agree().await
    }

    async fn define(&self, migration: &Migration, step: &Step) -> Result<(), SchemaError> {
        let (settings, keyspace) = (self.settings, &self.settings.keyspace);
        let mut text = script::render(step, keyspace, self.flavour, &settings.schema);
        if let (1, Makes::Table(table)) = (migration.version, &step.makes) {
            text = script::with_own_id(&text, keyspace, &table.name);
        }
        match self.door.define(&format!("run {text:?}"), &text).await {
            Err(error) if !error.is_there_already() => Err(error),
            _ => Ok(()),
        }
    }

    fn lease_lost(&self) -> SchemaError {
        SchemaError::LeaseLost {
            keyspace: self.settings.keyspace.clone(),
        }
    }
}

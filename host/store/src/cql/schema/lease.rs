//! One runner at a time: the table `schema_lease`.
//!
//! Conditional writes only, each with a TTL, so that the lease of a runner that died ends by
//! itself. It is renewed before every statement, and no statement may take as long as it lasts.

use super::SchemaError;
use super::door::Door;
use super::ledger::COMPONENT;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A lease of ours.
#[derive(Debug)]
pub(super) struct Lease<'d, 's> {
    door: &'d Door<'s>,
    keyspace: &'d str,
    run_by: &'d str,
    /// This lease, and no earlier or later one of the same process.
    pub(super) id: Uuid,
    lasts: Duration,
    renewed: Instant,
}

/// Who has the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) id: Uuid,
    pub(super) run_by: String,
}

impl<'d, 's> Lease<'d, 's> {
    /// Takes the lease if nobody has it.
    pub(super) async fn take(
        door: &'d Door<'s>,
        keyspace: &'d str,
        run_by: &'d str,
        lasts: Duration,
    ) -> Result<Result<Self, Holder>, SchemaError> {
        let lease = Self {
            door,
            keyspace,
            run_by,
            id: Uuid::now_v7(),
            lasts,
            renewed: Instant::now(),
        };
        let insert = format!(
            "INSERT INTO {keyspace}.schema_lease (component, id, run_by, taken) \
             VALUES (?, ?, ?, toTimestamp(now())) IF NOT EXISTS USING TTL {}",
            lasts.as_secs()
        );
        let row = (COMPONENT, lease.id, run_by);
        if door.condition("take the lease", &insert, row).await? {
            return Ok(Ok(lease));
        }
        match holder_for_certain(door, keyspace).await? {
            // An earlier sending of the same was applied, and its answer lost.
            Some(holder) if holder.id == lease.id => Ok(Ok(lease)),
            Some(holder) => Ok(Err(holder)),
            // It ended in between.
            None => Ok(Err(Holder {
                id: Uuid::nil(),
                run_by: "another process".to_owned(),
            })),
        }
    }

    /// Makes it last from now on, unless that was done a moment ago.
    pub(super) async fn renew(&mut self) -> Result<(), SchemaError> {
        if self.renewed.elapsed() < self.lasts / 8 {
            return Ok(());
        }
        let at = Instant::now();
        let update = format!(
            "UPDATE {}.schema_lease USING TTL {} SET id = ?, run_by = ?, taken = \
             toTimestamp(now()) WHERE component = ? IF id = ?",
            self.keyspace,
            self.lasts.as_secs()
        );
        let row = (self.id, self.run_by, COMPONENT, self.id);
        if !self.door.condition("renew the lease", &update, row).await? {
            return Err(SchemaError::LeaseLost {
                keyspace: self.keyspace.to_owned(),
            });
        }
        self.renewed = at;
        Ok(())
    }

    /// Gives it back. If that fails, it ends by itself.
    pub(super) async fn give_back(self) {
        let delete = format!(
            "DELETE FROM {}.schema_lease WHERE component = ? IF id = ?",
            self.keyspace
        );
        let row = (COMPONENT, self.id);
        if let Err(error) = self
            .door
            .condition("give the lease back", &delete, row)
            .await
        {
            tracing::warn!(%error, "the lease on migrations ends in {} s", self.lasts.as_secs());
        }
    }
}

/// Who has the lease, as this datacenter knows: good enough to be shown, and to be had while others
/// are away.
pub(super) async fn holder(door: &Door<'_>, keyspace: &str) -> Result<Option<Holder>, SchemaError> {
    let rows = door.read(LOOK, &select(keyspace), (COMPONENT,)).await?;
    Ok(holder_of(rows))
}

async fn holder_for_certain(
    door: &Door<'_>,
    keyspace: &str,
) -> Result<Option<Holder>, SchemaError> {
    let select = select(keyspace);
    let rows = door.read_serially(LOOK, &select, (COMPONENT,)).await?;
    Ok(holder_of(rows))
}

const LOOK: &str = "see who has the lease";

type Row = (Option<Uuid>, Option<String>);

fn select(keyspace: &str) -> String {
    format!("SELECT id, run_by FROM {keyspace}.schema_lease WHERE component = ?")
}

fn holder_of(rows: Vec<Row>) -> Option<Holder> {
    let (id, run_by) = rows.into_iter().next()?;
    Some(Holder {
        id: id?,
        run_by: run_by.unwrap_or_default(),
    })
}

//! What the auditor does beside carrying: it signs chains that have grown, and sweeps what is too
//! old.

use super::{Carrier, LOOK_ENTRIES};
use crate::ops::audit::notary;
use holdfast_model::UnixMillis;
use holdfast_store::StoreError;

/// How often what is too old is looked for, and how much goes at once.
const SWEEP_EVERY_MILLIS: u64 = 60 * 60 * 1_000;
const SWEEP_SEGMENTS_MAX: u32 = 64;

impl Carrier {
    /// What is done when all is carried that is there. What fails is tried again the next time.
    pub(super) async fn chores(&mut self) {
        if let Err(error) = self.look_for_owed().await {
            tracing::warn!(%error, "checkpoints that are owed cannot be looked for");
        }
        self.make_checkpoints().await;
        let now = self.clock.now();
        if now.as_millis().saturating_sub(self.swept.as_millis()) < SWEEP_EVERY_MILLIS {
            return;
        }
        // A cluster's store wants to be asked even if nothing is to go: it keeps chains at rest.
        let keep = self.settings.keep.map_or(u64::MAX, |keep| {
            u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)
        });
        let before = UnixMillis::new(now.as_millis().saturating_sub(keep));
        match self.store.sweep_audit(before, SWEEP_SEGMENTS_MAX).await {
            Ok(0) => self.swept = now,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old parts of the audit chains cannot be removed"),
        }
    }

    /// A process that died may have owed checkpoints: chains are looked through, some at a time.
    async fn look_for_owed(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.owed.take() else {
            return Ok(());
        };
        self.owed = Some(after.clone());
        if self.settings.notary.is_none() {
            self.owed = None;
            return Ok(());
        }
        let after = Some(after.as_str()).filter(|after| !after.is_empty());
        let tenants = self.store.audit_tenants(after, LOOK_ENTRIES).await?;
        for tenant in &tenants {
            let head = self.head(tenant).await?.seq;
            let newest = self.store.audit_checkpoints(tenant, None, 1).await?;
            let signed = newest.first().map_or(0, |newest| newest.value.last_seq);
            if signed < head {
                let now = self.clock.now();
                let owed = (head.saturating_sub(signed), now);
                self.grown.entry(tenant.clone()).or_insert(owed);
            }
        }
        self.owed = tenants.into_iter().last();
        Ok(())
    }

    async fn make_checkpoints(&mut self) {
        let Some(notary) = self.settings.notary.clone() else {
            self.grown.clear();
            return;
        };
        let now = self.clock.now();
        let every = u64::try_from(self.settings.checkpoint_every.as_millis()).unwrap_or(u64::MAX);
        let is_due = |(grown, since): &(u64, UnixMillis)| {
            *grown >= self.settings.checkpoint_entries
                || now.as_millis().saturating_sub(since.as_millis()) >= every
        };
        let due = self.grown.iter().filter(|(_, growth)| is_due(growth));
        let due: Vec<String> = due.map(|(tenant, _)| tenant.clone()).collect();
        for tenant in due {
            match notary::sign_chain(&self.store, &notary, &tenant).await {
                Ok(made) => {
                    self.shared.metrics.checkpoints.inc_by(made);
                    self.grown.remove(&tenant);
                }
                Err(error) => {
                    tracing::error!(tenant, %error, "the audit chain has no checkpoint");
                    // Looked at again after the usual time, not every second.
                    self.grown.insert(tenant, (0, now));
                }
            }
        }
    }
}

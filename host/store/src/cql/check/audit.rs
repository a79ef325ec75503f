//! Audit chains: every entry against the one before it, heads against last entries, what was signed
//! against what is there, and that whoever walks finds every segment.

use super::Walk;
use crate::Result;
use crate::audit::ChainWalk;
use crate::cql::Cql;
use crate::cql::statement::Statement;
use holdfast_model::AuditHead;
use std::collections::HashSet;

/// Entries, checkpoints or names that are read at once.
const PAGE_ROWS: u32 = 1_000;

impl Walk<'_> {
    pub(super) async fn audit(&mut self, cql: &Cql) -> Result<()> {
        let rows: Vec<(String, i64)> = self.all(Statement::ScanAuditSegments).await?;
        let begun: HashSet<_> = rows.into_iter().collect();
        let mut named = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let names = cql.audit_tenants(after.as_deref(), PAGE_ROWS).await?;
            let Some(last) = names.last() else { break };
            after = Some(last.clone());
            for name in names {
                self.chain(cql, &name).await?;
                named.insert(name);
            }
        }
        let held: Vec<(String, i64)> = self.all(Statement::ScanAudit).await?;
        for (name, segment) in held {
            let tenant = if name == "/" { "" } else { name.as_str() };
            if !named.contains(tenant) {
                self.fault(|| format!("audit_tenants lacks {tenant:?}"));
            }
            if !begun.contains(&(name.clone(), segment)) {
                self.fault(|| format!("audit_segments lacks segment {segment} of {tenant:?}"));
            }
        }
        Ok(())
    }

    async fn chain(&mut self, cql: &Cql, tenant: &str) -> Result<()> {
        let signed = signed(cql, tenant).await?;
        let mut chain = ChainWalk::new(tenant, &signed);
        let mut from = 1;
        loop {
            let page = cql.audit_entries(tenant, from, PAGE_ROWS).await?;
            let Some(last) = page.last() else { break };
            from = last.seq.saturating_add(1);
            chain.take(&page);
        }
        if let Some(fault) = chain.end(cql.audit_head(tenant).await?) {
            self.fault(|| fault);
        }
        Ok(())
    }
}

/// The heads that a chain's checkpoints name.
async fn signed(cql: &Cql, tenant: &str) -> Result<Vec<AuditHead>> {
    let mut signed = Vec::new();
    let mut before = None;
    loop {
        let page = cql.audit_checkpoints(tenant, before, PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.value.segment);
        signed.extend(page.iter().map(|kept| kept.value.head()));
    }
    Ok(signed)
}

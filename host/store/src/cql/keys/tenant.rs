//! Tenants: one partition of few rows, by conditions only.

use crate::Result;
use crate::cql::Cql;
use crate::cql::Shared;
use crate::cql::calls::{Cas, one_change};
use crate::cql::home::Home;
use crate::cql::pace::Pace;
use crate::cql::statement::Statement;
use crate::cql::trail::{Doubt, QUIET_MICROS, Trail};
use crate::error::StoreError;
use crate::row::{decode_tenant, encode_tenant};
use crate::rules::begin_tenant;
use holdfast_model::{Tenant, TenantId, UnixMillis};
use uuid::Uuid;

/// The one partition.
const ZERO: i8 = 0;

/// Name of a tenant in errors.
const TENANT: &str = "tenant";

impl Cql {
    pub(crate) async fn tenant(&self, id: &TenantId) -> Result<Option<Tenant>> {
        let shared = &self.shared;
        let key = (ZERO, id.as_str());
        let row: Option<(Vec<u8>,)> = shared
            .calls
            .row(Statement::TenantRead, home(shared), key)
            .await?;
        row.map(|(body,)| decode_tenant(id.clone(), &body))
            .transpose()
    }

    pub(crate) async fn put_tenant(&self, tenant: Tenant) -> Result<()> {
        one_change(self.write_tenant(&tenant)).await
    }

    async fn write_tenant(&self, tenant: &Tenant) -> Result<()> {
        let shared = &self.shared;
        let (id, op, body) = (&tenant.id, Uuid::now_v7(), encode_tenant(tenant)?);
        let mut pace = Pace::default();
        let mut found = trail_of(shared, id).await?;
        loop {
            let doubt = Doubt::of(op, found.as_ref().map(|(last, _)| *last));
            let cas = match &found {
                Some((last, trail)) => {
                    let trail = trail.then(*last, op, is_quiet(*last, op));
                    let values = (op, &body, trail.as_bytes(), ZERO, id.as_str(), last);
                    let calls = &shared.calls;
                    calls
                        .condition(Statement::TenantReplace, home(shared), values)
                        .await
                }
                None => make(shared, id, op, &body).await,
            };
            // Written once more over another's, it would undo that one.
            if doubt.settle(cas, TENANT, trail_of(shared, id)).await? {
                return Ok(());
            }
            pace.wait(TENANT).await?;
            found = trail_of(shared, id).await?;
        }
    }

    pub(crate) async fn tenants(
        &self,
        after: Option<&TenantId>,
        limit: u32,
    ) -> Result<Vec<Tenant>> {
        let shared = &self.shared;
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let values = (ZERO, after.map_or("", TenantId::as_str), limit);
        let rows = shared
            .calls
            .rows::<(String, Vec<u8>)>(Statement::Tenants, home(shared), values)
            .await?;
        let tenant = |(id, body): (String, Vec<u8>)| {
            let unreadable = |e| StoreError::Corrupt(format!("a tenant row holds {e}"));
            decode_tenant(TenantId::parse(&id).map_err(unreadable)?, &body)
        };
        rows.into_iter().map(tenant).collect()
    }
}

/// Makes a tenant that is known only because a key names it, unless there is one.
pub(super) async fn begin(shared: &Shared, id: &TenantId, created: UnixMillis) -> Result<()> {
    let body = encode_tenant(&begin_tenant(id.clone(), created))?;
    make(shared, id, Uuid::now_v7(), &body).await.map(drop)
}

async fn make(shared: &Shared, id: &TenantId, op: Uuid, body: &[u8]) -> Result<Cas> {
    let trail = Trail::begin(op);
    let values = (ZERO, id.as_str(), op, body, trail.as_bytes());
    shared
        .calls
        .condition(Statement::TenantMake, home(shared), values)
        .await
}

/// What wrote a tenant's row last, and before, after everything that has been begun on it.
async fn trail_of(shared: &Shared, id: &TenantId) -> Result<Option<(Uuid, Trail)>> {
    let key = (ZERO, id.as_str());
    let row: Option<(Uuid, Option<Vec<u8>>)> = shared
        .calls
        .row(Statement::TenantReadSerial, home(shared), key)
        .await?;
    Ok(row.map(|(op, trail)| (op, trail.into())))
}

/// Whether so long has passed between two operations that nobody asks after what was before. Their
/// ids tell, by the clocks of two machines: where these differ, trails are shorter.
fn is_quiet(last: Uuid, op: Uuid) -> bool {
    let at = |id: Uuid| id.get_timestamp().map_or(0, |at| at.to_unix().0);
    at(op).saturating_sub(at(last)) > QUIET_MICROS / 1_000_000
}

fn home(shared: &Shared) -> Home {
    shared.params.home(b"tenants")
}

//! Tenants: one partition of few rows, by conditions only.

use crate::Result;
use crate::cql::Cql;
use crate::cql::Shared;
use crate::cql::calls::Cas;
use crate::cql::home::Home;
use crate::cql::pace::Pace;
use crate::cql::statement::Statement;
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
        let row = read(&self.shared, Statement::TenantRead, id).await?;
        row.map(|(_, body)| decode_tenant(id.clone(), &body))
            .transpose()
    }

    pub(crate) async fn put_tenant(&self, tenant: Tenant) -> Result<()> {
        let shared = &self.shared;
        let (id, op, body) = (&tenant.id, Uuid::now_v7(), encode_tenant(&tenant)?);
        let mut pace = Pace::default();
        loop {
            let home = home(shared);
            let cas = match read(shared, Statement::TenantReadSerial, id).await? {
                Some((last, _)) if last == op => return Ok(()),
                Some((last, _)) => {
                    let values = (op, &body, ZERO, id.as_str(), last);
                    let calls = &shared.calls;
                    calls
                        .condition(Statement::TenantReplace, home, values)
                        .await?
                }
                None => make(shared, id, op, &body).await?,
            };
            if cas == Cas::Applied {
                return Ok(());
            }
            pace.wait(TENANT).await?;
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
    let values = (ZERO, id.as_str(), op, body);
    shared
        .calls
        .condition(Statement::TenantMake, home(shared), values)
        .await
}

async fn read(
    shared: &Shared,
    statement: Statement,
    id: &TenantId,
) -> Result<Option<(Uuid, Vec<u8>)>> {
    let key = (ZERO, id.as_str());
    shared.calls.row(statement, home(shared), key).await
}

fn home(shared: &Shared) -> Home {
    shared.params.home(b"tenants")
}

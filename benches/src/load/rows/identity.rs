//! What a call costs before its handler does anything of its own: who calls, may they, and the line
//! in the audit log. In this process, so that no socket is measured.

use super::{Plan, ROUNDS};
use crate::host::repository;
use crate::table::{Row, percentile};
use anyhow::{Result, anyhow};
use holdfast::clock::Clock;
use holdfast::identity::jwt::Issuers;
use holdfast::identity::{Approach, Authenticator, keys};
use holdfast::ops::audit::{Audit, AuditSettings, Event, Kind, Outcome};
use holdfast::policies::Policies;
use holdfast_model::action::{ReadRequest, RequestRef};
use holdfast_model::{AccountId, Action, RequestId, Role, Roles};
use holdfast_policy::{Context, Gate};
use holdfast_store::Store;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Uri};
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;

/// The microseconds that half of the calls may take.
const GOAL_MICROS: f64 = 10.0;

/// Callers in turn, each with a key and requests of its own.
const CALLERS: u128 = 500;

/// Calls between two looks at the clock of the whole, after which the audit log's thread is waited
/// for: what it writes at the same time would be measured as ours.
const CALLS: u128 = 5_000;

/// Half of the calls with a key that was seen a moment ago take no longer.
pub(super) fn hot_identity(plan: &Plan) -> Result<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut pairs = Vec::new();
    runtime.block_on(async {
        let scene = Scene::new().await?;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let mut micros = Vec::new();
            while begun.elapsed() < plan.stretch {
                for n in 0..CALLS {
                    micros.push(scene.micros(n).await?);
                }
                scene.audit.flush().await?;
            }
            pairs.push((percentile(micros, 50)?, GOAL_MICROS));
        }
        anyhow::Ok(())
    })?;
    Ok(Row::from_pairs(
        "hot_identity",
        "us p50",
        "the goal itself",
        "<= 10 us",
        &pairs,
    ))
}

struct Scene {
    door: Authenticator,
    gate: Arc<Gate>,
    policies: Policies,
    audit: Audit,
    clock: Clock,
    callers: Vec<(HeaderMap, AccountId)>,
    _dir: TempDir,
}

impl Scene {
    async fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (store, clock) = (Store::memory(), Clock::System);
        let mut callers = Vec::new();
        for n in 0..CALLERS {
            let account = AccountId::parse(&format!("tenant-{n}/web"))?;
            let roles = Roles::NONE.with(Role::TenantUser);
            let (key, token) =
                keys::mint()?.into_key(account.clone(), roles, String::new(), clock.now(), None);
            store.add_key(key).await?;
            let header = format!("Bearer {token}").parse()?;
            callers.push((HeaderMap::from_iter([(AUTHORIZATION, header)]), account));
        }
        let gate = Gate::open(Some(&repository().join("policies"))).map_err(|e| anyhow!("{e}"))?;
        let gate = Arc::new(gate);
        let audit = Audit::open(AuditSettings {
            path: dir.path().join("audit.jsonl"),
            rotate_bytes: 1 << 30,
            backlog_bytes: 1 << 40,
        })?;
        let issuers = Issuers::default();
        Ok(Self {
            door: Authenticator::new(store.clone(), clock.clone(), Arc::default(), issuers)?,
            policies: Policies::new(store, Arc::clone(&gate), clock.clone()),
            gate,
            audit,
            clock,
            callers,
            _dir: dir,
        })
    }

    /// One call: who, may they, and the line that tells of it.
    async fn micros(&self, n: u128) -> Result<f64> {
        let (method, uri) = (Method::GET, Uri::from_static("/psa/pins/x"));
        let at = usize::try_from(n % CALLERS)?;
        let (headers, account) = self.callers.get(at).ok_or_else(|| anyhow!("no callers"))?;
        let on = RequestRef {
            account: account.clone(),
            id: RequestId(uuid::Uuid::from_u128(n)),
        };
        let begun = Instant::now();
        let approach = Approach {
            headers,
            method: &method,
            uri: &uri,
            address: None,
        };
        let caller = self.door.authenticate(approach).await?;
        let context = Context {
            own: Some(self.policies.of(caller.tenant()).await?),
            ..Context::default()
        };
        let permit = self
            .gate
            .permit::<ReadRequest>(&caller.principal, on.clone(), &context);
        let permit = permit.map_err(|_| anyhow!("the gate denies what it must allow"))?;
        let event = Event {
            kind: Kind::Call,
            route: Some(("GET", "/psa/pins/{requestid}")),
            tenant: None,
            cid: None,
            is_allowed: true,
            components: Arc::default(),
            at: self.clock.now(),
            request_id: n,
            principal: Some(Arc::clone(&caller.principal)),
            action: Some(Action::ReadRequest),
            resource: Some(on.into()),
            outcome: Outcome::Allow,
            decision: Some(permit.decision().clone()),
            plugin: None,
            note: None,
            status: 200,
            remote: None,
        };
        self.audit.record(event).await?;
        #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
        Ok(begun.elapsed().as_secs_f64() * 1e6)
    }
}

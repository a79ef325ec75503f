//! The door to the driver against a server whose answers are forged, lost and delayed on the way.

mod begun;
mod flow;
mod overtaken;
mod pages;
mod route;
mod settle;
mod table;
mod unheard;

use super::{CallMetrics, Calls};
use crate::contract::cassandra::single;
use crate::cql::connect::{self, Connected};
use crate::cql::home::{Home, Params};
use crate::cql::settings::CqlSettings;
use crate::cql::statement::{Class, Statement};
use crate::cql::{Clock, Cql, schema};
use crate::{Result, StoreError};
use futures_util::TryStreamExt;
use scylla_proxy::{
    Condition, Node, Proxy, Reaction, RequestOpcode, RequestReaction, RequestRule, ResponseFrame,
    ResponseOpcode, ResponseReaction, ResponseRule, RunningProxy, ShardAwareness,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc};
use uuid::Uuid;

const HOME: Home = Home(0);

const CLASSES: [Class; 5] = [
    Class::Read,
    Class::SerialRead,
    Class::Write,
    Class::Condition,
    Class::Stream,
];

/// A keyspace with our tables, made once for all tests here.
async fn base() -> (CqlSettings, Params) {
    static BASE: OnceCell<(CqlSettings, Params)> = OnceCell::const_new();
    let make = || async {
        let node = tokio::task::spawn_blocking(single).await.unwrap().unwrap();
        let settings = node.settings(&node.keyspace());
        let session = connect::session(&settings).await.unwrap();
        let (params, _) = schema::bring_up(&session, &settings).await.unwrap();
        (settings, params)
    };
    BASE.get_or_init(make).await.clone()
}

/// Calls that go to the server through a proxy.
struct Rig {
    calls: Arc<Calls>,
    proxy: RunningProxy,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut CqlSettings)) -> Self {
        Self::met_by(Vec::new(), change).await
    }

    /// One whose connections meet these rules as they are made.
    async fn met_by(rules: Vec<RequestRule>, change: impl FnOnce(&mut CqlSettings)) -> Self {
        let (mut settings, params) = base().await;
        change(&mut settings);
        let (connected, proxy) = through_a_proxy(settings, &params, rules).await;
        let calls = Arc::new(Calls::new(connected));
        Self { calls, proxy }
    }

    /// Has a store send everything through a proxy from now on.
    async fn between(store: &Cql, change: impl FnOnce(&mut CqlSettings)) -> Self {
        let mut settings = store.settings();
        change(&mut settings);
        let params = &store.shared.params;
        let (connected, proxy) = through_a_proxy(settings, params, Vec::new()).await;
        store.shared.calls.swap(connected);
        let calls = Arc::clone(&store.shared.calls);
        Self { calls, proxy }
    }

    fn metrics(&self) -> &CallMetrics {
        self.calls.metrics()
    }

    /// A statement's first executions meet `reaction`; the receiver hears of every execution.
    fn first(&mut self, statement: Statement, times: usize, reaction: RequestReaction) -> Heard {
        let (told, heard) = mpsc::unbounded_channel();
        let id = self.id(statement);
        let is_it = || {
            Condition::RequestOpcode(RequestOpcode::Execute)
                .and(Condition::BodyContainsCaseSensitive(id.clone()))
        };
        let met = is_it().and(Condition::TrueForLimitedTimes(times));
        self.proxy.running_nodes[0].change_request_rules(Some(vec![
            RequestRule(met, reaction.with_feedback_when_performed(told.clone())),
            RequestRule(
                is_it(),
                RequestReaction::noop().with_feedback_when_performed(told),
            ),
        ]));
        Heard(heard)
    }

    /// What the executions of a statement have in them.
    fn id(&self, statement: Statement) -> Box<[u8]> {
        let connected = self.calls.connected();
        let prepared = connected.statement(HOME, statement).unwrap();
        prepared.get_id().to_vec().into_boxed_slice()
    }

    /// The next answers to calls never arrive.
    fn lose_answers(&mut self, times: usize) {
        let lost = Condition::ResponseOpcode(ResponseOpcode::Result)
            .and(Condition::not(Condition::ConnectionRegisteredAnyEvent))
            .and(Condition::TrueForLimitedTimes(times));
        let rule = ResponseRule(lost, ResponseReaction::drop_frame());
        self.proxy.running_nodes[0].change_response_rules(Some(vec![rule]));
    }

    /// One call of a class, new to the server.
    async fn call(&self, class: Class) -> Result<Option<super::Cas>> {
        call(&self.calls, class).await
    }
}

/// As [`Rig::call`].
async fn call(calls: &Calls, class: Class) -> Result<Option<super::Cas>> {
    let name = Uuid::now_v7().to_string();
    let statement = statement(class);
    match class {
        Class::Read => {
            let found = calls.row::<(i64,)>(statement, HOME, (0i8, name));
            assert_eq!(found.await?, None);
        }
        Class::SerialRead => {
            let found = calls.row::<(String,)>(statement, HOME, (name,));
            assert_eq!(found.await?, None);
        }
        Class::Write => {
            let stamp = i64::try_from(Clock::default().next()).unwrap();
            let row = (0i8, name, 1i64, stamp);
            calls.write(statement, HOME, row).await?;
        }
        Class::Condition => {
            let cas = calls.condition(statement, HOME, (name, "value")).await?;
            return Ok(Some(cas));
        }
        Class::Stream => {
            let whole = (i64::MIN, i64::MAX);
            let tenants = calls.stream::<(String,)>(statement, HOME, whole).await?;
            assert_eq!(tenants.try_collect::<Vec<_>>().await?, []);
        }
    }
    Ok(None)
}

/// A connection that leads through a proxy.
async fn through_a_proxy(
    mut settings: CqlSettings,
    params: &Params,
    rules: Vec<RequestRule>,
) -> (Connected, RunningProxy) {
    let real: SocketAddr = settings.contact_points[0].parse().unwrap();
    let proxy = Node::builder()
        .real_address(real)
        .proxy_address(free_address(real))
        .shard_awareness(ShardAwareness::Unaware)
        .request_rules(rules)
        .build();
    let proxy = Proxy::new([proxy]);
    let addresses = proxy.translation_map();
    settings.contact_points = vec![addresses[&real].to_string()];
    let proxy = proxy.run().await.unwrap();
    let builder = connect::builder(&settings).await.unwrap();
    let builder = builder.address_translator(Arc::new(addresses));
    let session = builder.build().await.unwrap();
    let connected = Connected::prepare(session, &settings, &params.homes).await;
    (connected.unwrap(), proxy)
}

/// The executions that a proxy has seen.
struct Heard(mpsc::UnboundedReceiver<(scylla_proxy::RequestFrame, Option<u16>)>);

impl Heard {
    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.0.try_recv().ok()).count()
    }
}

/// The statement that [`call`] sends for a class.
fn statement(class: Class) -> Statement {
    match class {
        Class::Read => Statement::FollowerRead,
        Class::SerialRead => Statement::ParamRead,
        Class::Write => Statement::FollowerWrite,
        Class::Condition => Statement::ParamAdd,
        Class::Stream => Statement::ScanTenants,
    }
}

/// An address of this process alone. The port is the server's: drivers take it to be the same at
/// all nodes.
fn free_address(real: SocketAddr) -> SocketAddr {
    static COUNT: AtomicU8 = AtomicU8::new(130);
    let [.., high, low] = std::process::id().to_be_bytes();
    let network = COUNT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, network, high, low], real.port()))
}

fn is_unavailable(answer: &Result<Option<super::Cas>>) -> bool {
    matches!(answer, Err(StoreError::Unavailable { .. }))
}

/// Shorter than the defaults, so that a test of the deadline is quick.
fn quick(settings: &mut CqlSettings) {
    settings.timeouts.read = Duration::from_secs(1);
    settings.timeouts.write = Duration::from_secs(1);
    settings.timeouts.condition = Duration::from_millis(1_500);
    settings.timeouts.page = Duration::from_secs(1);
}

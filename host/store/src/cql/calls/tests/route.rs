//! Which of two nodes is asked.

use super::*;
use crate::contract::cassandra::{Cluster, Network, Tls};
use crate::cql::calls::nodes::{FAILURES_TO_OPEN, Node as Asked};
use crate::cql::calls::{Trace, fetch, recording};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// So often that both nodes are asked, but for one run in a million, were it left to chance.
const OFTEN: usize = 20;

/// How often calls are made until all of their traces are whole.
const TRIES: usize = 20;

/// Failures after which a node is left alone for longer than this test takes.
const FAILURES: u32 = FAILURES_TO_OPEN + 8;

/// Where nodes keep who may do what. They look there beside any call, once what they remember of it
/// is old, and it may lie at another node.
const OF_ROLES: [&str; 4] = [
    "roles",
    "role_members",
    "role_permissions",
    "network_permissions",
];

/// Calls to a keyspace of a cluster.
async fn calls(cluster: &Cluster, keyspace: &str, replicas: u16) -> Calls {
    let mut settings = cluster.settings(keyspace);
    settings.replication = vec![("dc1".to_owned(), replicas)];
    settings.flow.node_in_flight = 1;
    settings.flow.speculate_after = None;
    let session = connect::session(&settings).await.unwrap();
    let (params, _) = schema::bring_up(&session, &settings).await.unwrap();
    let connected = Connected::prepare(session, &settings, &params.homes).await;
    Calls::new(connected.unwrap())
}

/// What the nodes did for some calls, each of a partition of its own. Nodes write traces down
/// behind their answers, each part for itself: where one has not come, the calls are made again.
async fn traced(calls: &Calls, class: Class) -> Vec<Trace> {
    for _ in 0..TRIES {
        let some = async {
            for _ in 0..OFTEN {
                call(calls, class).await.unwrap();
            }
        };
        let ((), traced) = recording(some).await;
        let traces = fetch(&calls.connected(), traced).await;
        assert_eq!(traces.len(), OFTEN);
        let is_whole = |trace: &Trace| trace.coordinator.is_some() && !trace.events.is_empty();
        if traces.iter().all(is_whole) {
            return traces;
        }
    }
    panic!("no traces came whole in {TRIES} tries");
}

/// Whether the node that was asked also looked up who asks.
fn is_of_roles(trace: &Trace) -> bool {
    let mut queries = trace.events.iter().filter_map(|event| {
        let (_, table) = event.activity.rsplit_once(" query on ")?;
        Some(table)
    });
    queries.any(|table| OF_ROLES.contains(&table))
}

/// The nodes that were asked.
async fn asked(calls: &Calls) -> BTreeSet<IpAddr> {
    let traces = traced(calls, Class::SerialRead).await.into_iter();
    traces
        .map(|trace| trace.coordinator.expect("no trace"))
        .collect()
}

fn addresses(cluster: &Cluster) -> [IpAddr; 2] {
    let all = cluster.addresses();
    let of = |at: usize| all[at].parse::<SocketAddr>().unwrap().ip();
    [of(0), of(1)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_in_trouble_is_asked_last_and_a_replica_first() {
    let start = || Cluster::start("dc1=2", Tls::Off, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    asks_who_is_well(&cluster).await;
    asks_the_only_replica(&cluster).await;
}

/// Both have everything. A node that is busy, or that has failed so often that it is left alone,
/// is passed over for the other; when both are, they are asked all the same.
async fn asks_who_is_well(cluster: &Cluster) {
    let calls = calls(cluster, "both", 2).await;
    let addresses = addresses(cluster);
    assert_eq!(asked(&calls).await, addresses.into());
    let nodes = Arc::clone(&calls.connected().nodes);
    let known = addresses.map(|address| nodes.at(address));
    let only = |n: usize| BTreeSet::from([addresses[n]]);
    for (one, other) in [(0, 1), (1, 0)] {
        known[one].begin();
        assert_eq!(asked(&calls).await, only(other), "a busy node was asked");
        known[one].end();
    }
    for node in &known {
        node.begin();
    }
    asked(&calls).await;
    for node in &known {
        node.end();
    }

    let fail = |node: &Asked| {
        for _ in 0..FAILURES {
            nodes.failed(node);
        }
    };
    fail(&known[0]);
    assert_eq!(
        asked(&calls).await,
        only(1),
        "a node was asked that is left alone"
    );
    // Rather one that has much to do than one that does not answer.
    known[1].begin();
    assert_eq!(asked(&calls).await, only(1));
    known[1].end();
    fail(&known[1]);
    asked(&calls).await;
}

/// Each row is at one node. Whoever is asked has it, so that no call takes a way round.
async fn asks_the_only_replica(cluster: &Cluster) {
    let calls = calls(cluster, "single", 1).await;
    for class in [Class::Read, Class::Write, Class::Condition] {
        let mut coordinators = BTreeSet::new();
        let traces = traced(&calls, class).await.into_iter();
        for trace in traces.filter(|trace| !is_of_roles(trace)) {
            let sources = trace.events.iter().filter_map(|event| event.source);
            let took_part: BTreeSet<_> = sources.collect();
            let expected: BTreeSet<_> = trace.coordinator.into_iter().collect();
            assert_eq!(took_part, expected, "{class:?}: {trace:?}");
            coordinators.extend(trace.coordinator);
        }
        // `followers` has one partition, the parameters one each.
        let count = if class == Class::Condition { 2 } else { 1 };
        assert_eq!(coordinators.len(), count, "{class:?}");
    }
}

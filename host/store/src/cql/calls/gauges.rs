//! What is looked at when somebody asks, and not counted as it happens.

use super::Door;
use super::metrics::CONSTANT_NAMES;
use crate::cql::connect::Connected;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Weak;

/// Gauges of the door to the driver and of the nodes behind it.
pub(super) struct Gauges {
    door: Weak<Door>,
    /// Held while the gauges are filled and read: two who ask at once would see half of them.
    one_at_a_time: Mutex<()>,
    in_flight: IntGauge,
    queue: IntGauge,
    nodes: IntGaugeVec,
    connected: IntGaugeVec,
    left_alone: IntGaugeVec,
    statements: IntGaugeVec,
    connections: IntGauge,
    timeouts: IntCounter,
}

/// The nodes of one datacenter.
#[derive(Debug, Default)]
struct Counted {
    connected: i64,
    down: i64,
    left_alone: i64,
}

impl Gauges {
    #[expect(
        clippy::expect_used,
        reason = "fails on a misspelt constant only; tests make every metric"
    )]
    pub(super) fn new(door: Weak<Door>) -> Self {
        let gauge = |name, help| IntGauge::new(name, help).expect(CONSTANT_NAMES);
        let gauges = |name, help, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).expect(CONSTANT_NAMES)
        };
        Self {
            door,
            one_at_a_time: Mutex::default(),
            in_flight: gauge("holdfast_cql_in_flight", "Calls under way."),
            queue: gauge("holdfast_cql_queue", "Calls that wait for a place."),
            nodes: gauges(
                "holdfast_cql_nodes",
                "Nodes by datacenter and state: connected, down, left_alone (its last answers were \
                 failures, and only a probe goes there now and then).",
                &["datacenter", "state"],
            ),
            connected: gauges(
                "holdfast_cql_node_connected",
                "Whether there is a connection to a node.",
                &["datacenter", "node"],
            ),
            left_alone: gauges(
                "holdfast_cql_node_left_alone",
                "Whether a node is left alone since its last answers were failures.",
                &["datacenter", "node"],
            ),
            statements: gauges(
                "holdfast_cql_node_statements",
                "Statements under way at a node.",
                &["datacenter", "node"],
            ),
            connections: gauge(
                "holdfast_cql_connections",
                "Connections in the pools of all nodes.",
            ),
            timeouts: IntCounter::new(
                "holdfast_cql_connection_timeouts_total",
                "Attempts to connect to a node that took too long, by the session in use.",
            )
            .expect(CONSTANT_NAMES),
        }
    }

    fn look(&self) {
        let Some(door) = self.door.upgrade() else {
            return;
        };
        let connected = door.connected.load_full();
        self.in_flight.set(whole(connected.queue.in_flight()));
        self.queue.set(whole(connected.queue.waiting()));
        self.look_at_nodes(&connected);
        let driver = connected.session.get_metrics();
        let connections = i64::try_from(driver.get_total_connections());
        self.connections.set(connections.unwrap_or(i64::MAX));
        // A new session counts from 0 again, as a new process would.
        self.timeouts.reset();
        self.timeouts.inc_by(driver.get_connection_timeouts());
    }

    /// What the driver and the circuits know of each node. Nodes that have left the cluster are not
    /// shown any more.
    fn look_at_nodes(&self, connected: &Connected) {
        let known = connected.nodes.all();
        let known: HashMap<IpAddr, _> = known.iter().map(|node| (node.address, node)).collect();
        for gauge in [&self.connected, &self.left_alone, &self.statements] {
            gauge.reset();
        }
        let mut counted = BTreeMap::<String, Counted>::new();
        for node in connected.session.get_cluster_state().get_nodes_info() {
            let datacenter = node.datacenter.clone().unwrap_or_default();
            let ours = known.get(&node.address.ip());
            let (is_connected, is_open) = (node.is_connected(), ours.is_some_and(|n| n.is_open()));
            let in_flight = ours.map_or(0, |node| node.in_flight());
            let address = node.address.ip().to_string();
            let labels = [datacenter.as_str(), address.as_str()];
            let set = |gauge: &IntGaugeVec, value| gauge.with_label_values(&labels).set(value);
            set(&self.connected, i64::from(is_connected));
            set(&self.left_alone, i64::from(is_open));
            set(&self.statements, whole(in_flight));
            let of = counted.entry(datacenter).or_default();
            of.connected += i64::from(is_connected);
            of.down += i64::from(!is_connected);
            of.left_alone += i64::from(is_open);
        }
        self.nodes.reset();
        for (datacenter, of) in counted {
            for (state, nodes) in [
                ("connected", of.connected),
                ("down", of.down),
                ("left_alone", of.left_alone),
            ] {
                let labels = [datacenter.as_str(), state];
                self.nodes.with_label_values(&labels).set(nodes);
            }
        }
    }

    fn all(&self) -> [&dyn Collector; 8] {
        [
            &self.in_flight,
            &self.queue,
            &self.nodes,
            &self.connected,
            &self.left_alone,
            &self.statements,
            &self.connections,
            &self.timeouts,
        ]
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one = self.one_at_a_time.lock();
        self.look();
        self.all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

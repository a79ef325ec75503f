//! What is looked at when somebody asks, and not counted as it happens.

use super::Door;
use super::metrics::CONSTANT_NAMES;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Weak;

/// Gauges of the door to the driver and of the nodes behind it.
pub(super) struct Gauges {
    door: Weak<Door>,
    in_flight: IntGauge,
    queue: IntGauge,
    nodes: IntGaugeVec,
    statements: IntGaugeVec,
}

/// The nodes of one datacenter.
#[derive(Debug, Default)]
struct Counted {
    connected: i64,
    down: i64,
    left_alone: i64,
    in_flight: i64,
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
            in_flight: gauge("holdfast_cql_in_flight", "Calls under way."),
            queue: gauge("holdfast_cql_queue", "Calls that wait for a place."),
            nodes: gauges(
                "holdfast_cql_nodes",
                "Nodes by datacenter and state: connected, down, left_alone (its last answers were \
                 failures, and only a probe goes there now and then).",
                &["datacenter", "state"],
            ),
            statements: gauges(
                "holdfast_cql_node_statements",
                "Statements under way at the nodes of a datacenter.",
                &["datacenter"],
            ),
        }
    }

    fn look(&self) {
        let Some(door) = self.door.upgrade() else {
            return;
        };
        let connected = door.connected.load_full();
        self.in_flight.set(whole(connected.queue.in_flight()));
        self.queue.set(whole(connected.queue.waiting()));
        let known = connected.nodes.all();
        let known: BTreeMap<IpAddr, _> = known.iter().map(|node| (node.address, node)).collect();
        let mut counted = BTreeMap::<String, Counted>::new();
        for node in connected.session.get_cluster_state().get_nodes_info() {
            let datacenter = node.datacenter.clone().unwrap_or_default();
            let of = counted.entry(datacenter).or_default();
            match node.is_connected() {
                true => of.connected += 1,
                false => of.down += 1,
            }
            if let Some(node) = known.get(&node.address.ip()) {
                of.left_alone += i64::from(node.is_open());
                of.in_flight += whole(node.in_flight());
            }
        }
        for (datacenter, of) in counted {
            for (state, nodes) in [
                ("connected", of.connected),
                ("down", of.down),
                ("left_alone", of.left_alone),
            ] {
                self.nodes
                    .with_label_values(&[datacenter.as_str(), state])
                    .set(nodes);
            }
            self.statements
                .with_label_values(&[datacenter.as_str()])
                .set(of.in_flight);
        }
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.in_flight.desc();
        all.extend(self.queue.desc());
        all.extend(self.nodes.desc());
        all.extend(self.statements.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.look();
        let mut all = self.in_flight.collect();
        all.extend(self.queue.collect());
        all.extend(self.nodes.collect());
        all.extend(self.statements.collect());
        all
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

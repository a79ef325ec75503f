//! What is known of each node from the calls that went there: how many are under way, and whether
//! it is worth asking (its *circuit*).

use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Failures in a row after which a node is left alone for a while. Fewer, and one slow moment of a
/// node would send its share to others; more, and callers wait for it needlessly.
pub(crate) const FAILURES_TO_OPEN: u32 = 5;

/// How long a node is left alone at first. Doubles with every probe that fails.
pub(crate) const OPEN_FIRST: Duration = Duration::from_secs(1);

/// A node that has been repaired is found again within this.
const OPEN_MAX: Duration = Duration::from_secs(30);

/// The nodes that calls went to. They are few, known after the first seconds, and never forgotten:
/// a session lives as long as its settings.
#[derive(Debug)]
pub(crate) struct Nodes {
    by_address: ArcSwap<HashMap<IpAddr, Arc<Node>>>,
    /// How many of them have an open circuit or have lately failed.
    troubled: AtomicUsize,
    in_flight_max: usize,
    began: Instant,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: IpAddr,
    in_flight: AtomicUsize,
    /// In a row.
    failures: AtomicU32,
    /// When it may be probed, in milliseconds since [`Nodes::began`]; 0: the circuit is closed.
    probe_at: AtomicU64,
    is_open: AtomicBool,
}

impl Nodes {
    pub(crate) fn new(in_flight_max: usize) -> Self {
        Self {
            by_address: ArcSwap::default(),
            troubled: AtomicUsize::new(0),
            in_flight_max,
            began: Instant::now(),
        }
    }

    /// The node at an address.
    pub(crate) fn at(&self, address: IpAddr) -> Arc<Node> {
        if let Some(node) = self.by_address.load().get(&address) {
            return Arc::clone(node);
        }
        let node = Arc::new(Node {
            address,
            in_flight: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            probe_at: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
        });
        self.by_address.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(address).or_insert_with(|| Arc::clone(&node));
            known
        });
        let known = self.by_address.load();
        known.get(&address).map_or(node, Arc::clone)
    }

    /// Every node that a call went to.
    pub(crate) fn all(&self) -> Vec<Arc<Node>> {
        self.by_address.load().values().cloned().collect()
    }

    /// Whether every node can be asked, as far as circuits go: the way of nearly all calls.
    pub(crate) fn are_well(&self) -> bool {
        self.troubled.load(Ordering::Relaxed) == 0
    }

    /// Whether a node has as much to do as it should: others are asked first. What it gets at most
    /// the queue decides, for a call has one statement under way at a node.
    pub(crate) fn is_busy(&self, address: IpAddr) -> bool {
        let known = self.by_address.load();
        known
            .get(&address)
            .is_some_and(|node| node.in_flight.load(Ordering::Relaxed) >= self.in_flight_max)
    }

    /// Whether a node may be asked. Of an open circuit's calls one at a time goes through, when the
    /// time has come.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        let known = self.by_address.load();
        let Some(node) = known.get(&address) else {
            return true;
        };
        let probe_at = node.probe_at.load(Ordering::Acquire);
        if probe_at == 0 {
            return true;
        }
        let now = self.now();
        // Who moves the time is the probe. If it never gets to ask, the next one is not far.
        now >= probe_at
            && node
                .probe_at
                .compare_exchange(
                    probe_at,
                    now + millis(OPEN_FIRST),
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// A node has answered, in whatever words.
    pub(crate) fn answered(&self, node: &Node) {
        if node.failures.load(Ordering::Relaxed) == 0 {
            return;
        }
        if node.failures.swap(0, Ordering::AcqRel) > 0 && node.is_open.swap(false, Ordering::AcqRel)
        {
            node.probe_at.store(0, Ordering::Release);
            self.troubled.fetch_sub(1, Ordering::AcqRel);
            tracing::info!(node = %node.address, "the node answers again");
        }
    }

    /// A node has failed, by its own fault.
    pub(crate) fn failed(&self, node: &Node) {
        let failures = node.failures.fetch_add(1, Ordering::AcqRel) + 1;
        if failures < FAILURES_TO_OPEN {
            return;
        }
        let doublings = (failures - FAILURES_TO_OPEN).min(8);
        let alone = OPEN_FIRST.saturating_mul(1 << doublings).min(OPEN_MAX);
        node.probe_at
            .store(self.now() + millis(alone), Ordering::Release);
        if !node.is_open.swap(true, Ordering::AcqRel) {
            self.troubled.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(node = %node.address, failures, ?alone, "the node is left alone");
        }
    }

    fn now(&self) -> u64 {
        // Never 0, which stands for a closed circuit.
        millis(self.began.elapsed()) + 1
    }
}

impl Node {
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Statements under way there.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it is being left alone.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_circuit_opens_after_failures_in_a_row_and_closes_with_an_answer() {
        let nodes = Nodes::new(10);
        let node = nodes.at(ADDRESS);
        for _ in 1..FAILURES_TO_OPEN {
            nodes.failed(&node);
        }
        nodes.answered(&node);
        nodes.failed(&node);
        assert!(nodes.are_well() && nodes.admits(ADDRESS));
        for _ in 1..FAILURES_TO_OPEN {
            nodes.failed(&node);
        }
        assert!(!nodes.are_well() && !nodes.admits(ADDRESS));
        nodes.answered(&node);
        assert!(nodes.are_well() && nodes.admits(ADDRESS));
    }

    #[test]
    fn an_open_circuit_lets_one_probe_through() {
        let nodes = Nodes::new(10);
        let node = nodes.at(ADDRESS);
        for _ in 0..FAILURES_TO_OPEN {
            nodes.failed(&node);
        }
        node.probe_at.store(1, Ordering::Release);
        assert!(nodes.admits(ADDRESS));
        assert!(!nodes.admits(ADDRESS));
    }

    #[test]
    fn a_node_is_busy_when_it_has_its_fill() {
        let nodes = Nodes::new(2);
        let node = nodes.at(ADDRESS);
        node.begin();
        assert!(!nodes.is_busy(ADDRESS));
        node.begin();
        assert!(nodes.is_busy(ADDRESS));
        node.end();
        assert!(!nodes.is_busy(ADDRESS));
        assert_eq!(nodes.all().len(), 1);
    }
}

//! Processes that share a store and drive a node each are one cluster.

use super::calls::Scene;
use super::ctl::Ctl;
use crate::support::cluster::{fresh, variables};
use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan, try_ask, until};
use holdfast_model::Cid;

/// Whoever is asked shows both nodes and places on both; what one places on the other's node, that
/// one does, though it be away for a while.
#[tokio::test(flavor = "multi_thread")]
async fn processes_with_a_node_each_are_one_cluster() {
    let (one, other, settings) = tokio::join!(KuboNode::start(), KuboNode::start(), fresh());
    let plan = |kubo_api: String, roles: &[&'static str], key: Option<String>| Plan {
        kubo_api,
        roles: roles.to_vec(),
        key,
        variables: variables(&settings),
        ..Plan::default()
    };
    let (one_api, other_api) = (one.api(), other.api());
    let first = Scene::over(one, plan(one_api, &[], None));
    let key = Some(first.host.key.clone());
    let mut second = Holdfast::start_with(plan(other_api, &["worker"], key.clone()));
    // It drives no node, and nobody listens where it looks for one.
    let edge = Scene::over(other, plan("http://127.0.0.1:1".to_owned(), &["api"], key));
    let (one, other) = (&first.node, &edge.node);
    let addresses = one.address();
    other.ipfs(&["swarm", "connect", addresses.lines().next().unwrap()]);
    let ctl = Ctl::new(&edge);
    for ctl in [&ctl, &Ctl::new(&first)] {
        let peers = || ctl.tells(&["peers", "ls"]).len();
        until("both peers", peers, |count| *count == 2);
    }

    only_who_drives_a_node_calls_it(&edge, &ctl);

    let [kelp, wrack] = [&b"kelp"[..], b"wrack"].map(|content| one.add(content));
    let has = |node: &KuboNode, cid: &Cid| node.has(cid, "recursive");
    ctl.says(&["pin", "add", "--wait", &kelp.to_string()]);
    assert!(has(one, &kelp) && has(other, &kelp));
    let peer = other.ipfs(&["id", "-f", "<id>"]);
    let on_other = ["--replication", "1", "--allocations", peer.trim(), "--wait"];
    ctl.says(&[&["pin", "add"], &on_other[..], &[&wrack.to_string()]].concat());
    assert!(!has(one, &wrack) && has(other, &wrack));

    // While it is away the first one goes on: what is on the other node is not taken for gone.
    second.kill();
    ctl.says(&["pin", "rm", &wrack.to_string()]);
    ctl.says(&["pin", "rm", &kelp.to_string()]);
    until("the first to have let go", || has(one, &kelp), |has| !has);
    assert!(has(other, &kelp) && has(other, &wrack));
    second.again();
    let both = || (has(other, &kelp), has(other, &wrack));
    until("the other to have let go", both, |has| {
        *has == (false, false)
    });
}

/// A host without nodes says so, and who to ask, instead of trying in vain or telling of none.
fn only_who_drives_a_node_calls_it(edge: &Scene, ctl: &Ctl) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, "kelp").unwrap();
    let file = file.path().to_str().unwrap();
    for args in [
        &["add", file][..],
        &["ipfs", "gc"],
        &["health", "metrics", "freespace"],
        &["pin", "add", "/ipns/holdfast.invalid"],
        &["pin", "rm", "/ipfs/bafkqaaa/kelp"],
    ] {
        let said = ctl.is_refused(args);
        let tells = said.contains("this host drives no IPFS node") && said.contains("kubo.api");
        assert!(tells, "{args:?}: {said}");
    }
    let bandwidth = try_ask(edge.cluster, "GET", "/health/bandwidth", &edge.key, None);
    let (status, said) = bandwidth.unwrap();
    assert_eq!(status, 503, "{said}");
    // What needs no call is told of all nodes.
    ctl.says(&["health", "metrics", "ping"]);
    assert_eq!(ctl.tells(&["peers", "ls"]).len(), 2);
}

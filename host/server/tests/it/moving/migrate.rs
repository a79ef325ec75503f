//! Moving a real IPFS Cluster while it runs.

use super::{Desk, lines, program, ran};
use crate::support::ipfs_cluster::IpfsCluster;
use crate::support::process::{Holdfast, Plan};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// A host and a node's key for it.
pub(super) fn host() -> (Holdfast, String) {
    let host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        ..Plan::default()
    });
    let wanted = json!({"account": "default/cluster", "roles": ["cluster-node"], "label": "node"});
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&wanted));
    assert_eq!(status, 201, "{made}");
    let key = made["secret"].as_str().unwrap().to_owned();
    (host, key)
}

/// Gives a peer pins, by its own import.
pub(super) fn seed(desk: &Desk, peer: &IpfsCluster, text: &str) {
    let file = desk.write("seed.json", text);
    peer.must(&["state", "import", "--force", file.to_str().unwrap()]);
}

fn migrate(dir: &Path, key: &str, from: &str, to: &str) -> Command {
    let mut command = program(dir);
    command
        .args(["state", "migrate", "--json", "--pause", "0"])
        .args(["--from", from, "--to", to])
        .env("HOLDFAST_KEY", key);
    command
}

#[test]
fn a_cluster_is_moved_while_it_pins_and_unpins() {
    const PINS: u64 = 5_000;
    let desk = Desk::new();
    let (host, key) = host();
    let mut cluster = IpfsCluster::new();
    seed(&desk, &cluster, &lines(0..PINS));
    cluster.run();
    let from = format!("cluster+{}", cluster.url());
    let to = format!("http://{}", host.addr);

    // Killed soon after it began.
    let mut first = migrate(desk.dir.path(), &key, &from, &to).spawn().unwrap();
    crate::support::process::until(
        "the migration to begin",
        || desk.path("holdfast-migrate.progress").exists(),
        |is_there| *is_there,
    );
    first.kill().unwrap();
    first.wait().unwrap();

    // Begun again, while the cluster goes on.
    let again = migrate(desk.dir.path(), &key, &from, &to)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let again = again.unwrap();
    for n in 0..20 {
        let (status, said) = cluster.ask("DELETE", &format!("/pins/{}", super::cid(n)));
        assert_eq!(status, 200, "{said}");
        let (status, said) =
            cluster.ask("POST", &format!("/pins/{}?name=late", super::cid(PINS + n)));
        assert_eq!(status, 200, "{said}");
    }
    let output = again.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if !output.status.success() {
        // What changed while both sides were compared differs, and no more.
        let said = String::from_utf8_lossy(&output.stderr);
        let count = |key| report[key].as_u64().unwrap_or_else(|| panic!("{said}"));
        let differs = ["only_first", "only_second", "different"].map(count);
        assert!(differs.iter().sum::<u64>() <= 40, "{report}");
    }
    let last = ran(&mut migrate(desk.dir.path(), &key, &from, &to));
    let report: Value = serde_json::from_str(&last.with(0)).unwrap();
    assert_eq!(report["pins"], json!([PINS, PINS]));
    assert!(!desk.path("holdfast-migrate.progress").exists());

    // Both sides say the same by themselves too.
    let path = |n: u64| format!("/v1/state/pins/{}", super::cid(n));
    assert_eq!(host.ask(&key, "GET", &path(3), None).0, 404);
    assert_eq!(
        host.ask(&key, "GET", &path(PINS + 3), None).1["name"],
        "late"
    );
}

#[test]
fn what_was_here_before_is_never_removed() {
    let desk = Desk::new();
    desk.write("ours.json", lines(100..110));
    desk.state(&["import", "ours.json"]).with(0);
    desk.write("theirs.json", lines(0..10));
    let migrate = || desk.state(&["migrate", "--from", "theirs.json", "--pause", "0", "--json"]);
    let report: Value = serde_json::from_str(&migrate().with(1)).unwrap();
    assert_eq!(report["only_second"], 10);
    assert_eq!(report["only_first"], 0);
    let all = desk.state(&["export"]).with(0);
    assert_eq!(all.lines().count(), 20);
}

/// What other nodes pin here after the first run has begun is theirs: not after a kill, and not
/// after a run that ended with differences, does the next run take it for the cluster's.
#[test]
fn what_others_pin_meanwhile_is_never_removed() {
    const PINS: u64 = 5_000;
    let desk = Desk::new();
    let (host, key) = host();
    let to = format!("http://{}", host.addr);
    desk.write("theirs.json", lines(0..PINS));
    let run = || migrate(desk.dir.path(), &key, "theirs.json", &to);
    let path = |n: u64| format!("/v1/state/pins/{}", super::cid(n));
    let has = |n: u64| host.ask(&key, "GET", &path(n), None).0;
    let put = |pin: &holdfast_model::Pin| {
        let wanted = serde_json::to_value(pin).unwrap();
        let path = format!("/v1/state/pins/{}", pin.cid);
        assert_eq!(host.ask(&key, "PUT", &path, Some(&wanted)).0, 204);
    };

    let mut first = run().spawn().unwrap();
    crate::support::process::until("the first pin", || has(0), |status| *status == 200);
    first.kill().unwrap();
    first.wait().unwrap();
    put(&super::pin(PINS));

    // It removes what it wrote itself before it was killed, and nothing else.
    desk.write("theirs.json", lines(1..PINS));
    let report: Value = serde_json::from_str(&ran(&mut run()).with(1)).unwrap();
    assert_eq!(report["pins"], json!([PINS - 1, PINS]), "{report}");
    assert_eq!((has(0), has(PINS)), (404, 200));

    // Others add a pin and change one of the cluster's, which then unpins that one and another.
    put(&super::pin(PINS + 1));
    let mut ours = super::pin(1);
    ours.options.name = "ours now".to_owned();
    put(&ours);
    desk.write("theirs.json", lines(3..PINS));
    let report: Value = serde_json::from_str(&ran(&mut run()).with(1)).unwrap();
    assert_eq!(report["pins"], json!([PINS - 3, PINS]), "{report}");
    let there = [0, 1, 2, 3, PINS, PINS + 1].map(has);
    assert_eq!(there, [404, 200, 404, 200, 200, 200]);

    // They go: then both are the same, and what was remembered is forgotten.
    for n in [1, PINS, PINS + 1] {
        assert_eq!(host.ask(&key, "DELETE", &path(n), None).0, 204);
    }
    ran(&mut run()).with(0);
    for name in [
        "holdfast-migrate.progress",
        "holdfast-migrate.progress.written",
    ] {
        assert!(!desk.path(name).exists(), "{name}");
    }
}

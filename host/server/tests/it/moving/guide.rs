//! The commands of docs/moving.md, as they stand there.

use super::migrate::{host, seed};
use super::{Desk, cid, line, pin};
use crate::support::ipfs_cluster::{self, IpfsCluster};
use crate::support::process::{Holdfast, repository, until};
use std::process::Command;

/// The commands under a heading, one block after another.
fn commands(guide: &str, heading: &str) -> Vec<String> {
    let section = guide
        .split("\n## ")
        .find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no section {heading:?}"));
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in section.lines().map(str::trim) {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(block), line) => *block += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    assert!(!blocks.is_empty(), "{heading}: no commands");
    blocks
}

/// Somebody who does what the guide says.
struct Reader {
    guide: String,
    desk: Desk,
    host: Holdfast,
    key: String,
}

impl Reader {
    fn new() -> Self {
        let guide = std::fs::read_to_string(repository().join("docs/moving.md")).unwrap();
        let desk = Desk::new();
        let (host, key) = host();
        let bin = desk.path("bin");
        std::fs::create_dir(&bin).unwrap();
        for (name, program) in [
            ("holdfast", env!("CARGO_BIN_EXE_holdfast").into()),
            ("ipfs-cluster-service", ipfs_cluster::program()),
        ] {
            std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
        }
        Self {
            guide,
            desk,
            host,
            key,
        }
    }

    /// Commands of the guide, where a peer is.
    fn command(&self, block: &str, peer: &IpfsCluster) -> Command {
        let path = format!("{}:/usr/bin:/bin", self.desk.path("bin").display());
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(self.desk.dir.path())
            .env_clear()
            .env("PATH", path)
            .env("CLUSTER_URL", peer.url())
            .env("HOLDFAST_URL", format!("http://{}", self.host.addr))
            .env("HOLDFAST_KEY", &self.key)
            .env("IPFS_CLUSTER_PATH", peer.dir());
        command
    }

    fn run(&self, block: &str, peer: &IpfsCluster) {
        let output = self.command(block, peer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}: {said}");
    }

    fn follow(&self, heading: &str, peer: &IpfsCluster) {
        for block in commands(&self.guide, heading) {
            self.run(&block, peer);
        }
    }
}

#[test]
fn a_cluster_goes_over_and_back_as_the_guide_says() {
    go_over_and_back("crdt");
}

#[test]
fn a_cluster_with_raft_goes_over_and_back_as_the_guide_says() {
    go_over_and_back("raft");
}

/// Lines of pins for all peers. Those for none would have a peer ask its Kubo node, of which there
/// is none here, to let go of each before it takes the next.
fn everywhere(numbers: std::ops::Range<u64>) -> String {
    let of_all = |n| {
        let mut pin = pin(n);
        (
            pin.options.replication_factor_min,
            pin.options.replication_factor_max,
        ) = (-1, -1);
        line(&pin)
    };
    numbers.map(of_all).collect()
}

fn go_over_and_back(consensus: &str) {
    let reader = Reader::new();
    let [mut first, mut other] = IpfsCluster::two(consensus);
    seed(&reader.desk, &first, &everywhere(0..2_000));
    first.run();
    join(&mut other, &reader, JOIN, &first);
    until("the first pins", || other.pins(), |pins| *pins == 2_000);
    reader.follow("While the cluster runs", &first);
    other.stop();
    first.stop();
    reader.follow("From a cluster that is stopped", &first);

    // What goes back is not what the peers had when they were stopped.
    let gone = format!("/v1/state/pins/{}", cid(0));
    assert_eq!(reader.host.ask(&reader.key, "DELETE", &gone, None).0, 204);
    let blocks = commands(&reader.guide, "Back");
    let blocks: Vec<&str> = blocks.iter().map(String::as_str).collect();
    let [export, import, empty, start, compare] = blocks[..] else {
        panic!("the way back has other commands: {blocks:?}");
    };
    reader.run(export, &first);
    reader.run(import, &first);
    let again = std::fs::read_to_string(reader.desk.path("again.json")).unwrap();
    assert_eq!(super::sorted(&again), super::sorted(&everywhere(1..2_000)));
    reader.run(empty, &other);
    first.run();
    join(&mut other, &reader, start, &first);
    until("what went back", || other.pins(), |pins| *pins == 1_999);
    reader.run(compare, &other);

    // They are one cluster: what one of them pins, the other has.
    let late = format!("/pins/{}?name=late", cid(9_000));
    assert_eq!(other.ask("POST", &late).0, 200);
    until("a new pin", || first.pins(), |pins| *pins == 2_000);
}

/// How the other peer came to know of the first one, before anything was moved.
const JOIN: &str = "ipfs-cluster-service daemon --bootstrap \"$FIRST_PEER\"";

/// Starts a peer by the command that joins it to the first one.
fn join(peer: &mut IpfsCluster, reader: &Reader, block: &str, first: &IpfsCluster) {
    // Without a shell in between, which would not hand on that it is to stop.
    let mut command = reader.command(&format!("exec {block}"), peer);
    command.env("FIRST_PEER", first.address());
    peer.run_as(command);
}

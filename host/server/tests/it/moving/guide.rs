//! The commands of docs/moving.md, as they stand there.

use super::migrate::{host, peer};
use super::{Desk, lines};
use crate::support::ipfs_cluster;
use crate::support::process::repository;
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

#[test]
fn a_cluster_goes_over_and_back_as_the_guide_says() {
    let guide = std::fs::read_to_string(repository().join("docs/moving.md")).unwrap();
    let desk = Desk::new();
    let (host, key) = host();
    let mut cluster = peer(&desk, &lines(0..2_000));
    let bin = desk.path("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, program) in [
        ("holdfast", env!("CARGO_BIN_EXE_holdfast").into()),
        ("ipfs-cluster-service", ipfs_cluster::program()),
    ] {
        std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
    }
    let run = |heading: &str, url: &str, dir: &std::path::Path| {
        for block in commands(&guide, heading) {
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &block])
                .current_dir(desk.dir.path())
                .env_clear()
                .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
                .env("CLUSTER_URL", url)
                .env("HOLDFAST_URL", format!("http://{}", host.addr))
                .env("HOLDFAST_KEY", &key)
                .env("IPFS_CLUSTER_PATH", dir)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{block}: {said}");
        }
    };
    cluster.run();
    run("While the cluster runs", &cluster.url(), cluster.dir());
    cluster.stop();
    run(
        "From a cluster that is stopped",
        &cluster.url(),
        cluster.dir(),
    );
    run("Back", &cluster.url(), cluster.dir());
    let again = std::fs::read_to_string(desk.path("again.json")).unwrap();
    assert_eq!(super::sorted(&again), super::sorted(&lines(0..2_000)));
}

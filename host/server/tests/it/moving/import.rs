//! Importing: bad lines, old forms, crashes, and what must never happen.

use super::{Desk, cid, line, lines, pin, sorted};
use crate::support::process::{PATIENCE, until};
use holdfast_model::pin::export::read_entry;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

fn counts(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn bad_lines_go_to_a_file_and_do_not_stop_the_rest() {
    let desk = Desk::new();
    let bad = [
        "{\"cid\":\"bafkqaaa\",\"type\":\"zebra\"}\n",
        "not json\n",
        "{\"name\":\"no cid\"}\n",
    ];
    let old = format!(
        "{{\"cid\":{{\"/\":\"{}\"}},\"type\":2,\"max_depth\":-1}}\n",
        cid(900)
    );
    let cut_off = &line(&pin(901))[..40];
    let text = lines(0..10) + bad[0] + bad[1] + "\n" + &lines(10..20) + bad[2] + &old + cut_off;
    desk.write("pins.json", text);
    let ran = desk.state(&["import", "pins.json", "--json"]);
    assert!(
        ran.err.contains("line 11:") && ran.err.contains("zebra"),
        "{}",
        ran.err
    );
    assert_eq!(
        counts(&ran.with(1)),
        json!({"imported": 21, "kept": 0, "upgraded": 1, "rejected": 4})
    );
    let rejects: Vec<Value> = sorted_by_line(&desk.read("pins.json.rejects"));
    let told: Vec<u64> = rejects
        .iter()
        .map(|one| one["line"].as_u64().unwrap())
        .collect();
    assert_eq!(told, [11, 12, 24, 26]);
    assert_eq!(rejects[1]["text"], "not json");
    assert!(rejects[2]["reason"].as_str().unwrap().contains("cid"));
    assert!(rejects[3]["reason"].as_str().unwrap().contains("EOF"));
    assert!(!desk.path("pins.json.progress").exists());
    let stopped = desk.state(&["import", "pins.json", "--stop-on-reject"]);
    assert!(
        stopped.err.contains("stopped at a bad line"),
        "{}",
        stopped.err
    );
    assert_eq!(stopped.code, 1);
}

fn sorted_by_line(text: &str) -> Vec<Value> {
    let mut all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    all.sort_by_key(|one| one["line"].as_u64());
    all
}

/// A snapshot has no ends of lines to go on from: what is whole before the damage is imported, and
/// what is lost is said.
#[test]
fn snapshots_that_are_cut_off_or_damaged_give_what_is_whole() {
    let from = Desk::new();
    from.write("pins.json", lines(0..20));
    from.state(&["import", "pins.json"]).with(0);
    from.state(&["export", "--format", "snapshot", "whole"])
        .with(0);
    let whole = std::fs::read(from.path("whole")).unwrap();
    let cut = &whole[..whole.len() - 10];
    let mut damaged = whole.clone();
    let (_, first) = read_entry(&whole).unwrap().unwrap();
    damaged[first] = 0;
    // A pin of the first entry that is none: the entries behind it can still be told apart.
    let mut bad_pin = whole.clone();
    bad_pin[first - 1] ^= 0xff;
    bad_pin[first - 2] ^= 0xff;
    for (bytes, imported, reason) in [
        (cut, 19, "breaks off with the file"),
        (damaged.as_slice(), 1, "the rest is lost"),
        (bad_pin.as_slice(), 19, "pin"),
    ] {
        let desk = Desk::new();
        desk.write("snapshot", bytes);
        let ran = desk.state(&["import", "snapshot", "--json"]);
        assert_eq!(
            counts(&ran.with(1)),
            json!({"imported": imported, "kept": 0, "upgraded": 0, "rejected": 1}),
            "{reason}"
        );
        let rejects = sorted_by_line(&desk.read("snapshot.rejects"));
        let told = rejects[0]["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn a_dry_run_writes_nothing_and_a_pipe_will_do() {
    let desk = Desk::new();
    desk.write("pins.json", lines(0..10));
    let ran = desk.state(&["import", "pins.json", "--dry-run", "--json"]);
    assert_eq!(counts(&ran.with(0))["imported"], 10);
    assert!(!desk.path("data").exists());
    let mut command = desk.command(&["import", "-"]);
    command.stdin(std::fs::File::open(desk.path("pins.json")).unwrap());
    super::ran(&mut command).with(0);
    assert_eq!(desk.state(&["export"]).with(0).lines().count(), 10);
}

#[test]
fn what_is_there_stays_unless_it_is_told_to_go() {
    let desk = Desk::new();
    let mut other = pin(1);
    other.options.name = "ours".to_owned();
    desk.write("ours.json", line(&other) + &line(&pin(50)));
    desk.state(&["import", "ours.json"]).with(0);
    desk.write("pins.json", lines(0..3));
    let kept = desk.state(&["import", "pins.json", "--keep", "--json"]);
    assert_eq!(counts(&kept.with(0))["kept"], 1);
    let all = sorted(&desk.state(&["export"]).with(0));
    assert_eq!(all.len(), 4);
    assert!(all.iter().any(|pin| pin["name"] == "ours"));

    // A file that is not whole clears nothing.
    desk.write("bad.json", lines(0..3) + "{\n");
    let refused = desk.state(&["import", "bad.json", "--clear"]);
    assert!(
        refused.err.contains("nothing was removed"),
        "{}",
        refused.err
    );
    assert_eq!(desk.state(&["export"]).with(0).lines().count(), 4);
    desk.state(&[
        "import",
        "pins.json",
        "--clear",
        "--rmin",
        "-1",
        "--rmax",
        "5",
    ])
    .with(0);
    let all = sorted(&desk.state(&["export"]).with(0));
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|pin| pin["replication_factor_max"] == 5));
    assert!(all.iter().all(|pin| pin["replication_factor_min"] == -1));
}

#[test]
fn a_cid_that_comes_twice_is_the_last_of_them() {
    let desk = Desk::new();
    let named = |name: &str| {
        let mut pin = pin(1);
        pin.options.name = name.to_owned();
        line(&pin)
    };
    let text: String = (0..100).map(|n| named(&format!("n{n}"))).collect();
    desk.write("pins.json", text);
    desk.state(&["import", "pins.json"]).with(0);
    let all = sorted(&desk.state(&["export"]).with(0));
    assert_eq!((all.len(), &all[0]["name"]), (1, &json!("n99")));
}

/// Killed in the middle, again and again, and begun again: every pin is there, each bad line is
/// rejected once, and nothing is read from the beginning.
#[test]
fn an_import_that_is_killed_goes_on_where_it_was() {
    const PINS: u64 = 60_000;
    let desk = Desk::new();
    let mut text = String::new();
    for n in 0..PINS {
        if n % 1_000 == 0 {
            text += "bad\n";
        }
        text += &line(&pin(n));
    }
    desk.write("pins.json", text);
    let progress = || -> u64 {
        let text = std::fs::read_to_string(desk.path("pins.json.progress")).unwrap_or_default();
        let kept: Value = serde_json::from_str(&text).unwrap_or_default();
        kept["at"]["lines"].as_u64().unwrap_or(0)
    };
    let mut reached = 0;
    for _ in 0..2 {
        let mut running = desk.command(&["import", "pins.json"]).spawn().unwrap();
        let begin = Instant::now();
        while progress() == reached && running.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(5));
        }
        running.kill().unwrap();
        running.wait().unwrap();
        reached = progress();
    }
    assert!(reached > 0, "it was over before it could be killed");
    let ran = desk.state(&["import", "pins.json", "--json"]);
    assert!(ran.err.contains("going on after line"), "{}", ran.err);
    let all = counts(&ran.with(1));
    assert_eq!(
        (&all["imported"], &all["rejected"]),
        (&json!(PINS), &json!(60))
    );
    assert_eq!(desk.read("pins.json.rejects").lines().count(), 60);
    assert_eq!(desk.state(&["export"]).with(0).lines().count(), 60_000);
    assert!(
        desk.state(&["check"])
            .with(0)
            .contains("agrees with itself")
    );
}

#[test]
fn a_store_that_a_host_runs_on_is_not_opened_beside_it() {
    let host = crate::support::process::Holdfast::start_with(crate::support::process::Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        ..Default::default()
    });
    let desk = Desk::new();
    desk.write(
        "holdfast.toml",
        format!("data = \"{}\"\n", host.dir().join("data").display()),
    );
    let ran = || desk.state(&["export", "-"]);
    let refused = until("a refusal", ran, |ran| ran.code == 1);
    assert!(refused.err.contains("in use"), "{}", refused.err);
}

/// Where no host is between that would put it down, the command does: before and after, by whom,
/// of what, and how much.
#[tokio::test]
async fn what_the_program_does_to_a_store_stands_in_the_hosts_chain() {
    let desk = Desk::new();
    let text = lines(0..10) + "bad\n";
    desk.write("pins.json", &text);
    desk.state(&["import", "pins.json", "--dry-run"]).with(1);
    assert!(desk.audited().await.is_empty());
    desk.state(&["import", "pins.json"]).with(1);
    let stop = ["import", "pins.json", "--keep", "--stop-on-reject"];
    desk.state(&stop).with(1);
    desk.write("good.json", lines(0..12));
    let from = ["--from", "good.json", "--pause", "0", "--progress", "p"];
    let migrate = [&["migrate"][..], &from[..]].concat();
    desk.state(&migrate).with(0);
    desk.state(&["export"]).with(0);
    let seen = desk.audited().await;
    let field = |name: &str| -> Vec<&str> {
        seen.iter()
            .map(|event| event[name].as_str().unwrap())
            .collect()
    };
    assert_eq!(field("kind"), ["intent", "outcome"].repeat(3));
    let ends = ["begun", "allow", "begun", "error", "begun", "allow"];
    assert_eq!(field("outcome"), ends);
    for both in field("intent").chunks(2) {
        assert_eq!(both[0], both[1]);
    }
    assert_eq!(field("action"), ["writePins"; 6]);
    assert!(
        seen.iter()
            .all(|event| event["actor"]["id"] == "system:state")
    );
    let user = format!("uid {}", rustix::process::getuid().as_raw());
    let digest = Sha256::digest(&text);
    let digest: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    let path = desk.path("pins.json").display().to_string();
    let notes = field("note");
    for word in ["state import", &user, &digest, &path] {
        assert!(notes[0].contains(word), "{word}: {}", notes[0]);
    }
    let counted = "removed 0, imported 10 (0 of old forms), kept 0, rejected 1; by ";
    assert!(notes[1].starts_with(counted), "{}", notes[1]);
    assert!(notes[2].contains("--keep"), "{}", notes[2]);
    assert!(
        notes[3].starts_with("stopped at a bad line"),
        "{}",
        notes[3]
    );
    assert!(
        notes[4].contains("state migrate from good.json"),
        "{}",
        notes[4]
    );
    assert!(
        notes[5].starts_with("written 2, removed 0; by "),
        "{}",
        notes[5]
    );
    // Who switched the log off has none.
    let mut unseen = desk.command(&["import", "good.json"]);
    unseen.env("HOLDFAST_AUDIT__ENABLED", "false");
    super::ran(&mut unseen).with(0);
    assert_eq!(desk.audited().await.len(), 6);
}

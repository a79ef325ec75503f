//! A cluster that is not there yet, that refuses, that changes while calls keep coming.

use super::plan;
use crate::support::cluster::{fresh, variables};
use crate::support::process::{Holdfast, PATIENCE, Plan, until};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

pub(super) const NOBODY: &str = "http://127.0.0.1:9";

/// Variables of the cluster but for those that the file is to say.
pub(super) async fn but(keys: &[&str]) -> (holdfast_store::CqlSettings, Vec<(String, String)>) {
    let settings = fresh().await;
    let mut all = variables(&settings);
    all.retain(|(name, _)| !keys.iter().any(|key| name.ends_with(key)));
    (settings, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_yet_is_waited_for() {
    let (settings, variables) = but(&["CONTACT_POINTS"]).await;
    let said =
        |point: &str| format!("[store.cql]\ncontact_points = ['{point}']\nretry_longest = '1s'\n");
    let mut host = Holdfast::launch(Plan {
        kubo_api: NOBODY.to_owned(),
        variables,
        // Nobody has port 9 of this machine.
        file: said("127.0.0.1:9"),
        ..Plan::default()
    });
    until("the ops listener", || host.is_up(), |up| *up);
    let report = until(
        "an attempt",
        || host.page("/health/ready"),
        |(_, report)| report.contains("attempt 2"),
    );
    assert_eq!(report.0, 503, "{}", report.1);
    assert!(report.1.contains("127.0.0.1:9"), "{}", report.1);
    assert_eq!(host.page("/health/live").0, 200);
    for (path, words) in [
        ("/psa/pins", "\"reason\":\"UNAVAILABLE\""),
        ("/v1/whoami", "\"code\":\"UNAVAILABLE\""),
    ] {
        let (head, body) = host.ask_with("", "GET", path, None);
        assert!(head.contains(" 503 "), "{head}");
        assert!(head.to_lowercase().contains("retry-after: 1"), "{head}");
        assert!(body.to_string().contains(words), "{body}");
    }
    assert!(host.log().contains("next_try_ms"), "{}", host.log());
    // The mend needs no restart.
    host.write("holdfast.toml", &said(&settings.contact_points[0]));
    host.wait_until_ready();
    assert_eq!(host.ask(&host.key, "GET", "/v1/whoami", None).0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_told_to() {
    let mut host = Holdfast::launch(Plan {
        kubo_api: NOBODY.to_owned(),
        variables: but(&["CONTACT_POINTS"]).await.1,
        file: "[store.cql]\ncontact_points = ['127.0.0.1:9']\n".to_owned(),
        ..Plan::default()
    });
    until("the ops listener", || host.is_up(), |up| *up);
    until("an attempt", || host.log(), |log| log.contains("attempt=1"));
    assert_eq!(host.stop(), Some(0), "{}", host.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_time_cannot_mend_ends_the_start() {
    let plan = Plan {
        kubo_api: NOBODY.to_owned(),
        ..plan().await
    };
    for (key, value, words) in [
        ("PASSWORD", "not-it", "store.cql.password"),
        ("LOCAL_DATACENTER", "dc9", "store.cql.replication"),
    ] {
        let mut plan = plan.clone();
        let name = format!("HOLDFAST_STORE__CQL__{key}");
        plan.variables.push((name, value.to_owned()));
        let mut host = Holdfast::launch(plan);
        assert_eq!(host.ended(), Some(1), "{key}");
        assert!(host.log().contains(words), "{key}: {}", host.log());
        assert!(!host.log().contains("not-it"), "{}", host.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_the_session_and_no_call_fails() {
    let (settings, variables) = but(&["PASSWORD", "USERNAME"]).await;
    let login = settings.login.clone().unwrap();
    let said = |file: &str, read: &str| {
        format!(
            "[store.cql]\nusername = '{}'\npassword = 'file:{file}'\n\
             [store.cql.timeouts]\nread = '{read}'\n",
            login.username
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    let put = |text: &str| std::fs::write(&password, text).unwrap();
    put(&login.password);
    let said = |read: &str| said(&password.display().to_string(), read);
    let host = Holdfast::start_with(Plan {
        kubo_api: NOBODY.to_owned(),
        variables,
        file: said("5s"),
        ..Plan::default()
    });
    let host = Arc::new(host);
    let (done, failed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let calling: Vec<_> = (0..4).map(|_| call_until(&host, &done, &failed)).collect();

    let reloads = |outcome: &str| {
        let line = format!("holdfast_config_reloads_total{{outcome=\"{outcome}\"}} ");
        let page = host.page("/metrics").1;
        let found = page.lines().find_map(|l| l.strip_prefix(&line));
        found.unwrap_or("0").parse::<u32>().unwrap()
    };
    host.write("holdfast.toml", &said("4s"));
    until("a reload", || reloads("done"), |count| *count == 1);
    // A wrong password is refused, and the former session stays.
    put("not-it");
    until("the refusal", || reloads("refused"), |count| *count == 1);
    assert!(
        host.log().contains("configuration refused"),
        "{}",
        host.log()
    );
    assert!(!host.log().contains("not-it"), "{}", host.log());
    // The same file, good again: its content alone is a reason to look.
    put(&format!("{}\n", login.password));
    until("another reload", || reloads("done"), |count| *count == 2);
    host.write("holdfast.toml", &said("3s"));
    until("one more", || reloads("done"), |count| *count == 3);
    done.store(true, Ordering::SeqCst);
    let calls: usize = calling
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(
        failed.load(Ordering::SeqCst),
        0,
        "of {calls}: {}",
        host.log()
    );
    assert!(calls > 10, "only {calls} calls were made meanwhile");
    assert!(
        host.log().matches("connected anew").count() >= 2,
        "{}",
        host.log()
    );
}

/// Reads and writes until it is done; how often.
fn call_until(
    host: &Arc<Holdfast>,
    done: &Arc<AtomicBool>,
    failed: &Arc<AtomicUsize>,
) -> std::thread::JoinHandle<usize> {
    let (host, done, failed) = (Arc::clone(host), Arc::clone(done), Arc::clone(failed));
    std::thread::spawn(move || {
        let begun = Instant::now();
        let mut calls = 0;
        while !done.load(Ordering::SeqCst) && begun.elapsed() < PATIENCE {
            let made = host.ask(
                &host.key,
                "POST",
                "/psa/pins",
                Some(&json!({ "cid": "bafkqaaa" })),
            );
            let seen = host.ask(&host.key, "GET", "/psa/pins?limit=1", None);
            for (status, answer) in [made, seen] {
                calls += 1;
                if !(200..300).contains(&status) {
                    failed.fetch_add(1, Ordering::SeqCst);
                    eprintln!("{status} {answer}");
                }
            }
        }
        calls
    })
}

/// What the doctor answers to its parent, and what it finds.
fn asked(variables: &[(String, String)]) -> (Option<i32>, Vec<Value>) {
    let dir = tempfile::tempdir().unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["doctor", "--json"])
        .current_dir(dir.path())
        .env_clear()
        .envs(variables.iter().cloned())
        .output()
        .unwrap();
    let all = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&ran.stderr)));
    (ran.status.code(), all)
}

/// The finding about something.
fn found(all: &[Value], what: &str) -> Value {
    let is_it = |one: &&Value| one["what"].as_str().unwrap().starts_with(what);
    let one = all.iter().find(is_it);
    one.cloned()
        .unwrap_or_else(|| panic!("{what} is not in {all:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_walks_the_whole_way() {
    let plan = plan().await;
    let (_, all) = asked(&plan.variables);
    for what in [
        "tcp",
        "cluster login",
        "nodes",
        "cluster role",
        "schema",
        "clock",
    ] {
        assert_eq!(found(&all, what)["ok"], true, "{what}: {all:?}");
    }
    // One replica is a doubt and not a failure.
    let replication = found(&all, "replication");
    assert_eq!(replication["ok"], true, "{all:?}");
    assert!(
        replication["mend"].as_str().unwrap().contains("dc1:3"),
        "{all:?}"
    );

    let with = |key: &str, value: &str| {
        let mut variables = plan.variables.clone();
        variables.push((format!("HOLDFAST_STORE__CQL__{key}"), value.to_owned()));
        asked(&variables)
    };
    for (key, value, what, words) in [
        (
            "CONTACT_POINTS",
            "no.such.host.invalid",
            "dns no.such.host.invalid",
            "DNS",
        ),
        (
            "CONTACT_POINTS",
            "127.0.0.1:9",
            "tcp 127.0.0.1:9",
            "start the node",
        ),
        ("PASSWORD", "not-it", "cluster login", "store.cql.password"),
        (
            "REPLICATION",
            "dc1:1,dc7:1",
            "datacenter dc7",
            "letter for letter",
        ),
        ("REPLICATION", "dc1:3", "datacenter dc1", "add nodes"),
    ] {
        let (code, all) = with(key, value);
        assert_eq!(code, Some(1), "{key} {value}: {all:?}");
        let one = found(&all, what);
        assert_eq!(one["ok"], false, "{one}");
        assert!(one["mend"].as_str().unwrap().contains(words), "{one}");
    }
}

/// What works, and not as well as it should, is told and fails nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_doubts_a_rack_that_no_node_is_in() {
    let mut variables = plan().await.variables;
    let key = "HOLDFAST_STORE__CQL__LOCAL_RACK".to_owned();
    variables.push((key, "rack9".to_owned()));
    let (_, all) = asked(&variables);
    let one = found(&all, "rack");
    assert_eq!(one["ok"], true, "{one}");
    assert!(one["detail"].as_str().unwrap().contains("rack1"), "{one}");
    let mend = one["mend"].as_str().unwrap();
    assert!(mend.contains("store.cql.local_rack"), "{one}");
}

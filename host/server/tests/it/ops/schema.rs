//! `holdfast schema` on a Cassandra node.

use holdfast_store::contract::cassandra;
use holdfast_store::{CqlSettings, Store};
use serde_json::Value;
use std::process::{Command, Output};

/// The program, told of a keyspace of its own on the tests' node.
fn schema(keyspace: &str, arguments: &[&str], replication: &str) -> (i32, String, String) {
    let settings = cassandra::single().unwrap().settings(keyspace);
    let login = settings.login.unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .envs([
            ("HOLDFAST_STORE__KIND", "cql"),
            (
                "HOLDFAST_STORE__CQL__CONTACT_POINTS",
                &settings.contact_points.join(","),
            ),
            (
                "HOLDFAST_STORE__CQL__LOCAL_DATACENTER",
                &settings.local_datacenter,
            ),
            ("HOLDFAST_STORE__CQL__KEYSPACE", keyspace),
            ("HOLDFAST_STORE__CQL__REPLICATION", replication),
            ("HOLDFAST_STORE__CQL__USERNAME", &login.username),
            ("HOLDFAST_STORE__CQL__PASSWORD", &login.password),
        ])
        .arg("schema")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What the host's chain has.
fn audited(settings: CqlSettings) -> Vec<Value> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let entries = runtime.block_on(async {
        let store = Store::cql(settings).await.unwrap();
        let entries = store.audit_entries("", 1, 100).await.unwrap();
        store.close().await.unwrap();
        entries
    });
    let bodies = entries.iter().map(|entry| &entry.body);
    bodies
        .map(|body| serde_json::from_slice(body).unwrap())
        .collect()
}

#[test]
fn the_schema_is_made_and_shown() {
    let node = cassandra::single().unwrap();
    let (keyspace, datacenter) = (node.keyspace(), node.settings("any").local_datacenter);
    let one = format!("{datacenter}:1");
    let (code, out, err) = schema(&keyspace, &["status"], &one);
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("version 0 of"), "{out}");
    assert!(
        err.contains("migrations are missing; run `holdfast schema up`"),
        "{err}"
    );

    let (code, out, err) = schema(&keyspace, &["up"], &one);
    assert_eq!(code, 0, "{out}{err}");
    let lines: Vec<_> = out.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{keyspace} on Apache Cassandra 5.")),
        "{out}"
    );
    assert!(lines[0].ends_with(&format!("replicated {one}")), "{out}");
    let cells = |line: &str| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        cells(lines[2])[..4],
        ["VERSION", "NAME", "STATE", "STARTED"]
    );
    assert_eq!(cells(lines[3])[..3], ["1", "bookkeeping", "done"], "{out}");
    // And again, which runs nothing: only the first stands in the audit log.
    assert_eq!(schema(&keyspace, &["up"], &one).0, 0);
    let told = audited(node.settings(&keyspace));
    assert_eq!(told.len(), 1, "{told:?}");
    let note = told[0]["note"].as_str().unwrap();
    let ran = format!("schema up of {keyspace} ran 1 bookkeeping, 2 ");
    assert!(note.contains(&ran), "{note}");
    assert_eq!(told[0]["actor"]["id"], "system:schema");
    // The columns stand one below the other.
    assert_eq!(lines[2].find("STATE"), lines[3].find("done"), "{out}");

    let (code, out, err) = schema(&keyspace, &["status", "--json"], &format!("{datacenter}:3"));
    assert_eq!(code, 0, "{out}{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["flavour"], "cassandra");
    assert_eq!(status["version"], status["needed"]);
    assert_eq!(status["migrations"][0]["state"], "done");
    assert_eq!(status["layout"]["prefix_bits"], 28);
    let finding = status["findings"][0].as_str().unwrap();
    assert!(
        finding.contains(&format!("ALTER KEYSPACE {keyspace} WITH replication")),
        "{finding}"
    );
}

#[test]
fn no_other_store_has_a_schema() {
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .args(["schema", "status"])
        .output()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let told = String::from_utf8(stderr).unwrap();
    assert!(told.contains("store.kind is not `cql`"), "{told}");
}

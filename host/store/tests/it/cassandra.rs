//! The shared Cassandra node itself: that it is there, and whom it lets do what.

use holdfast_store::contract::cassandra::{Cluster, Network, Tls, default_login, single};
use holdfast_store::{CqlSettings, Login, Store};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use std::error::Error;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

async fn session(login: &Login) -> Result<Session, Box<dyn Error>> {
    let settings = single()?.settings("unused");
    let session = SessionBuilder::new()
        .known_nodes(&settings.contact_points)
        .user(&login.username, &login.password)
        .build()
        .await?;
    Ok(session)
}

/// Makes a keyspace, and drops it: the least that a test's role must be able to do.
async fn make_and_drop(login: &Login) -> Result<(), Box<dyn Error>> {
    let node = single()?;
    let (keyspace, session) = (node.keyspace(), session(login).await?);
    let (name, count) = &node.settings(&keyspace).replication[0];
    let replication = format!("{{'class': 'NetworkTopologyStrategy', '{name}': {count}}}");
    for statement in [
        format!("CREATE KEYSPACE {keyspace} WITH replication = {replication}"),
        format!("CREATE TABLE {keyspace}.one (key int PRIMARY KEY, version int)"),
        format!("INSERT INTO {keyspace}.one (key, version) VALUES (1, 1) IF NOT EXISTS"),
        format!("DROP KEYSPACE {keyspace}"),
    ] {
        session.query_unpaged(statement, ()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_host_makes_its_tables_without_being_a_superuser() -> Result<(), Box<dyn Error>> {
    let host = single()?.host_login();
    make_and_drop(&host).await?;
    let session = session(&host).await?;
    let refused = session
        .query_unpaged("CREATE ROLE intruder WITH LOGIN = true", ())
        .await;
    let said = refused.map(drop).unwrap_err().to_string();
    assert!(said.contains("sufficient privileges"), "{said}");
    Ok(())
}

#[tokio::test]
async fn superusers_log_in_and_strangers_do_not() -> Result<(), Box<dyn Error>> {
    session(&single()?.superuser()).await?;
    session(&default_login()).await?;
    let stranger = Login {
        username: "holdfast".to_owned(),
        password: "not this one".to_owned(),
    };
    assert!(session(&stranger).await.is_err());
    Ok(())
}

#[test]
fn every_keyspace_is_another() -> Result<(), Box<dyn Error>> {
    let node = single()?;
    assert_ne!(node.keyspace(), node.keyspace());
    Ok(())
}

#[test]
fn a_cluster_of_ones_own_can_be_broken_and_ends() -> Result<(), Box<dyn Error>> {
    let rows = "SELECT cluster_name FROM system.local";
    let cluster = Cluster::start("dc1=1", Tls::Mutual, Network::Loopback)?;
    let folder = cluster.certificates().ok_or("no certificates")?.to_owned();
    assert_eq!(cluster.settings("any").replication, [("dc1".to_owned(), 1)]);
    assert_eq!(cluster.cql(1, rows)?.len(), 1);

    cluster.kill(1)?;
    let refused = cluster.cql(1, rows).unwrap_err().to_string();
    assert!(refused.contains("refused"), "{refused}");
    assert!(cluster.pause(1).is_err(), "paused a node that is down");
    cluster.start_again(1)?;
    assert_eq!(cluster.cql(1, rows)?.len(), 1);

    let cut = cluster.cut(1).unwrap_err().to_string();
    assert!(cut.contains("--network namespaces"), "{cut}");
    let before = std::fs::read(folder.join("client.crt"))?;
    cluster.renew_certificates()?;
    assert_ne!(std::fs::read(folder.join("client.crt"))?, before);
    assert_eq!(
        cluster.cql(1, rows)?.len(),
        1,
        "both authorities are trusted"
    );

    drop(cluster);
    assert!(!folder.exists());
    Ok(())
}

/// As `make test` and `make run-cql` call it, for a cluster in a folder that ends with this test.
fn launcher(folder: &Path, words: &[&str]) -> Command {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/cassandra");
    let (what, more) = words.split_first().unwrap();
    let mut command = Command::new(program);
    command.arg(what).arg("--dir").arg(folder).args(more);
    command
}

fn said(done: &Output) -> String {
    let (out, error) = (&done.stdout, &done.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(error)
}

#[tokio::test]
async fn a_start_that_was_cut_short_is_finished_by_the_next() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let folder = folder.path().join("cluster");
    let process = std::process::id().to_string();
    let up = || launcher(&folder, &["up", "--quiet", "--until-ends", &process]);
    let mut first = up().spawn()?;
    let begun = Instant::now();
    while !said(&launcher(&folder, &["status"]).output()?).contains("running") {
        assert!(begun.elapsed() < Duration::from_secs(60), "no node starts");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The node's process is there, and answers nobody yet.
    first.kill()?;
    first.wait()?;

    let second = up().output()?;
    assert!(second.status.success(), "{}", said(&second));
    let status = launcher(&folder, &["status", "--json"]).output()?;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    let word = |path: &str| status.pointer(path).unwrap().as_str().unwrap().to_owned();
    let point = format!("{}:{}", word("/nodes/0/address"), status["port"]);
    let mut settings = CqlSettings::new(vec![point], &word("/datacenter"), "holdfast");
    settings.login = Some(Login {
        username: word("/host/user"),
        password: word("/host/password"),
    });
    let opened = Store::cql(settings).await;
    let wiped = launcher(&folder, &["wipe"]).output()?;
    opened?.close().await?;
    assert!(wiped.status.success(), "{}", said(&wiped));
    Ok(())
}

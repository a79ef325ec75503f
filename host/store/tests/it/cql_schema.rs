//! The schema on a real cluster: migrated once however many try, continued after a kill, refused
//! where it is too new or not what it was.

mod node;
mod stalling;

use self::node::Keyspace;
use self::stalling::Stalling;
use holdfast_model::ErrorKind;
use holdfast_store::contract::cassandra::{Cluster, Network, Tls};
use holdfast_store::schema::{self, AtRest, Flavour, Migrate, MigrationState, SchemaStatus};
use holdfast_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A lease short enough to outlive in a test, and longer than one statement takes on a machine that
/// is busy with other tests.
const LEASE: Duration = Duration::from_secs(12);

/// How long the cluster may take for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a refusal says.
fn said<T>(refused: Result<T, StoreError>) -> (ErrorKind, String) {
    match refused {
        Ok(_) => panic!("it was not refused"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

fn must_be_whole(status: &SchemaStatus) {
    assert!(status.is_good(), "{status:?}");
    assert_eq!(status.refused, None);
    assert_eq!(status.findings, [""; 0]);
    assert_eq!(status.running, None);
    let done = |m: &schema::MigrationStatus| m.state == MigrationState::Done;
    assert!(status.migrations.iter().all(done), "{status:?}");
    assert_eq!(status.migrations.len(), status.needed as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_made_once() {
    let keyspace = Keyspace::fresh().await;
    let empty = schema::status(&keyspace.settings).await.unwrap();
    assert_eq!((empty.version, empty.tables), (0, 0));
    assert!(!empty.is_good());

    let began = Instant::now();
    let made = schema::up(&keyspace.settings).await.unwrap();
    println!("made {} tables in {:?}", made.tables, began.elapsed());
    must_be_whole(&made);
    assert_eq!(made.flavour, Flavour::Cassandra);
    assert!(made.server.starts_with("5."), "{}", made.server);

    let began = Instant::now();
    let again = schema::up(&keyspace.settings).await.unwrap();
    println!("looked again in {:?}", began.elapsed());
    must_be_whole(&again);
    let times = |status: &SchemaStatus| -> Vec<_> {
        let all = status.migrations.iter();
        all.map(|m| (m.started, m.finished)).collect()
    };
    assert_eq!(times(&again), times(&made), "a migration was run twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runners_at_once_make_one_schema() {
    let keyspace = Keyspace::fresh().await;
    let run = |name: &str| {
        let mut settings = keyspace.settings.clone();
        settings.schema.run_by = name.to_owned();
        tokio::spawn(async move { schema::up(&settings).await })
    };
    let runners = ["one", "two", "three"].map(run);
    for runner in runners {
        must_be_whole(&runner.await.unwrap().unwrap());
    }
    let rows = keyspace
        .rows("SELECT version, run_by FROM {keyspace}.schema_migrations")
        .await;
    assert_eq!(
        rows,
        schema::status(&keyspace.settings).await.unwrap().needed as usize
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_is_continued_by_the_next() {
    let mut keyspace = Keyspace::fresh().await;
    keyspace.settings.timeouts.lease = LEASE;
    let settings = keyspace.settings.clone();
    let killed = tokio::spawn(async move { schema::up(&settings).await });
    // In the middle of the second migration: its first table is there and it is not done.
    keyspace.until_there_is("pins").await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    let left = schema::status(&keyspace.settings).await.unwrap();
    assert!(
        left.version < left.needed,
        "it was done before it was killed"
    );
    assert!(left.running.is_some(), "it gave its lease back");
    let running = |m: &&schema::MigrationStatus| m.state == MigrationState::Running;
    assert_eq!(
        left.migrations.iter().filter(running).count(),
        1,
        "{left:?}"
    );

    let began = Instant::now();
    keyspace.settings.schema.run_by = "the next".to_owned();
    let done = schema::up(&keyspace.settings).await.unwrap();
    must_be_whole(&done);
    println!("continued {:?} after it was called", began.elapsed());
    assert_eq!(done.migrations.last().unwrap().run_by, "the next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_refused() {
    let keyspace = Keyspace::made().await;
    let needed = schema::status(&keyspace.settings).await.unwrap().needed;
    let later = |version: u32, needed: u32| {
        format!(
            "INSERT INTO {{keyspace}}.schema_migrations (component, version, name, needed, state) \
             VALUES ('store', {version}, 'later', {needed}, 'done') IF NOT EXISTS"
        )
    };
    // One that programs like this one can work with, as while nodes are replaced one by one.
    keyspace.run(&later(needed + 1, needed)).await;
    let status = schema::up(&keyspace.settings).await.unwrap();
    assert!(status.is_good());
    assert_eq!(
        status.migrations.last().unwrap().state,
        MigrationState::Unknown
    );

    keyspace.run(&later(needed + 2, needed + 2)).await;
    let text = format!("this program knows {needed}: run a newer release");
    for refused in [
        said(schema::up(&keyspace.settings).await),
        said(Store::cql(keyspace.settings.clone()).await),
    ] {
        assert_eq!(refused.0, ErrorKind::Invalid);
        assert!(refused.1.contains(&text), "{}", refused.1);
    }
    let status = schema::status(&keyspace.settings).await.unwrap();
    assert!(status.refused.unwrap().contains(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_text_of_a_migration_is_refused() {
    let keyspace = Keyspace::made().await;
    let change = "UPDATE {keyspace}.schema_migrations SET checksum = 0x00 \
                  WHERE component = 'store' AND version = 3 IF EXISTS";
    keyspace.run(change).await;
    let (kind, text) = said(schema::up(&keyspace.settings).await);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(text.contains("was run with another text"), "{text}");
    let status = schema::status(&keyspace.settings).await.unwrap();
    assert_eq!(status.migrations[2].state, MigrationState::Drifted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_column_or_table_is_told() {
    let keyspace = Keyspace::made().await;
    keyspace.run("ALTER TABLE {keyspace}.pins DROP body").await;
    let (kind, text) = said(schema::up(&keyspace.settings).await);
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(text.contains("table pins has no column body"), "{text}");
    keyspace.run("DROP TABLE {keyspace}.pins").await;
    let (_, text) = said(schema::up(&keyspace.settings).await);
    assert!(text.contains("there is no table pins"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_may_only_check_makes_nothing() {
    let mut keyspace = Keyspace::fresh().await;
    keyspace.settings.schema.migrate = Migrate::Check;
    let (kind, text) = said(Store::cql(keyspace.settings.clone()).await);
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("run `holdfast schema up`"), "{text}");
    assert_eq!(schema::status(&keyspace.settings).await.unwrap().tables, 0);

    keyspace.make_empty().await;
    let (kind, text) = said(Store::cql(keyspace.settings.clone()).await);
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(
        text.contains("is at version 0 and this program needs"),
        "{text}"
    );
    assert_eq!(schema::status(&keyspace.settings).await.unwrap().tables, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyspace_is_never_altered() {
    let mut keyspace = Keyspace::made().await;
    let datacenter = keyspace.settings.local_datacenter.clone();
    keyspace.settings.replication = vec![(datacenter.clone(), 3)];
    let status = schema::up(&keyspace.settings).await.unwrap();
    assert!(status.is_good());
    assert_eq!(status.replication[&datacenter], "1");
    let told = status.findings.join("\n");
    let alter = format!(
        "ALTER KEYSPACE {} WITH replication = {{'class': 'NetworkTopologyStrategy', '{datacenter}': 3}}",
        keyspace.settings.keyspace
    );
    assert!(told.contains(&alter), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_fixed_at_the_first_use() {
    let mut keyspace = Keyspace::made().await;
    let first = schema::status(&keyspace.settings)
        .await
        .unwrap()
        .layout
        .unwrap();
    assert_eq!(first.homes, [keyspace.settings.local_datacenter.clone()]);
    keyspace.settings.layout.prefix_bits = 20;
    keyspace.settings.layout.feed_shards = 64;
    let status = schema::up(&keyspace.settings).await.unwrap();
    assert_eq!(status.layout.unwrap(), first);
    let told = status.findings.join("\n");
    assert!(told.contains("was fixed when it was first used"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_before_they_are_used() {
    let mut keyspace = Keyspace::fresh().await;
    keyspace.settings.keyspace = "Pins; DROP".to_owned();
    let (kind, text) = said(schema::up(&keyspace.settings).await);
    assert_eq!(kind, ErrorKind::Invalid, "{text}");
    assert!(text.starts_with("store.cql.keyspace: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datacenter_that_is_none_is_told() {
    let mut keyspace = Keyspace::fresh().await;
    keyspace.settings.replication.push(("mars".to_owned(), 1));
    let (kind, text) = said(schema::up(&keyspace.settings).await);
    assert_eq!(kind, ErrorKind::Invalid, "{text}");
    assert!(
        text.contains("make the keyspace") && text.contains("mars"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_at_rest_is_refused_where_there_is_none() {
    let mut keyspace = Keyspace::fresh().await;
    keyspace.settings.schema.at_rest = AtRest::Required(BTreeMap::new());
    let (kind, text) = said(schema::up(&keyspace.settings).await);
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(
        text.contains("Apache Cassandra has no encryption of its own"),
        "{text}"
    );
    let status = schema::status(&keyspace.settings).await.unwrap();
    assert_eq!(status.tables, 0, "something was made");
    assert!(status.refused.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_falls_silent_is_given_up_in_time() {
    let mut keyspace = Keyspace::made().await;
    let stalling = Stalling::before(&keyspace.settings.contact_points[0]).await;
    keyspace.settings.contact_points = vec![stalling.address()];
    keyspace.settings.timeouts.schema = Duration::from_secs(1);
    // The connection stays; only the deadlines of this call are to end it.
    keyspace.settings.timeouts.keepalive = PATIENCE;
    let answered = schema::status(&keyspace.settings).await.unwrap();
    assert!(answered.is_good());
    stalling.stall_on("SELECT release_version");
    let began = Instant::now();
    let asked = tokio::time::timeout(PATIENCE, schema::status(&keyspace.settings));
    let (kind, text) = said(asked.await.expect("it is still waiting"));
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("ask for the server's version"), "{text}");
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
}

/// The driver waits for sessions and for prepared statements without an end of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_at_a_frozen_node_is_given_up_in_time() {
    let mut keyspace = Keyspace::made().await;
    let stalling = Stalling::before(&keyspace.settings.contact_points[0]).await;
    keyspace.settings.contact_points = vec![stalling.address()];
    keyspace.settings.timeouts.keepalive = PATIENCE;
    // What a session begins with, and a statement as it is prepared.
    for (words, is_session) in [
        ("CQL_VERSION", true),
        ("SELECT value FROM store_params", false),
    ] {
        let mut settings = keyspace.settings.clone();
        match is_session {
            true => {
                settings.timeouts.connect = Duration::from_secs(1);
                settings.timeouts.session = Duration::from_secs(1);
            }
            false => settings.timeouts.prepare = Duration::from_secs(3),
        }
        stalling.stall_on(words);
        let opened = tokio::time::timeout(PATIENCE / 2, Store::cql(settings)).await;
        let error = opened.expect("it is still waiting").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(
            error.to_string().contains("reach the cluster at"),
            "{error}"
        );
    }
}

/// A change of the schema that was made and whose answer is lost is looked for, and not made again.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_found() {
    let mut keyspace = Keyspace::fresh().await;
    let stalling = Stalling::before(&keyspace.settings.contact_points[0]).await;
    keyspace.settings.contact_points = vec![stalling.address()];
    keyspace.settings.timeouts.schema = Duration::from_secs(10);
    stalling.lose_answer_to(".placements ADD trail blob");
    let status = schema::up(&keyspace.settings).await.unwrap();
    must_be_whole(&status);
    assert_eq!(stalling.lost(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn datacenters_share_a_schema_and_do_not_need_each_other_for_it() {
    let start = || Cluster::start("dc1=1,dc2=1", Tls::Off, Network::Loopback);
    let cluster = tokio::task::block_in_place(start).unwrap();
    let mut here = cluster.settings("pins");
    here.layout.homes = vec!["dc1".to_owned(), "dc2".to_owned()];
    let mut there = here.clone();
    there.local_datacenter = "dc2".to_owned();
    let runners = [&here, &there].map(|settings| {
        let settings = settings.clone();
        tokio::spawn(async move { schema::up(&settings).await })
    });
    let [first, second] = runners;
    must_be_whole(&first.await.unwrap().unwrap());
    must_be_whole(&second.await.unwrap().unwrap());

    // One that has nothing to change asks its own datacenter alone.
    let other = cluster.nodes_of("dc2")[0];
    tokio::task::block_in_place(|| cluster.kill(other)).unwrap();
    must_be_whole(&schema::up(&here).await.unwrap());
}

//! What production refuses of a cluster, and certificates that change while the host runs.

use crate::support::cluster::variables;
use crate::support::process::{Holdfast, Plan, until};
use holdfast_runtime::SigningKey;
use holdfast_store::contract::cassandra::{Cluster, Network, Tls};
use holdfast_store::{CqlSettings, Login};
use serde_json::Value;

const NOBODY: &str = "http://127.0.0.1:9";

fn plan(settings: &CqlSettings, is_production: bool) -> Plan {
    let mut variables = variables(settings);
    // A first key as good as production wants it.
    let key = uuid::Uuid::now_v7().simple().to_string() + "f00dcafe";
    variables.push(("HOLDFAST_PRODUCTION".to_owned(), is_production.to_string()));
    let signed = "HOLDFAST_PLUGINS__REQUIRE_SIGNATURES";
    variables.push((signed.to_owned(), is_production.to_string()));
    let signer = SigningKey::generate().unwrap().to_pem();
    variables.push(("HOLDFAST_AUDIT__SIGNING_KEY".to_owned(), signer));
    Plan {
        kubo_api: NOBODY.to_owned(),
        variables,
        key: Some(key),
        ..Plan::default()
    }
}

/// How a start ends that is refused.
fn refused(settings: &CqlSettings) -> String {
    let mut host = Holdfast::launch(plan(settings, true));
    assert_eq!(host.ended(), Some(1), "{}", host.log());
    host.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_strict_and_certificates_may_change() {
    // One cluster for both, because a start of one is most of what either takes.
    let start = || Cluster::start("dc1=1", Tls::Nodes, Network::Loopback);
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    no_cluster_that_could_lose_or_leak(&cluster);
    certificates_are_checked_and_taken_up(&cluster);
}

fn no_cluster_that_could_lose_or_leak(cluster: &Cluster) {
    let mut good = cluster.settings("held");
    good.replication = vec![("dc1".to_owned(), 3)];

    // What the settings show by themselves.
    let mut bad = good.clone();
    bad.tls = None;
    assert!(refused(&bad).contains("store.cql.tls.ca"));
    bad = good.clone();
    bad.login = None;
    assert!(refused(&bad).contains("store.cql.username"));
    bad = good.clone();
    bad.replication = vec![("dc1".to_owned(), 2)];
    assert!(refused(&bad).contains("write dc1:3"));
    bad = good.clone();
    bad.login = Some(Login {
        username: "cassandra".to_owned(),
        password: "cassandra".to_owned(),
    });
    assert!(refused(&bad).contains("every new cluster has"));
    for (key, value) in [
        ("WRITE", "local_one"),
        ("READ", "local_one"),
        ("STREAM", "local_one"),
        ("REMOTE_READS", "true"),
    ] {
        let mut weak = plan(&good, true);
        let name = format!("HOLDFAST_STORE__CQL__CONSISTENCY__{key}");
        weak.variables.push((name, value.to_owned()));
        let mut host = Holdfast::launch(weak);
        assert_eq!(host.ended(), Some(1), "{key}");
        let named = format!("store.cql.consistency.{}", key.to_lowercase());
        let log = host.log();
        assert!(
            log.contains(&named) && log.contains("production"),
            "{key}: {log}"
        );
    }

    // What only the cluster shows.
    bad = good.clone();
    bad.login = Some(cluster.superuser());
    let log = refused(&bad);
    assert!(log.contains("is a superuser of the cluster"), "{log}");
    let forgets = "CREATE KEYSPACE forgets WITH replication = {'class': \
                   'NetworkTopologyStrategy', 'dc1': 3} AND durable_writes = false";
    cluster.cql(1, forgets).unwrap();
    bad = good.clone();
    bad.keyspace = "forgets".to_owned();
    let log = refused(&bad);
    assert!(log.contains("durable_writes = false: a node"), "{log}");
    let made =
        "CREATE KEYSPACE held WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}";
    cluster.cql(1, made).unwrap();
    let log = refused(&good);
    assert!(
        log.contains("has 1 replicas in dc1") && log.contains("ALTER KEYSPACE held"),
        "{log}"
    );
}

fn certificates_are_checked_and_taken_up(cluster: &Cluster) {
    let settings = cluster.settings("renewed");
    let host = Holdfast::start_with(plan(&settings, false));
    assert_eq!(host.ask(&host.key, "GET", "/v1/whoami", None).0, 200);

    let doctor = |variables: &[(String, String)]| -> Vec<Value> {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(["doctor", "--json"])
            .current_dir(host.dir())
            .env_clear()
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let tls = |all: &[Value]| {
        let one = all
            .iter()
            .find(|one| one["what"].as_str().unwrap().starts_with("tls "));
        one.cloned().unwrap_or_else(|| panic!("{all:?}"))
    };
    let mut of = variables(&settings);
    let good = tls(&doctor(&of));
    assert_eq!(good["ok"], true, "{good}");
    assert!(
        good["detail"].as_str().unwrap().contains("days more"),
        "{good}"
    );
    let another = "HOLDFAST_STORE__CQL__TLS__SERVER_NAME".to_owned();
    of.push((another, "elsewhere.example".to_owned()));
    let wrong = tls(&doctor(&of));
    assert!(
        wrong["mend"].as_str().unwrap().contains("server_name"),
        "{wrong}"
    );

    // The same files, other certificates in them: the host makes a new session by itself.
    cluster.renew_certificates().unwrap();
    until(
        "the new session",
        || host.log(),
        |log| log.contains("connected anew"),
    );
    assert_eq!(host.ask(&host.key, "GET", "/v1/whoami", None).0, 200);
}

//! Settings of a cluster, as an operator writes them for the program.

use holdfast_store::CqlSettings;
use holdfast_store::contract::cassandra::single;

/// Variables that name a cluster.
pub(crate) fn variables(settings: &CqlSettings) -> Vec<(String, String)> {
    let mut all = vec![("HOLDFAST_STORE__KIND".to_owned(), "cql".to_owned())];
    let mut set = |key: &str, value: String| {
        all.push((format!("HOLDFAST_STORE__CQL__{key}"), value));
    };
    let of = |(name, count): &(String, u16)| format!("{name}:{count}");
    let replication: Vec<String> = settings.replication.iter().map(of).collect();
    set("CONTACT_POINTS", settings.contact_points.join(","));
    set("LOCAL_DATACENTER", settings.local_datacenter.clone());
    set("KEYSPACE", settings.keyspace.clone());
    set("REPLICATION", replication.join(","));
    if let Some(login) = &settings.login {
        set("USERNAME", login.username.clone());
        set("PASSWORD", login.password.clone());
    }
    if let Some(tls) = &settings.tls {
        set("TLS__CA", tls.ca.display().to_string());
    }
    all
}

/// Settings for a keyspace of its own on the node that all tests share. It may have to be started.
pub(crate) async fn fresh() -> CqlSettings {
    let settings = || {
        let node = single().unwrap_or_else(|e| panic!("{e}"));
        node.settings(&node.keyspace())
    };
    tokio::task::spawn_blocking(settings).await.unwrap()
}

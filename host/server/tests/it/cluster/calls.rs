//! The real binary with this interface, over a real Kubo node, and IPFS Cluster's own programs.

use crate::support::cluster::{fresh, variables};
use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// A host, its node, and where its interface is.
pub(super) struct Scene {
    pub(super) host: Holdfast,
    pub(super) node: KuboNode,
    pub(super) cluster: SocketAddr,
    /// A key with the role of a cluster's node.
    pub(super) key: String,
}

impl Scene {
    pub(super) async fn start() -> Self {
        let node = KuboNode::start().await;
        let api = node.api();
        Self::at(node, api)
    }

    /// The same on a Cassandra node, in a keyspace of its own.
    pub(super) async fn start_on_cassandra() -> Self {
        let (node, settings) = tokio::join!(KuboNode::start(), fresh());
        let plan = Plan {
            kubo_api: node.api(),
            variables: variables(&settings),
            ..Plan::default()
        };
        Self::over(node, plan)
    }

    /// The same with one more node.
    pub(super) async fn start_beside(other: &KuboNode) -> Self {
        let node = KuboNode::start().await;
        let both = format!("{},{}", node.api(), other.api());
        Self::at(node, both)
    }

    fn at(node: KuboNode, kubo_api: String) -> Self {
        let plan = Plan {
            kubo_api,
            ..Plan::default()
        };
        Self::over(node, plan)
    }

    /// A host as it is planned, with this interface beside.
    pub(super) fn over(node: KuboNode, mut plan: Plan) -> Self {
        let cluster = free_address();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        plan.variables.extend([
            variable("HOLDFAST_CLUSTER__LISTEN", &cluster.to_string()),
            // What nobody has is given up at once: a test waits for it.
            variable("HOLDFAST_KUBO__STALL_TIMEOUT", "500ms"),
            variable("HOLDFAST_KUBO__ATTEMPTS_MAX", "1"),
        ]);
        let host = Holdfast::start_with(plan);
        let asked = json!({"account": "default/cluster", "roles": ["cluster-node"]});
        let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&asked));
        assert_eq!(status, 201, "{made}");
        let key = made["secret"].as_str().unwrap().to_owned();
        Self {
            host,
            node,
            cluster,
            key,
        }
    }

    /// The key's id, which is the user's name.
    pub(super) fn user(&self) -> &str {
        self.key.split('_').nth(1).unwrap()
    }
}

/// One of IPFS Cluster's programs, which the installer builds if it is not there yet.
pub(super) fn program(name: &'static str) -> PathBuf {
    static FOUND: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let found = || {
        let installer = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.ci/tools/install");
        let ran = Command::new(installer).arg(name).output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        let path = said
            .trim()
            .strip_prefix(&format!("{name} "))
            .map(PathBuf::from);
        path.unwrap_or_else(|| {
            panic!(
                "{installer} {name}: {}",
                String::from_utf8_lossy(&ran.stderr)
            )
        })
    };
    let [ctl, service] = &FOUND;
    let slot = if name == "ipfs-cluster-ctl" {
        ctl
    } else {
        service
    };
    slot.get_or_init(found).clone()
}

/// An address that nobody listens at now.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// The shape of a value: names and types, and of a list what its first member is.
pub(super) fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(members) => members
            .first()
            .map_or(json!([]), |first| json!([shape(first)])),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(members.collect())
        }
    }
}

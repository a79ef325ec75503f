//! Wallets of the libraries that people use, keys and contracts, on a real chain.

use crate::support::host::{Host, Options};
use crate::support::tools::{Guarded, tool};
use holdfast::identity::{Chain, Identity, Terms, Web};
use holdfast_model::Role;
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use url::Url;

/// The number of the chain that anvil makes.
const CHAIN: u64 = 31_337;

/// The chain answers within a second here; a loaded machine gets more.
const START_MAX: Duration = Duration::from_secs(60);

/// A chain of one's own.
struct Anvil {
    url: String,
    _server: Guarded,
}

async fn anvil(tools: &Path, log: &Path) -> Anvil {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let program = tools.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    let (program, port) = (program.display().to_string(), address.port().to_string());
    let command = [program.as_str(), "--port", &port, "--silent"];
    let server = Guarded::start(&command, &[], &log.display().to_string());
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < START_MAX, "anvil does not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Anvil {
        url: format!("http://{address}"),
        _server: server,
    }
}

#[tokio::test]
async fn wallets_of_all_kinds_sign_in() {
    let tools = tokio::task::spawn_blocking(|| tool("wallets"))
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let chain = anvil(&tools, &dir.path().join("anvil.log")).await;
    let terms = Terms {
        url: Some(Url::parse("https://pins.example").unwrap()),
        chains: vec![Chain {
            id: CHAIN,
            rpc: Some(Url::parse(&chain.url).unwrap()),
        }],
        ..Terms::default()
    };
    let host = Host::start_with(Options {
        identity: Identity {
            terms,
            web: Some(Web::new(None).unwrap()),
            ..Identity::default()
        },
        ..Options::default()
    })
    .await;
    let admin = host.key("acme/admin", &[Role::TenantAdmin]).await;
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/identity/wallets/sign-in.cjs");
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(&tools)
        .arg(format!("http://{}", host.address))
        .arg(&admin)
        .arg(&chain.url);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["key", "cacao", "contract"] {
        assert_eq!(answers[name]["status"], 201, "{name}: {answers}");
        assert_eq!(answers[name]["says"], "user:acme/alice");
    }
    for (name, words) in [
        ("stranger", "nobody's here"),
        ("contract_by_another", "not one of the message's address"),
        ("reverting", "not one of the message's address"),
        ("bomb", "not one of the message's address"),
        ("wrong", "not one of the message's address"),
        ("no_contract", "not one of the message's address"),
        ("other_chain", "chain is not accepted"),
    ] {
        assert_eq!(answers[name]["status"], 401, "{name}: {answers}");
        let said = answers[name]["says"].as_str().unwrap();
        assert!(said.contains(words), "{name}: {said}");
    }
}

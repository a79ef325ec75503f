//! IPFS Cluster's interface: its own client against a real host and a real Kubo node, its answers
//! beside those of a real peer of IPFS Cluster, and what callers get wrong.

mod adding;
mod answers;
mod calls;
mod ctl;
mod fleet;
mod permissions;
mod shapes;
mod streams;

use crate::support::host::Host;
use holdfast::api::{ClusterSettings, Cors, Settings, cluster_router};
use holdfast::identity::Authenticator;
use holdfast::identity::jwt::Issuers;
use holdfast::ops::listen::{Bounds, Listener};
use holdfast::pins::cluster::Defaults;
use holdfast::workers::metrics::WorkMetrics;
use holdfast_model::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A host with this interface, in this process and without nodes.
struct Interface {
    host: Host,
    address: SocketAddr,
    /// A key with the role of a cluster's node.
    key: String,
    _stop: DropGuard,
}

impl Interface {
    async fn start() -> Self {
        Self::start_with(Cors::default()).await
    }

    async fn start_with(cors: Cors) -> Self {
        let host = Host::start().await;
        let authenticator = Authenticator::new(
            host.app.store.clone(),
            host.app.clock.clone(),
            Arc::clone(&host.app.identity),
            Issuers::default(),
        );
        let settings = ClusterSettings {
            defaults: Defaults {
                replication_min: -1,
                replication_max: -1,
            },
            cors,
            token_secret: vec![7; 32],
            token_lifetime: Duration::from_secs(60),
            kubo: WorkMetrics::new().unwrap().kubo,
        };
        let router = cluster_router(
            host.app.clone(),
            authenticator.unwrap(),
            Settings::default(),
            settings,
            &host.metrics,
        )
        .unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, "test").await.unwrap();
        let address = listener.address();
        let bounds = Bounds {
            connections_max: 100,
            header_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(1),
            announces_trailers: true,
        };
        let stop = CancellationToken::new();
        tokio::spawn(listener.serve(router, None, bounds, stop.clone()));
        let key = host.key("default/cluster", &[Role::ClusterNode]).await;
        Self {
            host,
            address,
            key,
            _stop: stop.drop_guard(),
        }
    }

    /// One call with the key of a cluster's node.
    async fn call(&self, method: &str, path: &str) -> Raw {
        let bearer = format!("authorization: Bearer {}", self.key);
        self.send(method, path, &[&bearer], "").await
    }

    /// One call with these headers, on a connection of its own.
    async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Raw {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        Raw::of(String::from_utf8(all).unwrap())
    }
}

/// An answer as it came over the wire, chunks and trailers apart.
#[derive(Debug)]
struct Raw {
    status: u16,
    head: String,
    body: String,
    trailers: String,
}

impl Raw {
    fn of(text: String) -> Self {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let head = head.to_ascii_lowercase();
        let (body, trailers) = match head.contains("transfer-encoding: chunked") {
            true => unchunked(rest),
            false => (rest.to_owned(), String::new()),
        };
        Self {
            status: head
                .get(9..12)
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            head,
            body,
            trailers,
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        let lines = self.body.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What an error says; its code must be the status.
    fn message(&self) -> String {
        let body = self.json();
        assert_eq!(body["code"], self.status, "{body}");
        body["message"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| line.starts_with(&format!("{name}:"));
        let found = self.head.lines().find(line)?;
        Some(found[name.len() + 1..].trim())
    }
}

/// A chunked body and the trailers behind it.
fn unchunked(mut rest: &str) -> (String, String) {
    let mut body = String::new();
    loop {
        let Some((size, behind)) = rest.split_once("\r\n") else {
            return (body, "cut off".to_owned());
        };
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, behind.trim().to_ascii_lowercase());
        }
        body.push_str(&behind[..size]);
        rest = &behind[size + 2..];
    }
}

//! The State API, as a cluster's nodes use it: on every kind of store.

mod batch;
mod feed;
mod list;
mod pins;
mod several;
mod stops;

use crate::support::cluster::fresh;
use crate::support::host::{Answer, Host, Options};
use axum::http::{Request, Response};
use bytes::Bytes;
use holdfast_model::{Cid, Pin, Role, UnixMillis};
use holdfast_store::Store;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything may take until a test calls it hung; generous, the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A host with a node's key.
struct Node {
    host: Host,
    key: String,
}

impl Node {
    async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    async fn start_with(options: Options) -> Self {
        let host = Host::start_with(options).await;
        let key = host.key("acme/cluster", &[Role::ClusterNode]).await;
        Self { host, key }
    }

    /// On each kind of store that needs no cluster.
    async fn each() -> [Self; 2] {
        let embedded = Options {
            embedded: true,
            ..Options::default()
        };
        [Self::start().await, Self::start_with(embedded).await]
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.host
            .send(self.request(method, path, headers, body))
            .await
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.host.address))
            .header("authorization", format!("Bearer {}", self.key));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(body.into())).unwrap()
    }

    /// An answer that comes line by line.
    async fn lines(&self, path: &str) -> Lines {
        let headers = [("accept", "application/x-ndjson")];
        let response = self
            .host
            .open(self.request("GET", path, &headers, ""))
            .await;
        Lines::of(response)
    }

    /// Puts a pin, whatever is there, and gives its version.
    async fn put(&self, pin: &Pin) -> u64 {
        let answer = self.put_if(pin, &[]).await;
        assert_eq!(
            answer.status,
            204,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        version(&answer)
    }

    async fn put_if(&self, pin: &Pin, condition: &[(&str, &str)]) -> Answer {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(condition);
        self.call(
            "PUT",
            &path(&pin.cid),
            &headers,
            serde_json::to_vec(pin).unwrap(),
        )
        .await
    }

    async fn batch(&self, entries: &[Value]) -> Value {
        let body: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
        let headers = [("content-type", "application/x-ndjson")];
        self.call("POST", "/v1/state/batch", &headers, body)
            .await
            .with(200)
    }
}

/// The lines of a stream, as they come.
struct Lines {
    response: Response<Incoming>,
    rest: Vec<u8>,
}

impl Lines {
    fn of(response: Response<Incoming>) -> Self {
        assert_eq!(response.status(), 200);
        Self {
            response,
            rest: Vec::new(),
        }
    }

    /// The next line; nothing at the clean end. An unclean one is an error.
    async fn try_next(&mut self) -> Result<Option<Value>, hyper::Error> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            let frame = self.response.body_mut().frame();
            let frame = tokio::time::timeout(PATIENCE, frame).await;
            match frame.expect("the stream goes on") {
                None => return Ok(None),
                Some(frame) => self.rest.extend(frame?.into_data().unwrap()),
            }
        }
    }

    async fn next(&mut self) -> Value {
        self.try_next().await.unwrap().expect("one more line")
    }

    /// All that is left.
    async fn all(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(line) = self.try_next().await.unwrap() {
            all.push(line);
        }
        all
    }
}

fn version(answer: &Answer) -> u64 {
    let tag = answer.headers["etag"].to_str().unwrap();
    tag.trim_matches('"').parse().unwrap()
}

fn cid(n: u64) -> Cid {
    let mut bytes = vec![1, 0x55, 0, 8];
    bytes.extend(n.to_be_bytes());
    Cid::from_bytes(&bytes).unwrap()
}

fn pin(n: u64) -> Pin {
    Pin::recursive(cid(n), UnixMillis::new(1_700_000_000_000))
}

fn named(n: u64, name: &str) -> Pin {
    let mut pin = pin(n);
    name.clone_into(&mut pin.options.name);
    pin
}

/// One of 9 MiB.
fn large(n: u64) -> Pin {
    let mut pin = pin(n);
    let filling = ("filling".to_owned(), "x".repeat(9 << 20));
    pin.options.metadata.extend([filling]);
    pin
}

fn path(cid: &Cid) -> String {
    format!("/v1/state/pins/{cid}")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_work_on_cassandra() {
    let store = Store::cql(fresh().await).await.unwrap();
    let node = Node::start_with(Options {
        store: Some(store),
        ..Options::default()
    })
    .await;
    pins::conditions_hold(&node).await;
    batch::entries_are_atomic_each(&node).await;
    feed::a_follower_misses_nothing(&node).await;
    list::marks_and_ends(&node, 2_500).await;
    node.host.app.store.close().await.unwrap();
}

#[tokio::test]
async fn a_pin_of_requests_is_seen_by_nodes_and_outlives_their_delete() {
    let node = Node::start().await;
    let user = node.host.key("acme/web", &[Role::TenantUser]).await;
    let wanted = json!({"cid": cid(1).to_string(), "name": "theirs"});
    node.host.post("/psa/pins", &user, wanted).await.with(202);
    let seen = node.call("GET", &path(&cid(1)), &[], "").await.with(200);
    assert_eq!(
        (&seen["name"], &seen["type"]),
        (&json!("theirs"), &json!("pin"))
    );
    assert_eq!(
        node.call("DELETE", &path(&cid(1)), &[], "").await.status,
        204
    );
    node.call("GET", &path(&cid(1)), &[], "").await.with(200);
}

//! What is wrong is refused by name, and the host lives on.

mod clients;

use crate::psa::{CID, user};
use crate::support::host::{Host, Options};
use holdfast::api::Settings;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes sent as they are; the answer's status and body. The connection is to be closed after it.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A host that has answered early may have closed; what counts is its answer.
    drop(stream.write_all(bytes).await);
    answer(&mut stream).await
}

/// Reads until the host closes.
async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8(bytes).unwrap();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or(0), body.to_owned())
}

struct Row {
    method: &'static str,
    path: String,
    /// `None` sends no Content-Type.
    content_type: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
    reason: &'static str,
    /// Each stands somewhere in the details.
    words: &'static [&'static str],
}

impl Row {
    fn posting(body: impl Into<Vec<u8>>, words: &'static [&'static str]) -> Self {
        Self {
            method: "POST",
            path: "/psa/pins".to_owned(),
            content_type: Some("application/json"),
            body: body.into(),
            status: 400,
            reason: "BAD_REQUEST",
            words,
        }
    }

    fn asking(query: impl std::fmt::Display, words: &'static [&'static str]) -> Self {
        Self {
            method: "GET",
            path: format!("/psa/pins?{query}"),
            content_type: None,
            body: Vec::new(),
            status: 400,
            reason: "BAD_REQUEST",
            words,
        }
    }

    const fn answered(mut self, status: u16, reason: &'static str) -> Self {
        self.status = status;
        self.reason = reason;
        self
    }

    fn typed(mut self, content_type: Option<&'static str>) -> Self {
        self.content_type = content_type;
        self
    }

    fn by(mut self, method: &'static str, path: &str) -> Self {
        self.method = method;
        self.path = path.to_owned();
        self
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n",
            self.method, self.path
        );
        if let Some(content_type) = self.content_type {
            head += &format!("content-type: {content_type}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", self.body.len());
        let mut bytes = head.into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}

fn bodies() -> Vec<Row> {
    let json = |text: &str| text.replace("CID", CID);
    let long = "n".repeat(256);
    let many: Vec<String> = (0..1_001).map(|n| format!(r#""{n}":"x""#)).collect();
    let deep = "[".repeat(100_000);
    vec![
        Row::posting("", &["body", "EOF"]),
        Row::posting("{", &["body", "line 1 column 1"]),
        Row::posting("{\n  \"cid\": oops}", &["line 2 column 10"]),
        Row::posting(&b"{\"cid\":\"\xff\xfe\"}"[..], &["body"]),
        Row::posting(deep, &["body"]),
        Row::posting("[]", &["body"]),
        Row::posting("null", &["body"]),
        Row::posting(json(r#"{"cid":"CID"} {}"#), &["trailing"]),
        Row::posting("{}", &["cid", "missing"]),
        Row::posting(r#"{"cid":7}"#, &["cid", "number"]),
        Row::posting(r#"{"cid":"hello"}"#, &["cid", "write a CID"]),
        Row::posting(r#"{"cid":"/ipfs/bafkqaaa"}"#, &["cid", "path"]),
        Row::posting(json(r#"{"cid":"CID","nmae":"x"}"#), &["nmae"]),
        Row::posting(json(r#"{"cid":"CID","name":["x"]}"#), &["name", "list"]),
        Row::posting(
            json(&format!(r#"{{"cid":"CID","name":"{long}"}}"#)),
            &["name", "256", "255"],
        ),
        Row::posting(
            json(r#"{"cid":"CID","origins":["/ip4/1.2.3.4/tcp/1"]}"#),
            &["origins[0]", "peer"],
        ),
        Row::posting(
            json(r#"{"cid":"CID","origins":["1.2.3.4:4001"]}"#),
            &["origins[0]", "/p2p/"],
        ),
        Row::posting(
            json(r#"{"cid":"CID","meta":{"app":7}}"#),
            &["meta.app", "text"],
        ),
        Row::posting(
            json(&format!(r#"{{"cid":"CID","meta":{{{}}}}}"#, many.join(","))),
            &["meta", "1001", "1000"],
        ),
        Row::posting(
            json(r#"{"cid":"CID","meta":{"expire_at":"soon"}}"#),
            &["meta.expire_at", "RFC 3339"],
        ),
        Row::posting(vec![b' '; 5_000], &["4096 bytes"]).answered(413, "PAYLOAD_TOO_LARGE"),
        Row::posting(json(r#"{"cid":"CID"}"#), &["application/json"])
            .typed(Some("text/plain"))
            .answered(415, "UNSUPPORTED_MEDIA_TYPE"),
        Row::posting(json(r#"{"cid":"CID"}"#), &["application/json"])
            .typed(None)
            .answered(415, "UNSUPPORTED_MEDIA_TYPE"),
        Row::posting("", &["Allow"])
            .by("PUT", "/psa/pins")
            .answered(405, "METHOD_NOT_ALLOWED"),
        Row::posting("", &["Allow"])
            .by("PATCH", "/psa/pins/x")
            .answered(405, "METHOD_NOT_ALLOWED"),
        Row::posting("", &["no such path"])
            .by("GET", "/psa/pin")
            .answered(404, "NOT_FOUND"),
    ]
}

fn queries() -> Vec<Row> {
    let cids = [CID; 11].join(",");
    vec![
        Row::asking("limit=0", &["limit", "1 to 1000"]),
        Row::asking("limit=1001", &["limit", "1 to 1000"]),
        Row::asking("limit=-1", &["limit"]),
        Row::asking("limit=ten", &["limit", "\"ten\""]),
        Row::asking("limit=1&limit=2", &["limit", "twice"]),
        Row::asking("status=done", &["status", "\"done\"", "queued"]),
        Row::asking("status=", &["status"]),
        Row::asking("status=pinned,", &["status"]),
        Row::asking("match=fuzzy&name=x", &["match", "ipartial"]),
        Row::asking(format!("name={}", "n".repeat(256)), &["name", "255"]),
        Row::asking("before=yesterday", &["before", "RFC 3339"]),
        Row::asking("after=1700000000", &["after", "RFC 3339"]),
        Row::asking("cid=hello", &["cid"]),
        Row::asking("cid=", &["cid"]),
        Row::asking(format!("cid={cids}"), &["cid", "11", "10"]),
        Row::asking("meta=x", &["meta", "JSON object"]),
        Row::asking("meta=map[a:b]", &["meta", "JSON object"]),
        Row::asking("meta=%7B%22a%22%3A1%7D", &["meta"]),
        Row::asking("statu=pinned", &["\"statu\"", "status"]),
    ]
}

#[tokio::test]
async fn each_wrong_request_is_told_what_is_wrong() {
    let settings = Settings {
        body_bytes_max: 4_096,
        ..Settings::default()
    };
    let narrow = Host::start_with(Options {
        settings,
        ..Options::default()
    })
    .await;
    let wide = Host::start().await;
    let keys = [
        user(&narrow, "acme/web").await,
        user(&wide, "acme/web").await,
    ];
    for row in bodies().into_iter().chain(queries()) {
        let (host, key) = if row.status == 413 {
            (&narrow, &keys[0])
        } else {
            (&wide, &keys[1])
        };
        let (status, body) = exchange(host.address, &row.bytes(key)).await;
        let sent = String::from_utf8_lossy(&row.body);
        let name = format!("{} {} {:.60}", row.method, row.path, sent);
        assert_eq!(status, row.status, "{name}: {body}");
        let answer: Value =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{name}: {e}: {body}"));
        assert_eq!(answer["error"]["reason"], row.reason, "{name}");
        let details = answer["error"]["details"].as_str().unwrap();
        for word in row.words {
            assert!(details.contains(word), "{name}: {details}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let host = Host::start().await;
    let answer = host.call("PUT", "/psa/pins", None, None).await;
    let allow = answer.headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let ours = host.call("POST", "/v1/usage", None, None).await;
    assert_eq!(ours.headers["content-type"], "application/problem+json");
    assert_eq!(ours.with(405)["code"], "METHOD_NOT_ALLOWED");
    let stray = host.call("GET", "/favicon.ico", None, None).await;
    assert_eq!(stray.with(404)["code"], "NOT_FOUND");
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let host = Host::start().await;
    for bytes in [
        &b"hello\r\n\r\n"[..],
        b"GET /psa/pins HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"POST /psa/pins HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let (status, _) = answer(&mut stream).await;
        assert!(matches!(status, 0 | 400 | 505), "{status}");
    }
    let key = user(&host, "acme/web").await;
    host.get("/psa/pins", &key).await.with(200);
}

//! Streams: their ends, their interruptions, and what they cost.

use super::{Interface, Raw};
use holdfast_model::{Cid, Pin, UnixMillis};
use holdfast_store::Expect;
use std::collections::HashSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than a page of the scan, so that the end of one is met.
const PINS: u32 = 2_500;

async fn filled(count: u32) -> Interface {
    let interface = Interface::start().await;
    for n in 0..count {
        let [a, b, c, d] = n.to_be_bytes();
        let cid = Cid::from_bytes(&[1, 0x55, 0, 4, a, b, c, d]).unwrap();
        let pin = Pin::recursive(cid, UnixMillis::from_seconds(1_700_000_000));
        interface
            .host
            .app
            .store
            .put_pin(pin, Expect::Absent)
            .await
            .unwrap();
    }
    interface
}

#[tokio::test]
async fn a_list_comes_whole_and_its_trailer_is_empty() {
    let interface = filled(PINS).await;
    for path in ["/allocations", "/allocations?filter=pin", "/pins"] {
        let answer = interface.call("GET", path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("trailer"), Some("x-stream-error"), "{path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{path}"
        );
        // The client has not said that it takes trailers, as Go's does not.
        assert_eq!(answer.trailers, "x-stream-error:", "{path}");
        let cids: HashSet<String> = answer
            .lines()
            .iter()
            .map(|pin| pin["cid"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(cids.len(), usize::try_from(PINS).unwrap(), "{path}");
    }
}

#[tokio::test]
async fn calls_one_after_another_on_one_connection_all_get_their_trailer() {
    let interface = filled(3).await;
    let mut stream = TcpStream::connect(interface.address).await.unwrap();
    let head = |close: bool, path: &str| {
        let connection = if close { "close" } else { "keep-alive" };
        format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: {connection}\r\nauthorization: Bearer {}\r\n\r\n",
            interface.key
        )
    };
    for path in [
        "/allocations",
        "/version",
        "/allocations/bafkqaaa",
        "/allocations",
    ] {
        stream
            .write_all(head(false, path).as_bytes())
            .await
            .unwrap();
        let mut seen = String::new();
        let ended = |seen: &str| match seen.split_once("\r\n\r\n") {
            Some((head, body)) if head.contains("chunked") => body.ends_with("\r\n\r\n"),
            Some((_, body)) => body.ends_with('}'),
            None => false,
        };
        while !ended(&seen) {
            let mut bytes = [0; 4_096];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "{path}: {seen}");
            seen.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        if path == "/allocations" {
            assert_eq!(Raw::of(seen).trailers, "x-stream-error:");
        }
    }
    // Two at once: the second may lack its trailer and nothing else.
    let both = head(false, "/version") + &head(true, "/allocations");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 2, "{rest}");
    assert_eq!(rest.matches("\"cid\"").count(), 3, "{rest}");
}

#[tokio::test]
async fn a_body_is_never_mistaken_for_a_head() {
    let interface = Interface::start().await;
    let mut stream = TcpStream::connect(interface.address).await.unwrap();
    let body = "GET /version HTTP/1.1\r\n{\"peer_id\":\"x\"}";
    let head = format!(
        "POST /peers HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        interface.key,
        body.len()
    );
    // The head by itself, so that the body arrives alone.
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let answer = Raw::of(answer);
    assert_eq!(answer.status, 400);
    assert!(
        answer.message().contains("decoding request body"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_reader_that_leaves_ends_its_stream() {
    let interface = filled(PINS).await;
    for _ in 0..300 {
        // More than there may be streams at once: each must give its place back.
        let mut stream = TcpStream::connect(interface.address).await.unwrap();
        let head = format!(
            "GET /allocations HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
            interface.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn a_store_that_fails_midway_is_told_in_the_trailer_or_at_once() {
    let interface = filled(10).await;
    interface.host.app.store.close().await.unwrap();
    let failed = interface.call("GET", "/allocations").await;
    assert!(failed.status >= 500, "{failed:?}");
    failed.message();
}

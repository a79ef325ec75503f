//! Streams: their ends, their interruptions, and what they cost.

use super::calls::free_address;
use super::{Interface, Raw};
use crate::support::process::{Holdfast, Plan};
use holdfast_model::{Cid, Pin, UnixMillis};
use holdfast_store::Expect;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than a page of the scan, so that the end of one is met.
const PINS: u32 = 2_500;

async fn filled(count: u32) -> Interface {
    let interface = Interface::start().await;
    let store = &interface.host.app.store;
    for n in 0..count {
        store.put_pin(pin(n), Expect::Absent).await.unwrap();
    }
    interface
}

fn pin(n: u32) -> Pin {
    let [a, b, c, d] = n.to_be_bytes();
    let cid = Cid::from_bytes(&[1, 0x55, 0, 4, a, b, c, d]).unwrap();
    Pin::recursive(cid, UnixMillis::from_seconds(1_700_000_000))
}

/// One with so much metadata.
fn large(n: u32, bytes: usize) -> Pin {
    let mut pin = pin(n);
    let blob = ("blob".to_owned(), "x".repeat(bytes));
    pin.options.metadata.extend([blob]);
    pin
}

/// A call's head; the connection ends with the answer.
fn head(key: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {key}\r\n\r\n"
    )
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
async fn a_store_that_fails_before_the_first_line_is_told_at_once() {
    let interface = filled(10).await;
    interface.host.app.store.close().await.unwrap();
    let failed = interface.call("GET", "/allocations").await;
    assert!(failed.status >= 500, "{failed:?}");
    failed.message();
}

/// The store goes while the reader has not taken more than the beginning: what was sent stays
/// sent, and the trailer says why there is no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_midway_is_told_in_the_trailer() {
    /// A page of the scan has a thousand of them: more than sockets and pieces hold.
    const PIN_BYTES: usize = 20_000;
    for path in ["/allocations", "/pins"] {
        let interface = Interface::start().await;
        let store = &interface.host.app.store;
        for n in 0..PINS {
            let pin = large(n, PIN_BYTES);
            store.put_pin(pin, Expect::Absent).await.unwrap();
        }
        let mut stream = TcpStream::connect(interface.address).await.unwrap();
        stream
            .write_all(head(&interface.key, path).as_bytes())
            .await
            .unwrap();
        let mut all = vec![0; 1_024];
        stream.read_exact(&mut all).await.unwrap();
        interface.host.app.store.close().await.unwrap();
        stream.read_to_end(&mut all).await.unwrap();
        let answer = Raw::of(String::from_utf8(all).unwrap());
        assert_eq!(answer.status, 200, "{path}");
        let count = answer.lines().len();
        let whole = usize::try_from(PINS).unwrap();
        assert!((1..whole).contains(&count), "{path}: {count} pins");
        let said = answer.trailers.strip_prefix("x-stream-error:").unwrap();
        assert!(said.contains("store"), "{path}: {said:?}");
    }
}

/// The status of all pins is told page by page: what the host takes for it does not grow with
/// their number.
#[test]
fn the_status_of_many_pins_is_told_in_little_memory() {
    const PINS: u32 = 24_000;
    /// All of them are 384 MB.
    const PIN_BYTES: usize = 16_000;
    /// Half of that. It was 105 MB, for 12,000 pins and for 36,000: a few pages, the store's own
    /// cache, what the sockets hold.
    const GROWTH_KIB_MAX: u64 = 192 * 1_024;
    let cluster = free_address();
    let variable = |name: &str, value: String| (name.to_owned(), value);
    let mut host = Holdfast::start_with(Plan {
        kubo_api: "http://127.0.0.1:1".to_owned(),
        roles: vec!["api"],
        variables: vec![variable("HOLDFAST_CLUSTER__LISTEN", cluster.to_string())],
        ..Plan::default()
    });
    let asked = serde_json::json!({"account": "default/cluster", "roles": ["cluster-node"]});
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&asked));
    assert_eq!(status, 201, "{made}");
    let key = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(host.stop(), Some(0));
    let mut file = BufWriter::new(File::create(host.dir().join("pins.json")).unwrap());
    for n in 0..PINS {
        serde_json::to_writer(&mut file, &large(n, PIN_BYTES)).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.into_inner().unwrap();
    let imported = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["state", "import", "pins.json"])
        .env("HOLDFAST_DATA", host.dir().join("data"))
        .current_dir(host.dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&imported.stderr);
    assert!(imported.status.success(), "{said}");
    host.again();
    let before = host.resident_kib_most();
    let mut stream = std::net::TcpStream::connect(cluster).unwrap();
    stream.write_all(head(&key, "/pins").as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines();
    let pins = lines.filter(|line| line.as_ref().unwrap().starts_with("{\"cid\":"));
    assert_eq!(pins.count(), usize::try_from(PINS).unwrap());
    let after = host.resident_kib_most();
    assert!(
        after - before < GROWTH_KIB_MAX,
        "{before} KiB before, {after} at most"
    );
}

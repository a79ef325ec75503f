//! Clients that are slow, go away half-way, or come in crowds.

use super::{answer, exchange};
use crate::psa::{CID, names, user};
use crate::support::host::{Host, Options};
use holdfast::api::Settings;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Far longer than any limit below, far shorter than a test may hang.
const PATIENCE: Duration = Duration::from_secs(20);

async fn impatient() -> Host {
    Host::start_with(Options {
        settings: Settings {
            body_timeout: Duration::from_millis(100),
            ..Settings::default()
        },
        head_timeout: Duration::from_millis(100),
        ..Options::default()
    })
    .await
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let host = impatient().await;
    let key = user(&host, "acme/web").await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    stream
        .write_all(b"GET /psa/pins HTTP/1.1\r\nhost: x\r\nauthor")
        .await
        .unwrap();
    let (status, _) = tokio::time::timeout(PATIENCE, answer(&mut stream))
        .await
        .expect("the host hangs up");
    assert!(matches!(status, 0 | 408), "{status}");
    host.get("/psa/pins", &key).await.with(200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let host = impatient().await;
    let key = user(&host, "acme/web").await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let head = format!(
        "POST /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"cid\":"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (status, body) = tokio::time::timeout(PATIENCE, answer(&mut stream))
        .await
        .expect("the host hangs up");
    assert_eq!(status, 408, "{body}");
    assert!(body.contains("REQUEST_TIMEOUT"), "{body}");
    let page = host.get("/psa/pins", &key).await.with(200);
    assert_eq!(page["count"], 0);
}

#[tokio::test]
async fn what_a_client_asked_for_before_it_hung_up_is_carried_through() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let body = format!(r#"{{"cid":"{CID}","name":"half"}}"#);
    let request = format!(
        "POST /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    // Nothing, if the host was not faster than the news that nobody listens.
    let (status, body) = answer(&mut stream).await;
    assert!(matches!(status, 0 | 202), "{status} {body}");
    let made = async {
        loop {
            let page = host.get("/psa/pins", &key).await.with(200);
            if names(&page) == ["half"] {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, made)
        .await
        .expect("the pin is there");
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let request = format!(
        "POST /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"cid\":\"{CID}\"}}"
    );
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let (status, body) = answer(&mut stream).await;
    assert!(matches!(status, 0 | 400), "{status} {body}");
    let page = host.get("/psa/pins", &key).await.with(200);
    assert_eq!(names(&page).len(), 0);
}

#[tokio::test]
async fn a_client_that_closed_its_sending_half_gets_its_answer() {
    let host = Host::start().await;
    let key = user(&host, "acme/web").await;
    let get = format!("GET /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n");
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    stream.write_all(get.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let (status, body) = answer(&mut stream).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn over_the_bound_of_calls_one_is_sent_away_and_the_next_served() {
    let host = Host::start_with(Options {
        settings: Settings {
            calls_max: 1,
            ..Settings::default()
        },
        ..Options::default()
    })
    .await;
    let key = user(&host, "acme/web").await;
    let head = format!(
        "POST /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n"
    );
    let mut slow = TcpStream::connect(host.address).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    let get = format!(
        "GET /psa/pins HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    );
    let shed = async {
        loop {
            let (status, body) = exchange(host.address, get.as_bytes()).await;
            if status == 503 {
                return body;
            }
        }
    };
    let body = tokio::time::timeout(PATIENCE, shed)
        .await
        .expect("the bound is felt");
    assert!(body.contains("OVERLOADED"), "{body}");
    slow.write_all(br#"{"cid":"bafkqaaa"}"#).await.unwrap();
    assert_eq!(answer(&mut slow).await.0, 202);
    host.get("/psa/pins", &key).await.with(200);
}

//! Who sends and fetches faster than it may is slowed down, and told so.

use super::{Act, OPEN, Scene, Server, rule};
use crate::egress::Allowance;
use crate::egress::error::EgressError;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Three tenths of a second more than what goes at once.
const LARGE: Act = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 1300000\r\n\r\n");
const LARGE_BYTES: usize = 1_300_000;

/// What the last piece, of a read buffer's size, need not wait for.
const PIECE: Duration = Duration::from_millis(50);

fn slowed(scene: &Scene) -> usize {
    let lines = scene.ring.last(99);
    let told = lines.iter().filter(|line| {
        line.line.contains("more than 1000000 bytes a second")
            && line.line.contains("raise egress_bytes_per_second")
    });
    told.count()
}

#[tokio::test]
async fn who_fetches_faster_than_it_may_is_slowed_down() {
    let server = Server::new(&[LARGE, Act::Repeat("and so on ")]).await;
    let begun = Instant::now();
    let mut scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
    let uri = format!("http://127.0.0.1:{}/v1", server.port());
    scene.allowance = Arc::new(Allowance::new(2, 4_000_000));
    for (call, least) in [(1, 300), (2, 1_600)] {
        assert_eq!(scene.get(&uri).await.unwrap().2.len(), LARGE_BYTES);
        let least = Duration::from_millis(least) - PIECE;
        assert!(begun.elapsed() >= least, "{call}: {:?}", begun.elapsed());
        // Once a call, and this is one.
        assert_eq!(slowed(&scene), 1);
    }
}

#[tokio::test]
async fn what_is_sent_counts_and_a_pause_is_no_stall() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let server = Server::new(&[Act::Say(answer), Act::Hang]).await;
    let begun = Instant::now();
    let mut scene = Scene::new(&rule("127.0.0.1", server.port(), OPEN), None);
    let uri = format!("http://127.0.0.1:{}/v1", server.port());
    let allowance = || Arc::new(Allowance::new(2, 4_000_000));
    let body = Full::new(Bytes::from(vec![b'x'; LARGE_BYTES]));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let request = Request::post(&uri).body(body).unwrap();
    drop(scene.guard.send(request, scene.waits, allowance()).await);
    // The next call waits behind what that one sent, and from then on for the server.
    scene.waits.between_bytes = Duration::from_millis(100);
    scene.allowance = allowance();
    let stalled = scene.get(&uri).await.unwrap_err();
    assert!(matches!(stalled, EgressError::Timeout(_)), "{stalled}");
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(slowed(&scene), 2);
}

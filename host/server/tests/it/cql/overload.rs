//! Far more calls at once than the way to the cluster takes.

use super::life::{NOBODY, but};
use crate::support::process::{Holdfast, PATIENCE, Plan};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Callers, each with one call after the other: far more than have a place or may wait.
const CALLERS: usize = 48;

/// One statement under way and a few that wait: one call alone has room.
const FLOW: &str = "[store.cql.flow]\nin_flight = 1\nqueue = 8\n";

/// So many that were turned away show that it was no single moment.
const TURNED_AWAY: usize = 100;

/// How calls went.
#[derive(Debug, Default)]
struct Tally {
    is_over: AtomicBool,
    served: AtomicUsize,
    turned_away: AtomicUsize,
}

/// Overload slows, it does not topple: who is not served is told to come again, others are served,
/// the host stays ready, and as soon as there is less to do everybody is served. (A change takes
/// several statements in turn, so while readers fill the queue it may be that none is served.)
#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_are_told_to_come_again_and_the_host_stays_ready() {
    let host = Arc::new(Holdfast::start_with(Plan {
        kubo_api: NOBODY.to_owned(),
        variables: but(&[]).await.1,
        file: FLOW.to_owned(),
        ..Plan::default()
    }));
    let tally = Arc::new(Tally::default());
    let callers: Vec<_> = (0..CALLERS).map(|n| call(n, &host, &tally)).collect();
    let begun = Instant::now();
    let is_seen = || {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        of(&tally.served) > 0 && of(&tally.turned_away) >= TURNED_AWAY
    };
    let gone = |callers: &[JoinHandle<()>]| callers.iter().any(JoinHandle::is_finished);
    while !is_seen() && !gone(&callers) && begun.elapsed() < PATIENCE {
        let (status, report) = host.page("/health/ready");
        assert_eq!(status, 200, "{report}");
    }
    let was_seen = is_seen();
    tally.is_over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.join().expect("a call was answered otherwise");
    }
    assert!(was_seen, "{tally:?}");
    for n in 0..3 {
        let asked = json!({ "cid": "bafkqaaa", "name": format!("after {n}") });
        let (status, made) = host.ask(&host.key, "POST", "/psa/pins", Some(&asked));
        assert_eq!(status, 202, "{made}");
        let path = format!("/psa/pins/{}", made["requestid"].as_str().unwrap());
        assert_eq!(host.ask(&host.key, "GET", &path, None).0, 200);
    }
    assert_eq!(host.page("/health/ready").0, 200);
}

/// Calls until it is over, and who is turned away comes again when it is told to. Every fourth
/// caller writes.
fn call(n: usize, host: &Arc<Holdfast>, tally: &Arc<Tally>) -> JoinHandle<()> {
    let (host, tally) = (Arc::clone(host), Arc::clone(tally));
    let asked = json!({ "cid": "bafkqaaa", "name": format!("caller {n}") });
    let writes = n.is_multiple_of(4);
    let (method, path, body, served) = match writes {
        true => ("POST", "/psa/pins", Some(asked), 202),
        false => ("GET", "/psa/pins?limit=1", None, 200),
    };
    std::thread::spawn(move || {
        while !tally.is_over.load(Ordering::Relaxed) {
            let (head, answer) = host.ask_with("", method, path, body.as_ref());
            if head.starts_with(&format!("HTTP/1.1 {served} ")) {
                tally.served.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let told = format!("{method}: {head} {answer}");
            assert!(head.starts_with("HTTP/1.1 503 "), "{told}");
            // A change that was begun and has not come to its end in time is not called off: what
            // became of it is not known yet, and that is another answer.
            let is_late = writes && answer["error"]["reason"] == "UNAVAILABLE";
            let is_turned_away = answer["error"]["reason"] == "OVERLOADED";
            assert!(is_turned_away || is_late, "{told}");
            let head = head.to_lowercase();
            let after = head
                .lines()
                .find_map(|line| line.strip_prefix("retry-after: "));
            let seconds = after.and_then(|after| after.trim().parse().ok());
            let turned_away = usize::from(is_turned_away);
            tally.turned_away.fetch_add(turned_away, Ordering::Relaxed);
            std::thread::sleep(Duration::from_secs(seconds.expect(&told)));
        }
    })
}

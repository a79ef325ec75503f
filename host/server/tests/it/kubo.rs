//! The client of Kubo's RPC API against answers that a real node gives only on a bad day.
//!
//! The stand-in speaks HTTP and says what a test tells it to; what a good node does is tested on
//! a real one (`workers`).

use crate::support::kubo_stand_in::{Script, StandIn};
use holdfast::workers::kubo::{Depth, Kubo, KuboError, Patience};
use holdfast::workers::metrics::WorkMetrics;
use holdfast_model::{Cid, ErrorKind};
use std::time::Duration;
use tokio::sync::watch;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(150);

fn cid() -> Cid {
    Cid::parse("bafkreie2v3u4hdfg3efr4xyptxadvroajgglu4crjvtjtzbc7alx3pzb3a").unwrap()
}

fn client(api: &str) -> Kubo {
    Kubo::new(api, WorkMetrics::new().unwrap().kubo).unwrap()
}

fn patience(stall: Duration, attempt: Duration) -> Patience {
    Patience {
        stall,
        attempt,
        stat: stall,
    }
}

/// Pins against a stand-in that follows a script; answers the outcome and the blocks reported.
async fn pin(script: Script, patience: Patience) -> (Result<(), KuboError>, u64) {
    let node = StandIn::start(script).await;
    let (progress, blocks) = watch::channel(0);
    let outcome = client(&node.api)
        .pin_add(&cid(), Depth::Recursive, patience, &progress)
        .await;
    (outcome, *blocks.borrow())
}

#[tokio::test]
async fn lines_may_come_in_pieces_and_the_last_without_its_end() {
    let script = Script::body(&[
        "{\"Prog",
        "ress\":3}\n\n{}",
        "\n{\"Progress\":9}\n{\"Pins\":[\"x",
        "\"]}",
    ]);
    assert_eq!(pin(script, patience(LONG, LONG)).await, (Ok(()), 9));
}

#[tokio::test]
async fn a_node_that_only_says_it_lives_makes_no_progress() {
    let begun = std::time::Instant::now();
    let script =
        Script::body(&["{\"Progress\":1}\n"]).then_repeat("{}\n", Duration::from_millis(20));
    let (outcome, blocks) = pin(script, patience(SHORT, LONG)).await;
    assert_eq!(blocks, 1);
    let stalled = outcome.unwrap_err();
    assert_eq!(
        stalled,
        KuboError::Stalled {
            call: "pin/add",
            after: SHORT
        }
    );
    assert_eq!(stalled.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn progress_does_not_outlast_the_attempt() {
    let script = Script::growing(Duration::from_millis(20));
    let (outcome, blocks) = pin(script, patience(LONG, SHORT)).await;
    assert_eq!(
        outcome,
        Err(KuboError::Stalled {
            call: "pin/add",
            after: SHORT
        })
    );
    assert!(blocks > 1);
}

#[tokio::test]
async fn progress_keeps_an_attempt_alive_beyond_the_stall() {
    let script = Script::growing(Duration::from_millis(20));
    let attempt = SHORT * 4;
    let (outcome, _) = pin(script, patience(SHORT, attempt)).await;
    assert_eq!(
        outcome,
        Err(KuboError::Stalled {
            call: "pin/add",
            after: attempt
        })
    );
}

#[tokio::test]
async fn a_node_that_never_answers_is_left() {
    let (outcome, _) = pin(Script::silence(), patience(SHORT, LONG)).await;
    assert_eq!(
        outcome,
        Err(KuboError::Stalled {
            call: "pin/add",
            after: SHORT
        })
    );
}

#[tokio::test]
async fn a_failure_in_the_trailer_is_a_refusal() {
    let script = Script::body(&["{\"Progress\":1}\n"]).with_trailer("context deadline exceeded");
    let refused = pin(script, patience(LONG, LONG)).await.0.unwrap_err();
    assert_eq!(refused.to_string(), "pin/add: context deadline exceeded");
    let script = Script::body(&["{\"Pins\":[\"x\"]}\n"]).with_trailer("");
    assert_eq!(pin(script, patience(LONG, LONG)).await.0, Ok(()));
}

#[tokio::test]
async fn an_answer_that_ends_too_early_is_no_pin() {
    for body in ["", "{}\n", "{\"Progress\":5}\n"] {
        let outcome = pin(Script::body(&[body]), patience(LONG, LONG)).await.0;
        assert!(
            matches!(outcome, Err(KuboError::Protocol { .. })),
            "{body:?}: {outcome:?}"
        );
    }
    let cut = Script::body(&["{\"Progress\":1}\n"]).then_cut();
    let outcome = pin(cut, patience(LONG, LONG)).await.0;
    assert!(
        matches!(outcome, Err(KuboError::Unreachable { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn garbage_is_named_and_bounded() {
    let long = "x".repeat(1_000_000);
    for body in [
        "<html>hello</html>\n",
        "{\"Progress\":\"many\"}\n",
        "{\"Progress\":-1}\n",
        "[]\n",
        &long,
    ] {
        let outcome = pin(Script::body(&[body]), patience(LONG, LONG)).await.0;
        let error = outcome.unwrap_err();
        assert!(matches!(error, KuboError::Protocol { .. }), "{error}");
        assert!(error.to_string().len() < 500);
    }
}

#[tokio::test]
async fn a_refusal_keeps_the_nodes_words_and_not_all_of_them() {
    for (body, expected) in [
        (
            "{\"Message\":\"no space left\",\"Code\":0,\"Type\":\"error\"}",
            "pin/add: no space left",
        ),
        (
            "404 page not found",
            "pin/add: status 500 Internal Server Error: 404 page not found",
        ),
    ] {
        let refused = pin(Script::body(&[body]).with_status(500), patience(LONG, LONG))
            .await
            .0;
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    let endless = Script::body(&["no "])
        .with_status(500)
        .then_repeat(&"no ".repeat(1_000), Duration::from_millis(1));
    let refused = pin(endless, patience(LONG, LONG)).await.0.unwrap_err();
    assert!(matches!(refused, KuboError::Refused { .. }) && refused.to_string().len() < 500);
}

#[tokio::test]
async fn what_is_not_pinned_can_be_unpinned() {
    let script =
        Script::body(&["{\"Message\":\"not pinned or pinned indirectly\"}"]).with_status(500);
    let node = StandIn::start(script).await;
    assert_eq!(client(&node.api).pin_rm(&cid()).await, Ok(()));
    let script = Script::body(&["{\"Message\":\"lock is held\"}"]).with_status(500);
    let node = StandIn::start(script).await;
    assert!(client(&node.api).pin_rm(&cid()).await.is_err());
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&api).id().await.unwrap_err();
    assert!(matches!(error, KuboError::Unreachable { .. }));
    assert!(
        error.to_string().contains(&api) && error.to_string().contains("kubo.api"),
        "{error}"
    );
}

#[tokio::test]
async fn a_list_passes_over_what_is_no_cid_of_ours() {
    let good = cid();
    let body = format!("{{\"Cid\":\"{good}\",\"Type\":\"recursive\"}}\n{{\"Cid\":\"nonsense\"}}\n");
    let node = StandIn::start(Script::body(&[&body])).await;
    let mut listed = Vec::new();
    client(&node.api)
        .pins(Depth::Recursive, |cid| listed.push(cid))
        .await
        .unwrap();
    assert_eq!(listed, [good]);
}

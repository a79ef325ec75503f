//! More jobs than places.

use super::Yard;
use super::collector::{Answer, Collector, Gate};
use super::payment::{KEY, WEBHOOK, collect, manifest};
use crate::house::{PATIENCE, counted};
use holdfast_runtime::{CollectError, PluginError, Step};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

/// A payment plugin with one place, whose collector answers when the gate is open.
fn yard(collector: &Collector) -> Yard {
    let yard = Yard::new(KEY);
    let limits = "[limits]\nconcurrency = 1\nwall_ms = 60000\n";
    let manifest = format!("{}{limits}", manifest("127.0.0.1", collector.port, ""));
    let manifest = manifest.replace("timeout_ms = 400", "timeout_ms = 20000");
    let info = yard.install(WEBHOOK, &manifest);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    yard
}

/// Waits for what other threads do.
async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "it never came");
        tokio::task::yield_now().await;
    }
}

fn is_collected(step: &Result<Step, CollectError>) -> bool {
    matches!(step, Ok(Step::Collected(_)))
}

#[tokio::test]
async fn who_finds_no_place_is_told_so_after_a_bounded_wait() {
    let gate = Arc::new(Gate::default());
    let collector = Collector::new(&[Answer::Behind(Arc::clone(&gate))]);
    let yard = yard(&collector);
    let places = |state| counted(&yard.plugins, "holdfast_plugin_pool_state_count", state);
    let (first, ()) = tokio::join!(collect(&yard), async {
        until(|| collector.asked().len() == 1).await;
        // Four times, so that a breaker would have opened had these been failures.
        for _ in 0..4 {
            let turned_away = collect(&yard).await.unwrap_err();
            assert!(
                matches!(
                    &turned_away,
                    CollectError::Plugin(PluginError::Overloaded { .. })
                ),
                "{turned_away:?}"
            );
            assert!(
                turned_away
                    .to_string()
                    .contains("1 calls run already, and none ended in time"),
                "{turned_away}"
            );
            // The first is there still, and nobody else was asked.
            assert_eq!((places("busy"), places("waiting")), (1, 0));
            assert_eq!(collector.asked().len(), 1);
        }
        gate.set(true);
    });
    assert!(is_collected(&first), "{first:?}");
    let next = collect(&yard).await;
    assert!(is_collected(&next), "{next:?}");
}

#[tokio::test]
async fn who_waits_gets_the_place_that_comes_free() {
    let gate = Arc::new(Gate::default());
    let collector = Collector::new(&[Answer::Behind(Arc::clone(&gate))]);
    let yard = yard(&collector);
    let waiting = || counted(&yard.plugins, "holdfast_plugin_pool_state_count", "waiting");
    let start = Instant::now();
    loop {
        gate.set(false);
        let asked = collector.asked().len();
        let (first, second) = tokio::join!(collect(&yard), async {
            until(|| collector.asked().len() > asked).await;
            let is_over = Cell::new(false);
            let waits = async {
                let second = collect(&yard).await;
                is_over.set(true);
                second
            };
            let (second, ()) = tokio::join!(waits, async {
                until(|| waiting() == 1 || is_over.get()).await;
                gate.set(true);
            });
            second
        });
        assert!(is_collected(&first), "{first:?}");
        if is_collected(&second) {
            return;
        }
        // On a machine with much else to do the wait may be over before the first has left.
        let is_overloaded = matches!(
            &second,
            Err(CollectError::Plugin(PluginError::Overloaded { .. }))
        );
        assert!(is_overloaded && start.elapsed() < PATIENCE, "{second:?}");
    }
}

//! What the numbers tell of jobs, and what they cost at most.

use super::Yard;
use super::collector::{Answer, Collector};
use super::payment::{KEY, WEBHOOK, collect, manifest, webhook};
use crate::house::{PATIENCE, counted, invoice, progress, told, wait_for};
use holdfast_runtime::{CollectError, Speaker, Step};

#[tokio::test]
async fn calls_of_jobs_are_told_by_outcome_and_what_holds_a_place_is_seen() {
    let collector = Collector::new(&[Answer::Status("200 OK", "", "{}"), Answer::Silence]);
    let yard = Yard::new(KEY);
    let limits = "[limits]\nwall_ms = 300\n";
    let manifest = format!("{}{limits}", manifest("127.0.0.1", collector.port, ""));
    let manifest = manifest.replace("timeout_ms = 400", "timeout_ms = 20000");
    assert_eq!(yard.install(WEBHOOK, &manifest).state, "live");
    let calls = |outcome| counted(&yard.plugins, "holdfast_plugin_calls_total", outcome);
    let places = |state| counted(&yard.plugins, "holdfast_plugin_pool_state_count", state);
    assert!(matches!(collect(&yard).await, Ok(Step::Collected(_))));
    assert_eq!((calls("ok"), calls("wall"), places("busy")), (1, 0, 0));
    // The next one waits for somebody who never answers; until the wall it holds its place.
    let (failed, ()) = tokio::join!(collect(&yard), async {
        while places("busy") == 0 {
            tokio::task::yield_now().await;
        }
    });
    let failed = failed.unwrap_err();
    assert!(matches!(&failed, CollectError::Plugin(_)), "{failed:?}");
    assert_eq!(
        failed.to_string(),
        "plugin payment-webhook: took too long by the clock and was stopped, though it used little \
         processor time; whom it calls is slow, the machine is overloaded, or wall_ms under \
         [limits] is too low"
    );
    assert_eq!((calls("ok"), calls("wall")), (1, 1));
    wait_for(PATIENCE, || places("busy") == 0);
    assert!(counted(&yard.plugins, "holdfast_plugin_memory_peak_bytes", WEBHOOK) > 65_536);
    let reserved = counted(
        &yard.plugins,
        "holdfast_plugin_memory_reserved_bytes",
        WEBHOOK,
    );
    assert_eq!(reserved, 4 * 64 * 1024 * 1024);
    // One call into the host each, and one connection, told by generation.
    assert_eq!(
        counted(&yard.plugins, "holdfast_plugin_host_calls_total", WEBHOOK),
        2
    );
    let requests = |label| {
        counted(
            &yard.plugins,
            "holdfast_plugin_egress_requests_total",
            label,
        )
    };
    let (sent, of_first) = (requests(WEBHOOK), requests("1"));
    assert!(sent > 0 && sent == of_first, "{sent} {of_first}");
    // Jobs are bounded by time, not by fuel.
    assert_eq!(
        counted(&yard.plugins, "holdfast_plugin_fuel_units_total", WEBHOOK),
        0
    );
}

#[tokio::test]
async fn what_is_refused_outside_is_told_once_a_call_and_counted_each_time() {
    // It asks 2,048 times for what nobody granted, and may ask 16 times.
    let yard = Yard::new(&[]);
    let limits = "[limits]\ncpu_ms = 10000\nwall_ms = 60000\n";
    let manifest = format!("{}{limits}", told("many-calls"));
    let info = yard.install_as("hostile-payment", "hostile", &manifest);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let requests = |outcome| {
        let metric = "holdfast_plugin_egress_requests_total";
        counted(&yard.plugins, metric, outcome)
    };
    for calls in 1..=2 {
        let step = yard
            .plugins
            .collect("hostile", &invoice(), &progress())
            .await;
        assert!(matches!(step, Ok(Step::Collected(_))), "{step:?}");
        assert_eq!(requests("denied"), 16 * calls);
        assert_eq!(requests("exhausted"), 2_032 * calls);
        let lines = yard.plugins.logs("hostile", 100);
        assert_eq!(lines.len() as u64, 2 * calls, "{lines:?}");
        for (line, begin) in lines.iter().rev().zip([
            "request exhausted: more than 16 requests in one call",
            "request denied: POST https://169.254.169.254/latest is not allowed",
        ]) {
            assert_eq!((line.by, line.level), (Speaker::Host, "warn"));
            assert!(line.line.starts_with(begin), "{line:?}");
        }
    }
}

/// Zeros, compressed: a gzip file whose one block says "the byte before, 258 times" again and again
/// in the fixed code, where that takes 13 bits.
fn bomb(times: usize) -> Vec<u8> {
    let mut bits = vec![true, true, false];
    let mut code = |code: u32, length: u32| {
        bits.extend((0..length).rev().map(|at| code >> at & 1 == 1));
    };
    code(0x30, 8);
    for _ in 0..times {
        code(0b1100_0101, 8);
        code(0, 5);
    }
    code(0, 7);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    bytes.extend(bits.chunks(8).map(|eight| {
        let bit = |(at, is_set): (usize, &bool)| u8::from(*is_set) << at;
        eight.iter().enumerate().map(bit).sum::<u8>()
    }));
    bytes.extend([0; 8]);
    bytes
}

#[tokio::test]
async fn what_comes_compressed_is_not_unpacked() {
    let bomb = bomb(120_000);
    let (packed, unpacked) = (bomb.len(), 120_000 * 258);
    assert!(unpacked / packed > 100);
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let collector = Collector::new(&[Answer::Bytes("200 OK", headers, bomb)]);
    let yard = webhook(&collector);
    let collected = collect(&yard).await.unwrap();
    // Nothing in it can be read, so the key stands in for a reference.
    assert!(
        matches!(&collected, Step::Collected(receipt) if receipt.reference == "key-2026-01-acme"),
        "{collected:?}"
    );
    let (head, _) = collector.asked().remove(0);
    assert!(!head.contains("accept-encoding"), "{head}");
    let received = counted(
        &yard.plugins,
        "holdfast_plugin_egress_bytes_total",
        "received",
    );
    assert_eq!(received, packed as u64);
    let peak = counted(&yard.plugins, "holdfast_plugin_memory_peak_bytes", WEBHOOK);
    assert!(peak < 8 << 20, "{peak}");
}

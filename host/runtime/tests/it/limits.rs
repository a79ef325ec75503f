//! Limits that the operator sets, each by itself.

use crate::house::{Ask, House, counted, invoice, progress, told, why};
use holdfast_runtime::{PluginInfo, Speaker, Step, Verdict};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

fn install(house: &House, limits: &str) -> PluginInfo {
    let manifest = format!("{}[limits]\n{limits}\n", told("price-7"));
    house.install("hostile-pricing", "price", &manifest)
}

#[test]
fn an_answer_has_its_bounds() {
    let house = House::new();
    let info = install(&house, "output_bytes = 8");
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let why = why(house.quote());
    assert!(why.contains("over output_bytes"), "{why}");
    install(&house, "output_bytes = 64\nhostcall_bytes = 4096");
    assert_eq!(house.quote().unwrap().total.micros, 7);
}

#[test]
fn what_is_too_large_from_the_start_is_refused() {
    let house = House::new();
    for (limits, said) in [
        ("wasm_bytes = 1000", "raise wasm_bytes under [limits]"),
        ("hostcall_bytes = 16", "raise hostcall_bytes under [limits]"),
        ("memory_bytes = 65536", "raise memory_bytes under [limits]"),
        ("wall_ms = 0", "limits.wall_ms: 0 is out of bounds"),
        ("egress_calls = 1", "limits.egress_calls"),
        ("deadline_ms = 5", "deadline_ms"),
    ] {
        let info = install(&house, limits);
        assert_eq!(info.state, "refused", "{limits}");
        let why = info.error.unwrap();
        assert!(why.contains(said), "{limits}: {why}");
    }
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let house = House::new();
    install(&house, "max_invocations = 2");
    for _ in 0..10 {
        assert_eq!(house.quote().unwrap().total.micros, 7);
    }
    let collectors = house.plugins.metrics();
    let mut families = collectors.iter().flat_map(|c| c.collect());
    let discarded = families
        .find(|family| family.name() == "holdfast_plugin_instances_discarded_total")
        .unwrap();
    assert_eq!(discarded.get_metric()[0].get_counter().get_value(), 5.0);
}

const OVER_HANDLES: &str =
    "holds more handles at once than it may; drop them earlier or raise handles under [limits]";

/// Why a pricing plugin is stopped that takes one handle after the other and gives none back.
fn hoard(house: &House, limits: &str) -> String {
    let manifest = format!("{}[limits]\n{limits}\n", told("handles"));
    let info = house.install("hostile-pricing", "price", &manifest);
    assert_eq!(
        (info.state.as_str(), info.error),
        ("live", None),
        "{limits}"
    );
    why(house.quote())
}

/// The fuel that it takes to hold one handle more than these.
fn fuel_to_exceed(handles: u64) -> u64 {
    let house = House::new();
    let why = hoard(&house, &format!("handles = {handles}"));
    assert_eq!(why, OVER_HANDLES, "{handles}");
    counted(&house.plugins, "holdfast_plugin_fuel_units_total", "price")
}

#[test]
fn a_plugin_gets_exactly_as_many_handles_as_it_may_hold() {
    // Each handle takes the same fuel, so that fuel tells how many there were: fewer than usual
    // (256), and more.
    let [few, twice, many] = [64, 128, 1_024].map(fuel_to_exceed);
    assert!(few < twice, "{few} {twice}");
    assert_eq!(many - few, 15 * (twice - few), "{few} {twice} {many}");
    // Who may hold far more is not stopped for its handles by then.
    let limits = format!("handles = 65536\nfuel = {many}");
    let why = hoard(&House::new(), &limits);
    assert_eq!(
        why,
        "used up its fuel and was stopped; mend its loop or raise fuel under [limits]"
    );
}

#[tokio::test]
async fn a_job_that_may_hold_too_few_handles_for_a_request_is_stopped() {
    let over = format!("plugin hostile: {OVER_HANDLES}");
    let denied = "it cannot be collected: the host does not let it through: it is not granted";
    for (handles, said) in [(2, over.as_str()), (16, denied)] {
        let house = House::new();
        let manifest = format!("{}[limits]\nhandles = {handles}\n", told("call-out"));
        let info = house.install("hostile-payment", "hostile", &manifest);
        assert_eq!((info.state.as_str(), info.error), ("live", None));
        let (invoice, progress) = (invoice(), progress());
        let step = house.plugins.collect("hostile", &invoice, &progress).await;
        assert_eq!(step.unwrap_err().to_string(), said, "{handles}");
    }
}

/// What became of the lines of ten calls that write 100 each, of which the host takes eight: those
/// that were kept, those that were dropped, and how many of the journal's seconds they can lie in.
fn logged(limit: u32) -> (u64, u64, u64) {
    let house = House::new();
    let manifest = format!(
        "{}[limits]\nlog_lines_per_second = {limit}\ncpu_ms = 500\nwall_ms = 10000\n",
        told("log-lines")
    );
    let info = house.install("hostile-authorizer", "hostile", &manifest);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let start = Instant::now();
    for _ in 0..10 {
        assert_eq!(Ask::new(&[]).of(&house.plugins).unwrap(), Verdict::Allow);
    }
    // The first of them began before.
    let seconds = 2 + start.elapsed().as_secs();
    let lines = house.plugins.logs("hostile", 500);
    let kept = lines.iter().filter(|line| line.by == Speaker::Plugin);
    let dropped = "holdfast_plugin_log_dropped_lines_total";
    let dropped = counted(&house.plugins, dropped, "hostile");
    (kept.count() as u64, dropped, seconds)
}

#[test]
fn so_many_log_lines_a_second_are_kept_and_the_others_are_counted() {
    // Usually there would be 50.
    let (kept, dropped, seconds) = logged(3);
    assert!((3..=3 * seconds).contains(&kept), "{kept} in {seconds}");
    assert_eq!(kept + dropped, 1_000);
    let (kept, dropped, _) = logged(1_000);
    assert_eq!((kept, dropped), (80, 920));
}

/// Somebody to call who says yes to everybody: the port, and how often it was asked.
fn yes_sayer() -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut head = BufReader::new(&stream).lines().map_while(Result::ok);
            if head.any(|line| line.is_empty()) {
                seen.fetch_add(1, Ordering::SeqCst);
                // A client that goes away is no failure of this one.
                let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    (port, asked)
}

#[tokio::test]
async fn one_call_sends_as_many_requests_as_it_may_and_no_more() {
    let (port, asked) = yes_sayer();
    let manifest = |calls: u64| {
        format!(
            "{}url = \"http://127.0.0.1:{port}/\"\n[limits]\negress_calls = {calls}\n\
             [[egress]]\nscheme = \"http\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             methods = [\"GET\"]\nallow_private = [\"127.0.0.1\"]\n",
            told("fetch-twice")
        )
    };
    let house = House::new();
    let (invoice, progress) = (invoice(), progress());
    for calls in [1, 2] {
        asked.store(0, Ordering::SeqCst);
        let info = house.install("hostile-payment", "hostile", &manifest(calls));
        assert_eq!((info.state.as_str(), info.error), ("live", None));
        let step = house.plugins.collect("hostile", &invoice, &progress).await;
        assert_eq!(asked.load(Ordering::SeqCst), calls, "{step:?}");
        if calls == 2 {
            assert!(matches!(step, Ok(Step::Collected(_))), "{step:?}");
            continue;
        }
        let why = step.unwrap_err().to_string();
        let second = "it cannot be collected: the second time: ";
        assert!(why.starts_with(second), "{why}");
        assert!(why.contains("ConnectionLimitReached"), "{why}");
        let lines = house.plugins.logs("hostile", 100);
        let over = "request exhausted: more than 1 requests in one call; \
                    make fewer or raise egress_calls under [limits]";
        assert!(lines.iter().any(|line| line.line == over), "{lines:?}");
    }
}

#[tokio::test]
async fn more_requests_than_usual_are_sent_where_egress_calls_says_so() {
    // It sends 2,048 that nobody granted; usually 16 of them get as far as to be denied.
    let house = House::new();
    let limits = "[limits]\negress_calls = 1000\ncpu_ms = 10000\nwall_ms = 60000\n";
    let manifest = format!("{}{limits}", told("many-calls"));
    let info = house.install("hostile-payment", "hostile", &manifest);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let (invoice, progress) = (invoice(), progress());
    let step = house.plugins.collect("hostile", &invoice, &progress).await;
    assert!(matches!(step, Ok(Step::Collected(_))), "{step:?}");
    let requests = |outcome| {
        let metric = "holdfast_plugin_egress_requests_total";
        counted(&house.plugins, metric, outcome)
    };
    assert_eq!((requests("denied"), requests("exhausted")), (1_000, 1_048));
}

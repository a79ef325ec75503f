//! How much goes on at once, and tracing.

use super::*;
use crate::cql::calls::{fetch, recording};
use parking_lot::Mutex;

const SLOW: Duration = Duration::from_millis(400);

/// One call has the only place, one waits, the third is turned away at once.
#[tokio::test]
async fn too_much_at_once_is_turned_away() {
    let mut rig = Rig::with(|settings| {
        settings.flow.in_flight = 1;
        settings.flow.queue = 1;
    })
    .await;
    let mut heard = rig.first(statement(Class::Read), 1, RequestReaction::delay(SLOW));
    let rig = Arc::new(rig);
    let begin = |rig: &Arc<Rig>| {
        let rig = Arc::clone(rig);
        tokio::spawn(async move { rig.call(Class::Read).await })
    };
    let first = begin(&rig);
    heard.0.recv().await.unwrap();
    let second = begin(&rig);
    while rig.calls.connected().queue.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(shown(&rig, "holdfast_cql_in_flight"), 1.0);
    assert_eq!(shown(&rig, "holdfast_cql_queue"), 1.0);
    let began = std::time::Instant::now();
    let third = rig.call(Class::Read).await;
    assert!(matches!(third, Err(StoreError::Overloaded)), "{third:?}");
    assert!(began.elapsed() < SLOW);
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(shown(&rig, "holdfast_cql_turned_away_total"), 1.0);
    assert_eq!(shown(&rig, "holdfast_cql_queue"), 0.0);
}

/// By beats and pings others know that this process lives: they go through while calls are turned
/// away.
#[tokio::test]
async fn what_is_vital_is_sent_while_calls_are_turned_away() {
    let mut rig = Rig::with(|settings| {
        settings.flow.in_flight = 1;
        settings.flow.queue = 0;
        settings.timeouts.read = Duration::from_secs(120);
    })
    .await;
    let mut heard = rig.first(statement(Class::Read), 1, RequestReaction::drop_frame());
    let calls = Arc::clone(&rig.calls);
    let first = tokio::spawn(async move { call(&calls, Class::Read).await });
    heard.0.recv().await.unwrap();
    // It is never answered, and keeps the only place.
    let second = rig.call(Class::SerialRead).await;
    assert!(matches!(second, Err(StoreError::Overloaded)), "{second:?}");
    let stamp = i64::try_from(Clock::default().next()).unwrap();
    let beat = (0i8, Uuid::now_v7(), stamp, stamp, stamp, stamp, stamp);
    let beaten = rig.calls.write(Statement::WriterBeat, HOME, beat);
    beaten.await.unwrap();
    // As a ping is.
    let ping = rig.call(Class::Condition).await;
    assert!(ping.is_ok(), "{ping:?}");
    assert!(!first.is_finished());
    first.abort();
}

/// What a gauge or a counter shows, all its labels together.
fn shown(rig: &Rig, name: &str) -> f64 {
    let registry = prometheus::Registry::new();
    for collector in rig.calls.collectors() {
        registry.register(collector).unwrap();
    }
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    let family = family.unwrap_or_else(|| panic!("there is no {name}"));
    let value = |metric: &prometheus::proto::Metric| match family.get_field_type() {
        prometheus::proto::MetricType::GAUGE => metric.get_gauge().get_value(),
        _ => metric.get_counter().get_value(),
    };
    family.get_metric().iter().map(value).sum()
}

/// A call that is dropped gives its place back, and the node its count.
#[tokio::test]
async fn who_goes_away_leaves_nothing_behind() {
    let mut rig = Rig::with(|settings| settings.flow.in_flight = 1).await;
    let mut heard = rig.first(statement(Class::Read), 1, RequestReaction::delay(SLOW));
    {
        let mut call = Box::pin(rig.call(Class::Read));
        tokio::select! {
            _ = &mut call => panic!("it was to be slow"),
            _ = heard.0.recv() => {}
        }
    }
    rig.call(Class::Read).await.unwrap();
    let connected = rig.calls.connected();
    assert_eq!(connected.queue.in_flight(), 0);
    assert!(
        connected
            .nodes
            .all()
            .iter()
            .all(|node| node.in_flight() == 0)
    );
}

/// A node that answers nothing any more is not asked again and again.
#[tokio::test]
async fn a_failing_node_is_left_alone_and_found_again() {
    let mut rig = Rig::with(|settings| {
        quick(settings);
        settings.flow.retry_percent = 0;
    })
    .await;
    rig.first(
        statement(Class::Write),
        usize::MAX,
        RequestReaction::forge_with_error(scylla::errors::DbError::ServerError),
    );
    let open = |rig: &Rig| {
        rig.calls
            .connected()
            .nodes
            .all()
            .iter()
            .any(|n| n.is_open())
    };
    while !open(&rig) {
        rig.call(Class::Write).await.unwrap_err();
    }
    // The only replica is asked all the same, and its answer closes the circuit.
    rig.proxy.turn_off_rules();
    rig.call(Class::Write).await.unwrap();
    assert!(!open(&rig));
}

#[tokio::test]
async fn what_the_server_did_can_be_asked_for() {
    let rig = Rig::new().await;
    let (answers, traced) = recording(async {
        rig.call(Class::Write).await.unwrap();
        rig.call(Class::Condition).await.unwrap();
    })
    .await;
    assert_eq!(answers, ());
    rig.call(Class::Write).await.unwrap();
    let traces = fetch(&rig.calls.connected(), traced).await;
    let statements: Vec<_> = traces.iter().map(|trace| trace.statement).collect();
    assert_eq!(statements, ["follower_write", "param_add"]);
    for trace in traces {
        assert!(trace.coordinator.is_some(), "{trace:?}");
        assert!(!trace.events.is_empty(), "{trace:?}");
    }
}

/// When a second replica is asked is a matter of the settings alone: a histogram in milliseconds
/// would tell that calls take none, and every call would be sent twice.
#[tokio::test]
async fn what_is_answered_soon_is_sent_once() {
    let mut rig = Rig::with(|settings| {
        settings.timeouts.read = Duration::from_secs(120);
        settings.flow.speculate_after = Some(Duration::from_secs(60));
    })
    .await;
    let mut heard = rig.first(statement(Class::Read), 0, RequestReaction::noop());
    for _ in 0..200 {
        rig.call(Class::Read).await.unwrap();
    }
    assert_eq!(heard.count(), 200);
}

/// A repeat bears the stamp of the first attempt, so one that a node carries out late changes
/// nothing.
#[tokio::test]
async fn a_repeat_of_a_plain_write_bears_its_first_stamp() {
    let mut rig = Rig::new().await;
    let forge = RequestReaction::forge_with_error(scylla::errors::DbError::ServerError);
    let mut heard = rig.first(Statement::FollowerWrite, 1, forge);
    rig.call(Class::Write).await.unwrap();
    let [first, second] = [heard.0.recv().await, heard.0.recv().await].map(Option::unwrap);
    assert_eq!(first.0.body, second.0.body);

    let name = Uuid::now_v7().to_string();
    let stamp = i64::try_from(Clock::default().next()).unwrap();
    for (value, stamp) in [(1i64, stamp), (2, stamp + 1), (1, stamp)] {
        let row = (0i8, name.as_str(), value, stamp);
        let written = rig.calls.write(Statement::FollowerWrite, HOME, row);
        written.await.unwrap();
    }
    let found = rig
        .calls
        .row::<(i64,)>(Statement::FollowerRead, HOME, (0i8, name.as_str()));
    assert_eq!(found.await.unwrap(), Some((2,)));
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What this thread logs until the guard is dropped.
    fn of_this_thread() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One call in three asks the server for its trace, and what the server did ends in the log.
#[tokio::test]
async fn one_call_in_so_many_is_traced_into_the_log() {
    /// The frame's flag that asks for a trace: native protocol v4, section 2.2.
    const TRACING: u8 = 0x02;
    let (log, _here) = Log::of_this_thread();
    let mut rig = Rig::with(|settings| settings.flow.trace_one_in = 3).await;
    let mut heard = rig.first(statement(Class::Write), 0, RequestReaction::noop());
    let mut traced = Vec::new();
    for _ in 0..7 {
        rig.call(Class::Write).await.unwrap();
        let (frame, _) = heard.0.recv().await.unwrap();
        traced.push(frame.params.flags & TRACING > 0);
    }
    assert_eq!(traced, [true, false, false, true, false, false, true]);
    let told = async {
        loop {
            let text = String::from_utf8(log.0.lock().clone()).unwrap();
            let told = text.lines().filter(|l| l.contains("a sampled statement"));
            if told.clone().count() == 3 {
                let is_whole =
                    |line: &str| line.contains("follower_write") && line.contains("activity: ");
                assert!(told.clone().all(is_whole), "{text}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .unwrap();
}

/// A rack that no node has is no reason not to start, and one to say so.
#[tokio::test]
async fn a_rack_that_no_node_is_in_is_told_at_the_start() {
    for (rack, is_told) in [("rack9", true), ("rack1", false)] {
        let (log, _here) = Log::of_this_thread();
        let rig = Rig::with(|settings| settings.local_rack = Some(rack.to_owned())).await;
        rig.call(Class::Read).await.unwrap();
        let text = String::from_utf8(log.0.lock().clone()).unwrap();
        let told = text.lines().find(|line| line.contains("local_rack"));
        assert_eq!(told.is_some(), is_told, "{text}");
        assert!(told.is_none_or(|told| told.contains("WARN") && told.contains("rack1")));
    }
}

#[tokio::test]
async fn frames_are_compressed_as_the_settings_say() {
    use crate::cql::settings::Compression;
    for (compression, is_compressed) in [
        (Compression::None, false),
        (Compression::Lz4, true),
        (Compression::Snappy, true),
    ] {
        let mut rig = Rig::with(|settings| settings.connections.compression = compression).await;
        let mut heard = rig.first(statement(Class::Write), 0, RequestReaction::noop());
        rig.call(Class::Write).await.unwrap();
        let (frame, _) = heard.0.recv().await.unwrap();
        assert_eq!(
            frame.params.is_compressed(),
            is_compressed,
            "{compression:?}"
        );
        rig.call(Class::Read).await.unwrap();
    }
}

#[tokio::test]
async fn every_metric_can_be_registered_and_has_our_prefix() {
    let rig = Rig::new().await;
    rig.call(Class::Condition).await.unwrap();
    let registry = prometheus::Registry::new();
    for collector in rig.calls.collectors() {
        registry.register(collector).unwrap();
    }
    let families = registry.gather();
    let named = |name: &str| families.iter().find(|family| family.name() == name);
    assert!(
        families
            .iter()
            .all(|family| family.name().starts_with("holdfast_cql_"))
    );
    let nodes = named("holdfast_cql_nodes").unwrap();
    let connected: f64 = nodes
        .get_metric()
        .iter()
        .map(|m| m.get_gauge().get_value())
        .sum();
    assert_eq!(connected, 1.0);
    let seconds = named("holdfast_cql_call_seconds").unwrap();
    let added = seconds.get_metric().iter().find(|metric| {
        let labels = metric.get_label();
        labels.iter().any(|label| label.value() == "param_add")
    });
    assert_eq!(added.unwrap().get_histogram().get_sample_count(), 1);
}

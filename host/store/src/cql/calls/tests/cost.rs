//! What the door costs: client CPU of a call beside the bare driver's, for the same statements in
//! the same session. Run alone, optimised:
//! `cargo test --release -p holdfast-store --lib calls::tests::cost -- --ignored --nocapture`

use super::*;
use futures_util::{StreamExt, stream};
use std::time::Instant;

/// Calls under way at the same time.
const AT_ONCE: usize = 64;

/// One turn of one way; long enough for the 10 ms in which the system counts CPU time.
const TURN: Duration = Duration::from_secs(2);

/// Turns of each way, alternately: the machine is not equally quiet all the time.
const TURNS: usize = 4;

/// CPU time of this process. The server is another.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}

#[derive(Debug, Default)]
struct Spent {
    calls: u32,
    cpu: Duration,
    time: Duration,
}

impl Spent {
    async fn turn<F: Future<Output = ()>>(&mut self, call: impl Fn(u64) -> F) {
        let (cpu_before, began) = (cpu(), Instant::now());
        let calls = stream::iter(0u64..)
            .take_while(|_| std::future::ready(began.elapsed() < TURN))
            .map(call)
            .buffer_unordered(AT_ONCE);
        self.calls += u32::try_from(calls.count().await).unwrap();
        self.cpu += cpu() - cpu_before;
        self.time += began.elapsed();
    }

    fn report(&self, name: &str) -> Duration {
        let each = self.cpu / self.calls;
        let in_second = u128::from(self.calls) * 1_000_000 / self.time.as_micros();
        println!("{name:24} {in_second:>8} calls/s {each:>10.2?} of client CPU each");
        each
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a quiet machine and an optimised build"]
async fn the_door_costs_little_beside_the_driver() {
    let (settings, params) = base().await;
    let session = connect::session(&settings).await.unwrap();
    let connected = Connected::prepare(session, &settings, &params.homes).await;
    let calls = Calls::new(connected.unwrap());
    let session = Arc::clone(&calls.connected().session);
    let bare = async |statement: Statement| session.prepare(statement.text()).await.unwrap();
    let (read, condition) = (
        bare(Statement::FollowerRead).await,
        bare(Statement::ParamAdd).await,
    );
    let name = Uuid::now_v7().to_string();
    let row = (0i8, name.as_str(), 7i64, 1i64);
    calls
        .write(Statement::FollowerWrite, HOME, row)
        .await
        .unwrap();

    let mut spent: [Spent; 4] = Default::default();
    for _ in 0..TURNS {
        let [bare_read, our_read, bare_condition, our_condition] = &mut spent;
        bare_read
            .turn(async |_| {
                let key = (0i8, name.as_str());
                let found = session.execute_unpaged(&read, key).await.unwrap();
                let row = found.into_rows_result().unwrap().single_row::<(i64,)>();
                assert_eq!(row.unwrap().0, 7);
            })
            .await;
        our_read
            .turn(async |_| {
                let key = (0i8, name.as_str());
                let found = calls.row::<(i64,)>(Statement::FollowerRead, HOME, key);
                assert_eq!(found.await.unwrap(), Some((7,)));
            })
            .await;
        bare_condition
            .turn(async |_| {
                let row = (Uuid::now_v7().to_string(), "value");
                let done = session.execute_unpaged(&condition, row).await.unwrap();
                let rows = done.into_rows_result().unwrap();
                rows.first_row::<scylla::value::Row>().unwrap();
            })
            .await;
        our_condition
            .turn(async |_| {
                let row = (Uuid::now_v7().to_string(), "value");
                let done = calls.condition(Statement::ParamAdd, HOME, row);
                done.await.unwrap();
            })
            .await;
    }
    let [bare_read, our_read, bare_condition, our_condition] = spent;
    let (bare, ours) = (
        bare_read.report("read, driver"),
        our_read.report("read, door"),
    );
    assert!(ours < bare * 3 / 2, "the door costs too much");
    let bare = bare_condition.report("condition, driver");
    let ours = our_condition.report("condition, door");
    assert!(ours < bare * 3 / 2, "the door costs too much");
}

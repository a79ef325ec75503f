//! The feed between processes: slow ones, dead ones, clocks apart, crowds.

use super::*;
use crate::contract::keyspace::Keyspace;
use crate::contract::sample::cid;
use crate::cql::Cql;
use crate::error::StoreError;
use holdfast_model::{Change, Cid, Cursor};
use std::time::Instant;
use tokio::time::sleep;

/// Hurried, but not so much that a busy machine counts as dead.
fn hurried() -> Timing {
    Timing {
        beat: Duration::from_millis(20),
        promise: Duration::from_millis(200),
        doubt: Duration::from_millis(1_500),
        dead: Duration::from_secs(3),
        linger: Duration::from_secs(2),
        late: Duration::from_secs(2),
    }
}

/// Longer than anything here may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

struct Scene {
    keyspace: Keyspace,
}

impl Scene {
    async fn new() -> Self {
        Self {
            keyspace: Keyspace::empty().await.unwrap(),
        }
    }

    /// For clocks that are set.
    fn of_its_own() -> Self {
        Self {
            keyspace: Keyspace::fresh().unwrap(),
        }
    }

    async fn process(&self) -> Cql {
        self.process_with(Clock::default()).await
    }

    async fn process_with(&self, clock: Clock) -> Cql {
        let settings = self.keyspace.settings();
        Cql::open_with(settings, hurried(), clock).await.unwrap()
    }

    /// One that beats often and is as patient as in production.
    async fn patient_process(&self) -> Cql {
        let timing = Timing {
            beat: hurried().beat,
            ..Timing::default()
        };
        let settings = self.keyspace.settings();
        Cql::open_with(settings, timing, Clock::default())
            .await
            .unwrap()
    }
}

fn cids(range: std::ops::Range<u64>) -> Vec<Cid> {
    range.map(|n| cid(n).unwrap()).collect()
}

async fn announce(process: &Cql, n: u64) -> Ticket {
    let feed = &process.shared.feed;
    feed.announce(&[cid(n).unwrap()]).await.unwrap()
}

async fn read(process: &Cql, after: Cursor) -> Vec<Change> {
    process.changes(after, 1_000).await.unwrap()
}

/// The number that a sample was made of.
fn number(cid: &Cid) -> u64 {
    let digest = cid.to_bytes()[12..20].try_into().unwrap();
    u64::from_be_bytes(digest)
}

async fn read_numbers(process: &Cql, after: Cursor) -> Vec<u64> {
    let changes = read(process, after).await;
    changes.iter().map(|change| number(&change.cid)).collect()
}

/// Waits until a process reads just these, and answers how long that took.
async fn until_read(process: &Cql, expected: &[u64]) -> Duration {
    let began = Instant::now();
    loop {
        let found = read_numbers(process, Cursor::START).await;
        if found == expected {
            return began.elapsed();
        }
        assert!(began.elapsed() < DEADLINE, "{found:?} is not {expected:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a process has heard from the others a few times.
async fn beats(process: &Cql, number: u64) {
    let mut heard = process.shared.feed.shared.heard.subscribe();
    let now = *heard.borrow_and_update();
    let done = heard.wait_for(|beats| *beats >= now + number);
    timeout(DEADLINE, done).await.unwrap().unwrap();
}

#[tokio::test]
async fn own_entries_are_read_at_once_and_withdrawn_ones_never() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    let first = announce(&process, 1).await;
    assert_eq!(read(&process, Cursor::START).await, []);
    let second = announce(&process, 2).await;
    let third = announce(&process, 3).await;
    third.done().await;
    second.withdraw().await;
    assert_eq!(*process.head().borrow(), Cursor::START);
    first.done().await;
    let seen = read(&process, Cursor::START).await;
    let numbers: Vec<_> = seen.iter().map(|c| number(&c.cid)).collect();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(*process.head().borrow(), seen[1].cursor);
    process.close().await;
}

/// Pages hold whole tickets: a cursor between two entries of one would lose the second.
#[tokio::test]
async fn pages_never_split_what_was_announced_together() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    let mut expected = Vec::new();
    for n in 0..40 {
        let some = cids(n * 10..n * 10 + 1 + n % 5);
        process
            .shared
            .feed
            .announce(&some)
            .await
            .unwrap()
            .done()
            .await;
        expected.push(some.iter().map(number).collect::<Vec<_>>());
    }
    for size in [1, 2, 3, 7, 50, 1_000] {
        let mut cursor = Cursor::START;
        let mut seen = Vec::new();
        loop {
            let page = process.changes(cursor, size).await.unwrap();
            let Some(last) = page.last() else { break };
            cursor = last.cursor;
            seen.extend(page);
        }
        let mut groups: Vec<_> = seen
            .chunk_by(|a, b| a.cursor == b.cursor)
            .map(|group| group.iter().map(|c| number(&c.cid)).collect::<Vec<_>>())
            .collect();
        groups.iter_mut().for_each(|group| group.sort_unstable());
        assert_eq!(groups, expected, "pages of {size}");
    }
    process.close().await;
}

#[tokio::test]
async fn readers_elsewhere_wait_for_what_is_under_way() {
    let scene = Scene::new().await;
    let (a, b) = (scene.process().await, scene.process().await);
    let slow = announce(&a, 1).await;
    announce(&b, 2).await.done().await;
    beats(&a, 3).await;
    beats(&b, 3).await;
    assert_eq!(read(&b, Cursor::START).await, []);
    assert_eq!(read(&a, Cursor::START).await, []);
    // Longer than it takes to be given up: it is alive.
    sleep(hurried().dead + hurried().doubt).await;
    assert_eq!(read(&b, Cursor::START).await, []);
    let mut head = b.head();
    head.borrow_and_update();
    slow.done().await;
    until_read(&b, &[1, 2]).await;
    until_read(&a, &[1, 2]).await;
    timeout(DEADLINE, head.changed()).await.unwrap().unwrap();
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn the_head_moves_with_what_others_write() {
    let scene = Scene::new().await;
    let (a, b) = (scene.process().await, scene.process().await);
    let mut head = b.head();
    head.borrow_and_update();
    announce(&a, 1).await.done().await;
    timeout(DEADLINE, head.changed()).await.unwrap().unwrap();
    let cursor = *head.borrow();
    assert_eq!(read(&b, Cursor::START).await[0].cursor, cursor);
    // What one process gave, another takes, even if it does not know it yet.
    assert_eq!(read(&a, cursor).await, []);
    let beyond = a.changes(Cursor(cursor.0 + 1), 10).await;
    assert!(matches!(beyond, Err(StoreError::Invalid(_))), "{beyond:?}");
    a.close().await;
    b.close().await;
}

/// One process dies between announcing and changing: the others pass after having waited.
#[tokio::test]
async fn the_dead_hold_nobody_up_for_long() {
    let scene = Scene::new().await;
    let (a, b) = (scene.process().await, scene.process().await);
    let lost = announce(&a, 1).await;
    announce(&b, 2).await.done().await;
    beats(&b, 3).await;
    drop(a);
    std::mem::forget(lost);
    let took = until_read(&b, &[1, 2]).await;
    assert!(took >= hurried().dead / 2, "passed after {took:?}");
    assert_eq!(
        scene.keyspace.rows().await.unwrap()["writers"],
        1,
        "its row is gone"
    );
    b.close().await;

    // Who starts later finds the feed's end, and writes after it.
    let c = scene.process().await;
    let head = *c.head().borrow();
    announce(&c, 3).await.done().await;
    assert_eq!(read_numbers(&c, head).await, [3]);
    c.close().await;
}

#[tokio::test]
async fn clocks_an_hour_apart_make_one_feed() {
    let scene = Scene::of_its_own();
    let ahead = Clock::default();
    ahead.set_forward(Duration::from_secs(3_600));
    let (a, b) = (scene.process_with(ahead).await, scene.process().await);
    let behind = Clock::default();
    behind.set_back(Duration::from_secs(3_600));
    let mut expected = Vec::new();
    for n in 0..10 {
        let process = if n % 2 == 0 { &a } else { &b };
        announce(process, n).await.done().await;
        expected.push(n);
        until_read(&a, &expected).await;
        until_read(&b, &expected).await;
    }
    let cursor = *a.head().borrow();
    a.close().await;
    b.close().await;
    // Nobody is left to ask, and the clock is two hours behind what was written.
    let c = scene.process_with(behind).await;
    announce(&c, 10).await.done().await;
    assert_eq!(read_numbers(&c, cursor).await, [10]);
    c.close().await;
}

/// A process is paused with a change under way, others give it up and read on; when it wakes up, it
/// makes its change and readers meet it.
#[tokio::test]
async fn a_change_made_after_a_pause_is_announced_again() {
    let scene = Scene::of_its_own();
    let (paused, other) = (scene.process().await, scene.process().await);
    let ticket = announce(&paused, 1).await;
    beats(&other, 3).await;
    // No beat is sent while this is held, as if the process stood still.
    let asleep = paused.shared.feed.shared.beats_ended.lock().await;
    until_read(&other, &[1]).await;
    let passed = *other.head().borrow();
    announce(&other, 2).await.done().await;
    paused.shared.clock.set_forward(Duration::from_secs(30));
    drop(asleep);
    ticket.done().await;
    let began = Instant::now();
    loop {
        let seen = read_numbers(&other, passed).await;
        if seen.contains(&1) {
            break;
        }
        assert!(began.elapsed() < DEADLINE, "{seen:?}");
        sleep(Duration::from_millis(10)).await;
    }
    paused.close().await;
    other.close().await;
}

#[tokio::test]
async fn an_unknown_outcome_is_waited_out() {
    let scene = Scene::new().await;
    let process = scene.process().await;
    drop(announce(&process, 1).await);
    announce(&process, 2).await.done().await;
    assert_eq!(read(&process, Cursor::START).await, []);
    let took = until_read(&process, &[1, 2]).await;
    assert!(took >= hurried().linger / 2, "passed after {took:?}");
    // And once more, should a node that was frozen have made the change only now.
    until_read(&process, &[1, 2, 1]).await;
    process.close().await;
}

#[tokio::test]
async fn trimming_forgets_whole_slots_and_leaves_the_rest() {
    let scene = Scene::of_its_own();
    let process = scene.process().await;
    let mut expected = Vec::new();
    for n in 0..30 {
        announce(&process, n).await.done().await;
        // Every tenth begins two slots later.
        if n % 10 == 9 {
            let slots = Duration::from_micros(2 << SLOT_BITS);
            process.shared.clock.set_forward(slots);
            beats(&process, 2).await;
        }
        expected.push(n);
    }
    let all = read(&process, Cursor::START).await;
    let numbers: Vec<_> = all.iter().map(|c| number(&c.cid)).collect();
    assert_eq!(numbers, expected);
    assert_eq!(scene.keyspace.rows().await.unwrap()["feed_slots"], 3);
    process.trim_changes(all[14].cursor).await.unwrap();
    let rows = scene.keyspace.rows().await.unwrap();
    assert_eq!((rows["feed_slots"], rows["change_feed"]), (2, 15));
    let other = scene.process().await;
    assert_eq!(read_numbers(&other, all[14].cursor).await, expected[15..]);
    let old = other.changes(all[13].cursor, 10).await;
    assert!(matches!(old, Err(StoreError::CursorTooOld { oldest }) if oldest == all[14].cursor));
    process.trim_changes(all[29].cursor).await.unwrap();
    other.close().await;
    process.close().await;
    let rows = scene.keyspace.rows().await.unwrap();
    assert_eq!(rows.get("change_feed"), None);
}

/// By a clock that is set: what is older than it is to be kept goes, two may trim at once, and who
/// stood there is told so.
#[tokio::test]
async fn what_is_older_than_is_to_be_kept_is_forgotten() {
    const HOUR: Duration = Duration::from_secs(3_600);
    const KEPT: Duration = Duration::from_secs(3 * 24 * 3_600);
    let scene = Scene::of_its_own();
    let process = scene.process().await;
    for n in [1, 2] {
        announce(&process, n).await.done().await;
    }
    let old = read(&process, Cursor::START).await;
    process.shared.clock.set_forward(KEPT - HOUR);
    beats(&process, 2).await;
    announce(&process, 3).await.done().await;
    assert!(process.outdated(KEPT) < old[0].cursor, "an hour too early");
    process.shared.clock.set_forward(2 * HOUR);
    beats(&process, 2).await;
    let other = scene.process().await;
    let ends = [process.outdated(KEPT), other.outdated(KEPT)];
    assert!(ends[0] >= old[1].cursor, "an hour late");
    let (one, two) = tokio::join!(process.trim_changes(ends[0]), other.trim_changes(ends[1]));
    one.and(two).unwrap();
    beats(&other, 2).await;
    for process in [&process, &other] {
        let stale = process.changes(old[0].cursor, 10).await;
        let is_told = |oldest| ends.contains(&oldest);
        assert!(
            matches!(stale, Err(StoreError::CursorTooOld { oldest }) if is_told(oldest)),
            "{stale:?}"
        );
        assert_eq!(read_numbers(process, ends[0].max(ends[1])).await, [3]);
    }
    other.close().await;
    process.close().await;
}

/// Four writers in two processes, two readers that follow: nothing is lost, nothing comes twice,
/// and what one writer announced comes in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_meet_every_change_once_and_in_order() {
    const EACH: u64 = 1_000;
    let scene = Scene::new().await;
    let processes = [scene.patient_process().await, scene.patient_process().await];
    let mut tasks = Vec::new();
    for writer in 0..4_u64 {
        let process = processes[(writer % 2) as usize].clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..EACH {
                announce(&process, writer * EACH + n).await.done().await;
            }
        }));
    }
    let mut readers = Vec::new();
    for process in processes.clone() {
        readers.push(tokio::spawn(async move {
            let began = Instant::now();
            let (mut cursor, mut seen) = (Cursor::START, Vec::new());
            while seen.len() < 4 * EACH as usize {
                let page = process.changes(cursor, 97).await.unwrap();
                cursor = page.last().map_or(cursor, |c| c.cursor);
                seen.extend(page.iter().map(|c| number(&c.cid)));
                assert!(began.elapsed() < DEADLINE * 4, "{} seen", seen.len());
                sleep(Duration::from_millis(5)).await;
            }
            seen
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for reader in readers {
        let seen = reader.await.unwrap();
        for writer in 0..4 {
            let own = writer * EACH..(writer + 1) * EACH;
            let found = seen.iter().copied().filter(|n| own.contains(n));
            assert!(found.eq(own.clone()), "of writer {writer}");
        }
    }
    for process in processes {
        process.close().await;
    }
}

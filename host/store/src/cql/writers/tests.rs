//! Where a process stands among the feed's writers, without a cluster.

use super::*;

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A process with a clock of its own.
struct Process {
    standing: Standing,
    clock: Clock,
    row: Row,
}

/// The cluster's table, and the time as everybody's steady clock shows it.
struct Table {
    told: Told,
    now: Moment,
}

impl Table {
    fn new() -> Self {
        Self {
            told: Told::default(),
            now: Clock::default().moment(),
        }
    }

    fn passes(&mut self, by: Duration) {
        self.now = self.now.later(by);
    }

    fn remove(&mut self, row: &Row) {
        self.told.reached = self.told.reached.max(row.reach);
        self.told.rows.retain(|r| r != row);
    }
}

impl Process {
    fn joins(table: &mut Table) -> Self {
        Self::joins_with(table, Clock::default())
    }

    fn joins_with(table: &mut Table, clock: Clock) -> Self {
        let standing = Standing::new(Uuid::new_v4(), Timing::default());
        let row = standing.tell(&clock);
        let mut process = Self {
            standing,
            clock,
            row,
        };
        process.beats(table);
        process
    }

    fn writes(&mut self, table: &mut Table) {
        self.row = self.standing.tell(&self.clock);
        table.told.rows.retain(|r| r.writer != self.row.writer);
        table.told.rows.push(self.row);
    }

    fn hears(&mut self, table: &Table, sent: Moment) -> Heard {
        let moments = (sent, table.now, table.now);
        self.standing
            .hear(&table.told, &self.row, moments, &self.clock)
    }

    fn beats(&mut self, table: &mut Table) -> Heard {
        self.writes(table);
        self.hears(table, table.now)
    }

    fn watermark(&self) -> u64 {
        self.standing.watermark(&self.clock)
    }
}

#[test]
fn alone_one_reads_what_is_done_at_once() {
    let mut table = Table::new();
    let mut a = Process::joins(&mut table);
    let first = a.standing.begin(&a.clock);
    let second = a.standing.begin(&a.clock);
    a.standing.finish(second);
    assert_eq!(a.watermark(), first.at, "the first is still under way");
    assert_eq!(a.standing.newly_readable(&a.clock), None);
    a.standing.finish(first);
    assert!(a.watermark() > second.at);
    assert_eq!(a.standing.newly_readable(&a.clock), Some(second.at));
    assert_eq!(a.standing.newly_readable(&a.clock), None);
}

#[test]
fn nobody_passes_what_is_under_way_elsewhere() {
    let mut table = Table::new();
    let (mut a, mut b) = (Process::joins(&mut table), Process::joins(&mut table));
    let slow = a.standing.begin(&a.clock);
    a.beats(&mut table);
    let quick = b.standing.begin(&b.clock);
    b.standing.finish(quick);
    b.beats(&mut table);
    assert!(b.watermark() <= slow.at);
    table.passes(secs(60));
    a.beats(&mut table);
    b.beats(&mut table);
    assert!(b.watermark() <= slow.at, "however long it takes");
    a.standing.finish(slow);
    a.beats(&mut table);
    b.beats(&mut table);
    assert!(b.watermark() > quick.at.max(slow.at));
}

/// The joiner's clock is an hour behind, and it joins between a reader's beat and its next look.
#[test]
fn who_joins_never_writes_behind_what_was_read() {
    let mut table = Table::new();
    let mut reader = Process::joins(&mut table);
    let behind = Clock::default();
    behind.set_back(secs(3_600));
    reader.writes(&mut table);
    let looked = table.told.clone();
    let mut joiner = Process::joins_with(&mut table, behind);
    let mut unaware = Table {
        told: looked,
        now: table.now,
    };
    reader.hears(&unaware, table.now);
    unaware.passes(secs(4));
    let read_upto = reader.watermark();
    assert!(joiner.standing.begin(&joiner.clock).at >= read_upto);
}

#[test]
fn a_reader_that_is_not_heard_reads_no_further_than_it_promised() {
    let mut table = Table::new();
    let mut reader = Process::joins(&mut table);
    reader.beats(&mut table);
    reader.clock.set_forward(secs(30));
    assert_eq!(reader.watermark(), reader.row.reach);
}

#[test]
fn who_goes_leaves_its_reach_behind() {
    let mut table = Table::new();
    let ahead = Clock::default();
    ahead.set_forward(secs(3_600));
    let gone = Process::joins_with(&mut table, ahead);
    let reached = gone.watermark();
    table.remove(&gone.row);
    let mut joiner = Process::joins(&mut table);
    assert!(joiner.standing.begin(&joiner.clock).at >= reached);
}

#[test]
fn a_row_that_stands_still_is_given_up_after_ten_seconds_of_ones_own() {
    let mut table = Table::new();
    let (mut dying, mut reader) = (Process::joins(&mut table), Process::joins(&mut table));
    let lost = dying.standing.begin(&dying.clock);
    dying.beats(&mut table);
    reader.beats(&mut table);
    for _ in 0..9 {
        table.passes(secs(1));
        assert_eq!(reader.beats(&mut table).dead, []);
        assert!(reader.watermark() <= lost.at);
    }
    table.passes(secs(1));
    let heard = reader.beats(&mut table);
    assert_eq!(heard.dead, [dying.row]);
    assert!(heard.somebody_gone);
    assert!(reader.watermark() > lost.at);
    assert!(!reader.beats(&mut table).somebody_gone, "told once");

    dying.beats(&mut table);
    assert_eq!(reader.beats(&mut table).dead, [], "it lives after all");
    assert_eq!(reader.standing.others_alive(), 1);
}

#[test]
fn a_reader_that_slept_gives_nobody_up_for_it() {
    let mut table = Table::new();
    let (mut other, mut reader) = (Process::joins(&mut table), Process::joins(&mut table));
    reader.beats(&mut table);
    table.passes(secs(30));
    other.beats(&mut table);
    assert_eq!(reader.beats(&mut table).dead, []);
}

/// A process that stood still for 30 s wakes up with a change under way: whoever gave it up has
/// read past the entry, so the change must be announced again, and not behind what they have read.
#[test]
fn who_was_paused_knows_that_it_may_have_been_given_up() {
    let mut table = Table::new();
    let (mut paused, mut reader) = (Process::joins(&mut table), Process::joins(&mut table));
    let place = paused.standing.begin(&paused.clock);
    assert!(paused.standing.was_good_since(place, &table.now));
    paused.beats(&mut table);
    reader.beats(&mut table);
    table.passes(secs(10));
    for row in reader.beats(&mut table).dead {
        table.remove(&row);
    }
    table.passes(secs(20));
    reader.beats(&mut table);
    let read_upto = reader.watermark();
    assert!(read_upto > place.at);

    assert!(!paused.standing.is_good(&table.now));
    assert!(!paused.standing.was_good_since(place, &table.now));
    paused.beats(&mut table);
    assert!(paused.standing.is_good(&table.now));
    assert!(
        !paused.standing.was_good_since(place, &table.now),
        "a beat after the pause does not undo it"
    );
    let again = paused.standing.begin(&paused.clock);
    assert!(again.at >= read_upto);
    assert!(paused.standing.was_good_since(again, &table.now));
}

#[test]
fn an_unknown_outcome_is_waited_out() {
    let mut table = Table::new();
    let mut a = Process::joins(&mut table);
    let place = a.standing.begin(&a.clock);
    a.standing.leave(place, Arc::from([]), table.now);
    assert_eq!(a.standing.count_under_way(), (0, 1));
    table.passes(secs(9));
    assert!(a.standing.let_go(&table.now).is_empty());
    assert_eq!(a.watermark(), place.at);
    table.passes(secs(1));
    let let_go = a.standing.let_go(&table.now);
    assert!(let_go.iter().all(|(_, is_again)| !is_again), "all waited");
    assert_eq!(let_go.len(), 1);
    assert!(a.watermark() > place.at);

    let place = a.standing.begin(&a.clock);
    a.standing.leave(place, Arc::from([]), table.now);
    table.passes(secs(10));
    a.beats(&mut table);
    let let_go = a.standing.let_go(&table.now);
    assert!(let_go.iter().all(|(_, is_again)| *is_again), "not all did");
    assert_eq!(let_go.len(), 1);
}

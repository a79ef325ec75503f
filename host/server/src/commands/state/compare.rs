//! `holdfast state check`: the store by itself, or the pins of two places side by side.
//!
//! Two places are compared without holding either: first a count and a sum of digests for each of
//! 256 prefixes, of which almost all agree; then, of the prefixes that do not, the pins themselves.
//! Where these are too many to hold, digests of them are: a place is never read again and again for
//! some thousands of pins at a time.

mod apart;

use super::bar::{Bar, Whole};
use super::place::{Opened, Place, Purpose, Reach};
use super::source::{self, Start};
use crate::commands::{Failure, terminal};
use anyhow::bail;
use apart::Room;
use clap::Args;
use holdfast_model::{Cid, Pin};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::process::ExitCode;

/// Prefixes that pins are spread over.
const PREFIXES: usize = 256;

/// Differences that are told; all are counted.
const TOLD_MAX: usize = 100;

#[derive(Debug, Args)]
pub(in crate::commands) struct Check {
    /// Compare with this place: the URL of a running host, `cluster+URL` of an IPFS Cluster, or an
    /// exported file.
    #[arg(long, value_name = "PLACE")]
    against: Option<Place>,
    /// What is compared with it.
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "store",
        requires = "against"
    )]
    of: Place,
    #[command(flatten)]
    reach: Reach,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// How two places compare.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Pins of the one and of the other.
    pub(super) pins: [u64; 2],
    /// Pins that only the one has.
    pub(super) only_first: u64,
    /// Pins that only the other has.
    pub(super) only_second: u64,
    /// Pins that both have, and not alike.
    pub(super) different: u64,
    /// The first of them.
    pub(super) differences: Vec<Difference>,
    /// Lines of the one and of the other that are no pins.
    pub(super) bad: [u64; 2],
    /// The first of them, and why.
    pub(super) bad_lines: Vec<String>,
}

/// Lines of a place that are no pins.
#[derive(Debug, Default)]
pub(super) struct Unread {
    count: u64,
    /// The first of them, and why.
    first: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Difference {
    cid: Cid,
    /// What is different of it.
    what: String,
}

impl Check {
    pub(in crate::commands) async fn run(self) -> Result<ExitCode, Failure> {
        let Some(against) = &self.against else {
            return self.alone().await;
        };
        let places = [&self.of, against];
        let work = async |opened: Option<&Opened>| compare(places, &self.reach, opened).await;
        let report = self.reach.while_open(Purpose::Read, &places, work).await?;
        match self.json {
            true => terminal::json(&report)?,
            false => report.say(places)?,
        }
        Ok(terminal::code(report.is_same()))
    }

    /// Walks the store and tells what does not agree within it.
    async fn alone(&self) -> Result<ExitCode, Failure> {
        let opened = self.reach.open(Purpose::Read).await?;
        let faults = opened.store.check().await;
        opened.store.close().await?;
        let faults = faults?;
        match (self.json, faults.is_empty()) {
            (true, _) => terminal::json(&faults)?,
            (false, true) => terminal::say("the store agrees with itself")?,
            (false, false) => terminal::say(&faults.join("\n"))?,
        }
        Ok(terminal::code(faults.is_empty()))
    }
}

/// Counts and sums of digests by prefix.
struct Sums {
    prefixes: Vec<(u64, u128)>,
    /// The first pins that were met.
    first: Vec<Cid>,
}

impl Sums {
    fn new() -> Self {
        Self {
            prefixes: vec![(0, 0); PREFIXES],
            first: Vec::new(),
        }
    }

    fn add(&mut self, pin: &Pin) {
        if self.first.len() < TOLD_MAX {
            self.first.push(pin.cid);
        }
        if let Some((count, sum)) = self.prefixes.get_mut(prefix(&pin.cid)) {
            *count += 1;
            // A sum does not depend on the order, and unlike an exclusive or it does not lose
            // what comes twice.
            *sum = sum.wrapping_add(digest(&pin.to_proto()));
        }
    }

    fn count(&self) -> u64 {
        self.prefixes.iter().map(|(count, _)| count).sum()
    }
}

/// The prefix that a pin falls under.
fn prefix(cid: &Cid) -> usize {
    // The top byte of what is spread evenly, whatever the CIDs.
    usize::try_from(digest(&cid.to_bytes()) >> 120).unwrap_or_default()
}

/// The first half of a SHA-256.
pub(super) fn digest(bytes: &[u8]) -> u128 {
    let full: [u8; 32] = Sha256::digest(bytes).into();
    let (half, _) = full.split_at(16);
    half.iter()
        .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// Compares two places, pin by pin.
pub(super) async fn compare(
    places: [&Place; 2],
    reach: &Reach,
    opened: Option<&Opened>,
) -> Result<Report, Failure> {
    let sides = Places {
        places,
        reach,
        opened,
    };
    compare_sides(&sides, Room::USUAL).await
}

/// Two sides, each of which can be read from its beginning any number of times.
trait Sides {
    /// What a side is called.
    fn name(&self, side: Side) -> String;

    /// Hands each pin of a side on, and tells what is none.
    async fn read(&self, side: Side, take: impl FnMut(Pin)) -> Result<Unread, Failure>;
}

/// One side of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// The sides as they are named on the command line.
struct Places<'a> {
    places: [&'a Place; 2],
    reach: &'a Reach,
    opened: Option<&'a Opened>,
}

impl Places<'_> {
    const fn place(&self, side: Side) -> &Place {
        let [first, second] = self.places;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }
}

impl Sides for Places<'_> {
    fn name(&self, side: Side) -> String {
        self.place(side).to_string()
    }

    async fn read(&self, side: Side, take: impl FnMut(Pin)) -> Result<Unread, Failure> {
        walk(self.place(side), self.reach, self.opened, take).await
    }
}

async fn compare_sides(sides: &impl Sides, room: Room) -> Result<Report, Failure> {
    let (mut first, mut second) = (Sums::new(), Sums::new());
    let unread = [
        sides.read(Side::First, |pin| first.add(&pin)).await?,
        sides.read(Side::Second, |pin| second.add(&pin)).await?,
    ];
    let mut report = Report {
        pins: [first.count(), second.count()],
        bad: unread.each_ref().map(|unread| unread.count),
        bad_lines: unread.into_iter().flat_map(|unread| unread.first).collect(),
        ..Report::default()
    };
    // Where one side is empty, as before a first migration, all is known: millions of pins that
    // only the other has are not read again for it.
    if report.pins.contains(&0) {
        let [pins_of_first, pins_of_second] = report.pins;
        (report.only_first, report.only_second) = (pins_of_first, pins_of_second);
        for (side, sums) in [(Side::First, first), (Side::Second, second)] {
            let what = format!("only in {}", sides.name(side));
            for cid in sums.first {
                report.tell(cid, what.clone());
            }
        }
        return Ok(report);
    }
    apart::tell(sides, &differing(&first, &second), room, &mut report).await?;
    Ok(report)
}

/// The prefixes that differ, and how many pins of the first side they have.
fn differing(first: &Sums, second: &Sums) -> Vec<(usize, u64)> {
    let both = first.prefixes.iter().zip(&second.prefixes).enumerate();
    both.filter(|(_, (one, other))| one != other)
        .map(|(prefix, (one, _))| (prefix, one.0))
        .collect()
}

/// Hands each pin of a place on, whatever there is of them, and tells what is none.
pub(super) async fn walk(
    place: &Place,
    reach: &Reach,
    opened: Option<&Opened>,
    mut take: impl FnMut(Pin),
) -> Result<Unread, Failure> {
    let mut unread = Unread::default();
    let mut pieces = source::open(place, reach, opened, Start::Beginning)?;
    let mut bar = Bar::begin(&format!("read {place}"), Whole::of(place));
    let mut pins = 0;
    while let Some(piece) = pieces.recv().await {
        let piece = piece?;
        pins += u64::try_from(piece.pins.len()).unwrap_or(u64::MAX);
        bar.moved(piece.pins.len(), bar.whole().at(&piece, pins));
        for bad in piece.bad {
            unread.count += 1;
            if unread.first.len() < TOLD_MAX {
                let told = format!("line {} of {place} is no pin: {}", bad.line, bad.why);
                unread.first.push(told);
            }
        }
        piece.pins.into_iter().for_each(&mut take);
    }
    bar.end();
    Ok(unread)
}

impl Unread {
    /// Refuses a place that has anything but pins.
    pub(super) fn must_be_nothing(&self) -> Result<(), Failure> {
        match self.first.first() {
            Some(told) => bail!("{told}"),
            None => Ok(()),
        }
    }
}

impl Report {
    /// Whether the one has what the other has. Nobody knows that of lines that are no pins.
    pub(super) const fn is_same(&self) -> bool {
        let differ = self.only_first + self.only_second + self.different;
        let [of_first, of_second] = self.bad;
        differ + of_first + of_second == 0
    }

    const fn can_tell_more(&self) -> bool {
        self.differences.len() < TOLD_MAX
    }

    fn tell(&mut self, cid: Cid, what: String) {
        if self.can_tell_more() {
            self.differences.push(Difference { cid, what });
        }
    }

    pub(super) fn say(&self, [first, second]: [&Place; 2]) -> Result<(), Failure> {
        let number = terminal::grouped;
        let [of_first, of_second] = self.pins.map(number);
        if self.is_same() {
            return Ok(terminal::say(&format!(
                "{first} and {second} have the same {of_first} pins"
            ))?);
        }
        let mut text = format!(
            "{first} has {of_first} pins, {second} has {of_second}: {} only in the first, {} only in the second, {} different\n",
            number(self.only_first),
            number(self.only_second),
            number(self.different)
        );
        for difference in &self.differences {
            text += &format!("{}  {}\n", difference.cid, difference.what);
        }
        let all = self.only_first + self.only_second + self.different;
        if all > u64::try_from(self.differences.len()).unwrap_or(u64::MAX) {
            text += "and more\n";
        }
        let bad: u64 = self.bad.iter().sum();
        if bad > 0 {
            text += &format!("{} lines are no pins and were left out:\n", number(bad));
            text += &self.bad_lines.join("\n");
        }
        Ok(terminal::say(&text)?)
    }
}

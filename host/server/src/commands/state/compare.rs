//! `holdfast state check`: the store by itself, or the pins of two places side by side.
//!
//! Two places are compared without holding either: first a count and a sum of digests for each of
//! 256 prefixes, of which almost all agree; then, of the prefixes that do not, the pins themselves,
//! as many prefixes at a time as memory is set aside for.

use super::bar::{Bar, Whole};
use super::place::{Opened, Place, Purpose, Reach};
use super::source::{self, Position};
use crate::commands::{Failure, terminal};
use anyhow::bail;
use clap::Args;
use holdfast_model::{Cid, Pin};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::process::ExitCode;

/// Prefixes that pins are spread over.
const PREFIXES: usize = 256;

/// Pins of differing prefixes that are held at once: some 200 MiB.
const ROWS_AT_ONCE: u64 = 200_000;

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
    let mut sums = [Sums::new(), Sums::new()];
    for (place, sums) in places.into_iter().zip(&mut sums) {
        walk(place, reach, opened, |pin| sums.add(&pin)).await?;
    }
    let [first, second] = &sums;
    let mut report = Report {
        pins: [first.count(), second.count()],
        ..Report::default()
    };
    // Where one side is empty, as before a first migration, all is known: millions of pins that
    // only the other has are not read again and again for it.
    if report.pins.contains(&0) {
        let [pins_of_first, pins_of_second] = report.pins;
        (report.only_first, report.only_second) = (pins_of_first, pins_of_second);
        for (place, sums) in places.into_iter().zip(&sums) {
            for cid in &sums.first {
                report.tell(*cid, format!("only in {place}"));
            }
        }
        return Ok(report);
    }
    for prefixes in groups(first, second) {
        rows(places, reach, opened, &prefixes, &mut report).await?;
    }
    Ok(report)
}

/// The prefixes that differ, some at a time.
fn groups(first: &Sums, second: &Sums) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    let (mut group, mut held) = (Vec::new(), 0);
    for (prefix, (one, other)) in first.prefixes.iter().zip(&second.prefixes).enumerate() {
        if one == other {
            continue;
        }
        if held > 0 && held + one.0 > ROWS_AT_ONCE {
            groups.push(std::mem::take(&mut group));
            held = 0;
        }
        held += one.0;
        group.push(prefix);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// Compares the pins of some prefixes.
async fn rows(
    places: [&Place; 2],
    reach: &Reach,
    opened: Option<&Opened>,
    prefixes: &[usize],
    report: &mut Report,
) -> Result<(), Failure> {
    let [first, second] = places;
    let mut held = HashMap::new();
    walk(first, reach, opened, |pin| {
        if prefixes.contains(&prefix(&pin.cid)) {
            held.insert(pin.cid, pin.into_stored());
        }
    })
    .await?;
    walk(second, reach, opened, |pin| {
        if !prefixes.contains(&prefix(&pin.cid)) {
            return;
        }
        let other = pin.into_stored();
        match held.remove(&other.cid) {
            None => {
                report.only_second += 1;
                report.tell(other.cid, format!("only in {second}"));
            }
            Some(one) if one.to_proto() != other.to_proto() => {
                report.different += 1;
                report.tell(other.cid, what_differs(&one, &other));
            }
            Some(_) => {}
        }
    })
    .await?;
    for cid in held.into_keys() {
        report.only_first += 1;
        report.tell(cid, format!("only in {first}"));
    }
    Ok(())
}

/// Hands each pin of a place on, whatever there is of them.
pub(super) async fn walk(
    place: &Place,
    reach: &Reach,
    opened: Option<&Opened>,
    mut take: impl FnMut(Pin),
) -> Result<(), Failure> {
    let mut pieces = source::open(place, reach, opened, Position::default())?;
    let mut bar = Bar::begin(&format!("read {place}"), Whole::Unknown);
    while let Some(piece) = pieces.recv().await {
        let piece = piece?;
        if let Some(bad) = piece.bad.first() {
            bail!("line {} of {place} is no pin: {}", bad.line, bad.why);
        }
        bar.moved(piece.pins.len(), 0);
        piece.pins.into_iter().for_each(&mut take);
    }
    bar.end();
    Ok(())
}

/// Names what two pins of a CID do not have alike.
fn what_differs(one: &Pin, other: &Pin) -> String {
    let (a, b) = (&one.options, &other.options);
    let fields = [
        ("type", one.pin_type != other.pin_type),
        ("allocations", one.allocations != other.allocations),
        ("max_depth", one.max_depth != other.max_depth),
        ("reference", one.reference != other.reference),
        ("timestamp", one.timestamp != other.timestamp),
        (
            "replication_factor_min",
            a.replication_factor_min != b.replication_factor_min,
        ),
        (
            "replication_factor_max",
            a.replication_factor_max != b.replication_factor_max,
        ),
        ("name", a.name != b.name),
        ("shard_size", a.shard_size != b.shard_size),
        ("expire_at", a.expire_at != b.expire_at),
        ("metadata", a.metadata != b.metadata),
        ("pin_update", a.pin_update != b.pin_update),
        ("origins", a.origins != b.origins),
    ];
    let named = fields.iter().filter(|(_, differs)| *differs);
    let named: Vec<&str> = named.map(|(name, _)| *name).collect();
    format!("{} differ", named.join(", "))
}

impl Report {
    pub(super) const fn is_same(&self) -> bool {
        self.only_first == 0 && self.only_second == 0 && self.different == 0
    }

    fn tell(&mut self, cid: Cid, what: String) {
        if self.differences.len() < TOLD_MAX {
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
        Ok(terminal::say(&text)?)
    }
}

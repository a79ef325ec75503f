//! `holdfast state migrate`: moves a running IPFS Cluster's pins here while it goes on working.
//!
//! The cluster has no feed of changes, so its pins are read again and again: each round writes what
//! is new or different since the round before and removes what has gone, until a round finds
//! nothing. Then both sides are compared, pin by pin. What rounds must remember is in [`Known`].
//!
//! A run that was killed is begun again: what is here already and alike is passed over. What the
//! cluster has unpinned meanwhile is removed only if it is what an earlier run has written, which
//! its [`Journal`] remembers: nothing of anybody else's is ever removed.

use super::bar::{Bar, Whole};
use super::compare::{compare, walk};
use super::journal::{Beginning, Journal};
use super::known::{Gone, Known, removed};
use super::place::{Opened, Place, Purpose, Reach};
use super::rejects::Rejects;
use super::source::{self, PIECE_PINS, Piece, Start};
use super::target::{Done, Target};
use crate::commands::{Failure, terminal};
use crate::pins::state::{Entry, Step};
use anyhow::bail;
use clap::Args;
use holdfast_model::{Cid, Pin};
use holdfast_store::Expect;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
pub(in crate::commands) struct Migrate {
    /// The cluster: `cluster+http://HOST:9094`; a running host or a file may stand here too.
    #[arg(long, value_name = "PLACE")]
    from: Place,
    /// Where to: `store`, or the URL of a running host.
    #[arg(long, value_name = "PLACE", default_value = "store")]
    to: Place,
    #[command(flatten)]
    reach: Reach,
    /// Compare and tell what would be done; change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Rounds after which it gives up on a cluster that is never quiet.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: u32,
    /// Seconds between two rounds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pause: u64,
    /// Where it is kept how the migration began; beside it, in FILE.written, what it wrote.
    #[arg(long, value_name = "FILE", default_value = "holdfast-migrate.progress")]
    progress: PathBuf,
    /// Where that goes which the last round found to be no pin, or could not store.
    #[arg(long, value_name = "FILE", default_value = "holdfast-migrate.rejects")]
    rejects: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// What a round did.
#[derive(Debug, Default)]
struct Round {
    written: u64,
    removed: u64,
    /// What was no pin or was not taken, of the last round.
    rejected: u64,
}

impl Round {
    /// How it ended, for the audit log.
    fn told(&self) -> String {
        let told = format!("written {}, removed {}", self.written, self.removed);
        match self.rejected {
            0 => told,
            rejected => format!("{told}, rejected {rejected}"),
        }
    }
}

impl Migrate {
    pub(in crate::commands) async fn run(self) -> Result<ExitCode, Failure> {
        let work = async |opened: Option<&Opened>| self.migrate(opened).await;
        let purpose = match self.dry_run {
            true => Purpose::Read,
            false => Purpose::Write,
        };
        self.reach.while_open(purpose, &[&self.to], work).await
    }

    async fn migrate(&self, opened: Option<&Opened>) -> Result<ExitCode, Failure> {
        let mut journal = None;
        if !self.dry_run {
            let target = Target::of(&self.to, &self.reach, opened)?;
            let mut copy = async || self.copy(&target, opened, &mut journal).await;
            match opened {
                Some(store) => {
                    let what = format!("state migrate from {}", self.from);
                    store.recorded(what, copy, Round::told).await?
                }
                None => copy().await?,
            };
        }
        let places = [&self.from, &self.to];
        let report = compare(places, &self.reach, opened).await?;
        match self.json {
            true => terminal::json(&report)?,
            false => report.say(places)?,
        }
        if self.dry_run {
            // That they differ yet is no failure.
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(journal) = journal.filter(|_| report.is_same()) {
            journal.forget()?;
        }
        Ok(terminal::code(report.is_same()))
    }

    /// Copies until a round finds nothing to do.
    async fn copy(
        &self,
        target: &Target<'_>,
        opened: Option<&Opened>,
        journal: &mut Option<Journal>,
    ) -> Result<Round, Failure> {
        let mut known = Known::default();
        let beginning = Beginning {
            from: self.from.to_string(),
            to: self.to.full_name(opened),
        };
        let left = Journal::open(&self.progress, &beginning, |record| known.wrote(record))?;
        let journal = journal.insert(left);
        let met = walk(&self.to, &self.reach, opened, |pin| known.meet(&pin)).await?;
        met.must_be_nothing()?;
        known.are_met();
        let mut all = Round::default();
        for n in 1..=self.rounds {
            let round = self.round(target, opened, &mut known, journal).await?;
            terminal::note(&format!(
                "round {n}: {} written, {} removed",
                terminal::grouped(round.written),
                terminal::grouped(round.removed)
            ));
            all.rejected = round.rejected;
            if round.written == 0 && round.removed == 0 {
                self.tell_rejects(&all);
                return Ok(all);
            }
            all.written += round.written;
            all.removed += round.removed;
            tokio::time::sleep(Duration::from_secs(self.pause)).await;
        }
        self.tell_rejects(&all);
        terminal::note(&format!(
            "{} changed in each of {} rounds; what follows is what differs now",
            self.from, self.rounds
        ));
        Ok(all)
    }

    fn tell_rejects(&self, all: &Round) {
        if all.rejected > 0 {
            terminal::note(&format!(
                "{} were rejected, see {}; while a line is no pin, nothing is removed",
                terminal::grouped(all.rejected),
                self.rejects.display()
            ));
        }
    }

    /// One round.
    async fn round(
        &self,
        target: &Target<'_>,
        opened: Option<&Opened>,
        known: &mut Known,
        journal: &mut Journal,
    ) -> Result<Round, Failure> {
        let whole = match known.listed() {
            0 => Whole::of(&self.from),
            pins => Whole::Pins(pins),
        };
        known.next_round();
        let mut bar = Bar::begin("copy", whole);
        let (mut round, mut at) = (Round::default(), 0);
        let mut rejects = Rejects::begin(self.rejects.clone())?;
        let mut bad = 0;
        let mut pieces = source::open(&self.from, &self.reach, None, Start::Beginning)?;
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            let count = piece.pins.len();
            bad += piece.bad.len();
            at += u64::try_from(count).unwrap_or(u64::MAX);
            bar.moved(count, bar.whole().at(&piece, at));
            round.written += take(piece, target, known, journal, &mut rejects).await?;
        }
        bar.end();
        rejects.flush()?;
        round.rejected = rejects.count;
        if bad > 0 {
            // Any of these lines may be a pin that is still there.
            return Ok(round);
        }
        // Only a list that ended well tells what has gone.
        let gone = known.take_gone();
        if !gone.is_empty() {
            round.removed = self.remove(target, opened, &gone, journal).await?;
        }
        Ok(round)
    }

    /// Removes from the target what has gone from the cluster.
    async fn remove(
        &self,
        target: &Target<'_>,
        opened: Option<&Opened>,
        gone: &Gone,
        journal: &mut Journal,
    ) -> Result<u64, Failure> {
        let mut cids = Vec::new();
        walk(&self.to, &self.reach, opened, |pin| {
            if gone.contains(&pin) {
                cids.push(pin.cid);
            }
        })
        .await?
        .must_be_nothing()?;
        let mut count = 0;
        for cids in cids.chunks(PIECE_PINS) {
            count += remove(target, cids.to_vec(), gone, journal).await?;
        }
        Ok(count)
    }
}

/// Removes pins, each as it was when it was found to be gone; what others have written since stays.
async fn remove(
    target: &Target<'_>,
    cids: Vec<Cid>,
    gone: &Gone,
    journal: &mut Journal,
) -> Result<u64, Failure> {
    let found = target.find(cids, |pin| gone.contains(pin)).await?;
    let entries = found.iter().map(|(cid, version)| Entry {
        step: Step::Delete(*cid),
        expect: Expect::Version(*version),
    });
    let (mut count, mut records) = (0, Vec::new());
    for ((cid, _), done) in found.iter().zip(target.write(entries.collect()).await?) {
        // One that is kept is no longer ours either.
        records.push(removed(cid));
        match done {
            Done::Applied => count += 1,
            Done::Kept => {}
            Done::Refused(why) => bail!("a pin cannot be removed here: {why}"),
        }
    }
    journal.write(&records)?;
    Ok(count)
}

/// Takes in a piece of what the cluster lists; answers how many pins were written.
async fn take(
    piece: Piece,
    target: &Target<'_>,
    known: &mut Known,
    journal: &mut Journal,
    rejects: &mut Rejects,
) -> Result<u64, Failure> {
    for bad in &piece.bad {
        rejects.bad(bad)?;
    }
    let (mut records, mut named, mut news) = (Vec::new(), Vec::new(), Vec::new());
    for (line, pin) in piece.lines.into_iter().zip(piece.pins) {
        if let Some(record) = known.list(&pin) {
            records.push(record);
            named.push((line, pin.cid));
            news.push(put(pin));
        }
    }
    journal.write(&records)?;
    let mut written = 0;
    for ((line, cid), done) in named.into_iter().zip(target.write(news).await?) {
        match done {
            Done::Refused(why) => {
                rejects.refused(line, cid, &why)?;
                // Each round tries it, and the last one rejects it.
                known.forget(&cid);
            }
            _ => written += 1,
        }
    }
    Ok(written)
}

fn put(pin: Pin) -> Entry {
    Entry {
        step: Step::Put(Box::new(pin)),
        expect: Expect::Any,
    }
}

//! `holdfast state migrate`: moves a running IPFS Cluster's pins here while it goes on working.
//!
//! The cluster has no feed of changes, so its pins are read again and again: each round writes what
//! is new or different since the round before and removes what has gone, until a round finds
//! nothing. Then both sides are compared, pin by pin. What rounds must remember is in [`Known`].
//!
//! A run that was killed is begun again: what is here already and alike is passed over. What the
//! cluster has unpinned meanwhile is removed only if the target was empty when the first run began,
//! which a file remembers: nothing of anybody else's is ever removed.

use super::bar::{Bar, Whole};
use super::compare::{compare, walk};
use super::known::{Gone, Known};
use super::place::{Opened, Place, Purpose, Reach};
use super::source::{self, PIECE_PINS, Position};
use super::target::{Done, Target};
use crate::commands::{Failure, terminal};
use crate::pins::state::{Entry, Step};
use anyhow::{Context, bail};
use clap::Args;
use holdfast_model::Pin;
use holdfast_store::Expect;
use serde::{Deserialize, Serialize};
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
    /// Where it is kept how the migration began.
    #[arg(long, value_name = "FILE", default_value = "holdfast-migrate.progress")]
    progress: PathBuf,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// How a migration began.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beginning {
    from: String,
    to: String,
    /// Whether the target had no pins: then all that it has are of this migration.
    was_empty: bool,
}

/// What a round did.
#[derive(Debug, Default)]
struct Round {
    written: u64,
    removed: u64,
}

impl Round {
    /// How it ended, for the audit log.
    fn told(&self) -> String {
        format!("written {}, removed {}", self.written, self.removed)
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
        if !self.dry_run {
            let target = Target::of(&self.to, &self.reach, opened)?;
            let copy = async || self.copy(&target, opened).await;
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
        if report.is_same() {
            forget(&self.progress)?;
        }
        Ok(terminal::code(report.is_same()))
    }

    /// Copies until a round finds nothing to do.
    async fn copy(&self, target: &Target<'_>, opened: Option<&Opened>) -> Result<Round, Failure> {
        let mut known = Known::default();
        walk(&self.to, &self.reach, opened, |pin| known.add(&pin)).await?;
        if self.begin(known.is_empty())? {
            known.are_the_clusters();
        }
        let mut all = Round::default();
        for n in 1..=self.rounds {
            let round = self.round(target, opened, &mut known).await?;
            terminal::note(&format!(
                "round {n}: {} written, {} removed",
                terminal::grouped(round.written),
                terminal::grouped(round.removed)
            ));
            if round.written == 0 && round.removed == 0 {
                return Ok(all);
            }
            all.written += round.written;
            all.removed += round.removed;
            tokio::time::sleep(Duration::from_secs(self.pause)).await;
        }
        terminal::note(&format!(
            "{} changed in each of {} rounds; what follows is what differs now",
            self.from, self.rounds
        ));
        Ok(all)
    }

    /// Whether what is here and not there may be removed; remembered from the first run on.
    fn begin(&self, is_empty: bool) -> Result<bool, Failure> {
        let fresh = Beginning {
            from: self.from.to_string(),
            to: self.to.to_string(),
            was_empty: is_empty,
        };
        let shown = self.progress.display();
        match std::fs::read(&self.progress) {
            Ok(text) => {
                let left: Beginning = serde_json::from_slice(&text)
                    .with_context(|| format!("{shown} is no progress file; delete it"))?;
                if left.from != fresh.from || left.to != fresh.to {
                    bail!(
                        "{shown} is of a migration from {} to {}; finish that, or delete it",
                        left.from,
                        left.to
                    );
                }
                Ok(left.was_empty)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                std::fs::write(&self.progress, serde_json::to_vec_pretty(&fresh)?)
                    .with_context(|| format!("{shown} cannot be written; set --progress"))?;
                Ok(is_empty)
            }
            Err(error) => Err(error).with_context(|| format!("{shown} cannot be read")),
        }
    }

    /// One round.
    async fn round(
        &self,
        target: &Target<'_>,
        opened: Option<&Opened>,
        known: &mut Known,
    ) -> Result<Round, Failure> {
        let whole = match known.listed() {
            0 => Whole::Unknown,
            pins => Whole::Pins(pins),
        };
        known.next_round();
        let mut bar = Bar::begin("copy", whole);
        let (mut round, mut at) = (Round::default(), 0);
        let mut pieces = source::open(&self.from, &self.reach, None, Position::default())?;
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            if let Some(bad) = piece.bad.first() {
                bail!("{} told something that is no pin: {}", self.from, bad.why);
            }
            let count = piece.pins.len();
            let news = piece.pins.into_iter().filter(|pin| known.list(pin));
            round.written += write(target, news.map(put).collect()).await?;
            at += u64::try_from(count).unwrap_or(u64::MAX);
            bar.moved(count, at);
        }
        bar.end();
        // Only a list that ended well tells what has gone.
        let gone = known.take_gone();
        if !gone.is_empty() {
            round.removed = self.remove(target, opened, &gone).await?;
        }
        Ok(round)
    }

    /// Removes from the target what has gone from the cluster.
    async fn remove(
        &self,
        target: &Target<'_>,
        opened: Option<&Opened>,
        gone: &Gone,
    ) -> Result<u64, Failure> {
        let mut entries = Vec::new();
        walk(&self.to, &self.reach, opened, |pin| {
            if gone.contains(&pin.cid) {
                entries.push(Entry {
                    step: Step::Delete(pin.cid),
                    expect: Expect::Any,
                });
            }
        })
        .await?;
        let mut removed = 0;
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(PIECE_PINS));
            removed += write(target, std::mem::replace(&mut entries, rest)).await?;
        }
        Ok(removed)
    }
}

fn put(pin: Pin) -> Entry {
    Entry {
        step: Step::Put(Box::new(pin)),
        expect: Expect::Any,
    }
}

/// Writes entries; all of them must be taken.
async fn write(target: &Target<'_>, entries: Vec<Entry>) -> Result<u64, Failure> {
    let mut written = 0;
    for done in target.write(entries).await? {
        if let Done::Refused(why) = done {
            bail!("a pin cannot be stored here: {why}");
        }
        written += 1;
    }
    Ok(written)
}

fn forget(path: &std::path::Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

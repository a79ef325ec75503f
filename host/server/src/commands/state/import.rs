//! `holdfast state import`: pins out of a file into a store or a running host.

use super::bar::{Bar, Whole};
use super::place::{Opened, Place, Purpose, Reach};
use super::progress::{Counts, Kept, Progress, beside};
use super::rejects::Rejects;
use super::source::{self, Piece, Position, Start};
use super::target::{Done, Target, refusal};
use crate::commands::{Failure, terminal};
use crate::pins::state::{self, Entry, Step};
use anyhow::{Context, bail};
use clap::Args;
use holdfast_model::{Invalid, PeerId, Pin};
use holdfast_store::Expect;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bad lines that are told on the terminal; the rest are in the file of rejects.
const TOLD_MAX: u64 = 10;

/// Bytes of the file that are digested at once.
const DIGEST_BYTES: usize = 256 * 1024;

#[derive(Debug, Args)]
pub(in crate::commands) struct Import {
    /// The file, of lines or a snapshot; `-` for what comes through the pipe.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to: `store`, or the URL of a running host.
    #[arg(long, value_name = "PLACE", default_value = "store")]
    to: Place,
    #[command(flatten)]
    reach: Reach,
    /// Read everything and write nothing but the rejects.
    #[arg(long)]
    dry_run: bool,
    /// Leave pins that are there already as they are.
    #[arg(long)]
    keep: bool,
    /// Remove what the target's cluster has pinned first. The file is read whole before that, and
    /// nothing is removed if a line of it is bad.
    #[arg(long)]
    clear: bool,
    /// Stop at the first bad line.
    #[arg(long)]
    stop_on_reject: bool,
    /// Where bad lines go [default: FILE.rejects].
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Where it is kept how far it is [default: FILE.progress].
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,
    /// Give every pin this `replication_factor_min`.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rmin: Option<i32>,
    /// Give every pin this `replication_factor_max`.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    rmax: Option<i32>,
    /// Give every pin these allocations: peer ids, by commas.
    #[arg(long, value_name = "PEERS", value_delimiter = ',', value_parser = PeerId::parse)]
    allocations: Option<Vec<PeerId>>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// What an import came to.
#[derive(Debug, Default)]
struct Imported {
    counts: Counts,
    /// What was there and had to go first.
    removed: u64,
}

/// One run of an import.
struct Run<'a> {
    import: &'a Import,
    target: Target<'a>,
    rejects: Rejects,
    progress: Progress,
    /// Nothing for a pipe, which cannot be gone on in, and for a dry run.
    kept: Option<Kept>,
    bar: Bar,
}

impl Import {
    pub(in crate::commands) async fn run(self) -> Result<ExitCode, Failure> {
        let work = async |opened: Option<&Opened>| match opened {
            Some(store) if !self.dry_run => {
                let work = async || self.import(opened).await;
                store.recorded(self.told()?, work, Imported::told).await
            }
            _ => self.import(opened).await,
        };
        // A dry run needs no store: it only reads the source.
        let places = [&self.to];
        let places = if self.dry_run { &[] } else { places.as_slice() };
        let done = self.reach.while_open(Purpose::Write, places, work).await?;
        let counts = done.counts;
        if self.json {
            terminal::json(&counts)?;
        }
        Ok(terminal::code(counts.rejected == 0))
    }

    /// What is about to be done. The file's name comes last: it may be long.
    fn told(&self) -> Result<String, Failure> {
        let mut told = "state import".to_owned();
        for (is_set, flag) in [(self.clear, "clear"), (self.keep, "keep")] {
            if is_set {
                told += &format!(" --{flag}");
            }
        }
        if self.is_pipe() {
            return Ok(told + " of what came through the pipe");
        }
        let digest = sha256(&self.file);
        let digest = digest.with_context(|| format!("{} cannot be read", self.file.display()))?;
        let path = std::path::absolute(&self.file)?;
        Ok(told + &format!(" of the file with sha256 {digest}, {}", path.display()))
    }

    fn is_pipe(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn source(&self) -> Place {
        Place::File(self.file.clone())
    }

    async fn import(&self, opened: Option<&Opened>) -> Result<Imported, Failure> {
        if self.clear && self.is_pipe() {
            bail!(
                "--clear reads the source twice, and a pipe can be read once; write it to a file"
            );
        }
        let (mut run, mut removed) = (self.begin(opened)?, 0);
        if self.clear && !self.dry_run && !run.progress.cleared {
            self.must_be_whole().await?;
            removed = clear(opened, &self.to).await?;
            terminal::note(&format!("removed {} pins", terminal::grouped(removed)));
            run.progress.cleared = true;
            run.keep(true)?;
        }
        let mut pieces = source::open(
            &self.source(),
            &self.reach,
            None,
            Start::At(run.progress.at),
        )?;
        while let Some(piece) = pieces.recv().await {
            run.take(piece?).await?;
        }
        let counts = run.end()?;
        Ok(Imported { counts, removed })
    }

    fn begin<'a>(&'a self, opened: Option<&'a Opened>) -> Result<Run<'a>, Failure> {
        let fresh = Progress {
            source: self.source().to_string(),
            target: self.to.full_name(opened),
            size: self.size()?,
            ..Progress::default()
        };
        let name = if self.is_pipe() {
            "pins".into()
        } else {
            self.file.clone()
        };
        let path = self
            .progress
            .clone()
            .unwrap_or_else(|| beside(&name, ".progress"));
        let (kept, progress) = match self.is_pipe() || self.dry_run {
            true => (None, fresh),
            false => {
                let (kept, progress) = Kept::open(path, fresh)?;
                (Some(kept), progress)
            }
        };
        if progress.at != Position::default() {
            let lines = terminal::grouped(progress.at.lines);
            terminal::note(&format!("going on after line {lines}"));
        }
        let rejects = self
            .rejects
            .clone()
            .unwrap_or_else(|| beside(&name, ".rejects"));
        let whole = if self.is_pipe() {
            Whole::Unknown
        } else {
            Whole::Bytes(progress.size)
        };
        Ok(Run {
            import: self,
            target: match self.dry_run {
                true => Target::Nothing,
                false => Target::of(&self.to, &self.reach, opened)?,
            },
            rejects: Rejects::resume(rejects, progress.rejects_bytes, progress.counts.rejected)?,
            progress,
            kept,
            bar: Bar::begin("import", whole),
        })
    }

    fn size(&self) -> Result<u64, Failure> {
        if self.is_pipe() {
            return Ok(0);
        }
        let file = std::fs::metadata(&self.file);
        let file = file.with_context(|| format!("{} cannot be read", self.file.display()))?;
        Ok(file.len())
    }

    /// Reads the source through: before anything is removed, it must be known to be whole.
    async fn must_be_whole(&self) -> Result<(), Failure> {
        let mut pieces = source::open(&self.source(), &self.reach, None, Start::Beginning)?;
        while let Some(piece) = pieces.recv().await {
            if let Some((line, why)) = self.first_bad(&piece?) {
                bail!(
                    "line {line} of {} is bad ({why}), so nothing was removed; mend it, or import without --clear",
                    self.file.display(),
                );
            }
        }
        Ok(())
    }

    /// The first line of a piece that is no pin, or one that can be stored nowhere, and why.
    fn first_bad(&self, piece: &Piece) -> Option<(u64, Invalid)> {
        let bad = piece.bad.iter().map(|bad| (bad.line, bad.why.clone()));
        let pins = piece.lines.iter().zip(&piece.pins);
        let refused = pins.filter_map(|(line, pin)| {
            let why = refusal(&self.entry(pin.clone()))?;
            Some((*line, why))
        });
        bad.chain(refused).min_by_key(|(line, _)| *line)
    }

    fn entry(&self, mut pin: Pin) -> Entry {
        let options = &mut pin.options;
        options.replication_factor_min = self.rmin.unwrap_or(options.replication_factor_min);
        options.replication_factor_max = self.rmax.unwrap_or(options.replication_factor_max);
        if let Some(allocations) = &self.allocations {
            pin.allocations.clone_from(allocations);
        }
        Entry {
            step: Step::Put(Box::new(pin)),
            expect: if self.keep {
                Expect::Absent
            } else {
                Expect::Any
            },
        }
    }
}

impl Imported {
    /// How it ended, for the audit log.
    fn told(&self) -> String {
        let Counts {
            imported,
            kept,
            upgraded,
            rejected,
        } = self.counts;
        let removed = self.removed;
        format!(
            "removed {removed}, imported {imported} ({upgraded} of old forms), kept {kept}, \
             rejected {rejected}"
        )
    }
}

/// The SHA-256 of a file in hex. It takes a hundredth of the time that writing its pins does.
fn sha256(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; DIGEST_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(read) = buffer.get(..read).filter(|read| !read.is_empty()) else {
            return Ok(terminal::hex(&hash.finalize().into()));
        };
        hash.update(read);
    }
}

/// Removes what a cluster has pinned in the store.
async fn clear(opened: Option<&Opened>, place: &Place) -> Result<u64, Failure> {
    let Some(opened) = opened else {
        bail!("--clear works on `store`, while no host runs on it, and not on {place}");
    };
    let mut scan = state::scan(&opened.store, &opened.may_read, None)?;
    let mut removed = 0;
    while let Some(page) = scan.next().await? {
        let of_cluster = page.into_iter().filter(|stored| stored.by_cluster);
        let entries = of_cluster.map(|stored| Entry {
            step: Step::Delete(stored.pin.cid),
            expect: Expect::Any,
        });
        let answers = state::commit(&opened.store, &opened.may_write, entries.collect()).await;
        for answer in answers {
            answer?;
            removed += 1;
        }
    }
    Ok(removed)
}

impl Run<'_> {
    async fn take(&mut self, mut piece: Piece) -> Result<(), Failure> {
        let rejected_before = self.rejects.count;
        if self.import.stop_on_reject
            && let Some((line, _)) = self.import.first_bad(&piece)
        {
            piece.end_with(line);
        }
        for bad in &piece.bad {
            self.rejects.bad(bad)?;
            if self.rejects.count <= TOLD_MAX {
                terminal::note(&format!("line {}: {}", bad.line, bad.why));
            }
        }
        let count = piece.pins.len();
        let cids: Vec<_> = piece.pins.iter().map(|pin| pin.cid).collect();
        let cids = piece.lines.into_iter().zip(cids);
        let entries = piece.pins.into_iter().map(|pin| self.import.entry(pin));
        let done = self.target.write(entries.collect()).await?;
        let counts = &mut self.progress.counts;
        for ((line, cid), done) in cids.zip(done) {
            match done {
                Done::Applied => counts.imported += 1,
                Done::Kept => counts.kept += 1,
                Done::Refused(why) => self.rejects.refused(line, cid, &why)?,
            }
        }
        if self.import.stop_on_reject && self.rejects.count > rejected_before {
            // The piece is read again when it is gone on, so the progress does not tell of it.
            self.rejects.flush()?;
            bail!(
                "stopped at a bad line, as was asked; what came before it is imported, and it is in {}",
                self.rejects.path().display()
            );
        }
        counts.upgraded += piece.old;
        counts.rejected = self.rejects.count;
        self.progress.at = piece.at;
        self.bar.moved(count, piece.at.bytes);
        self.keep(false)
    }

    fn keep(&mut self, must: bool) -> Result<(), Failure> {
        self.rejects.flush()?;
        self.progress.rejects_bytes = self.rejects.bytes;
        match &mut self.kept {
            Some(kept) => kept.save(&self.progress, must),
            None => Ok(()),
        }
    }

    fn end(mut self) -> Result<Counts, Failure> {
        self.rejects.flush()?;
        if let Some(kept) = self.kept {
            kept.forget()?;
        }
        let pace = self.bar.end();
        let Counts {
            imported,
            kept,
            upgraded,
            rejected,
        } = self.progress.counts;
        let verb = if self.import.dry_run {
            "would import"
        } else {
            "imported"
        };
        let number = terminal::grouped;
        let mut said = format!("{verb} {} pins ({pace})", number(imported));
        for (count, words) in [
            (kept, "were there and stayed"),
            (upgraded, "were of old forms"),
        ] {
            if count > 0 {
                said += &format!("; {} {words}", number(count));
            }
        }
        if rejected > 0 {
            let path = self.rejects.path().display();
            said += &format!("; {} were rejected, see {path}", number(rejected));
        }
        terminal::note(&said);
        Ok(self.progress.counts)
    }
}

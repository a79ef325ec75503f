//! `holdfast state export`: all pins as IPFS Cluster exports them.

mod part;

use super::bar::{Bar, Whole};
use super::place::{Opened, Place, Purpose, Reach};
use super::source::{self, Mark, Piece, Start};
use crate::commands::{Failure, terminal};
use anyhow::bail;
use clap::{Args, ValueEnum};
use holdfast_model::Pin;
use holdfast_model::pin::PinWriter;
use holdfast_model::pin::export::write_entry;
use part::Part;
use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes that are written at once.
const WRITE_BYTES: usize = 1024 * 1024;

/// How pins are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One pin a line: what `ipfs-cluster-service state export` writes.
    Lines,
    /// IPFS Cluster's snapshot: MessagePack.
    Snapshot,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Export {
    /// The file, which has its name when it is whole; `-` writes into the pipe. Run again after it
    /// was stopped, an export of a store or a running host goes on in FILE.part, unless you delete
    /// that. What went into a pipe cannot be gone on with.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Where from: `store`, the URL of a running host, or `cluster+URL` of an IPFS Cluster.
    #[arg(long, value_name = "PLACE", default_value = "store")]
    from: Place,
    #[command(flatten)]
    reach: Reach,
    /// How pins are written.
    #[arg(long, value_enum, default_value = "lines")]
    format: Format,
    /// Write over a file that is there.
    #[arg(long)]
    overwrite: bool,
}

impl Export {
    pub(in crate::commands) async fn run(self) -> Result<ExitCode, Failure> {
        let work = async |opened: Option<&Opened>| self.write(opened).await;
        self.reach
            .while_open(Purpose::Read, &[&self.from], work)
            .await?;
        Ok(ExitCode::SUCCESS)
    }

    async fn write(&self, opened: Option<&Opened>) -> Result<(), Failure> {
        let (mut out, left) = self.begin(opened)?;
        let start = left.map_or(Start::Beginning, Start::Behind);
        let mut pieces = source::open(&self.from, &self.reach, opened, start)?;
        let mut bar = Bar::begin("export", Whole::of(&self.from));
        let mut buffer = Vec::with_capacity(WRITE_BYTES);
        let mut writer = PinWriter::default();
        while let Some(piece) = pieces.recv().await {
            let piece = piece?;
            if let Some(bad) = piece.bad.first() {
                bail!("{} told something that is no pin: {}", self.from, bad.why);
            }
            for pin in &piece.pins {
                self.format.write(pin, &mut writer, &mut buffer)?;
            }
            out.write(&buffer, &piece)?;
            buffer.clear();
            bar.moved(piece.pins.len(), bar.whole().at(&piece, 0));
        }
        out.end(&self.file)?;
        terminal::note(&format!("exported {}", bar.end()));
        Ok(())
    }

    /// Where it is written, and behind what to go on if an earlier run has begun it.
    fn begin(&self, opened: Option<&Opened>) -> Result<(Out, Option<Mark>), Failure> {
        if self.file.as_os_str() == "-" {
            return Ok((Out::Pipe(io::stdout()), None));
        }
        if self.file.exists() && !self.overwrite {
            bail!(
                "{} is there; name another file, or say --overwrite",
                self.file.display()
            );
        }
        let of = format!("{} as {}", self.from.full_name(opened), self.format.name());
        let (part, left) = Part::open(&self.file, of)?;
        Ok((Out::Part(Box::new(part)), left))
    }
}

/// Where pins are written.
enum Out {
    Pipe(Stdout),
    Part(Box<Part>),
}

impl Out {
    /// Writes a piece.
    fn write(&mut self, bytes: &[u8], piece: &Piece) -> Result<(), Failure> {
        match self {
            Self::Pipe(pipe) => Ok(pipe.write_all(bytes)?),
            Self::Part(part) => part.write(bytes, piece),
        }
    }

    fn end(self, file: &Path) -> Result<(), Failure> {
        match self {
            Self::Pipe(mut pipe) => Ok(pipe.flush()?),
            Self::Part(part) => part.end(file),
        }
    }
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Snapshot => "a snapshot",
        }
    }

    fn write(self, pin: &Pin, writer: &mut PinWriter, out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Lines => {
                writer.write(pin, out)?;
                out.push(b'\n');
            }
            Self::Snapshot => write_entry(pin, out),
        }
        Ok(())
    }
}

//! `holdfast state export`: all pins as IPFS Cluster exports them.

use super::bar::{Bar, Whole};
use super::place::{Opened, Place, Purpose, Reach};
use super::source::{self, Position};
use crate::commands::{Failure, terminal};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use holdfast_model::Pin;
use holdfast_model::pin::PinWriter;
use holdfast_model::pin::export::write_entry;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
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
    /// The file; `-` writes into the pipe.
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
        // A file is named when it is whole: half an export looks like a whole one.
        let incoming = super::progress::beside(&self.file, ".part");
        let is_pipe = self.file.as_os_str() == "-";
        let out: Box<dyn Write> = if is_pipe {
            Box::new(io::stdout())
        } else {
            if self.file.exists() && !self.overwrite {
                bail!(
                    "{} is there; name another file, or say --overwrite",
                    self.file.display()
                );
            }
            let file = File::create(&incoming);
            Box::new(file.with_context(|| format!("{} cannot be written", incoming.display()))?)
        };
        let mut out = BufWriter::with_capacity(WRITE_BYTES, out);
        let mut pieces = source::open(&self.from, &self.reach, opened, Position::default())?;
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
            out.write_all(&buffer)?;
            buffer.clear();
            bar.moved(piece.pins.len(), bar.whole().at(&piece, 0));
        }
        out.flush()?;
        if !is_pipe {
            drop(out);
            File::open(&incoming)?.sync_all()?;
            std::fs::rename(&incoming, &self.file)?;
        }
        terminal::note(&format!("exported {}", bar.end()));
        Ok(())
    }
}

impl Format {
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

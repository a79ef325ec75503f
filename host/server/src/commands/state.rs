//! `holdfast state …`: a pin set in and out, and beside another.
//!
//! Pins come from and go to [`place::Place`]s: the store that the configuration names, a running
//! host, a running IPFS Cluster, a file. Every verb reads a [`source`] piece by piece, so that any
//! number of pins takes the same memory, but for `migrate`, which keeps 16 bytes of each.

mod bar;
mod compare;
mod export;
mod import;
mod journal;
mod known;
mod migrate;
mod place;
mod progress;
mod rejects;
mod source;
mod target;

use super::Failure;
use clap::Subcommand;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write all pins as IPFS Cluster exports them.
    Export(export::Export),
    /// Read pins that IPFS Cluster or this program exported.
    Import(import::Import),
    /// Check the store, or compare its pins with those of another place.
    ///
    /// It only reads, and keeps nothing of how far it is: one that is stopped loses nothing, and is
    /// begun anew.
    Check(compare::Check),
    /// Move a running IPFS Cluster's pins here, until both have the same.
    Migrate(migrate::Migrate),
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Export(export) => export.run().await,
            Self::Import(import) => import.run().await,
            Self::Check(check) => check.run().await,
            Self::Migrate(migrate) => migrate.run().await,
        }
    }
}

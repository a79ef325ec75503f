//! `holdfast config …`.

use super::sources::Where;
use super::{Failure, host, terminal};
use crate::config;
use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Name everything that is wrong with the configuration, all layers together.
    Check(Check),
    /// Write the annotated reference of all settings.
    Reference,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    place: Where,
    /// For machines.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Reference => {
                terminal::say(&config::reference())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Check {
    fn run(self) -> Result<ExitCode, Failure> {
        match config::load(&self.place.sources(Vec::new()), host::inspect) {
            Ok(_) if self.json => {
                terminal::json(&serde_json::json!({ "problems": [] }))?;
                Ok(ExitCode::SUCCESS)
            }
            Ok(_) => {
                terminal::say("the configuration is good")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problems) if self.json => {
                terminal::json(&problems)?;
                Ok(ExitCode::FAILURE)
            }
            Err(problems) => {
                terminal::say(&problems.to_string())?;
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

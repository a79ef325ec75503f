//! `holdfast plugin …`.

mod compile;

use super::client::{Target, cell, rows};
use super::{Failure, terminal};
use clap::Subcommand;
use hyper::Method;
use std::process::ExitCode;

pub(super) use compile::compiler;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the plugins of a running host.
    List {
        #[command(flatten)]
        target: Target,
    },
    #[command(hide = true)]
    Compile(compile::Compile),
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let target = match self {
            Self::List { target } => target,
            Self::Compile(compile) => return compile.run(),
        };
        let answer = target.call(Method::GET, "/v1/plugins", None).await?;
        if target.json {
            terminal::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        let fields = [
            "/name",
            "/kind",
            "/version",
            "/state",
            "/generation",
            "/error",
        ];
        let plugins: Vec<[String; 6]> = rows(&answer, "/plugins")
            .iter()
            .map(|plugin| fields.map(|field| cell(plugin, field)))
            .collect();
        terminal::table(
            ["NAME", "KIND", "VERSION", "STATE", "GENERATION", "ERROR"],
            &plugins,
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

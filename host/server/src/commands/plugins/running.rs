//! The plugins of a running host.

use crate::commands::client::{Target, cell, rows};
use crate::commands::{Failure, terminal};
use clap::Args;
use hyper::Method;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct List {
    #[command(flatten)]
    target: Target,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let answer = self.target.call(Method::GET, "/v1/plugins", None).await?;
        if self.target.json {
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

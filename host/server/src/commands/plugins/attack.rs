//! `holdfast plugin attack`: the hostile kit against this host's own runtime.

use super::folder::Folder;
use crate::commands::Failure;
use crate::commands::terminal::{self, Colour};
use anyhow::bail;
use clap::{Args, ValueEnum};
use holdfast_runtime::attack::{Arena, Attacked, Isolation, Kit};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct Attack {
    /// The folder with kit.json and the hostile components; `plugins/build` makes it.
    #[arg(long, value_name = "DIR", default_value = "plugins/dist")]
    kit: PathBuf,
    /// Whether the calls of a hostile plugin share instances.
    #[arg(long, default_value = "warm")]
    isolation: Shared,
    /// Only the cases whose name has this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// The two ways, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum Shared {
    /// They do.
    Warm,
    /// Each has one of its own.
    Call,
}

impl Attack {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let kit = Kit::read(&self.kit)?;
        let only = self.only.as_deref().unwrap_or_default();
        let cases: Vec<_> = kit
            .cases()
            .iter()
            .filter(|case| case.name.contains(only))
            .collect();
        if cases.is_empty() {
            bail!("no case has {only:?} in its name; without --only all run");
        }
        let isolation = match self.isolation {
            Shared::Warm => Isolation::Warm,
            Shared::Call => Isolation::Call,
        };
        let folder = Folder::make("attack")?;
        let arena = Arena::open(&kit, folder.path(), isolation)?;
        let mut attacks = Vec::new();
        for case in cases {
            let attacked = arena.attack(&kit, case)?;
            if !self.json {
                show(&attacked)?;
            }
            attacks.push(attacked);
        }
        let broken = attacks.iter().filter(|one| !one.is_held).count();
        if self.json {
            terminal::json(&json!({ "broken": broken, "attacks": attacks }))?;
        } else {
            terminal::say(&format!("{} attacks, {broken} not held", attacks.len()))?;
        }
        Ok(terminal::code(broken == 0))
    }
}

fn show(attacked: &Attacked) -> Result<(), Failure> {
    let word = match attacked.is_held {
        true => terminal::painted("held  ", Colour::Green),
        false => terminal::painted("broken", Colour::Red),
    };
    terminal::say(&format!(
        "{word} {} ({} ms): {}",
        attacked.case, attacked.millis, attacked.said
    ))?;
    if !attacked.is_held {
        terminal::say(&format!("       must be: {}", attacked.expected))?;
    }
    Ok(())
}

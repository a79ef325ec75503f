//! `holdfast plugin attack`: the hostile kit against this program's own runtime, or against a
//! running host.

mod remote;

use super::folder::Folder;
use super::signing_key;
use crate::commands::Failure;
use crate::commands::client::Target;
use crate::commands::terminal::{self, Colour};
use anyhow::bail;
use clap::{Args, ValueEnum};
use holdfast_runtime::attack::{Arena, Attacked, Case, Isolation, Kit};
use remote::Remote;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use url::Url;

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
    /// Attack the host at this address by its API, as an operator, and not this program's runtime.
    #[arg(long, value_name = "URL")]
    host: Option<Url>,
    #[command(flatten)]
    leave: Leave,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// What an attack on a running host needs.
#[derive(Debug, Args)]
struct Leave {
    /// For --host: your API key; better in the environment than in the shell's history.
    #[arg(long, value_name = "KEY", env = "HOLDFAST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// For --host: certificates to trust for https, in PEM.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CA")]
    ca: Option<PathBuf>,
    /// For --host: the private key to sign the hostile plugins with, where the host takes no
    /// others.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For --host: yes, put hostile plugins into that host.
    #[arg(long)]
    yes: bool,
    /// For --host: yes, also if it is in production.
    #[arg(long)]
    production: bool,
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
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let kit = Kit::read(&self.kit)?;
        let only = self.only.as_deref().unwrap_or_default();
        let named = |case: &&Case| case.name.contains(only);
        let cases: Vec<&Case> = kit.cases().iter().filter(named).collect();
        if cases.is_empty() {
            bail!("no case has {only:?} in its name; without --only all run");
        }
        let isolation = match self.isolation {
            Shared::Warm => Isolation::Warm,
            Shared::Call => Isolation::Call,
        };
        match self.host.clone() {
            None => self.here(&kit, &cases, isolation),
            Some(url) => self.there(url, &kit, &cases, isolation).await,
        }
    }

    fn here(&self, kit: &Kit, cases: &[&Case], isolation: Isolation) -> Result<ExitCode, Failure> {
        let folder = Folder::make("attack")?;
        let arena = Arena::open(kit, folder.path(), isolation)?;
        let mut report = Report::new(self.json);
        for case in cases {
            report.attacked(arena.attack(kit, case)?)?;
        }
        report.end()
    }

    async fn there(
        &self,
        url: Url,
        kit: &Kit,
        cases: &[&Case],
        isolation: Isolation,
    ) -> Result<ExitCode, Failure> {
        let leave = &self.leave;
        if !leave.yes {
            bail!(
                "this puts {} hostile plugins into {url}, one after the other: as candidates, which \
                 never serve, but on the machine that serves. Add --yes if you mean it",
                cases.len()
            );
        }
        let key = leave.key_file.as_deref().map(signing_key).transpose()?;
        let target = Target::of(url, leave.key.clone(), leave.ca.clone(), self.json);
        let remote = Remote::open(&target, kit, isolation, key, leave.production).await?;
        let mut report = Report::new(self.json);
        for case in cases {
            match remote.attack(case).await? {
                Ok(attacked) => report.attacked(attacked)?,
                Err(why) => report.left_out(case, why)?,
            }
        }
        report.end()
    }
}

/// What came of it, told as it goes or, for machines, at the end.
struct Report {
    is_for_machines: bool,
    attacks: Vec<Attacked>,
    left_out: Vec<serde_json::Value>,
}

impl Report {
    const fn new(is_for_machines: bool) -> Self {
        Self {
            is_for_machines,
            attacks: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn attacked(&mut self, attacked: Attacked) -> Result<(), Failure> {
        if !self.is_for_machines {
            show(&attacked)?;
        }
        self.attacks.push(attacked);
        Ok(())
    }

    fn left_out(&mut self, case: &Case, why: &str) -> Result<(), Failure> {
        if !self.is_for_machines {
            terminal::say(&format!("left out {}: {why}", case.name))?;
        }
        self.left_out.push(json!({ "case": case.name, "why": why }));
        Ok(())
    }

    fn end(self) -> Result<ExitCode, Failure> {
        let broken = self.attacks.iter().filter(|one| !one.is_held).count();
        if self.is_for_machines {
            terminal::json(&json!({
                "broken": broken,
                "attacks": self.attacks,
                "left_out": self.left_out,
            }))?;
        } else {
            let (attacks, left_out) = (self.attacks.len(), self.left_out.len());
            terminal::say(&format!(
                "{attacks} attacks, {broken} not held, {left_out} left out"
            ))?;
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

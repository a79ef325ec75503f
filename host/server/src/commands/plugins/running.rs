//! The plugins of a running host: what there is, and which generation serves.

use crate::commands::Failure;
use crate::commands::client::{Target, cell, query, refusal, rows};
use crate::commands::terminal::{self, Colour};
use anyhow::{Context, bail};
use clap::Args;
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct List {
    #[command(flatten)]
    target: Target,
    /// One plugin alone, with its generations.
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Promote {
    #[command(flatten)]
    target: Target,
    /// The plugin.
    name: String,
    /// Which generation [default: the newest candidate].
    #[arg(long)]
    generation: Option<u64>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Rollback {
    #[command(flatten)]
    target: Target,
    /// The plugin.
    name: String,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Remove {
    #[command(flatten)]
    target: Target,
    /// The plugin.
    name: String,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Shadow {
    #[command(flatten)]
    target: Target,
    /// The plugin.
    name: String,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Logs {
    #[command(flatten)]
    target: Target,
    /// The plugin.
    name: String,
    /// How many lines, the newest.
    #[arg(long, default_value_t = 100)]
    max: u64,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let Self { target, name } = self;
        let Some(name) = name else {
            let answer = target.call(Method::GET, "/v1/plugins", None).await?;
            if target.json {
                terminal::json(&answer)?;
            } else {
                show_all(&answer)?;
            }
            return Ok(ExitCode::SUCCESS);
        };
        let plugin = target.find(&path(&name, "")?).await?;
        let plugin = plugin.with_context(|| missing(&name))?;
        show_now(&target, &plugin)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Promote {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let generation = self.generation.map(|generation| generation.to_string());
        let parameters = [("generation", generation.as_deref())];
        let path = query(&path(&self.name, "/promote")?, &parameters);
        let now = self.target.call(Method::POST, &path, None).await?;
        show_now(&self.target, &now)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Rollback {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let path = path(&self.name, "/rollback")?;
        let now = self.target.call(Method::POST, &path, None).await?;
        show_now(&self.target, &now)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let Self { target, name } = self;
        let path = path(&name, "")?;
        let (status, answer) = target.try_call(Method::DELETE, &path, None).await?;
        match status {
            StatusCode::NOT_FOUND => bail!(missing(&name)),
            status if !status.is_success() => return Err(refusal(status, &answer)),
            _ if target.json => terminal::json(&answer)?,
            _ => terminal::say(&format!(
                "{name} is out; calls that run end on it, and its files are gone"
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Shadow {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let answer = self.target.find(&path(&self.name, "/shadow")?).await?;
        let answer = answer.with_context(|| missing(&self.name))?;
        if self.target.json {
            terminal::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        match answer.get("report").filter(|report| !report.is_null()) {
            Some(report) => show_report(report)?,
            None => terminal::say(&format!(
                "{} has no candidate that runs beside it; install one whose NAME.toml has\n\n  \
                 [promote]\n  by = \"shadow\"   # or \"hand\"",
                self.name
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Logs {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let max = self.max.to_string();
        let path = query(&path(&self.name, "/logs")?, &[("max", Some(&max))]);
        let answer = self.target.find(&path).await?;
        let answer = answer.with_context(|| missing(&self.name))?;
        if self.target.json {
            terminal::json(&answer)?;
            return Ok(ExitCode::SUCCESS);
        }
        for line in rows(&answer, "/lines") {
            let level = cell(line, "/level");
            let colour = match level.as_str() {
                "error" => Some(Colour::Red),
                "warn" => Some(Colour::Yellow),
                _ => None,
            };
            let level = format!("{level:<5}");
            let level = colour.map_or(level.clone(), |colour| terminal::painted(&level, colour));
            terminal::say(&format!(
                "{:>12}  #{:<4} {level}  {:<6}  {}",
                ago(line),
                cell(line, "/generation"),
                cell(line, "/by"),
                cell(line, "/line")
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The path of a plugin, or of something about it.
pub(super) fn path(name: &str, of: &str) -> Result<String, Failure> {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(letters) {
        bail!("{name:?} is no plugin's name; write letters, digits, - _ and .");
    }
    Ok(format!("/v1/plugins/{name}{of}"))
}

fn missing(name: &str) -> String {
    format!("there is no plugin {name}; `holdfast plugin list` shows all")
}

fn show_all(answer: &Value) -> Result<(), Failure> {
    let fields = [
        "/name",
        "/kind",
        "/version",
        "/state",
        "/generation",
        "/isolation",
    ];
    let plugins: Vec<[String; 7]> = rows(answer, "/plugins")
        .iter()
        .map(|plugin| {
            let [name, kind, version, state, generation, isolation] =
                fields.map(|field| cell(plugin, field));
            [
                name,
                kind,
                version,
                state,
                generation,
                isolation,
                said_of(plugin),
            ]
        })
        .collect();
    let names = [
        "NAME",
        "KIND",
        "VERSION",
        "STATE",
        "GENERATION",
        "ISOLATION",
        "NOTE",
    ];
    Ok(terminal::table(names, &plugins)?)
}

/// Why it was refused, or what else is to be known.
fn said_of(plugin: &Value) -> String {
    let said = ["error", "note"]
        .iter()
        .find_map(|field| plugin.get(field)?.as_str());
    said.unwrap_or("-").to_owned()
}

/// One plugin as it is now.
pub(super) fn show_now(target: &Target, plugin: &Value) -> Result<(), Failure> {
    if target.json {
        return terminal::json(plugin);
    }
    terminal::say(&format!(
        "{}  {}  {}  {}",
        cell(plugin, "/name"),
        cell(plugin, "/kind"),
        cell(plugin, "/state"),
        said_of(plugin)
    ))?;
    let generations: Vec<[String; 8]> = rows(plugin, "/generations")
        .iter()
        .map(|one| {
            let [generation, version, state, calls, failures] =
                ["/generation", "/version", "/state", "/calls", "/failures"]
                    .map(|field| cell(one, field));
            let digest: String = cell(one, "/digest").chars().take(12).collect();
            [
                generation,
                version,
                state,
                ago(one),
                calls,
                failures,
                digest,
                said_of(one),
            ]
        })
        .collect();
    let names = [
        "GENERATION",
        "VERSION",
        "STATE",
        "SINCE",
        "CALLS",
        "FAILURES",
        "DIGEST",
        "NOTE",
    ];
    Ok(terminal::table(names, &generations)?)
}

fn show_report(report: &Value) -> Result<(), Failure> {
    let number = |field: &str| cell(report, field);
    terminal::say(&format!(
        "generation {} of {} has shadowed {} calls: {} came out differently, {} of them failed; {} \
         were left out\nthe rule says: {}",
        number("/generation"),
        number("/name"),
        number("/calls"),
        number("/different"),
        number("/failed"),
        number("/dropped"),
        number("/ruling"),
    ))?;
    let bills: Vec<[String; 6]> = rows(report, "/bills")
        .iter()
        .map(|bill| {
            [
                "/account",
                "/calls",
                "/live_micros",
                "/candidate_micros",
                "/difference_micros",
                "/currency",
            ]
            .map(|field| cell(bill, field))
        })
        .collect();
    if !bills.is_empty() {
        let names = ["ACCOUNT", "QUOTES", "NOW", "THEN", "DIFFERENCE", "CURRENCY"];
        terminal::say("\nbills that would change, in millionths")?;
        terminal::table(names, &bills)?;
    }
    let flips: Vec<[String; 7]> = rows(report, "/flips")
        .iter()
        .map(|flip| {
            [
                "/account",
                "/principal",
                "/action",
                "/allowed_to_denied",
                "/denied_to_allowed",
                "/failed",
                "/message",
            ]
            .map(|field| cell(flip, field))
        })
        .collect();
    if !flips.is_empty() {
        let names = [
            "ACCOUNT",
            "PRINCIPAL",
            "ACTION",
            "NOW DENIED",
            "NOW ALLOWED",
            "FAILED",
            "SAID",
        ];
        terminal::say("\ncalls that would be decided otherwise")?;
        terminal::table(names, &flips)?;
    }
    for failure in rows(report, "/failures") {
        terminal::say(&format!(
            "failed {} times: {}",
            cell(failure, "/count"),
            cell(failure, "/error")
        ))?;
    }
    Ok(())
}

/// How long ago something was, in the largest unit that fits.
fn ago(value: &Value) -> String {
    let millis = value
        .get("age_ms")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis} ms ago"),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

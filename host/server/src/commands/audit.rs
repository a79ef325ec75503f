//! `holdfast audit …`: reads, exports, signs and verifies the audit log.

mod lines;
mod replay;
mod verifier;
mod verify;

use super::client::{Target, cell, query, rows};
use super::{Failure, terminal};
use anyhow::{Context, bail};
use axum::body::Bytes;
use clap::{Args, Subcommand};
use hyper::Method;
use lines::Lines;
use replay::Replay;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use verify::Verify;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a chain has, the newest first.
    List(List),
    /// Write a chain out as CloudEvents, one a line.
    Export(Export),
    /// Have a chain signed now, and the signature pinned if that is wanted.
    Checkpoint(Checkpoint),
    /// Look for what was edited, left out, moved or cut off.
    Verify(Verify),
    /// Decide again what was decided, by the policies that decided it.
    Replay(Replay),
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run().await?,
            Self::Export(export) => export.run().await?,
            Self::Checkpoint(checkpoint) => checkpoint.run().await?,
            Self::Verify(verify) => return verify.run().await,
            Self::Replay(replay) => return replay.run().await,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
    /// Whose chain; your own tenant's if it is not said, the host's own if it is `@host`.
    #[arg(long)]
    tenant: Option<String>,
    /// Not before this instant, such as 2026-11-21T13:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after this instant.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only this action, such as `createKey`.
    #[arg(long)]
    action: Option<String>,
    /// Only this outcome: allow, deny, error, begun or unknown.
    #[arg(long)]
    outcome: Option<String>,
    /// Only by this principal.
    #[arg(long)]
    actor: Option<String>,
    /// Only on this thing, such as `key:acme/web/ID`.
    #[arg(long)]
    resource: Option<String>,
    /// Rows at most.
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut found: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        while found.len() < self.limit {
            let rows_wanted = (self.limit - found.len()).min(1_000).to_string();
            let path = query(
                "/v1/audit",
                &[
                    ("tenant", self.tenant.as_deref()),
                    ("from", self.from.as_deref()),
                    ("to", self.to.as_deref()),
                    ("action", self.action.as_deref()),
                    ("outcome", self.outcome.as_deref()),
                    ("actor", self.actor.as_deref()),
                    ("resource", self.resource.as_deref()),
                    ("cursor", cursor.as_deref()),
                    ("limit", Some(&rows_wanted)),
                ],
            );
            let page = self.target.call(Method::GET, &path, None).await?;
            found.extend(rows(&page, "/entries").iter().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        if self.target.json {
            return terminal::json(&found);
        }
        let fields = [
            "/seq",
            "/time",
            "/action",
            "/outcome",
            "/actor",
            "/resource",
        ];
        let table: Vec<[String; 6]> = found
            .iter()
            .map(|entry| fields.map(|field| cell(entry, field)))
            .collect();
        let names = ["SEQ", "TIME", "ACTION", "OUTCOME", "ACTOR", "RESOURCE"];
        Ok(terminal::table(names, &table)?)
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    target: Target,
    /// Whose chain; your own tenant's if it is not said, the host's own if it is `@host`.
    #[arg(long, conflicts_with = "all")]
    tenant: Option<String>,
    /// Every chain that there is.
    #[arg(long, conflicts_with = "after")]
    all: bool,
    /// Go on behind this entry: the `sequence` of the last one that you have.
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Where to write; standard output if it is not said.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    async fn run(self) -> Result<(), Failure> {
        let mut out: Box<dyn Write> = match &self.output {
            Some(path) => {
                let made = File::create(path);
                let made = made.with_context(|| format!("{} cannot be made", path.display()))?;
                Box::new(BufWriter::new(made))
            }
            None => Box::new(std::io::stdout().lock()),
        };
        let tenants = match self.all {
            true => chains(&self.target).await?.into_iter().map(Some).collect(),
            false => vec![self.tenant.clone()],
        };
        let after = self.after.map(|after| after.to_string());
        for tenant in tenants {
            let mut lines = open(&self.target, tenant.as_deref(), after.as_deref()).await?;
            while let Some(line) = lines.next().await? {
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(out.flush()?)
    }
}

/// A chain of a running host, line by line.
async fn open(
    target: &Target,
    tenant: Option<&str>,
    after: Option<&str>,
) -> Result<Lines, Failure> {
    let path = query("/v1/audit/export", &[("tenant", tenant), ("after", after)]);
    Ok(Lines::of_body(target.open(&path).await?))
}

/// The names of a running host's chains.
async fn chains(target: &Target) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let path = query("/v1/audit/chains", &[("after", after.as_deref())]);
        let page = target.call(Method::GET, &path, None).await?;
        let named = rows(&page, "/chains").iter();
        all.extend(named.map(|chain| cell(chain, "/tenant")));
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(all),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Checkpoint {
    #[command(flatten)]
    target: Target,
    /// Whose chain; your own tenant's if it is not said, the host's own if it is `@host`.
    #[arg(long)]
    tenant: Option<String>,
    /// Put the note to IPFS and pin it.
    #[arg(long)]
    pin: bool,
    /// Where to write the note; `holdfast audit verify --checkpoint FILE` compares with it.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Checkpoint {
    async fn run(self) -> Result<(), Failure> {
        let body = json!({ "tenant": self.tenant, "pin": self.pin });
        let path = "/v1/audit/checkpoints";
        let made = self.target.call(Method::POST, path, Some(&body)).await?;
        let Some(note) = made.get("note").and_then(Value::as_str) else {
            bail!("the host answered without a note");
        };
        if let Some(path) = &self.output {
            std::fs::write(path, note)
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        if self.target.json {
            return terminal::json(&made);
        }
        terminal::write(note.as_bytes())?;
        if let Some(cid) = made.get("cid").and_then(Value::as_str) {
            terminal::note(&format!("pinned as {cid}"));
        }
        Ok(())
    }
}

/// A line of an export.
type Line = Bytes;

//! `holdfast policy shadow …`.

use crate::commands::client::{Target, cell, query, rows};
use crate::commands::{Failure, terminal};
use anyhow::{Context, bail};
use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where a candidate is.
const CANDIDATE: &str = "/v1/policies/candidate";

#[derive(Debug, Subcommand)]
pub(in crate::commands) enum Shadow {
    /// Begin: every live decision is made once more by the candidate.
    Start {
        #[command(flatten)]
        target: Target,
        /// Try other policies of this tenant's own.
        #[arg(long)]
        tenant: Option<String>,
        /// The candidate's folder; with `--tenant` a file with all of the tenant's policies.
        path: PathBuf,
    },
    /// Show every decision that would come out otherwise.
    Report {
        #[command(flatten)]
        target: Target,
        /// Of this tenant's candidate.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Have the candidate decide from now on; its files go into the host's folder.
    Promote {
        #[command(flatten)]
        target: Target,
        /// This tenant's candidate, which becomes the tenant's own policies.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Drop the candidate.
    Drop {
        #[command(flatten)]
        target: Target,
        /// This tenant's candidate.
        #[arg(long)]
        tenant: Option<String>,
    },
}

impl Shadow {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Start {
                target,
                tenant,
                path,
            } => {
                let wanted = match &tenant {
                    Some(_) => json!({ "policies": text(&path)? }),
                    None => json!({ "files": files(&path)? }),
                };
                let begun =
                    call(&target, Method::PUT, "", tenant.as_deref(), Some(&wanted)).await?;
                let name = cell(&begun, "/revision");
                let told = format!("candidate {name} is tried from now on");
                say(&target, &begun, &told)?;
            }
            Self::Report { target, tenant } => {
                let report = call(&target, Method::GET, "", tenant.as_deref(), None).await?;
                report_to(&target, &report)?;
            }
            Self::Promote { target, tenant } => {
                let done = call(&target, Method::POST, "/promote", tenant.as_deref(), None).await?;
                let name = cell(&done, "/revision");
                let told = match &tenant {
                    Some(tenant) => format!("{tenant}'s policies {name} decide from now on"),
                    None => format!("policies {name} decide from now on"),
                };
                say(&target, &done, &told)?;
            }
            Self::Drop { target, tenant } => {
                let done = call(&target, Method::DELETE, "", tenant.as_deref(), None).await?;
                say(&target, &done, "the candidate is gone")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn call(
    target: &Target,
    method: Method,
    what: &str,
    tenant: Option<&str>,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let path = format!("{CANDIDATE}{what}");
    let path = query(&path, &[("tenant", tenant)]);
    target.call(method, &path, body).await
}

/// A tenant's policies.
fn text(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file);
    text.with_context(|| format!("{} cannot be read", file.display()))
}

fn say(target: &Target, answer: &Value, text: &str) -> Result<(), Failure> {
    if target.json {
        terminal::json(answer)
    } else {
        Ok(terminal::say(text)?)
    }
}

/// The files of a folder that belong to its policies.
fn files(dir: &Path) -> Result<Map<String, Value>, Failure> {
    let mut files = Map::new();
    let found = fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))?;
    for entry in found {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else { continue };
        let is_ours = name == "schema.cedarschema" || name == "policies.sig";
        if (is_ours || name.ends_with(".cedar")) && path.is_file() {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            files.insert(name.to_owned(), Value::String(text));
        }
    }
    if !files.contains_key("schema.cedarschema") {
        bail!(
            "{} has no schema.cedarschema; copy the folder policies/ and edit it",
            dir.display()
        );
    }
    Ok(files)
}

fn report_to(target: &Target, report: &Value) -> Result<(), Failure> {
    if target.json {
        return terminal::json(report);
    }
    let fields = [
        "/principal",
        "/action",
        "/tenant",
        "/now",
        "/then",
        "/now_by",
        "/then_by",
        "/count",
    ];
    let flips: Vec<[String; 8]> = rows(report, "/flips")
        .iter()
        .map(|flip| fields.map(|field| cell(flip, field)))
        .collect();
    let names = [
        "PRINCIPAL",
        "ACTION",
        "TENANT",
        "NOW",
        "THEN",
        "NOW BY",
        "THEN BY",
        "COUNT",
    ];
    terminal::table(names, &flips)?;
    let text = format!(
        "\n{} of {} decisions would flip; {} were left out, {} flips are not listed",
        cell(report, "/different"),
        cell(report, "/decisions"),
        cell(report, "/dropped"),
        cell(report, "/unlisted"),
    );
    Ok(terminal::say(&text)?)
}

//! What works on a running host: tenants' own policies, grants, and why something was decided.

use crate::commands::client::{Target, cell, query, rows};
use crate::commands::{Failure, terminal};
use anyhow::Context;
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(in crate::commands) struct Show {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Set {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
    /// Only if this is still the version: what `holdfast policy show --json` told.
    #[arg(long)]
    version: Option<String>,
    /// A file with all of the tenant's policies.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Drop {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Grant {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
    /// What is given: `holdfast policy grants` lists what there is.
    template: String,
    /// To whom: the name that `/v1/whoami` shows them.
    principal: String,
    /// For what: `tenant/account` [default: the whole tenant].
    #[arg(long)]
    on: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Revoke {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
    /// The grant's id.
    id: String,
}

#[derive(Debug, Args)]
pub(in crate::commands) struct Explain {
    #[command(flatten)]
    target: Target,
    /// The decision's id, as the answer or the audit log has it.
    decision: String,
}

fn path(path: &str, tenant: Option<&str>) -> String {
    query(path, &[("tenant", tenant)])
}

impl Show {
    pub(super) async fn policies(self) -> Result<ExitCode, Failure> {
        let path = path("/v1/policies", self.tenant.as_deref());
        let found = self.target.call(Method::GET, &path, None).await?;
        if self.target.json {
            terminal::json(&found)?;
        } else {
            terminal::say(cell(&found, "/policies").trim_end())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn grants(self) -> Result<ExitCode, Failure> {
        let path = path("/v1/grants", self.tenant.as_deref());
        let found = self.target.call(Method::GET, &path, None).await?;
        if self.target.json {
            terminal::json(&found)?;
            return Ok(ExitCode::SUCCESS);
        }
        let fields = ["/id", "/template", "/principal", "/on", "/by", "/created"];
        let grants: Vec<[String; 6]> = rows(&found, "/grants")
            .iter()
            .map(|grant| fields.map(|field| cell(grant, field)))
            .collect();
        let names = ["ID", "TEMPLATE", "PRINCIPAL", "ON", "BY", "CREATED"];
        terminal::table(names, &grants)?;
        let templates: Vec<[String; 2]> = rows(&found, "/templates")
            .iter()
            .map(|template| ["/id", "/gives"].map(|field| cell(template, field)))
            .collect();
        terminal::say("")?;
        terminal::table(["CAN BE GRANTED", "GIVES"], &templates)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Set {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let policies = fs::read_to_string(&self.file)
            .with_context(|| format!("{} cannot be read", self.file.display()))?;
        let wanted = json!({
            "tenant": self.tenant,
            "policies": policies,
            "version": self.version,
        });
        let now = self.target.call(Method::PUT, "/v1/policies", Some(&wanted));
        said(&self.target, &now.await?, "are in force within 5 seconds")
    }
}

impl Drop {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let path = path("/v1/policies", self.tenant.as_deref());
        let now = self.target.call(Method::DELETE, &path, None).await?;
        said(
            &self.target,
            &now,
            "are gone within 5 seconds; its grants stay",
        )
    }
}

fn said(target: &Target, now: &Value, what: &str) -> Result<ExitCode, Failure> {
    if target.json {
        terminal::json(now)?;
    } else {
        terminal::say(&format!("the policies of {} {what}", cell(now, "/tenant")))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Grant {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let wanted = json!({
            "tenant": self.tenant,
            "template": self.template,
            "principal": self.principal,
            "on": self.on,
        });
        let made = self
            .target
            .call(Method::POST, "/v1/grants", Some(&wanted))
            .await?;
        if self.target.json {
            terminal::json(&made)?;
        } else {
            terminal::say(&format!(
                "grant {}: {} is {} of {}",
                cell(&made, "/id"),
                cell(&made, "/principal"),
                cell(&made, "/template"),
                cell(&made, "/on")
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let path = path(&format!("/v1/grants/{}", self.id), self.tenant.as_deref());
        let gone = self.target.call(Method::DELETE, &path, None).await?;
        if self.target.json {
            terminal::json(&gone)?;
        } else {
            let id = self.id;
            terminal::say(&format!(
                "grant {id} is revoked; it gives nothing within 5 seconds"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Explain {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let wanted = json!({ "decision": self.decision });
        let told = self
            .target
            .call(Method::POST, "/v1/authz/explain", Some(&wanted));
        let told = told.await?;
        if self.target.json {
            terminal::json(&told)?;
        } else {
            terminal::say(&explained(&told))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An explanation, for people.
fn explained(told: &Value) -> String {
    let mut text = format!(
        "{} {} on {} at {}: {}\n",
        cell(told, "/principal"),
        cell(told, "/action"),
        cell(told, "/resource"),
        cell(told, "/at"),
        cell(told, "/decided"),
    );
    let is_same = told.pointer("/explanation/by_the_same_policies");
    if is_same != Some(&Value::Bool(true)) {
        text += "The policies have been replaced since; this is what those in force say:\n";
    }
    for policy in rows(told, "/explanation/policies") {
        let determines = policy.get("determines") == Some(&Value::Bool(true));
        text += &format!(
            "\n{} {} {}: {}",
            if determines { "=>" } else { "  " },
            cell(policy, "/effect"),
            cell(policy, "/id"),
            cell(policy, "/result"),
        );
        for unmet in rows(policy, "/unmet") {
            text += &format!("\n     not met: {}", unmet.as_str().unwrap_or_default());
        }
        if let Some(error) = policy.get("error").and_then(Value::as_str) {
            text += &format!("\n     failed: {error}");
        }
    }
    for component in rows(told, "/components") {
        text += &format!(
            "\n   component {}: {} ({})",
            cell(component, "/name"),
            cell(component, "/verdict"),
            cell(component, "/digest"),
        );
    }
    text
}

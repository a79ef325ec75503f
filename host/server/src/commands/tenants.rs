//! `holdfast tenant …`.

use super::client::{Target, cell, query, rows};
use super::{Failure, terminal};
use anyhow::{Context, bail};
use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the tenants that you may read.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Show a tenant's attributes.
    Show {
        #[command(flatten)]
        target: Target,
        /// Its name.
        tenant: String,
    },
    /// Set some of a tenant's attributes, making the tenant if there is none.
    Set {
        #[command(flatten)]
        target: Target,
        /// Its name.
        tenant: String,
        /// `name=value`; `name=` takes the attribute away.
        #[arg(required = true)]
        attributes: Vec<String>,
    },
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { target } => list(&target).await?,
            Self::Show { target, tenant } => {
                let found = target.find(&path(&tenant)?).await?;
                show(
                    &target,
                    &found.with_context(|| format!("there is no tenant {tenant}"))?,
                )?;
            }
            Self::Set {
                target,
                tenant,
                attributes,
            } => {
                let found = target.find(&path(&tenant)?).await?;
                let mut all = found.as_ref().map(attributes_of).unwrap_or_default();
                for pair in &attributes {
                    let (name, value) = pair
                        .split_once('=')
                        .with_context(|| format!("{pair:?} is no attribute; write name=value"))?;
                    match value {
                        "" => all.remove(name),
                        value => all.insert(name.to_owned(), json!(value)),
                    };
                }
                let body = json!({ "attributes": all });
                let now = target
                    .call(Method::PUT, &path(&tenant)?, Some(&body))
                    .await?;
                show(&target, &now)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn path(tenant: &str) -> Result<String, Failure> {
    match holdfast_model::TenantId::parse(tenant) {
        Ok(tenant) => Ok(format!("/v1/tenants/{tenant}")),
        Err(e) => bail!(e),
    }
}

async fn list(target: &Target) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let path = query("/v1/tenants", &[("after", after.as_deref())]);
        let page = target.call(Method::GET, &path, None).await?;
        all.extend(rows(&page, "/tenants").iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if target.json {
        return terminal::json(&all);
    }
    let rows: Vec<[String; 2]> = all
        .iter()
        .map(|tenant| ["/tenant", "/created"].map(|field| cell(tenant, field)))
        .collect();
    Ok(terminal::table(["TENANT", "CREATED"], &rows)?)
}

fn attributes_of(tenant: &Value) -> Map<String, Value> {
    tenant
        .get("attributes")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

fn show(target: &Target, tenant: &Value) -> Result<(), Failure> {
    if target.json {
        return terminal::json(tenant);
    }
    let rows: Vec<[String; 2]> = attributes_of(tenant)
        .into_iter()
        .map(|(name, value)| [name, value.as_str().unwrap_or_default().to_owned()])
        .collect();
    Ok(terminal::table(["ATTRIBUTE", "VALUE"], &rows)?)
}

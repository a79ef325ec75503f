//! `holdfast usage` and `holdfast quote`.

use super::client::{Target, cell, query, rows};
use super::{Failure, terminal};
use clap::Args;
use hyper::Method;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(super) struct Asked {
    #[command(flatten)]
    target: Target,
    /// `2026-11`, `2026-11-20`, `START..END` in RFC 3339 [default: this month so far].
    #[arg(long)]
    period: Option<String>,
    /// `tenant/account` [default: your own].
    #[arg(long)]
    account: Option<String>,
}

impl Asked {
    pub(super) async fn usage(self) -> Result<ExitCode, Failure> {
        let usage = self.ask("/v1/usage").await?;
        if self.target.json {
            terminal::json(&usage)?;
        } else {
            terminal::say(&usage_text(&usage))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn quote(self) -> Result<ExitCode, Failure> {
        let quote = self.ask("/v1/quote").await?;
        if self.target.json {
            terminal::json(&quote)?;
            return Ok(ExitCode::SUCCESS);
        }
        terminal::say(&usage_text(quote.get("usage").unwrap_or(&Value::Null)))?;
        terminal::say("")?;
        let fields = [
            "/item",
            "/quantity",
            "/unit",
            "/amount/display",
            "/explanation",
        ];
        let lines: Vec<[String; 5]> = rows(&quote, "/lines")
            .iter()
            .map(|line| fields.map(|field| cell(line, field)))
            .collect();
        terminal::table(["ITEM", "QUANTITY", "UNIT", "AMOUNT", "HOW"], &lines)?;
        let (total, plugin) = (
            cell(&quote, "/total/display"),
            cell(&quote, "/rated_by/plugin"),
        );
        terminal::say(&format!("\ntotal {total}, rated by {plugin}"))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn ask(&self, path: &str) -> Result<Value, Failure> {
        let (period, account) = (self.period.as_deref(), self.account.as_deref());
        let path = query(path, &[("period", period), ("account", account)]);
        self.target.call(Method::GET, &path, None).await
    }
}

fn usage_text(usage: &Value) -> String {
    let rows = [
        ("account", "/account"),
        ("from", "/period/start"),
        ("until", "/period/measured_until"),
        ("pinned now", "/pinned_bytes"),
        ("byte-seconds", "/byte_seconds"),
        ("pins", "/operations/pin"),
        ("replaced", "/operations/replace"),
        ("unpins", "/operations/unpin"),
    ];
    rows.map(|(name, field)| format!("{name:<14}{}", cell(usage, field)))
        .join("\n")
}

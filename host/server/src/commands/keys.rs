//! `holdfast key …`.

use super::client::{Target, cell, query, rows};
use super::{Failure, terminal};
use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a key. It is shown once.
    Create {
        #[command(flatten)]
        target: Target,
        /// `tenant/account` [default: your own].
        #[arg(long)]
        account: Option<String>,
        /// A role of its holder; may be given more than once [default: tenant-user].
        #[arg(long)]
        role: Vec<String>,
        /// What people call it.
        #[arg(long, default_value = "")]
        label: String,
        /// Until when it is good, as 2027-01-31T00:00:00Z [default: as long as a key may be].
        #[arg(long)]
        expires: Option<String>,
        /// What it is good for: an action such as createRequest, or pinning, reading, keys, usage;
        /// may be given more than once [default: all that its roles allow].
        #[arg(long)]
        scope: Vec<String>,
    },
    /// Make a key in the place of another one, which stays good for a while. It is shown once.
    Rotate {
        #[command(flatten)]
        target: Target,
        /// The old key's id: what stands between `hf_` and the next `_`.
        id: String,
        /// For how many hours the old one stays good, 720 at most.
        #[arg(long, value_name = "HOURS", default_value_t = 24)]
        overlap: u64,
    },
    /// List an account's keys.
    List {
        #[command(flatten)]
        target: Target,
        /// `tenant/account` [default: your own].
        #[arg(long)]
        account: Option<String>,
    },
    /// Revoke a key.
    Revoke {
        #[command(flatten)]
        target: Target,
        /// Its id: what stands between `hf_` and the next `_`.
        id: String,
    },
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create {
                target,
                account,
                role,
                label,
                expires,
                scope,
            } => {
                let mut wanted = json!({ "label": label });
                if !role.is_empty() {
                    put(&mut wanted, "roles", json!(role));
                }
                if let Some(account) = account {
                    put(&mut wanted, "account", json!(account));
                }
                if let Some(expires) = expires {
                    put(&mut wanted, "expires", json!(expires));
                }
                if !scope.is_empty() {
                    put(&mut wanted, "scopes", json!(scope));
                }
                create(&target, "/v1/keys", &wanted).await?;
            }
            Self::Rotate {
                target,
                id,
                overlap,
            } => {
                let wanted = json!({ "overlap_seconds": overlap.saturating_mul(3_600) });
                create(&target, &format!("/v1/keys/{id}/rotate"), &wanted).await?;
            }
            Self::List { target, account } => list(&target, account.as_deref()).await?,
            Self::Revoke { target, id } => {
                let key = target
                    .call(Method::DELETE, &format!("/v1/keys/{id}"), None)
                    .await?;
                if target.json {
                    terminal::json(&key)?;
                } else {
                    terminal::say(&format!(
                        "{id} is revoked; it stops working within 5 seconds"
                    ))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn put(wanted: &mut Value, field: &str, value: Value) {
    if let Some(object) = wanted.as_object_mut() {
        object.insert(field.to_owned(), value);
    }
}

async fn create(target: &Target, path: &str, wanted: &Value) -> Result<(), Failure> {
    let made = target.call(Method::POST, path, Some(wanted)).await?;
    if target.json {
        return terminal::json(&made);
    }
    let text = format!(
        "{}\n\nkey {} of {} ({}), shown this once and kept nowhere",
        cell(&made, "/secret"),
        cell(&made, "/key/id"),
        cell(&made, "/key/account"),
        cell(&made, "/key/roles"),
    );
    Ok(terminal::say(&text)?)
}

async fn list(target: &Target, account: Option<&str>) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let path = query(
            "/v1/keys",
            &[("account", account), ("after", after.as_deref())],
        );
        let page = target.call(Method::GET, &path, None).await?;
        all.extend(rows(&page, "/keys").iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if target.json {
        return terminal::json(&all);
    }
    let rows: Vec<[String; 9]> = all
        .iter()
        .map(|key| {
            [
                "/id",
                "/account",
                "/roles",
                "/scopes",
                "/label",
                "/created",
                "/expires",
                "/revoked",
                "/last_used/at",
            ]
            .map(|field| cell(key, field))
        })
        .collect();
    let names = [
        "ID", "ACCOUNT", "ROLES", "SCOPES", "LABEL", "CREATED", "EXPIRES", "REVOKED", "USED",
    ];
    Ok(terminal::table(names, &rows)?)
}

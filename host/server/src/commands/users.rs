//! `holdfast user …`.

use super::client::{Target, cell, query, rows};
use super::{Failure, terminal};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use std::io::Read;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a user.
    Add {
        #[command(flatten)]
        whom: Whom,
        /// `tenant/account` [default: one of the user's name].
        #[arg(long)]
        account: Option<String>,
        /// A role; may be given more than once [default: tenant-user].
        #[arg(long)]
        role: Vec<String>,
        /// A DID or a wallet that logs in as the user: did:key:z…, did:pkh:eip155:1:0x…; may be
        /// given more than once.
        #[arg(long)]
        login: Vec<String>,
        /// Without a password: the user logs in with a DID or a wallet.
        #[arg(long)]
        no_password: bool,
    },
    /// List a tenant's users.
    List {
        #[command(flatten)]
        target: Target,
        /// The tenant [default: your own].
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Keep a user out, and end all sessions.
    Disable {
        #[command(flatten)]
        whom: Whom,
    },
    /// Let a user in again.
    Enable {
        #[command(flatten)]
        whom: Whom,
    },
    /// Set another password, read from standard input, and end all sessions.
    Password {
        #[command(flatten)]
        whom: Whom,
    },
    /// Forget a user's failed log-ins.
    Unlock {
        #[command(flatten)]
        whom: Whom,
    },
    /// Delete a user, with the keys that the user made.
    Delete {
        #[command(flatten)]
        whom: Whom,
    },
}

#[derive(Debug, Args)]
pub(super) struct Whom {
    #[command(flatten)]
    target: Target,
    /// The tenant [default: your own].
    #[arg(long)]
    tenant: Option<String>,
    /// The user's name.
    name: String,
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add {
                whom,
                account,
                role,
                login,
                no_password,
            } => {
                let mut wanted = json!({ "name": whom.name, "logins": login });
                let password = if no_password { None } else { Some(password()?) };
                let roles = (!role.is_empty()).then(|| json!(role));
                let tenant = whom.tenant.as_ref().map(|tenant| json!(tenant));
                put(&mut wanted, "account", account.map(Value::String));
                put(&mut wanted, "password", password.map(Value::String));
                put(&mut wanted, "roles", roles);
                put(&mut wanted, "tenant", tenant);
                let call = whom.target.call(Method::POST, "/v1/users", Some(&wanted));
                whom.tell(&call.await?, "is made")?;
            }
            Self::List { target, tenant } => list(&target, tenant.as_deref()).await?,
            Self::Disable { whom } => {
                let said = "is kept out; sessions end within 5 seconds";
                whom.change(&json!({ "disabled": true }), said).await?;
            }
            Self::Enable { whom } => {
                whom.change(&json!({ "disabled": false }), "may log in")
                    .await?;
            }
            Self::Password { whom } => {
                let change = json!({ "password": password()? });
                let said = "has another password; sessions end within 5 seconds";
                whom.change(&change, said).await?;
            }
            Self::Unlock { whom } => {
                let said = "may try again at once";
                whom.change(&json!({ "unlock": true }), said).await?;
            }
            Self::Delete { whom } => {
                let gone = whom.target.call(Method::DELETE, &whom.path(), None).await?;
                whom.tell(&gone, "is gone")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Whom {
    fn path(&self) -> String {
        let path = format!("/v1/users/{}", self.name);
        query(&path, &[("tenant", self.tenant.as_deref())])
    }

    async fn change(&self, change: &Value, said: &str) -> Result<(), Failure> {
        let path = self.path();
        let user = self.target.call(Method::PUT, &path, Some(change)).await?;
        self.tell(&user, said)
    }

    fn tell(&self, answer: &Value, said: &str) -> Result<(), Failure> {
        match self.target.json {
            true => terminal::json(answer),
            false => Ok(terminal::say(&format!("{} {said}", self.name))?),
        }
    }
}

fn put(wanted: &mut Value, field: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (wanted.as_object_mut(), value) {
        object.insert(field.to_owned(), value);
    }
}

/// A password from standard input: not from an argument, which every user of the machine can read.
fn password() -> Result<String, Failure> {
    /// More is no password.
    const BYTES_MAX: u64 = 4_096;
    let mut text = String::new();
    std::io::stdin()
        .take(BYTES_MAX)
        .read_to_string(&mut text)
        .context("the password cannot be read from standard input")?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password: write it to standard input, as in `… < FILE`");
    }
    Ok(password.to_owned())
}

async fn list(target: &Target, tenant: Option<&str>) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let path = query(
            "/v1/users",
            &[("tenant", tenant), ("after", after.as_deref())],
        );
        let page = target.call(Method::GET, &path, None).await?;
        all.extend(rows(&page, "/users").iter().cloned());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if target.json {
        return terminal::json(&all);
    }
    let fields = [
        "/tenant",
        "/name",
        "/account",
        "/roles",
        "/logins",
        "/disabled",
        "/created",
    ];
    let cells = |user: &Value| fields.map(|field| cell(user, field));
    let rows: Vec<[String; 7]> = all.iter().map(cells).collect();
    let names = [
        "TENANT", "NAME", "ACCOUNT", "ROLES", "LOGINS", "DISABLED", "CREATED",
    ];
    Ok(terminal::table(names, &rows)?)
}

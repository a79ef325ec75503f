//! Where pins are: what an argument names, and what it takes to reach it.

use crate::commands::host::{cluster_of, inspect};
use crate::commands::recorded::recorded;
use crate::commands::sources::Where;
use crate::commands::{Failure, dial, terminal};
use crate::config::{self, StoreKind};
use anyhow::{Context as _, anyhow, bail};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use holdfast_model::action::{Act, Host, ReadPins, WritePins};
use holdfast_model::principal::Proof;
use holdfast_model::{Principal, Role, Roles};
use holdfast_policy::{Context, Gate, Permit, system_principal};
use holdfast_store::{CqlSettings, Store};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use url::Url;

/// A place where pins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The store that the configuration names, while no host runs on it if it is an embedded one.
    Store,
    /// A running host.
    Host(Url),
    /// A running IPFS Cluster's REST API.
    Cluster(Url),
    /// A file of lines or a snapshot; `-` is what comes through the pipe.
    File(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = |text: &str| Url::parse(text).map_err(|e| format!("{text} is no URL: {e}"));
        if text == "store" {
            return Ok(Self::Store);
        }
        if let Some(of_cluster) = text.strip_prefix("cluster+") {
            return url(of_cluster).map(Self::Cluster);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return url(text).map(Self::Host);
        }
        Ok(Self::File(text.into()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("the store"),
            Self::Host(url) => write!(f, "{}", bare(url)),
            Self::Cluster(url) => write!(f, "the cluster at {}", bare(url)),
            Self::File(path) if path.as_os_str() == "-" => f.write_str("the input"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Place {
    /// What it is called in a file of progress, where one store must not be taken for another.
    pub(super) fn full_name(&self, opened: Option<&Opened>) -> String {
        match (self, opened) {
            (Self::Store, Some(opened)) => opened.name.clone(),
            _ => self.to_string(),
        }
    }
}

/// What it takes to reach places.
#[derive(Debug, Clone, Args)]
pub(super) struct Reach {
    #[command(flatten)]
    place: Where,
    /// Your API key at a running host, with the role `cluster-node`.
    #[arg(long, value_name = "KEY", env = "HOLDFAST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Certificates to trust for https, in PEM.
    #[arg(long, value_name = "FILE", env = "HOLDFAST_CA")]
    ca: Option<PathBuf>,
    /// `user:password` of an IPFS Cluster's REST API, or a token of it.
    #[arg(
        long,
        value_name = "LOGIN",
        env = "HOLDFAST_CLUSTER_LOGIN",
        hide_env_values = true
    )]
    cluster_login: Option<String>,
}

/// Tells of an embedded store that is not there: most likely another one is meant, whose
/// configuration nobody named.
fn must_be_there(dir: &Path, purpose: Purpose) -> Result<(), Failure> {
    let shown = dir.display();
    match purpose {
        _ if dir.exists() => {}
        Purpose::Read => bail!(
            "there is no store in {shown}; name its configuration by --config, or a running host by its URL"
        ),
        Purpose::Write => terminal::note(&format!(
            "there is no store in {shown}, so one is made; a host finds it by the same configuration"
        )),
    }
    Ok(())
}

/// What tells one store in a cluster from others.
fn name_of(settings: &CqlSettings) -> String {
    let (keyspace, points) = (&settings.keyspace, settings.contact_points.join(", "));
    format!("the store in keyspace {keyspace} of the cluster at {points}")
}

/// A URL as it may be shown: without a login.
fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // What has no login cannot lose one.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    bare
}

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// There must be one: of a store that is not there, nothing can be told.
    Read,
    /// There may be none yet.
    Write,
}

/// The store, opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) store: Store,
    /// Which of all stores it is, for people.
    name: String,
    /// Whether changes stand in the audit log.
    is_audited: bool,
    pub(super) may_read: Permit<ReadPins>,
    pub(super) may_write: Permit<WritePins>,
}

impl Reach {
    /// Opens the store that the configuration names.
    pub(super) async fn open(&self, purpose: Purpose) -> Result<Opened, Failure> {
        let loaded = match config::load(&self.place.sources(Vec::new()), inspect) {
            Ok(loaded) => loaded,
            Err(problems) => bail!("the configuration cannot be used\n{problems}"),
        };
        let cluster = cluster_of(&loaded.config)
            .map_err(|complaint| anyhow!("{}: {}", complaint.key, complaint.wrong))?;
        let (name, store) = match (cluster, loaded.config.store.kind) {
            (Some(settings), _) => (name_of(&settings), Store::cql(settings).await?),
            (None, StoreKind::Memory) => {
                bail!(
                    "store.kind is `memory`: nothing is kept there while no host runs; name a running host by its URL"
                )
            }
            (None, _) => {
                let dir = loaded.config.store_dir();
                must_be_there(&dir, purpose)?;
                let store = Store::embedded(&dir).await?;
                // There is no such folder before.
                let dir = dir.canonicalize().unwrap_or(dir);
                (format!("the store in {}", dir.display()), store)
            }
        };
        Ok(Opened {
            store,
            name,
            is_audited: loaded.config.audit.enabled,
            may_read: permit()?,
            may_write: permit()?,
        })
    }

    /// Does some work with the store open, if one of the places is it, and closes it however the
    /// work ends.
    pub(super) async fn while_open<T>(
        &self,
        purpose: Purpose,
        places: &[&Place],
        work: impl AsyncFnOnce(Option<&Opened>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let opened = match places.iter().any(|place| matches!(place, Place::Store)) {
            true => Some(self.open(purpose).await?),
            false => None,
        };
        let done = work(opened.as_ref()).await;
        if let Some(opened) = opened {
            opened.store.close().await?;
        }
        done
    }

    /// Calls a running host or cluster.
    pub(super) async fn call(
        &self,
        place: &Place,
        (method, path): (Method, &str),
        (kind, body): (&str, Vec<u8>),
    ) -> Result<Response<Incoming>, Failure> {
        let (url, login) = match place {
            Place::Host(url) => {
                let key = self.key.as_deref().ok_or_else(|| {
                    anyhow!("no API key: set HOLDFAST_KEY (`holdfast key create --role cluster-node` makes one)")
                })?;
                (url, Some(format!("Bearer {key}")))
            }
            Place::Cluster(url) => (url, self.cluster_login.as_deref().map(authorization)),
            Place::Store | Place::File(_) => bail!("{place} is not called over HTTP"),
        };
        let base = url.path().trim_end_matches('/');
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{base}{path}"))
            .header(HOST, url.authority())
            .header(ACCEPT, "application/x-ndjson, application/json")
            .header(CONTENT_TYPE, kind);
        if let Some(login) = login {
            request = request.header(AUTHORIZATION, login);
        }
        let request = request
            .body(Body::from(body))
            .context("the login has letters that cannot be sent")?;
        dial::send(url, self.ca.as_deref(), request).await
    }
}

impl Opened {
    /// A store that a test has opened.
    #[cfg(test)]
    pub(super) fn of(store: Store) -> Result<Self, Failure> {
        Ok(Self {
            store,
            name: Place::Store.to_string(),
            is_audited: false,
            may_read: permit()?,
            may_write: permit()?,
        })
    }

    /// Does what changes the store's pins, with what it is about to do and how it ended in the
    /// audit log, unless that is off.
    pub(super) async fn recorded<T>(
        &self,
        what: String,
        work: impl AsyncFnOnce() -> Result<T, Failure>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        match self.is_audited {
            true => recorded(&self.store, what, work, told).await,
            false => work().await,
        }
    }
}

/// What a login says of itself: a user's name and password, or a token.
fn authorization(login: &str) -> String {
    match login.contains(':') {
        true => format!("Basic {}", STANDARD.encode(login)),
        false => format!("Bearer {login}"),
    }
}

/// What somebody who may read and write the store's files may do with its pins: what a node may.
fn permit<A: Act<On = Host>>() -> Result<Permit<A>, Failure> {
    let of_worker = system_principal("state");
    let operator = Principal {
        roles: Roles::NONE.with(Role::ClusterNode),
        proof: Proof::Internal,
        ..(*of_worker).clone()
    };
    let nothing = Context {
        cid: None,
        address: None,
        own: None,
    };
    let permit = Gate::open(None)?.permit::<A>(&Arc::new(operator), Host, &nothing);
    permit.map_err(|denial| anyhow!("the shipped policies deny {}", denial.action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_how_they_are_written() {
        let place = |text: &str| text.parse::<Place>().unwrap().to_string();
        assert_eq!(place("store"), "the store");
        assert_eq!(place("http://h:8420"), "http://h:8420/");
        assert_eq!(
            place("cluster+http://h:9094"),
            "the cluster at http://h:9094/"
        );
        let login = "cluster+http://me:secret@h:9094";
        assert_eq!(place(login), "the cluster at http://h:9094/");
        assert_eq!(place("-"), "the input");
        assert_eq!(place("pins.json"), "pins.json");
        assert!("cluster+nonsense".parse::<Place>().is_err());
    }

    #[test]
    fn whoever_holds_the_files_may_read_and_write_pins() {
        permit::<ReadPins>().unwrap();
        permit::<WritePins>().unwrap();
    }

    #[test]
    fn logins_are_passwords_or_tokens() {
        assert_eq!(authorization("a:b"), "Basic YTpi");
        assert_eq!(authorization("eyJ.x"), "Bearer eyJ.x");
    }
}

//! `holdfast doctor`: looks for what would keep the host from working, and says the mend.

mod certificate;
mod cluster;

use super::sources::Where;
use super::{Failure, host, terminal};
use crate::config::{self, Config, StoreKind};
use clap::Args;
use holdfast_policy::Gate;
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a Kubo node may take to answer.
const KUBO_TIMEOUT: Duration = Duration::from_secs(5);

/// Free space under which the store's compactions may not find room: it writes files of up to
/// 64 MiB anew, several at a time.
const DISK_MEBIBYTES_MIN: u64 = 1_024;

/// Bytes of a node's answer that are looked at.
const ANSWER_BYTES_MAX: u64 = 4_096;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    place: Where,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    /// Whether the host can do its work all the same.
    ok: bool,
    detail: String,
    /// What to do about it. With `ok`, a doubt: it works, and not as well as it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn well(what: &str, detail: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            ok: true,
            detail: detail.into(),
            mend: None,
        }
    }

    fn doubt(what: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            ok: true,
            ..Self::ill(what, detail, mend)
        }
    }

    fn ill(what: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let (detail, mend) = (detail.into(), Some(mend.into()));
        Self {
            what: what.to_owned(),
            ok: false,
            detail,
            mend,
        }
    }
}

impl Doctor {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let findings = self.findings().await;
        let is_well = findings.iter().all(|finding| finding.ok);
        if self.json {
            terminal::json(&findings)?;
        } else {
            let rows: Vec<[String; 3]> = findings.iter().map(row).collect();
            terminal::table(["WHAT", "STATE", "DETAIL"], &rows)?;
        }
        Ok(if is_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn findings(&self) -> Vec<Finding> {
        let loaded = match config::load(&self.place.sources(Vec::new()), host::inspect) {
            Ok(loaded) => loaded,
            Err(problems) => {
                let mend = "run `holdfast config check` and mend what it names";
                return vec![Finding::ill("configuration", problems.to_string(), mend)];
            }
        };
        let config = loaded.config;
        let mut findings = vec![
            Finding::well("configuration", "is good"),
            directory(&config.general.data),
            port("main listener", config.server.listen, "server.listen"),
            port("ops listener", config.ops.listen, "ops.listen"),
            policies(&config),
            plugins(&config),
        ];
        if config.store.kind == StoreKind::Embedded {
            findings.push(disk(&config.store_dir()));
        }
        findings.extend(cluster::findings(&config).await);
        for api in &config.kubo.api {
            findings.push(kubo(api).await);
        }
        findings
    }
}

fn row(finding: &Finding) -> [String; 3] {
    let state = match (finding.ok, &finding.mend) {
        (true, None) => "ok",
        (true, Some(_)) => "doubt",
        (false, _) => "BAD",
    };
    let mend = finding
        .mend
        .as_ref()
        .map(|mend| format!(" → {mend}"))
        .unwrap_or_default();
    [
        finding.what.clone(),
        state.to_owned(),
        format!("{}{mend}", finding.detail),
    ]
}

/// Whether a file can be written there and reaches the disk.
fn directory(dir: &Path) -> Finding {
    let probe = dir.join(".holdfast-doctor");
    let written = std::fs::create_dir_all(dir).and_then(|()| {
        let mut file = std::fs::File::create(&probe)?;
        file.write_all(&[0; 4_096])?;
        file.sync_all()?;
        std::fs::remove_file(&probe)
    });
    match written {
        Ok(()) => Finding::well(
            "data directory",
            format!("{} can be written", dir.display()),
        ),
        Err(e) => Finding::ill(
            "data directory",
            format!("{}: {e}", dir.display()),
            "make it writable for this user, free space on its disk, or set `data`",
        ),
    }
}

/// Whether there is room for what is written next.
fn disk(store: &Path) -> Finding {
    /// The nearest directory that is there: the store may still be to be made.
    fn found(path: &Path) -> &Path {
        let there = path.ancestors().find(|path| path.is_dir());
        there.unwrap_or(Path::new("."))
    }
    match rustix::fs::statvfs(found(store)) {
        Ok(disk) => {
            let mebibytes = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
            let detail = format!("{mebibytes} MiB are free at {}", store.display());
            match mebibytes < DISK_MEBIBYTES_MIN {
                true => Finding::doubt(
                    "disk",
                    detail,
                    "free space, or set store.dir to a larger one",
                ),
                false => Finding::well("disk", detail),
            }
        }
        Err(e) => Finding::ill("disk", format!("{}: {e}", store.display()), "set store.dir"),
    }
}

fn port(what: &str, address: SocketAddr, key: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::well(what, format!("{address} is free")),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Finding::ill(
            what,
            format!("{address} is in use"),
            format!("fine if that is a running host; else end the program there or set {key}"),
        ),
        Err(e) => Finding::ill(what, format!("{address}: {e}"), format!("set {key}")),
    }
}

fn policies(config: &Config) -> Finding {
    let Some(dir) = &config.policies.dir else {
        return Finding::well("policies", "those that are built in");
    };
    match Gate::check(dir).first() {
        None => Finding::well("policies", format!("those in {} are good", dir.display())),
        Some(problem) => {
            let mend = format!("run `holdfast policy check {}`", dir.display());
            Finding::ill("policies", problem.to_string(), mend)
        }
    }
}

fn plugins(config: &Config) -> Finding {
    let dir = config.plugins_dir();
    let entries = std::fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let is_component = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    };
    match entries.filter(|entry| is_component(&entry.path())).count() {
        0 => Finding::ill(
            "plugins",
            format!("{} has no component, so there are no prices", dir.display()),
            "put pricing-tiered.wasm there, or set plugins.dir",
        ),
        count => Finding::well(
            "plugins",
            format!("{count} components in {}", dir.display()),
        ),
    }
}

async fn kubo(api: &str) -> Finding {
    let what = format!("kubo {api}");
    match tokio::time::timeout(KUBO_TIMEOUT, version(api)).await {
        Ok(Ok(answer)) if answer.contains("\"Version\"") => Finding::well(&what, "answers"),
        Ok(Ok(answer)) => {
            let first = answer.lines().next().unwrap_or_default().to_owned();
            Finding::ill(
                &what,
                format!("is no RPC API of Kubo ({first})"),
                "set kubo.api to Addresses.API of the node",
            )
        }
        Ok(Err(e)) => Finding::ill(
            &what,
            e.to_string(),
            "start it with `ipfs daemon`, or set kubo.api",
        ),
        Err(_) => Finding::ill(
            &what,
            "does not answer",
            "look at the node's log, or set kubo.api",
        ),
    }
}

/// What the node answers when asked for its version, headers included.
async fn version(api: &str) -> std::io::Result<String> {
    let (host, port) =
        address(api).ok_or_else(|| std::io::Error::other("the address names no host and port"))?;
    let mut stream = TcpStream::connect((host.as_str(), port)).await?;
    let request = format!(
        "POST /api/v0/version HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Host and port of `http://HOST:PORT` or of a multiaddr such as `/ip4/127.0.0.1/tcp/5001`.
fn address(api: &str) -> Option<(String, u16)> {
    if let Some(rest) = api.strip_prefix('/') {
        let parts: Vec<&str> = rest.split('/').collect();
        let [_, host, "tcp", port, ..] = parts.as_slice() else {
            return None;
        };
        return Some(((*host).to_owned(), port.parse().ok()?));
    }
    let url = url::Url::parse(api).ok()?;
    Some((
        url.host_str()?.trim_matches(['[', ']']).to_owned(),
        url.port_or_known_default()?,
    ))
}

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

/// Free space in which not even one such file finds room: writes fail, now or at the next flush.
const DISK_MEBIBYTES_ILL: u64 = 64;

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
        findings.push(match config.store.kind {
            StoreKind::Embedded => disk(&config.store_dir(), "store.dir"),
            // The nodes' disks are theirs to watch; what the host itself keeps is here.
            _ => disk(&config.general.data, "data"),
        });
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
fn disk(dir: &Path, key: &str) -> Finding {
    /// The nearest directory that is there: it may still be to be made.
    fn found(path: &Path) -> &Path {
        let there = path.ancestors().find(|path| path.is_dir());
        there.unwrap_or(Path::new("."))
    }
    match rustix::fs::statvfs(found(dir)) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            room(free >> 20, dir, key)
        }
        Err(e) => {
            let mend = format!("set {key} to a directory that can be read");
            Finding::ill("disk", format!("{}: {e}", dir.display()), mend)
        }
    }
}

/// What to say of so much room.
fn room(mebibytes: u64, dir: &Path, key: &str) -> Finding {
    let detail = format!("{mebibytes} MiB are free at {}", dir.display());
    let mend = format!("free space, or set {key} to a larger one");
    match mebibytes {
        ..DISK_MEBIBYTES_ILL => Finding::ill("disk", detail, mend),
        DISK_MEBIBYTES_ILL..DISK_MEBIBYTES_MIN => Finding::doubt("disk", detail, mend),
        _ => Finding::well("disk", detail),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_is_bad_and_one_that_fills_up_is_a_doubt() {
        let of = |mebibytes| room(mebibytes, Path::new("/srv/pins"), "store.dir");
        for full in [0, DISK_MEBIBYTES_ILL - 1] {
            let full = of(full);
            assert!(!full.ok, "{full:?}");
            assert!(full.detail.contains("/srv/pins"), "{full:?}");
            assert!(full.mend.unwrap().contains("store.dir"));
        }
        for little in [DISK_MEBIBYTES_ILL, DISK_MEBIBYTES_MIN - 1] {
            let little = of(little);
            assert!(little.ok && little.mend.is_some(), "{little:?}");
        }
        assert!(of(DISK_MEBIBYTES_MIN).mend.is_none());
    }

    /// What is told is what the file system says, also of a directory that is still to be made.
    #[test]
    fn the_room_is_that_of_the_directory_or_of_what_it_will_lie_in() {
        let dir = tempfile::tempdir().unwrap();
        let later = dir.path().join("not/yet");
        let told = disk(&later, "data");
        assert!(told.detail.contains(" MiB are free at "), "{told:?}");
        assert!(told.detail.contains(&later.display().to_string()));
    }
}

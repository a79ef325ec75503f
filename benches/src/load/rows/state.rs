//! A pin set in and out: files through `holdfast state`, and the State API's stream.
//!
//! Pins look as IPFS Cluster's do: a version-1 CID of SHA-256, a name, two allocations, one pair of
//! metadata. `--pins` says how many there are. All rows but the first share a store that has them.

use super::{Plan, ROUNDS};
use crate::client;
use crate::host::Host;
use crate::table::Row;
use anyhow::{Context, Result, bail, ensure};
use holdfast_model::{Cid, PeerId, Pin, UnixMillis};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What lists and exports are to reach: pins a second.
const EXPORT_GOAL: f64 = 300_000.0;

/// The end of a chunked body that is whole.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What imports are to reach.
const IMPORT_GOAL: f64 = 60_000.0;

/// Milliseconds in which a host over many pins is to be ready: "seconds".
const START_GOAL_MS: f64 = 5_000.0;

/// Pins of which an import is measured more than once: beyond it takes minutes, and a moment's
/// noise no longer shows.
const REPEATED_MAX: u32 = 2_000_000;

/// A store with pins in it.
pub(crate) struct Loaded {
    dir: tempfile::TempDir,
    per_second: f64,
}

/// `holdfast state import` of a file into an empty embedded store, all durable.
pub(super) fn import(plan: &Plan) -> Result<Row> {
    let rounds = if plan.pins > REPEATED_MAX { 1 } else { ROUNDS };
    let mut pairs = Vec::new();
    for _ in 1..rounds {
        pairs.push((load(plan)?.per_second, IMPORT_GOAL));
    }
    pairs.push((loaded(plan)?.per_second, IMPORT_GOAL));
    Ok(row("import", "the goal itself", ">= 60k/s", &pairs))
}

/// `holdfast state export` of an embedded store into a file.
pub(super) fn export(plan: &Plan) -> Result<Row> {
    let loaded = loaded(plan)?;
    let mut pairs = Vec::new();
    for n in 0..ROUNDS {
        let out = loaded.dir.path().join(format!("out-{n}"));
        let began = Instant::now();
        state(plan, loaded.dir.path(), &["export"], &out)?;
        pairs.push((rate(plan, began), EXPORT_GOAL));
        std::fs::remove_file(out)?;
    }
    Ok(row("export", "the goal itself", ">= 300k/s", &pairs))
}

/// `GET /v1/state/pins` as protobuf, over HTTP.
pub(super) fn list_stream(plan: &Plan) -> Result<Row> {
    let loaded = loaded(plan)?;
    let host = Host::start_over(&plan.binary, Some(&loaded.data()))?;
    let key = node(&host)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        stream(&host, &key, |_| Ok(()))?;
        pairs.push((rate(plan, began), EXPORT_GOAL));
    }
    Ok(row("list_stream", "the goal itself", ">= 300k/s", &pairs))
}

/// The host's memory at the end of a list beside that after a tenth of it.
pub(super) fn stream_rss_mib(plan: &Plan) -> Result<Row> {
    let loaded = loaded(plan)?;
    let host = Host::start_over(&plan.binary, Some(&loaded.data()))?;
    let key = node(&host)?;
    // The store's own cache fills with the first list.
    stream(&host, &key, |_| Ok(()))?;
    let mut sizes = Vec::new();
    let whole = stream(&host, &key, |bytes| {
        sizes.push((bytes, host.resident_kib()?));
        Ok(())
    })?;
    let early = sizes.iter().find(|(bytes, _)| *bytes >= whole / 10);
    let (early, late) = early.zip(sizes.last()).context("the list is too short")?;
    let pairs = [(mib(late.1), mib(early.1))];
    Ok(Row::from_pairs(
        "stream_rss_mib",
        "MiB",
        "itself after a tenth",
        "<= 1.1",
        &pairs,
    ))
}

/// From `exec` to a ready host over a store with many pins, beside one with none.
pub(super) fn start_full_ms(plan: &Plan) -> Result<Row> {
    let loaded = loaded(plan)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let host = Host::start_over(&plan.binary, Some(&loaded.data()))?;
        let ms = u32::try_from(host.started_in.as_millis()).unwrap_or(u32::MAX);
        pairs.push((f64::from(ms), START_GOAL_MS));
    }
    let goal = "<= 5 s";
    let name = "start_full_ms";
    Ok(Row::from_pairs(name, "ms", "the goal itself", goal, &pairs))
}

/// The memory of such a host once it is ready, beside one with no pins.
pub(super) fn start_full_mib(plan: &Plan) -> Result<Row> {
    let loaded = loaded(plan)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let full = Host::start_over(&plan.binary, Some(&loaded.data()))?;
        let empty = Host::start(&plan.binary)?;
        pairs.push((mib(full.resident_kib()?), mib(empty.resident_kib()?)));
    }
    let beside = "a host with no pins";
    let name = "start_full_mib";
    Ok(Row::from_pairs(name, "MiB", beside, "", &pairs))
}

#[expect(clippy::float_arithmetic, reason = "a size for people, no money")]
fn mib(kib: u32) -> f64 {
    f64::from(kib) / 1_024.0
}

fn row(name: &str, beside: &str, goal: &str, pairs: &[(f64, f64)]) -> Row {
    Row::from_pairs(name, "pins/s", beside, goal, pairs)
}

#[expect(clippy::float_arithmetic, reason = "a rate for people, no money")]
fn rate(plan: &Plan, began: Instant) -> f64 {
    f64::from(plan.pins) / began.elapsed().as_secs_f64()
}

impl Loaded {
    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

/// The store that rows share.
pub(super) fn loaded(plan: &Plan) -> Result<&Loaded> {
    if let Some(loaded) = plan.loaded.get() {
        return Ok(loaded);
    }
    let fresh = load(plan)?;
    Ok(plan.loaded.get_or_init(|| fresh))
}

/// Writes a file of pins and imports it.
fn load(plan: &Plan) -> Result<Loaded> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pins.json");
    let mut out = BufWriter::new(File::create(&file)?);
    for n in 0..plan.pins {
        serde_json::to_writer(&mut out, &pin(n)?)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    let began = Instant::now();
    state(plan, dir.path(), &["import"], &file)?;
    let per_second = rate(plan, began);
    std::fs::remove_file(file)?;
    Ok(Loaded { dir, per_second })
}

fn pin(n: u32) -> Result<Pin> {
    // Spread as digests are: a constant odd factor is a permutation of all 64-bit numbers.
    let spread = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut digest = Vec::new();
    for turn in [0, 16, 32, 48] {
        digest.extend(spread.rotate_left(turn).to_be_bytes());
    }
    let cid = Cid::from_bytes(&[&[1, 0x55, 0x12, 0x20], digest.as_slice()].concat())?;
    let peer = |n: u8| PeerId::from_bytes(&[&[0x12, 0x20][..], &[n; 32]].concat());
    let mut pin = Pin::recursive(cid, UnixMillis::new(1_700_000_000_000));
    pin.allocations = vec![peer(1)?, peer(2)?];
    pin.options.name = format!("pin-{n}");
    pin.options.replication_factor_min = 2;
    pin.options.replication_factor_max = 3;
    let pair = ("dataset".to_owned(), "spring".to_owned());
    pin.options.metadata.extend([pair]);
    Ok(pin)
}

/// Runs `holdfast state` over the embedded store in `dir`.
fn state(plan: &Plan, dir: &Path, verb: &[&str], file: &Path) -> Result<()> {
    let ran = Command::new(&plan.binary)
        .arg("state")
        .args(verb)
        .arg(file)
        .env("HOLDFAST_DATA", dir.join("data"))
        .current_dir(dir)
        .output()?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "holdfast state {verb:?}: {said}");
    Ok(())
}

/// A node's key.
pub(super) fn node(host: &Host) -> Result<String> {
    let wanted = r#"{"account":"default/cluster","roles":["cluster-node"],"label":"bench"}"#;
    let (status, made) = client::call(host.addr, &client::post("/v1/keys", &host.key, wanted))?;
    let made: Value = serde_json::from_slice(&made)?;
    let secret = made.get("secret").and_then(Value::as_str);
    match (status, secret) {
        (201, Some(secret)) => Ok(secret.to_owned()),
        _ => bail!("no key for a node: {status} {made}"),
    }
}

/// Reads the whole list; tells now and then how many bytes have come.
fn stream(host: &Host, key: &str, mut told: impl FnMut(u64) -> Result<()>) -> Result<u64> {
    let mut socket = TcpStream::connect(host.addr)?;
    let head = format!(
        "GET /v1/state/pins HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\
         accept: application/x-protobuf\r\nauthorization: Bearer {key}\r\n\r\n"
    );
    socket.write_all(head.as_bytes())?;
    let mut buffer = vec![0; 1024 * 1024];
    let (mut bytes, mut asked, mut last) = (0_u64, 0_u64, Vec::new());
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        bytes += u64::try_from(length)?;
        let piece = buffer.get(..length).unwrap_or_default();
        let tail = piece.get(length.saturating_sub(LAST_CHUNK.len())..);
        last.extend_from_slice(tail.unwrap_or_default());
        last.drain(..last.len().saturating_sub(LAST_CHUNK.len()));
        if bytes - asked > 16 * 1024 * 1024 {
            asked = bytes;
            told(bytes)?;
        }
    }
    ensure!(last == LAST_CHUNK, "the list broke off after {bytes} bytes");
    told(bytes)?;
    Ok(bytes)
}

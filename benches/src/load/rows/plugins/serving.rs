//! The slowest requests in a hundred to a whole host, beside a hostile plugin that serves.

use super::super::Plan;
use super::super::http::make_request;
use super::bench::component_bytes;
use super::calm::{PERCENT, measured_beside, short};
use crate::client::{self, Line, Requests};
use crate::host::Host;
use crate::table::{Row, percentile};
use anyhow::{Result, anyhow, ensure};
use holdfast_runtime::{go_first, step_back};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two requests: 1,000 a second.
const PACE: Duration = Duration::from_millis(1);

/// Between two quotes: as long as the plugin may compute. A caller without a pace would show what a
/// thousand refused requests a second cost, not what the plugin does.
pub(super) const ASK: Duration = Duration::from_millis(5);

/// What the plugin does, one after the other: all that a plugin can do in its call.
const DEEDS: [&str; 6] = ["loop", "memory", "stack", "trap", "handles", "giant-string"];

/// Neither the breaker nor the watch over a promotion is to take the plugin away.
const UNTAMED: &str =
    "[limits]\ncpu_ms = 5\n[breaker]\nfailures = 1000000\n[promote]\nwatch_ms = 0\n";

/// Pairs of stretches, for each deed.
const PAIRS_EACH: u32 = 5;

/// By when a plugin that was put into the folder must be there.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// GETs of a pin request, to a host.
pub(super) struct Gets {
    host: Host,
    request: Vec<u8>,
    stretch: Duration,
}

impl Gets {
    /// To a host of their own, from this thread. It goes first from now on: callers are elsewhere,
    /// mostly, and what is measured is how long they wait for the host.
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        go_first();
        let host = Host::start(&plan.binary)?;
        let id = make_request(&host, 0)?;
        Ok(Self {
            request: request(&host, &format!("/psa/pins/{id}"))?,
            host,
            stretch: short(plan),
        })
    }

    /// Whom they go to.
    pub(super) const fn host(&self) -> &Host {
        &self.host
    }

    /// What the slowest in a hundred take, in microseconds.
    pub(super) fn slowest(&self) -> Result<f64> {
        let micros = client::paced(self.host.addr, &self.request, PACE, self.stretch)?;
        percentile(micros, PERCENT)
    }
}

/// GETs of a pin request while somebody asks a hostile pricing plugin, which serves, for 200 quotes
/// a second, beside the same GETs with nothing going on.
pub(in super::super) fn hostile_get(plan: &Plan) -> Result<Row> {
    let gets = Gets::start(plan)?;
    let mut all = Vec::new();
    for deed in DEEDS.into_iter().filter(|deed| plan.has_case(deed)) {
        let mut pairs = Vec::new();
        for _ in 0..PAIRS_EACH {
            pairs.push(pair(&gets, deed)?);
        }
        eprintln!("{:6.2}  {deed}", row("", &pairs).ratio);
        all.extend(pairs);
    }
    Ok(row("hostile_get", &all))
}

fn row(name: &str, pairs: &[(f64, f64)]) -> Row {
    let peer = "the same GETs with quiet";
    Row::from_pairs(name, "us p99", peer, "<= 2", pairs)
}

/// The slowest GETs beside a deed, and with quiet.
fn pair(gets: &Gets, deed: &str) -> Result<(f64, f64)> {
    let host = gets.host();
    let quote = request(host, "/v1/quote")?;
    let quiet = gets.slowest()?;
    install(host, deed)?;
    wait_until(host, &quote, |status| status != 200)?;
    let beside = |is_over: &AtomicBool| misbehave(host, &quote, deed, is_over);
    let busy = measured_beside(beside, || gets.slowest())?;
    std::fs::remove_file(host.plugins().join("hostile.wasm"))?;
    wait_until(host, &quote, |status| status == 200)?;
    Ok((busy, quiet))
}

/// Asks until the host answers like this.
fn wait_until(host: &Host, quote: &[u8], is_so: fn(u16) -> bool) -> Result<()> {
    let begin = Instant::now();
    while !is_so(client::call(host.addr, quote)?.0) {
        let late = begin.elapsed() > PATIENCE;
        ensure!(!late, "the folder's change is not seen");
    }
    Ok(())
}

/// Asks at its pace, or as soon as the last was answered.
fn misbehave(host: &Host, quote: &[u8], deed: &str, is_over: &AtomicBool) -> Result<()> {
    // Elsewhere than the host, mostly; here it is not to take others' turns.
    step_back();
    let mut line = Line::to(host.addr)?;
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let (status, said) = line.call(quote)?;
        thread::sleep(ASK.saturating_sub(asked.elapsed()));
        let said = String::from_utf8_lossy(&said);
        ensure!(status != 200, "{deed} is answered {status}: {said}");
    }
    Ok(())
}

/// Puts the plugin into the host's folder, the manifest first: the two are taken in together.
fn install(host: &Host, deed: &str) -> Result<()> {
    let place = |name: &str, bytes: &[u8]| {
        let beside = host.plugins().join("next.tmp");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, host.plugins().join(name))
    };
    let manifest = format!("[settings]\ndo = \"{deed}\"\n{UNTAMED}");
    place("hostile.toml", manifest.as_bytes())?;
    place("hostile.wasm", &component_bytes("hostile-pricing")?)?;
    Ok(())
}

/// One GET, as bytes.
pub(super) fn request(host: &Host, path: &str) -> Result<Vec<u8>> {
    match client::get(path, &host.key) {
        Requests::Same(bytes) => Ok(bytes.to_vec()),
        Requests::Numbered(_) => Err(anyhow!("a GET is always the same")),
    }
}

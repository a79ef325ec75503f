//! The slowest requests in a hundred to a whole host, with a hostile plugin in it and without.

use super::super::Plan;
use super::super::http::make_request;
use super::bench::component_bytes;
use super::calm::{DEEDS, PAIRS, PERCENT, UNTAMED, short};
use crate::client::{self, Requests};
use crate::host::Host;
use crate::table::{Row, percentile};
use anyhow::{Result, anyhow, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between two requests: 1,000 a second.
const PACE: Duration = Duration::from_millis(1);

/// Between two quotes: as long as the plugin may compute. A caller without a pace would show what a
/// thousand refused requests a second cost, not what the plugin does.
const ASK: Duration = Duration::from_millis(5);

/// For how long each deed is done: long enough for the host to take the next one in.
const DEED: Duration = Duration::from_millis(500);

/// By when a plugin that was put into the folder must serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// GETs of a pin request while somebody asks a hostile pricing plugin for 200 quotes a second,
/// beside the same GETs with nothing going on.
pub(in super::super) fn hostile_get(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let id = make_request(&host, 0)?;
    let (get, quote) = (
        request(&host, &format!("/psa/pins/{id}"))?,
        request(&host, "/v1/quote")?,
    );
    let slowest = || {
        let micros = client::paced(host.addr, &get, PACE, short(plan))?;
        percentile(micros, PERCENT)
    };
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let quiet = slowest()?;
        let is_over = AtomicBool::new(false);
        let busy = thread::scope(|scope| {
            install(&host, "loop")?;
            let begin = Instant::now();
            while client::call(host.addr, &quote)?.0 == 200 {
                ensure!(begin.elapsed() < PATIENCE, "the hostile plugin is not live");
            }
            let beside = scope.spawn(|| misbehave(&host, &quote, &is_over));
            let busy = slowest();
            is_over.store(true, Ordering::Relaxed);
            let done = beside.join();
            done.map_err(|_| anyhow!("what ran beside the load panicked"))??;
            busy
        })?;
        std::fs::remove_file(host.plugins().join("hostile.wasm"))?;
        let begin = Instant::now();
        while client::call(host.addr, &quote)?.0 != 200 {
            ensure!(begin.elapsed() < PATIENCE, "the hostile plugin does not go");
        }
        pairs.push((busy, quiet));
    }
    Ok(Row::from_pairs(
        "hostile_get",
        "us p99",
        "the same GETs with quiet",
        "<= 2",
        &pairs,
    ))
}

/// Asks for quotes at its pace, or as soon as the last was refused, and goes from deed to deed.
fn misbehave(host: &Host, quote: &[u8], is_over: &AtomicBool) -> Result<()> {
    for deed in DEEDS.iter().cycle() {
        install(host, deed)?;
        let begin = Instant::now();
        while begin.elapsed() < DEED {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let asked = Instant::now();
            let (status, said) = client::call(host.addr, quote)?;
            thread::sleep(ASK.saturating_sub(asked.elapsed()));
            let said = String::from_utf8_lossy(&said);
            ensure!(status >= 500, "{deed} is answered {status}: {said}");
        }
    }
    Ok(())
}

/// Puts the plugin into the host's folder, the manifest first: the two are taken in together.
fn install(host: &Host, deed: &str) -> Result<()> {
    let manifest = format!("[settings]\ndo = \"{deed}\"\n{UNTAMED}");
    let place = |name: &str, bytes: &[u8]| {
        let beside = host.plugins().join("next.tmp");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, host.plugins().join(name))
    };
    place("hostile.toml", manifest.as_bytes())?;
    place("hostile.wasm", &component_bytes("hostile-pricing")?)?;
    Ok(())
}

fn request(host: &Host, path: &str) -> Result<Vec<u8>> {
    match client::get(path, &host.key) {
        Requests::Same(bytes) => Ok(bytes.to_vec()),
        Requests::Numbered(_) => Err(anyhow!("a GET is always the same")),
    }
}

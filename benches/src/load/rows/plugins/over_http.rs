//! The slowest requests in a hundred to a whole host, with hostile plugins in it and without.

use super::super::Plan;
use super::super::http::make_request;
use super::bench::component_bytes;
use super::calm::{DEEDS, PAIRS, PERCENT, UNTAMED, measured_beside, short};
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

/// Pairs of stretches, for each deed.
const PAIRS_EACH: u32 = 5;

/// By when a plugin that was put into the folder must serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than a loop in `init` may take, so that each is refused before the next comes.
const REFUSED_BY: Duration = Duration::from_millis(800);

/// What is done beside the load: a hostile component, and how it comes to be asked.
struct Neighbour {
    component: &'static str,
    /// What it does, each for some pairs.
    deeds: Vec<&'static str>,
    /// What its manifest says of when it serves.
    promote: &'static str,
    /// The call that asks it.
    ask: Vec<u8>,
    /// What the host answers while the plugin is there, and when it is gone.
    there: fn(u16) -> bool,
    /// Whether an answer says that it has done its deed.
    fails: fn(u16, &str) -> bool,
}

/// GETs of a pin request while somebody asks a hostile pricing plugin for 200 quotes a second,
/// beside the same GETs with nothing going on.
pub(in super::super) fn hostile_get(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let neighbour = Neighbour {
        component: "hostile-pricing",
        deeds: DEEDS.to_vec(),
        promote: "",
        ask: request(&host, "/v1/quote")?,
        there: |status| status != 200,
        fails: |status, _| status != 200,
    };
    let pairs = beside(plan, &host, &neighbour)?;
    Ok(row("hostile_get", &pairs))
}

/// The same while a candidate that never serves, an authorizer, a payment or a config plugin, is
/// asked by an operator's `plugin try`, 200 times a second.
pub(in super::super) fn hostile_get_beside(
    plan: &Plan,
    component: &'static str,
    giant: &'static str,
    name: &'static str,
) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let of_all = DEEDS.into_iter().filter(|deed| *deed != "giant-string");
    let neighbour = Neighbour {
        component,
        deeds: of_all.chain([giant, "call-storm", "log-flood"]).collect(),
        promote: "by = \"hand\"\n",
        ask: client::post("/v1/plugins/hostile/try", &host.key, ""),
        there: |status| status == 200,
        fails: |_, said| said.contains("\"is_answered\":false"),
    };
    Ok(row(name, &beside(plan, &host, &neighbour)?))
}

/// The same while a plugin whose `init` never ends, and half a file, are put into the folder in
/// turn, as soon as the last one was refused.
pub(in super::super) fn hostile_get_taking_in(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let get = pin_request(&host)?;
    let slowest = || slowest(&host, &get, plan);
    let whole = component_bytes("hostile-authorizer")?;
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let quiet = slowest()?;
        let taking_in = |is_over: &AtomicBool| {
            for wasm in [whole.as_slice(), half].into_iter().cycle() {
                if is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                put(&host, wasm, "[settings]\ndo = \"init-loop\"\n")?;
                thread::sleep(REFUSED_BY);
            }
            Ok(())
        };
        pairs.push((measured_beside(taking_in, slowest)?, quiet));
    }
    Ok(row("hostile_get_taking_in", &pairs))
}

fn row(name: &str, pairs: &[(f64, f64)]) -> Row {
    let peer = "the same GETs with quiet";
    Row::from_pairs(name, "us p99", peer, "<= 2", pairs)
}

/// The slowest GETs with a neighbour and without, in turn, for each of its deeds.
fn beside(plan: &Plan, host: &Host, neighbour: &Neighbour) -> Result<Vec<(f64, f64)>> {
    let get = pin_request(host)?;
    let slowest = || slowest(host, &get, plan);
    let mut pairs = Vec::new();
    for deed in &neighbour.deeds {
        let mut of_deed = Vec::new();
        for _ in 0..PAIRS_EACH {
            let quiet = slowest()?;
            install(host, neighbour, deed)?;
            wait_until(host, neighbour, true)?;
            let beside = |is_over: &AtomicBool| misbehave(host, neighbour, deed, is_over);
            let busy = measured_beside(beside, slowest)?;
            std::fs::remove_file(host.plugins().join("hostile.wasm"))?;
            wait_until(host, neighbour, false)?;
            of_deed.push((busy, quiet));
        }
        let ratio = row(deed, &of_deed).ratio;
        eprintln!("{} {deed}: {ratio:.2}", neighbour.component);
        pairs.extend(of_deed);
    }
    Ok(pairs)
}

fn pin_request(host: &Host) -> Result<Vec<u8>> {
    let id = make_request(host, 0)?;
    request(host, &format!("/psa/pins/{id}"))
}

fn slowest(host: &Host, get: &[u8], plan: &Plan) -> Result<f64> {
    let micros = client::paced(host.addr, get, PACE, short(plan))?;
    percentile(micros, PERCENT)
}

fn wait_until(host: &Host, neighbour: &Neighbour, is_there: bool) -> Result<()> {
    let begin = Instant::now();
    while (neighbour.there)(client::call(host.addr, &neighbour.ask)?.0) != is_there {
        let component = neighbour.component;
        let late = begin.elapsed() > PATIENCE;
        ensure!(
            !late,
            "{component} should be there: {is_there}, and is not so"
        );
    }
    Ok(())
}

/// Asks at its pace, or as soon as the last was answered.
fn misbehave(host: &Host, neighbour: &Neighbour, deed: &str, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let (status, said) = client::call(host.addr, &neighbour.ask)?;
        thread::sleep(ASK.saturating_sub(asked.elapsed()));
        let said = String::from_utf8_lossy(&said);
        // What floods the log may be through with it in its time.
        let is_done = deed == "log-flood" || (neighbour.fails)(status, &said);
        ensure!(is_done, "{deed} is answered {status}: {said}");
    }
    Ok(())
}

/// Puts the plugin into the host's folder.
fn install(host: &Host, neighbour: &Neighbour, deed: &str) -> Result<()> {
    // The last table of it is [promote].
    let promote = neighbour.promote;
    let manifest = format!("[settings]\ndo = \"{deed}\"\n{UNTAMED}{promote}");
    put(host, &component_bytes(neighbour.component)?, &manifest)
}

/// The manifest first: the two are taken in together.
fn put(host: &Host, wasm: &[u8], manifest: &str) -> Result<()> {
    let place = |name: &str, bytes: &[u8]| {
        let beside = host.plugins().join("next.tmp");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, host.plugins().join(name))
    };
    place("hostile.toml", manifest.as_bytes())?;
    place("hostile.wasm", wasm)?;
    Ok(())
}

fn request(host: &Host, path: &str) -> Result<Vec<u8>> {
    match client::get(path, &host.key) {
        Requests::Same(bytes) => Ok(bytes.to_vec()),
        Requests::Numbered(_) => Err(anyhow!("a GET is always the same")),
    }
}

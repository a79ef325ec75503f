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

/// For how long each deed is done: long enough for the host to take the next one in.
const DEED: Duration = Duration::from_millis(500);

/// By when a plugin that was put into the folder must serve.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is done beside the load: a hostile component, and how it comes to be asked.
struct Neighbour {
    component: &'static str,
    /// What its manifest says of when it serves.
    promote: &'static str,
    /// The call that asks it.
    ask: Vec<u8>,
    /// What the host answers while the plugin is there, and when it is gone.
    there: fn(u16) -> bool,
}

/// GETs of a pin request while somebody asks a hostile pricing plugin for 200 quotes a second,
/// beside the same GETs with nothing going on.
pub(in super::super) fn hostile_get(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let neighbour = Neighbour {
        component: "hostile-pricing",
        promote: "",
        ask: request(&host, "/v1/quote")?,
        there: |status| status != 200,
    };
    let pairs = beside(plan, &host, &neighbour)?;
    Ok(row("hostile_get", &pairs))
}

/// The same while a candidate that never serves, an authorizer, a payment or a config plugin, is
/// asked by an operator's `plugin try`, 200 times a second.
pub(in super::super) fn hostile_get_beside(
    plan: &Plan,
    component: &'static str,
    name: &'static str,
) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let neighbour = Neighbour {
        component,
        promote: "by = \"hand\"\n",
        ask: client::post("/v1/plugins/hostile/try", &host.key, ""),
        there: |status| status != 404,
    };
    Ok(row(name, &beside(plan, &host, &neighbour)?))
}

fn row(name: &'static str, pairs: &[(f64, f64)]) -> Row {
    let peer = "the same GETs with quiet";
    Row::from_pairs(name, "us p99", peer, "<= 2", pairs)
}

/// The slowest GETs with a neighbour and without, in turn.
fn beside(plan: &Plan, host: &Host, neighbour: &Neighbour) -> Result<Vec<(f64, f64)>> {
    let id = make_request(host, 0)?;
    let get = request(host, &format!("/psa/pins/{id}"))?;
    let slowest = || {
        let micros = client::paced(host.addr, &get, PACE, short(plan))?;
        percentile(micros, PERCENT)
    };
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let quiet = slowest()?;
        install(host, neighbour, "loop")?;
        wait_until(host, neighbour, true)?;
        let beside = |is_over: &AtomicBool| misbehave(host, neighbour, is_over);
        let busy = measured_beside(beside, slowest)?;
        std::fs::remove_file(host.plugins().join("hostile.wasm"))?;
        wait_until(host, neighbour, false)?;
        pairs.push((busy, quiet));
    }
    Ok(pairs)
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

/// Asks at its pace, or as soon as the last was answered, and goes from deed to deed.
fn misbehave(host: &Host, neighbour: &Neighbour, is_over: &AtomicBool) -> Result<()> {
    for deed in DEEDS.iter().cycle() {
        install(host, neighbour, deed)?;
        let begin = Instant::now();
        while begin.elapsed() < DEED {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let asked = Instant::now();
            let (status, said) = client::call(host.addr, &neighbour.ask)?;
            thread::sleep(ASK.saturating_sub(asked.elapsed()));
            let said = String::from_utf8_lossy(&said);
            ensure!(
                (neighbour.there)(status),
                "{deed} is answered {status}: {said}"
            );
        }
    }
    Ok(())
}

/// Puts the plugin into the host's folder, the manifest first: the two are taken in together.
fn install(host: &Host, neighbour: &Neighbour, deed: &str) -> Result<()> {
    // The last table of it is [promote].
    let manifest = format!(
        "[settings]\ndo = \"{deed}\"\n{UNTAMED}{}",
        neighbour.promote
    );
    let place = |name: &str, bytes: &[u8]| {
        let beside = host.plugins().join("next.tmp");
        std::fs::write(&beside, bytes)?;
        std::fs::rename(beside, host.plugins().join(name))
    };
    place("hostile.toml", manifest.as_bytes())?;
    place("hostile.wasm", &component_bytes(neighbour.component)?)?;
    Ok(())
}

fn request(host: &Host, path: &str) -> Result<Vec<u8>> {
    match client::get(path, &host.key) {
        Requests::Same(bytes) => Ok(bytes.to_vec()),
        Requests::Numbered(_) => Err(anyhow!("a GET is always the same")),
    }
}

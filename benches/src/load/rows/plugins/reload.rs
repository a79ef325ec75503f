//! Answers of a whole host under full load while a plugin is replaced again and again, beside the
//! same load with none replaced.

use super::super::http::make_request;
use super::super::{Plan, ROUNDS, store};
use super::bench::component_bytes;
use super::calm::{PERCENT, measured_beside};
use crate::client::{self, Load, Requests};
use crate::host::Host;
use crate::table::{Row, percentile};
use anyhow::{Context, Result, anyhow, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Connections that ask as soon as they are answered: more than there are processors by far.
const CONNECTIONS: usize = 64;

/// How long a replacement may take: it is compiled on what the load leaves over.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks whether a replacement is live.
const LOOK: Duration = Duration::from_millis(20);

/// A plugin that is replaced, and what is asked of the host meanwhile.
struct Replaced {
    row: &'static str,
    plugin: &'static str,
    manifest: &'static str,
    requests: fn(&Host) -> Result<Requests>,
    status: u16,
}

/// Quotes, by the plugin that is replaced.
pub(in super::super) fn reload_pricing(plan: &Plan) -> Result<Row> {
    let replaced = Replaced {
        row: "reload_pricing",
        plugin: "pricing-tiered",
        manifest: "",
        requests: |host| Ok(client::get("/v1/quote", &host.key)),
        status: 200,
    };
    replaced.measure(plan)
}

/// Requests that are made, each allowed by the plugin that is replaced.
pub(in super::super) fn reload_authorizer(plan: &Plan) -> Result<Row> {
    let replaced = Replaced {
        row: "reload_authorizer",
        plugin: "authorizer-quota",
        manifest: "",
        requests: |host| Ok(posts(host)),
        status: 202,
    };
    replaced.measure(plan)
}

/// Requests that are read while a plugin that none of them asks is replaced.
pub(in super::super) fn reload_payment(plan: &Plan) -> Result<Row> {
    let replaced = Replaced {
        row: "reload_payment",
        plugin: "payment-webhook",
        manifest: "[settings]\nurl = \"https://billing.example/holdfast\"\nsecret_headers = []\n\
                   [[egress]]\nscheme = \"https\"\nhost = \"billing.example\"\nport = 443\n\
                   methods = [\"POST\"]\npath_prefix = \"/holdfast\"\n",
        requests: gets,
        status: 200,
    };
    replaced.measure(plan)
}

/// The same; the configuration is read anew each time.
pub(in super::super) fn reload_config(plan: &Plan) -> Result<Row> {
    let replaced = Replaced {
        row: "reload_config",
        plugin: "config-env-overlay",
        manifest: "[settings]\nprefix = \"HOLDFAST_OVERLAY_\"\n\
                   [environment]\nallow = [\"HOLDFAST_OVERLAY_*\"]\n",
        requests: gets,
        status: 200,
    };
    replaced.measure(plan)
}

fn gets(host: &Host) -> Result<Requests> {
    let id = make_request(host, 0)?;
    Ok(client::get(&format!("/psa/pins/{id}"), &host.key))
}

/// Each of a CID that was not asked for before, from one stretch to the next.
fn posts(host: &Host) -> Requests {
    let (key, next) = (host.key.clone(), AtomicU64::new(0));
    Requests::Numbered(Arc::new(move |_| {
        let cid = store::cid(next.fetch_add(1, Ordering::Relaxed));
        client::post("/psa/pins", &key, &format!("{{\"cid\":\"{cid}\"}}"))
    }))
}

impl Replaced {
    fn measure(&self, plan: &Plan) -> Result<Row> {
        let host = Host::start(&plan.binary)?;
        let mut wasm = component_bytes(self.plugin)?;
        // A custom section at the end: another component to the host, and the same plugin.
        wasm.extend([0, 3, 1, b'r', 0]);
        self.replace(&host, &mut wasm)?;
        let load = Load {
            addr: host.addr,
            requests: (self.requests)(&host)?,
            connections: CONNECTIONS,
            duration: plan.stretch,
            status: self.status,
        };
        let slowest = || {
            let outcome = client::run(load.clone())?;
            ensure!(outcome.failed == 0, "{} calls failed", outcome.failed);
            percentile(outcome.micros, PERCENT)
        };
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let steady = slowest()?;
            let beside = |is_over: &AtomicBool| self.replace_until(&host, &mut wasm, is_over);
            let replacing = measured_beside(beside, slowest)?;
            pairs.push((replacing, steady));
        }
        let peer = "the same calls, no reload";
        Ok(Row::from_pairs(
            self.row,
            "us p99",
            peer,
            "<= 2, 0 failed",
            &pairs,
        ))
    }

    fn replace_until(&self, host: &Host, wasm: &mut [u8], is_over: &AtomicBool) -> Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            self.replace(host, wasm)?;
        }
        Ok(())
    }

    /// Puts another component into the host's folder and waits until it is live.
    fn replace(&self, host: &Host, wasm: &mut [u8]) -> Result<()> {
        let before = self.live(host)?;
        if let Some(last) = wasm.last_mut() {
            *last = last.wrapping_add(1);
        }
        let place = |extension: &str, bytes: &[u8]| {
            let beside = host.plugins().join("next.tmp");
            std::fs::write(&beside, bytes)?;
            let whole = format!("{}.{extension}", self.plugin);
            std::fs::rename(beside, host.plugins().join(whole))
        };
        if before.is_none() {
            place("toml", self.manifest.as_bytes())?;
        }
        place("wasm", wasm)?;
        let begin = Instant::now();
        while self.live(host)? <= before {
            let plugin = self.plugin;
            ensure!(begin.elapsed() < PATIENCE, "{plugin} is not replaced");
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// The generation that serves.
    fn live(&self, host: &Host) -> Result<Option<u64>> {
        let path = format!("/v1/plugins/{}", self.plugin);
        let Requests::Same(request) = client::get(&path, &host.key) else {
            unreachable!("a GET is always the same")
        };
        let (status, body) = client::call(host.addr, &request)?;
        if status == 404 {
            return Ok(None);
        }
        let told: serde_json::Value = serde_json::from_slice(&body)?;
        let field = |name: &str| told.get(name).context("the host tells no such plugin");
        match field("state")?.as_str() {
            Some("live") => Ok(field("generation")?.as_u64()),
            _ => Err(anyhow!("the host did not take {}: {told}", self.plugin)),
        }
    }
}

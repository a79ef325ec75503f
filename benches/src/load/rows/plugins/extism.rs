//! The same pricing call through Extism, whose plug-ins take and give bytes: its program (in
//! `benches/extism`, built by itself) runs in turn with our calls.

use super::super::{Plan, ROUNDS};
use super::bench::{self, Bench};
use crate::host::repository;
use crate::table::Row;
use anyhow::{Context, Result, anyhow, ensure};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Quotes that must cost the same on both sides before anything is measured.
const COMPARED: u64 = 20;

/// A warm quote by `pricing-tiered` as a component, beside the same source as an Extism plug-in.
pub(in super::super) fn quote_extism(plan: &Plan) -> Result<Row> {
    let bench = Bench::with(plan, &[("pricing-tiered", "price", "")])?;
    let mut peer = Peer::start()?;
    for number in 0..COMPARED {
        let (ours, theirs) = (bench.quote(number)?.total.micros, peer.price(number)?);
        ensure!(
            ours == theirs,
            "account {number}: {ours} here, {theirs} there"
        );
    }
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let mut account = 0_u64;
        let ours = bench::micros_per_call(plan.stretch, || {
            account = account.wrapping_add(1);
            bench.quote(account).map(drop)
        })?;
        pairs.push((ours, peer.micros_per_call(plan.stretch)?));
    }
    Ok(Row::from_pairs(
        "quote_extism",
        "us",
        "the same quote through Extism",
        "< 1",
        &pairs,
    ))
}

/// The program that calls through Extism; ends when its input does.
struct Peer {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Result<Self> {
        let build = repository().join("benches/extism/build");
        let built = Command::new(&build)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| build.display().to_string())?;
        ensure!(built.status.success(), "benches/extism/build failed");
        let said = String::from_utf8(built.stdout)?;
        let (program, guest) = said
            .trim()
            .split_once('\n')
            .context("benches/extism/build names no program and guest")?;
        let mut child = Command::new(program)
            .arg(guest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.to_owned())?;
        let from = child.stdout.take().context("it has no output")?;
        Ok(Self {
            to: child.stdin.take(),
            from: BufReader::new(from),
            child,
        })
    }

    fn ask(&mut self, what: &str) -> Result<String> {
        let to = self.to.as_mut().context("it has no input")?;
        writeln!(to, "{what}")?;
        let mut said = String::new();
        self.from.read_line(&mut said)?;
        ensure!(said.ends_with('\n'), "the program with Extism ended");
        Ok(said)
    }

    fn price(&mut self, number: u64) -> Result<i64> {
        let said = self.ask(&format!("quote {number}"))?;
        let quote: serde_json::Value = serde_json::from_str(&said)?;
        let micros = quote.get("micros").and_then(serde_json::Value::as_i64);
        micros.ok_or_else(|| anyhow!("no price in {said}"))
    }

    fn micros_per_call(&mut self, stretch: Duration) -> Result<f64> {
        let said = self.ask(&stretch.as_millis().to_string())?;
        said.trim().parse().context("no number of microseconds")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Its input ends, and so does it.
        self.to = None;
        let _ = self.child.wait();
    }
}

//! `holdfast plugin bench`: how long calls take on the serving path, and how many instructions.

use super::draft::Draft;
use super::folder::Folder;
use crate::commands::{Failure, terminal};
use anyhow::anyhow;
use clap::Args;
use holdfast_runtime::PluginKind as Kind;
use holdfast_runtime::workbench::{Golden, Times, Track, Vector};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Calls that can be asked for: more show nothing new, and their times are kept.
const CALLS_MAX: u64 = 10_000_000;

/// Signs of the longest bar.
const BAR_MAX: usize = 40;

#[derive(Debug, Args)]
pub(in crate::commands) struct Bench {
    /// The built component; its NAME.toml, if there is one, lies beside it.
    file: PathBuf,
    /// The vectors whose inputs are asked: of hot plugins with the settings of NAME.toml, of
    /// payment and config plugins with the vector's own and its recorded exchanges [default:
    /// NAME.vectors.json].
    #[arg(long)]
    vectors: Option<PathBuf>,
    /// Calls of each input.
    #[arg(
        long,
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u64).range(1..=CALLS_MAX)
    )]
    calls: u64,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// One input, timed.
struct Lap<'a> {
    vector: &'a Vector,
    fuel: u64,
    times: Times,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let draft = Draft::read(&self.file)?;
        let piece = draft.piece()?;
        let (path, text) = draft.vectors_of(self.vectors.as_deref())?;
        let golden = Golden::parse(&text, piece.kind);
        let golden = golden.map_err(|why| anyhow!("{}: {why}", path.display()))?;
        let folder = Folder::make("bench")?;
        let manifest = draft.text("toml")?.unwrap_or_default();
        let of_plugin = |why: String| anyhow!("{}: {why}", draft.name);
        let track = Track::open(folder.path(), &draft.wasm, &manifest, piece.kind);
        let track = track.map_err(of_plugin)?;
        let settings = draft.settings()?;
        let calls = usize::try_from(self.calls)?;
        let mut laps = Vec::new();
        for vector in &golden.vectors {
            let of_vector = |why: String| {
                let (name, file) = (&vector.name, self.file.display());
                anyhow!("{name:?}: {why}; `holdfast plugin test {file}` shows which vectors hold")
            };
            // Inputs that are answered with an error are no calls that anybody waits for.
            let Some(fuel) = piece.rehearse(&settings, vector).map_err(of_vector)? else {
                continue;
            };
            let times = track.time(vector, calls).map_err(of_vector)?;
            laps.push(Lap {
                vector,
                fuel,
                times,
            });
        }
        if self.json {
            let laps: Vec<Value> = laps.iter().map(as_json).collect();
            terminal::json(&json!({ "plugin": draft.name, "calls": calls, "inputs": laps }))?;
        } else {
            show(&laps, calls, piece.kind)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

const QUANTILES: [(&str, usize); 5] = [
    ("p50", 500),
    ("p90", 900),
    ("p99", 990),
    ("p999", 999),
    ("max", 1_000),
];

fn as_json(lap: &Lap<'_>) -> Value {
    let quantile =
        |(name, part): (&str, usize)| ((*name).to_owned(), json!(lap.times.within(part)));
    let quantiles: serde_json::Map<_, _> = QUANTILES.map(quantile).into_iter().collect();
    json!({
        "name": lap.vector.name,
        "fuel": lap.fuel,
        "nanos": quantiles,
        "histogram": lap.times.histogram(),
    })
}

fn show(laps: &[Lap<'_>], calls: usize, kind: Kind) -> Result<(), Failure> {
    let rows: Vec<[String; 7]> = laps
        .iter()
        .map(|lap| {
            let [p50, p90, p99, p999, max] =
                QUANTILES.map(|(_, part)| micros(lap.times.within(part)));
            [
                lap.vector.name.clone(),
                terminal::grouped(lap.fuel),
                p50,
                p90,
                p99,
                p999,
                max,
            ]
        })
        .collect();
    let names = ["INPUT", "INSTRUCTIONS", "P50", "P90", "P99", "P99.9", "MAX"];
    terminal::table(names, &rows)?;
    for lap in laps {
        terminal::say(&format!("\n{}", lap.vector.name))?;
        for (bound, count) in lap.times.histogram() {
            let length = count.saturating_mul(BAR_MAX).div_ceil(calls.max(1));
            terminal::say(&format!(
                "  < {:>10} {count:>9}  {}",
                micros(bound),
                "#".repeat(length)
            ))?;
        }
    }
    let jobs = match kind {
        Kind::Authorizer | Kind::Pricing => "",
        Kind::Payment | Kind::Config => {
            "; each on an instance of its own, started for it, and what was recorded answers at \
             once in place of those that it calls"
        }
    };
    Ok(terminal::say(&format!(
        "\n{calls} calls each, one after another, in this process{jobs}; times hold for this \
         machine, instructions for all"
    ))?)
}

/// Nanoseconds as microseconds with two digits.
fn micros(nanos: u64) -> String {
    format!("{}.{:02} µs", nanos / 1_000, nanos % 1_000 / 10)
}

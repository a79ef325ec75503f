//! The CQL store beside the bare driver: the same statements on the same tables, in turn, in one
//! run, on a Cassandra node of its own. `make bench-cql`; `make bench-load` runs it too.
//!
//! The server shares the machine with both, so the processor time that this process spends on a
//! call says more than how many calls there are in a second.

mod bare;
mod get;
mod list;
mod load;
mod pace;
mod pins;
mod put_if;
mod server;
mod table;

use self::table::Row;
use anyhow::Result;
use clap::Parser;
use std::io::Write;
use std::time::Duration;

/// The same allocator as the host's, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many calls are in flight.
const AT_ONCE: [usize; 4] = [1, 16, 64, 256];

/// The most of them.
const AT_ONCE_MAX: usize = 256;

/// Measures the CQL store beside the bare driver and prints ratios.
#[derive(Debug, Parser)]
#[command(name = "holdfast-load-cql")]
struct Plan {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds of each measured stretch; every row takes six of them at each concurrency.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Pins that each side makes anew, and that both stream out again.
    #[arg(long, default_value_t = 100_000, env = "HOLDFAST_LOAD_PINS")]
    pins: u64,
    /// Only these rows.
    #[arg(value_parser = ROWS.map(|(name, _)| name))]
    rows: Vec<String>,
}

impl Plan {
    fn stretch(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

type Measure = fn(&Plan) -> Result<Vec<Row>>;

const ROWS: [(&str, Measure); 4] = [
    ("cql_get", get::rows),
    ("cql_put_if", put_if::rows),
    ("cql_list", list::rows),
    ("cql_load", load::rows),
];

fn main() -> Result<()> {
    let plan = Plan::parse();
    let is_wanted =
        |name: &str| plan.rows.is_empty() || plan.rows.iter().any(|wanted| wanted == name);
    let mut rows = Vec::new();
    for (_, measure) in ROWS.into_iter().filter(|(name, _)| is_wanted(name)) {
        rows.extend(measure(&plan)?);
    }
    let mut out = std::io::stdout().lock();
    match plan.json {
        true => writeln!(out, "{}", serde_json::json!({ "rows": rows }))?,
        false => write!(out, "{}", table::text(&rows))?,
    }
    Ok(())
}

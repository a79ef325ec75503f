//! The load harness: starts the release binary and prints each row of the speed table as a ratio
//! beside a peer that ran in turn with it, in the same run, on the same machine.

mod bare;
mod client;
mod host;
mod rows;
mod table;

use anyhow::{Result, bail};
use clap::Parser;
use std::cell::OnceCell;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The same allocator as the host's, so that its peers in this process are not the slower for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the host beside its peers and prints ratios.
#[derive(Debug, Parser)]
#[command(name = "holdfast-load")]
struct Args {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Seconds of each measured stretch; every row takes six of them.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Of the hostile kit only the cases with one of these in their names.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Pins of the rows that move whole pin sets and start over them.
    #[arg(long, default_value_t = 1_000_000)]
    pins: u32,
    /// The release binary.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Be the bare server that others are held against (used by the harness itself).
    #[arg(long, hide = true)]
    bare: Option<usize>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(bytes) = args.bare {
        return bare::serve(bytes);
    }
    let beside = |name| std::env::current_exe().map(|this| this.with_file_name(name));
    let binary = match args.binary {
        Some(path) => path,
        None => beside("holdfast")?,
    };
    if !binary.is_file() {
        bail!(
            "{} is not there; build it with: cargo build --release",
            binary.display()
        );
    }
    let plan = rows::Plan {
        binary,
        cql: beside("holdfast-load-cql")?,
        stretch: Duration::from_secs(args.seconds),
        cases: args.cases,
        pins: args.pins,
        loaded: OnceCell::new(),
    };
    let rows = rows::measure(&plan, &args.rows)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::json!({ "rows": rows }))?;
    } else {
        write!(out, "{}", table::text(&rows))?;
    }
    Ok(())
}

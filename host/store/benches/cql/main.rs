//! The CQL store beside the bare driver: the same statements on the same tables, in turn, in one
//! run. `make bench-cql`.
//!
//!     cargo bench -p holdfast-store --bench cql -- [ROW ...] [--json] [--seconds N]
//!
//! The server shares the machine with both, so the processor time that this process spends on a
//! call says more than how many calls there are in a second.
#![cfg(test)]

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
use std::time::Duration;

/// How many calls are in flight.
const AT_ONCE: [usize; 4] = [1, 16, 64, 256];

/// What is measured, and how.
struct Plan {
    /// How long each measured stretch lasts; every row takes six of them.
    stretch: Duration,
    wanted: Vec<String>,
    is_json: bool,
}

type Measure = fn(&Plan) -> Vec<Row>;

const ROWS: [(&str, Measure); 4] = [
    ("cql_get", get::rows),
    ("cql_put_if", put_if::rows),
    ("cql_list", list::rows),
    ("cql_load", load::rows),
];

fn main() {
    let plan = Plan::from_arguments();
    let mut rows = Vec::new();
    for (name, measure) in ROWS {
        if plan.wanted.is_empty() || plan.wanted.iter().any(|wanted| wanted == name) {
            rows.extend(measure(&plan));
        }
    }
    if plan.is_json {
        println!("{}", serde_json::json!({ "rows": rows }));
    } else {
        print!("{}", table::text(&rows));
    }
}

impl Plan {
    fn from_arguments() -> Self {
        let mut plan = Self {
            stretch: Duration::from_secs(3),
            wanted: Vec::new(),
            is_json: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo says this to all benches.
                "--bench" => {}
                "--json" => plan.is_json = true,
                "--seconds" => {
                    let seconds = arguments.next().unwrap().parse().unwrap();
                    plan.stretch = Duration::from_secs(seconds);
                }
                name => {
                    assert!(ROWS.iter().any(|row| row.0 == name), "no row {name:?}");
                    plan.wanted.push(name.to_owned());
                }
            }
        }
        plan
    }
}

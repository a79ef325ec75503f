//! The arithmetic of `schema/README.md`: its tables are computed here and compared, so that none of
//! its numbers was typed.
#![expect(
    clippy::float_arithmetic,
    reason = "tails of a distribution, for a document"
)]

mod tables;

use std::path::Path;

/// Pins that the layout is made for.
const PINS: f64 = 1e12;

/// Placements of a pin, and requests for it.
const COPIES: f64 = 3.0;

/// Replicas in a datacenter, and datacenters.
const REPLICAS: f64 = 3.0;
const DATACENTERS: f64 = 2.0;

/// A node's disk, and how much of it data may fill: compaction and repair need the rest.
const DISK_TB: f64 = 60.0;
const FILLED: f64 = 0.7;

/// Peers that hold the content of so many pins.
const PEERS: f64 = 1_000.0;

/// Prefix bits of the table, and those that are the default.
const BITS: [u32; 6] = [16, 20, 24, 26, 28, 31];
const BITS_DEFAULT: u32 = 28;

/// 2^28.
const BITS_DEFAULT_PARTITIONS: f64 = 268_435_456.0;

/// A table that grows with the pins, as measured on Cassandra 5.0.5 by `sample.rs`: bytes of a pin
/// before compression, on disk, and of the index and the filter beside it.
struct Measured {
    table: &'static str,
    rows: f64,
    raw: f64,
    disk: f64,
    index: f64,
}

const fn measured(table: &'static str, rows: f64, raw: f64, disk: f64, index: f64) -> Measured {
    Measured {
        table,
        rows,
        raw,
        disk,
        index,
    }
}

const MEASURED: [Measured; 7] = [
    measured("pins", 1.0, 209.3, 99.5, 0.6),
    measured("pin_requests", 1.0, 88.2, 64.9, 0.4),
    measured("placements", COPIES, 717.0, 292.3, 2.7),
    measured("placements_by_peer", COPIES, 429.7, 195.8, 1.0),
    measured("requests", 1.0, 179.2, 92.9, 24.6),
    measured("requests_by_account", 1.0, 211.2, 91.1, 0.3),
    measured("usage_marks", 2.0, 91.1, 58.7, 0.2),
];

/// An entry of the feed, before compression and on disk, likewise.
const FEED_RAW: f64 = 53.1;
const FEED_DISK: f64 = 46.2;

/// What an entry of the audit log takes, reckoned by its fields; not measured on disk.
const AUDIT_RAW: f64 = 800.0;

/// Bytes of a row that is only a key of two numbers, or of a number and a CID.
const INDEX_ROW_RAW: f64 = 16.0;
const QUEUE_ROW_RAW: f64 = 64.0;

const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.0 * DAY;

/// A named number of the program, so that the document cannot tell of another.
fn constant(file: &str, name: &str) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/cql")
        .join(file);
    let source = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let after = source.split(&format!("const {name}: ")).nth(1);
    let value = after.and_then(|rest| rest.split([';', '=']).nth(1));
    let value = value.unwrap_or_else(|| panic!("{file} has no {name}"));
    value.trim().replace('_', "").parse().unwrap()
}

/// The length of a slot in seconds.
fn slot(file: &str, ticks_a_second: f64) -> f64 {
    constant(file, "SLOT_BITS").exp2() / ticks_a_second
}

/// Bytes of a pin on one replica.
fn bytes_of_a_pin() -> f64 {
    MEASURED.iter().map(|of| of.disk + of.index).sum()
}

fn nodes() -> f64 {
    (bytes_of_a_pin() * PINS * REPLICAS / (DISK_TB * 1e12 * FILLED)).ceil()
}

/// ln n!, by Stirling's series.
fn ln_factorial(n: f64) -> f64 {
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n)
}

/// The most rows that one of `partitions` has when each row falls into any of them alike: more than
/// this is met in no partition at all in one of two such clusters.
fn most(mean: f64, partitions: f64) -> f64 {
    let mut rows = mean.ceil();
    loop {
        let ln_share = rows * mean.ln() - mean - ln_factorial(rows);
        // The shares of all larger numbers, as a geometric series.
        let tail = ln_share.exp() / (1.0 - mean / (rows + 1.0));
        if partitions * tail < 0.5 {
            return rows;
        }
        rows += (rows.sqrt() / 50.0).max(1.0).floor();
    }
}

fn raw_row(table: &str) -> f64 {
    let of = MEASURED.iter().find(|of| of.table == table).unwrap();
    of.raw / of.rows
}

#[test]
fn the_arithmetic_of_the_readme_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/README.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let mut new = old.clone();
    for (name, table) in [
        ("bytes", tables::bytes()),
        ("cluster", tables::cluster()),
        ("prefixes", tables::prefixes()),
        ("buckets", tables::buckets()),
        ("slices", tables::slices()),
        ("others", tables::others()),
        ("growth", tables::growth()),
        ("bounded", tables::bounded()),
        ("options", tables::options()),
    ] {
        let (begin, end) = (format!("<!-- computed: {name} -->\n"), "<!-- end -->");
        let (before, rest) = new
            .split_once(&begin)
            .unwrap_or_else(|| panic!("no {begin}"));
        let (_, after) = rest.split_once(end).unwrap();
        new = format!("{before}{begin}\n{table}\n{end}{after}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &new).unwrap();
    } else {
        assert!(
            old == new,
            "schema/README.md is out of date; run UPDATE_GOLDEN=1 cargo test -p holdfast-store \
             cql::schema, and look at the difference"
        );
    }
}

#[test]
fn partitions_stay_below_what_servers_warn_of() {
    /// ScyllaDB's `compaction_rows_count_warning_threshold`.
    const ROWS_WARNED: f64 = 100_000.0;
    let layout = crate::cql::settings::Layout::default();
    assert_eq!(u32::from(layout.prefix_bits), BITS_DEFAULT);
    let partitions = f64::from(BITS_DEFAULT).exp2();
    assert_eq!(partitions, BITS_DEFAULT_PARTITIONS);
    let pins = most(PINS / partitions, partitions);
    assert!(pins * COPIES < ROWS_WARNED, "{pins}");
    // Ten megabytes are well within what can be repaired and streamed in one piece.
    assert!(pins * COPIES * raw_row("placements") < 10e6);
    assert!(constant("draft.rs", "BUCKET_ROWS") < ROWS_WARNED);
    assert!(constant("draft.rs", "BUCKET_ROWS") * raw_row("requests_by_account") < 10e6);
}

#[test]
fn the_poisson_maximum_is_right_where_it_is_known() {
    // With a mean of 1, ten rows or more are met once in 9.0 million.
    assert_eq!(most(1.0, 4.4e6), 10.0);
    let wide = most(PINS / BITS_DEFAULT_PARTITIONS, BITS_DEFAULT_PARTITIONS);
    assert!((4_050.0..4_150.0).contains(&wide), "{wide}");
}

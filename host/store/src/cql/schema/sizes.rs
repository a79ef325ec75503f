//! The arithmetic of `schema/README.md`: its tables are computed here and compared, so that none of
//! its numbers was typed.
#![expect(
    clippy::float_arithmetic,
    reason = "tails of a distribution, for a document"
)]

use super::migrations::embedded;
use super::script::Makes;
use std::fmt::Write;
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

/// A table that grows with the pins, as measured on Cassandra 5.0.5 by `sample.rs`: bytes of one pin
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
    measured("pins", 1.0, 191.7, 95.7, 0.6),
    measured("pin_requests", 1.0, 88.2, 64.9, 0.4),
    measured("placements", COPIES, 615.5, 252.6, 2.7),
    measured("placements_by_peer", COPIES, 429.7, 195.8, 1.0),
    measured("requests", 1.0, 179.2, 92.9, 24.6),
    measured("requests_by_account", 1.0, 211.2, 91.1, 0.3),
    measured("usage_marks", 2.0, 91.1, 58.7, 0.2),
];

/// An entry of the feed, before compression and on disk, likewise.
const FEED_RAW: f64 = 53.1;
const FEED_DISK: f64 = 46.2;

/// What an entry of the audit log takes, by its fields; nothing writes it yet.
const AUDIT_RAW: f64 = 800.0;

/// Bytes of a row that is only a key of two numbers, or of a number and a CID.
const INDEX_ROW_RAW: f64 = 16.0;
const QUEUE_ROW_RAW: f64 = 64.0;

/// Seconds of a slot of `placements_due`: 2^13 ms.
const DUE_SLOT: f64 = 8.192;

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

fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number);
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn megabytes(bytes: f64) -> String {
    match bytes / 1e6 {
        few if few < 0.1 => "< 0.1".to_owned(),
        some if some < 100.0 => format!("{some:.1}"),
        many => whole(many),
    }
}

fn row(text: &mut String, cells: &[String]) {
    writeln!(text, "| {} |", cells.join(" | ")).unwrap();
}

fn heading(cells: &[&str]) -> String {
    let rule = vec!["---"; cells.len()].join(" | ");
    format!("| {} |\n| {rule} |\n", cells.join(" | "))
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

fn bytes() -> String {
    let names = [
        "table",
        "rows a pin",
        "bytes a pin, plain",
        "on disk",
        "at 10^12 pins, one replica",
    ];
    let mut text = heading(&names);
    let terabytes = |bytes: f64| format!("{} TB", whole(bytes * PINS / 1e12));
    for of in &MEASURED {
        let disk = of.disk + of.index;
        let cells = [
            format!("`{}`", of.table),
            whole(of.rows),
            whole(of.raw),
            whole(disk),
        ];
        let mut cells = cells.to_vec();
        cells.push(terabytes(disk));
        row(&mut text, &cells);
    }
    let plain: f64 = MEASURED.iter().map(|of| of.raw).sum();
    let all = bytes_of_a_pin();
    row(
        &mut text,
        &[
            "**all**".to_owned(),
            String::new(),
            whole(plain),
            whole(all),
            terabytes(all),
        ],
    );
    text
}

fn cluster() -> String {
    let mut text = heading(&["of what", "how much"]);
    let petabytes = |bytes: f64| format!("{:.2} PB", bytes / 1e15);
    let replica = bytes_of_a_pin() * PINS;
    let here = replica * REPLICAS;
    let of_tables = BITS_DEFAULT_PARTITIONS * REPLICAS / nodes();
    for (what, much) in [
        ("one replica", petabytes(replica)),
        ("a datacenter, 3 replicas", petabytes(here)),
        ("two datacenters", petabytes(here * DATACENTERS)),
        (
            "nodes a datacenter, 60 TB each and 70 % full",
            whole(nodes()),
        ),
        ("partitions of `pins` a node", whole(of_tables)),
        ("pins a node", whole(PINS * REPLICAS / nodes())),
        (
            "for each further copy of a pin's content, one replica",
            petabytes(
                MEASURED
                    .iter()
                    .filter(|of| of.rows == COPIES)
                    .map(|of| of.disk + of.index)
                    .sum::<f64>()
                    / COPIES
                    * PINS,
            ),
        ),
    ] {
        row(&mut text, &[what.to_owned(), much]);
    }
    text
}

/// 2^28.
const BITS_DEFAULT_PARTITIONS: f64 = 268_435_456.0;

fn prefixes() -> String {
    let mut text = heading(&[
        "prefix_bits",
        "partitions",
        "pins each",
        "at most",
        "MB of `pins`",
        "MB of `placements`",
    ]);
    for bits in BITS {
        let partitions = f64::from(bits).exp2();
        let mean = PINS / partitions;
        let most = most(mean, partitions);
        let mark = if bits == BITS_DEFAULT { "**" } else { "" };
        row(
            &mut text,
            &[
                format!("{mark}{bits}{mark}"),
                whole(partitions),
                whole(mean),
                whole(most),
                megabytes(most * raw_row("pins")),
                megabytes(most * COPIES * raw_row("placements")),
            ],
        );
    }
    text
}

fn buckets() -> String {
    let mut text = heading(&[
        "peer_bucket_bits",
        "buckets a peer",
        "rows each at 10^12 pins",
        "MB each",
        "pins a peer until a bucket has 100,000",
    ]);
    for bits in [6_u32, 10, 12, 16, 18] {
        let buckets = f64::from(bits).exp2();
        let rows = PINS * COPIES / PEERS / buckets;
        row(
            &mut text,
            &[
                bits.to_string(),
                whole(buckets),
                whole(rows),
                megabytes(rows * raw_row("placements_by_peer")),
                whole(buckets * 100_000.0),
            ],
        );
    }
    text
}

/// A partition that ends with its slot of time: what of, seconds, a rate, shards, bytes of a row.
struct Sliced(&'static str, f64, f64, f64, f64);

fn slices() -> String {
    let mut text = heading(&[
        "table",
        "a slot lasts",
        "at so many a second",
        "shards",
        "rows",
        "MB",
    ]);
    let micros = 1e6;
    let millis = 1e3;
    let (feed, mark) = (slot("feed.rs", micros), raw_row("usage_marks"));
    let intents = slot("intent.rs", micros);
    for Sliced(table, seconds, rate, shards, bytes) in [
        Sliced("change_feed", feed, 1_000.0, 4.0, FEED_RAW),
        Sliced("change_feed", feed, 10_000.0, 4.0, FEED_RAW),
        Sliced("change_feed", feed, 10_000.0, 64.0, FEED_RAW),
        Sliced(
            "intents",
            intents,
            20_000.0,
            constant("intent.rs", "SHARDS"),
            1_000.0,
        ),
        Sliced(
            "expiry",
            slot("expiry.rs", millis),
            1_500.0,
            4.0,
            QUEUE_ROW_RAW,
        ),
        Sliced("placements_due", DUE_SLOT, 10_000.0, 1.0, QUEUE_ROW_RAW),
        Sliced("usage_marks", slot("usage.rs", millis), 100.0, 1.0, mark),
        Sliced("usage_marks", slot("usage.rs", millis), 1_000.0, 1.0, mark),
    ] {
        let rows = seconds * rate / shards;
        let lasts = match seconds {
            short if short < 60.0 => format!("{short:.1} s"),
            long => format!("{:.1} min", long / 60.0),
        };
        row(
            &mut text,
            &[
                format!("`{table}`"),
                lasts,
                whole(rate),
                whole(shards),
                whole(rows),
                megabytes(rows * bytes),
            ],
        );
    }
    text
}

/// What of, what a partition is, its rows at most, bytes of a row.
fn other_partitions() -> [(&'static str, &'static str, f64, f64); 16] {
    let bucket = constant("draft.rs", "BUCKET_ROWS");
    let a_year = |seconds: f64| YEAR / seconds;
    [
        (
            "requests_by_account",
            "a bucket of an account",
            bucket,
            raw_row("requests_by_account"),
        ),
        (
            "request_buckets",
            "an account, 10^9 requests",
            1e9 / bucket,
            INDEX_ROW_RAW,
        ),
        (
            "usage_slots",
            "an account, a year of changes",
            a_year(slot("usage.rs", 1e3)),
            INDEX_ROW_RAW,
        ),
        (
            "expiry_slots",
            "a kind, a year ahead",
            a_year(slot("expiry.rs", 1e3)),
            INDEX_ROW_RAW,
        ),
        (
            "feed_slots",
            "all, kept for 30 days",
            30.0 * DAY / slot("feed.rs", 1e6),
            INDEX_ROW_RAW,
        ),
        (
            "intent_slots",
            "all, kept for 10 minutes",
            600.0 / slot("intent.rs", 1e6),
            INDEX_ROW_RAW,
        ),
        ("writers", "all processes", 1_000.0, 64.0),
        ("tenants", "all tenants", 100_000.0, 300.0),
        ("keys_by_tenant", "a tenant", 10_000.0, 32.0),
        (
            "usage_rollups",
            "an account's year, 6 meters",
            6.0 * 366.0 * 1.1,
            200.0,
        ),
        ("invoices", "an account, 10 years", 120.0, 4_000.0),
        (
            "ledger_entries",
            "an account's month, 1,000 transactions",
            4_000.0,
            200.0,
        ),
        ("billing_events", "an account's month", 1_000.0, 400.0),
        ("promotions", "a code, 100,000 uses", 100_000.0, 80.0),
        ("audit", "a segment of a tenant", 10_000.0, AUDIT_RAW),
        ("audit_segments", "a tenant, 10^8 entries", 10_000.0, 300.0),
    ]
}

fn others() -> String {
    let mut text = heading(&["table", "a partition is", "rows at most", "MB"]);
    for (table, what, rows, bytes) in other_partitions() {
        row(
            &mut text,
            &[
                format!("`{table}`"),
                what.to_owned(),
                whole(rows),
                megabytes(rows * bytes),
            ],
        );
    }
    text
}

fn growth() -> String {
    let mut text = heading(&["table", "grows with", "at", "a replica, a year"]);
    let terabytes = |bytes: f64| match bytes / 1e12 {
        few if few < 0.1 => format!("{} GB", whole(bytes / 1e9)),
        many => format!("{many:.1} TB"),
    };
    let mark = MEASURED
        .iter()
        .find(|of| of.table == "usage_marks")
        .unwrap();
    let mark = (mark.disk + mark.index) / mark.rows;
    for (table, with, at, bytes) in [
        (
            "usage_marks",
            "changes of requests",
            "10,000 a second",
            1e4 * YEAR * mark,
        ),
        (
            "usage_slots",
            "accounts that change all the time",
            "10,000",
            1e4 * YEAR / slot("usage.rs", 1e3) * INDEX_ROW_RAW,
        ),
        (
            "usage_rollups",
            "accounts, days and meters",
            "10^6 accounts, 6 meters",
            1e6 * 366.0 * 6.0 * 100.0,
        ),
        (
            "invoices, invoice_lines",
            "accounts and months",
            "10^6 accounts",
            1e6 * 12.0 * 3_000.0,
        ),
        (
            "payments, ledger_entries, billing_events",
            "the same",
            "10^6 accounts",
            1e6 * 12.0 * 2_000.0,
        ),
        (
            "audit_segments",
            "the audit log",
            "10,000 entries a second",
            1e4 * YEAR / 1e4 * 300.0,
        ),
    ] {
        row(
            &mut text,
            &[
                table.to_owned(),
                with.to_owned(),
                at.to_owned(),
                terabytes(bytes),
            ],
        );
    }
    text
}

fn bounded() -> String {
    let mut text = heading(&["table", "bounded by", "at", "a replica"]);
    let feed = 1e4 * 30.0 * DAY * FEED_DISK;
    let audit = 1e4 * 400.0 * DAY * AUDIT_RAW / 2.0;
    for (table, by, at, bytes) in [
        (
            "change_feed",
            "its retention, here 30 days",
            "10,000 changes a second",
            feed,
        ),
        (
            "audit",
            "its TTL of 400 days",
            "10,000 entries a second",
            audit,
        ),
    ] {
        let cells = [table, by, at].map(str::to_owned);
        let mut cells = cells.to_vec();
        cells.push(format!("{:.1} TB", bytes / 1e12));
        row(&mut text, &cells);
    }
    text
}

/// Each table with its options, out of the migrations.
fn options() -> String {
    let mut text = heading(&[
        "table",
        "written",
        "compaction",
        "chunk",
        "marks of deletion kept",
        "TTL",
    ]);
    let steps = embedded().unwrap().into_iter().flat_map(|m| m.steps);
    for step in steps {
        let Makes::Table(table) = &step.makes else {
            continue;
        };
        let after = |name: &str| {
            let rest = step
                .text
                .split_once(name)?
                .1
                .trim_start_matches([' ', '=', ':', '\'']);
            Some(rest[..rest.find([' ', '}', ',', '\'']).unwrap_or(rest.len())].to_owned())
        };
        let compaction = match after("compaction = {'class':").as_deref() {
            Some("LeveledCompactionStrategy") => "leveled",
            Some("TimeWindowCompactionStrategy") => "time windows",
            Some("SizeTieredCompactionStrategy") => "size-tiered",
            _ => "the server's",
        };
        let time = |option: Option<String>| {
            option
                .map(|seconds| seconds.parse::<f64>().unwrap())
                .map(|seconds| match seconds {
                    hours if hours < DAY => format!("{} h", hours / 3_600.0),
                    days => format!("{} days", days / DAY),
                })
        };
        let written = match step.text.contains("comment = 'by condition") {
            true => "by condition",
            false => "plain",
        };
        row(
            &mut text,
            &[
                format!("`{}`", table.name),
                written.to_owned(),
                compaction.to_owned(),
                format!("{} KiB", after("chunk_length_in_kb").unwrap()),
                time(after("gc_grace_seconds")).unwrap_or_else(|| "10 days".to_owned()),
                time(after("default_time_to_live")).unwrap_or_else(|| "none".to_owned()),
            ],
        );
    }
    text
}

#[test]
fn the_arithmetic_of_the_readme_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/README.md");
    let old = std::fs::read_to_string(&path).unwrap();
    let mut new = old.clone();
    for (name, table) in [
        ("bytes", bytes()),
        ("cluster", cluster()),
        ("prefixes", prefixes()),
        ("buckets", buckets()),
        ("slices", slices()),
        ("others", others()),
        ("growth", growth()),
        ("bounded", bounded()),
        ("options", options()),
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

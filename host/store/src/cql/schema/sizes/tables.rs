//! The tables of `schema/README.md`, as text.

use super::{
    AUDIT_RAW, BITS, BITS_DEFAULT, BITS_DEFAULT_PARTITIONS, COPIES, DATACENTERS, DAY, FEED_DISK,
    FEED_RAW, INDEX_ROW_RAW, MEASURED, PEERS, PINS, QUEUE_ROW_RAW, REPLICAS, YEAR, bytes_of_a_pin,
    constant, most, nodes, raw_row, slot,
};
use crate::cql::schema::migrations::embedded;
use crate::cql::schema::script::Makes;
use std::fmt::Write;

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

pub(super) fn bytes() -> String {
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

pub(super) fn cluster() -> String {
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

pub(super) fn prefixes() -> String {
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

pub(super) fn buckets() -> String {
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

pub(super) fn slices() -> String {
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
        Sliced(
            "placements_due",
            slot("placement/due.rs", millis),
            10_000.0,
            1.0,
            QUEUE_ROW_RAW,
        ),
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
fn other_partitions() -> [(&'static str, &'static str, f64, f64); 18] {
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
            "all, kept for 3 days",
            3.0 * DAY / slot("feed.rs", 1e6),
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
        ("records", "a kind's of a tenant", 10_000.0, 500.0),
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
        ("audit_tenants", "all tenants", 100_000.0, 60.0),
    ]
}

pub(super) fn others() -> String {
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

pub(super) fn growth() -> String {
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

pub(super) fn bounded() -> String {
    let mut text = heading(&["table", "bounded by", "at", "a replica"]);
    let feed = 1e4 * 3.0 * DAY * FEED_DISK;
    let audit = 1e4 * 400.0 * DAY * AUDIT_RAW / 2.0;
    for (table, by, at, bytes) in [
        (
            "change_feed",
            "`store.feed_kept`, here its default of 3 days",
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
pub(super) fn options() -> String {
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

//! What came of it, as a table.

use holdfast_store::Store;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// One run.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) acknowledged: u64,
    pub(crate) calls: usize,
    pub(crate) errors: usize,
    pub(crate) read_errors: usize,
    pub(crate) recovery: Option<Duration>,
    /// Milliseconds before, during and after.
    pub(crate) p99: [Option<u128>; 3],
    pub(crate) slowest: Duration,
    pub(crate) history: String,
    pub(crate) kinds: BTreeMap<String, (String, u64)>,
    /// Attempts that failed, most of which no caller has heard of.
    pub(crate) attempts: Attempts,
    pub(crate) wrong: (usize, Vec<String>),
    pub(crate) lasted: Duration,
}

/// Failed attempts by what the servers or the driver said.
pub(crate) type Attempts = BTreeMap<String, u64>;

/// Those of some stores since they were opened.
pub(crate) fn failed_attempts(stores: &[Store]) -> Attempts {
    let mut all = Attempts::new();
    for store in stores {
        let registry = prometheus::Registry::new();
        for collector in store.metrics() {
            registry.register(collector).unwrap();
        }
        for family in registry.gather() {
            if family.name() != "holdfast_cql_failures_total" {
                continue;
            }
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let found = metric.get_label().iter().find(|l| l.name() == name);
                    found.unwrap().value().to_owned()
                };
                let count = metric.get_counter().get_value();
                let kind = format!("{} of {}", label("failure"), label("statement"));
                *all.entry(kind).or_default() += count as u64;
            }
        }
    }
    all
}

/// What has come since.
pub(crate) fn since(before: &Attempts, mut now: Attempts) -> Attempts {
    now.retain(|kind, count| {
        *count -= before.get(kind).copied().unwrap_or(0);
        *count > 0
    });
    now
}

const HEAD: &str = "\
| fault | acknowledged writes | errors (of reads) | of calls in the fault | recovery \
| p99 before / during / after | slowest | conditional updates | wrong |
|---|---|---|---|---|---|---|---|---|
";

/// The rows as Markdown, with what the errors said and what was wrong.
pub(crate) fn text(rows: &[Row]) -> String {
    let mut out = HEAD.to_owned();
    for row in rows {
        let permille = row.errors * 1_000 / row.calls.max(1);
        let recovery = row.recovery.map_or("-".to_owned(), seconds);
        let [before, during, after] = row.p99.map(|p99| p99.map_or("-".into(), |p| p.to_string()));
        writeln!(
            out,
            "| {} | {} | {} ({}) | {}.{} % of {} | {recovery} | {before} / {during} / {after} ms | {} | {} | {} |",
            row.name,
            row.acknowledged,
            row.errors,
            row.read_errors,
            permille / 10,
            permille % 10,
            row.calls,
            seconds(row.slowest),
            row.history,
            row.wrong.0,
        )
        .unwrap();
    }
    for row in rows {
        write!(out, "\n{} ({}):", row.name, seconds(row.lasted)).unwrap();
        if row.kinds.is_empty() && row.wrong.0 == 0 {
            out.push_str(" no error.");
        }
        out.push('\n');
        for (kind, (text, count)) in &row.kinds {
            writeln!(out, "- {count} {kind}, the first: {text}").unwrap();
        }
        if !row.attempts.is_empty() {
            let told = row.attempts.iter().map(|(kind, n)| format!("{n} {kind}"));
            let told: Vec<_> = told.collect();
            writeln!(out, "- failed attempts: {}", told.join(", ")).unwrap();
        }
        for wrong in &row.wrong.1 {
            writeln!(out, "- WRONG: {wrong}").unwrap();
        }
    }
    out
}

fn seconds(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

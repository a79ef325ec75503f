//! What a call of the API costs in statements: the second table of ARCHITECTURE.md's "What a call
//! costs", kept true over HTTP, with an authorizer and without.

use super::plan;
use crate::support::process::{Holdfast, Plan, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a process sends by itself, now and then or beside an answer that does not wait for it.
const BY_ITSELF: [&str; 14] = [
    "writer_",
    "writers_",
    "feed_slot",
    "feed_newest",
    "floor_",
    "intent_slot",
    "intents_of_shard",
    "usage_slot_put",
    "schema_versions",
    "accounts_",
    "follower_",
    "param_",
    "audit_",
    "expiry_slot",
];

const CONDITIONS: [&str; 5] = [
    "head_begin",
    "head_move",
    "pin_make",
    "pin_count",
    "pin_remove",
];

const WRITES: [&str; 3] = ["_put", "_add", "_remove"];

/// Statements by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Budget {
    reads: u64,
    conditions: u64,
    writes: u64,
}

impl Budget {
    fn of(cost: &BTreeMap<String, u64>) -> Self {
        let mut budget = Self::default();
        for (label, count) in cost {
            if CONDITIONS.contains(&label.as_str()) {
                budget.conditions += count;
            } else if WRITES.iter().any(|end| label.ends_with(end)) {
                budget.writes += count;
            } else {
                budget.reads += count;
            }
        }
        budget
    }

    /// What the documents say: of the call itself, and what an authorizer adds to it.
    fn told(call: &str, asks_authorizers: bool) -> Self {
        let document = include_str!("../../../../../ARCHITECTURE.md");
        let start = format!("| {call} |");
        let row = document.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row {start:?}"));
        let cells = row.split('|').skip(2).take(4);
        let cells: Vec<u64> = cells.map(|cell| cell.trim().parse().unwrap()).collect();
        let [reads, conditions, writes, more] = cells.try_into().unwrap();
        Self {
            reads: reads + if asks_authorizers { more } else { 0 },
            conditions,
            writes,
        }
    }
}

/// Statements that a host has sent, but for those that it sends by itself.
fn sent(host: &Holdfast) -> BTreeMap<String, u64> {
    let (_, page) = host.page("/metrics");
    let lines = page.lines();
    let counts = lines.filter_map(|line| {
        let rest = line.strip_prefix("holdfast_cql_attempts_total{statement=\"")?;
        let (label, count) = rest.split_once("\"} ")?;
        let is_ours = BY_ITSELF.iter().any(|own| label.starts_with(own));
        (!is_ours).then(|| (label.to_owned(), count.parse().unwrap()))
    });
    counts.collect()
}

/// As [`sent`], when nothing of an earlier call is still to come: every change of an account ends
/// with the removal of its note, which nobody waits for.
fn settled(host: &Holdfast) -> BTreeMap<String, u64> {
    let of = |all: &BTreeMap<String, u64>, label: &str| all.get(label).copied().unwrap_or(0);
    let is_settled =
        |all: &BTreeMap<String, u64>| of(all, "intent_put") == of(all, "intent_remove");
    until("the notes to be removed", || sent(host), is_settled)
}

/// What a call costs, and what it is answered.
fn cost(
    host: &Holdfast,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> (BTreeMap<String, u64>, Value) {
    let before = settled(host);
    let (status, answer) = host.ask(&host.key, method, path, body);
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
    let mut after = settled(host);
    after.retain(|label, count| {
        *count -= before.get(label).copied().unwrap_or(0);
        *count > 0
    });
    (after, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_api_cost_what_the_documents_say() {
    for asks_authorizers in [false, true] {
        let mut plan = Plan {
            kubo_api: "http://127.0.0.1:9".to_owned(),
            roles: vec!["api"],
            ..plan().await
        };
        let nothing = tempfile::tempdir().unwrap();
        if !asks_authorizers {
            let empty = nothing.path().display().to_string();
            plan.variables
                .push(("HOLDFAST_PLUGINS__DIR".to_owned(), empty));
        }
        look(&Holdfast::start_with(plan), asks_authorizers);
    }
}

/// Makes every call once, each from the state that its row is about.
fn look(host: &Holdfast, asks_authorizers: bool) {
    let check = |call: &str, cost: &BTreeMap<String, u64>| {
        let told = Budget::told(call, asks_authorizers);
        let why = format!("{call}, authorizers: {asks_authorizers}: {cost:?}");
        assert_eq!(Budget::of(cost), told, "{why}");
    };
    let pin = |text: &str| json!({ "cid": text });
    let [first, second, third] = ["bafkqaaa", "bafkqaa3gn5xq", "bafkqaa3cmfza"].map(pin);
    let post = |path: &str, asked: &Value| {
        let (cost, made) = cost(host, "POST", path, Some(asked));
        let path = format!("/psa/pins/{}", made["requestid"].as_str().unwrap());
        (cost, path)
    };
    // The first change of an account in a process reads its head, and the first call of a caller
    // the key.
    let (_, old) = post("/psa/pins", &first);
    let (of_new, made) = post("/psa/pins", &second);
    check("`POST /psa/pins`, a CID that is new", &of_new);
    let (of_known, _) = post("/psa/pins", &second);
    check("`POST /psa/pins`, a CID that is pinned", &of_known);
    check(
        "`GET /psa/pins/{requestid}`",
        &cost(host, "GET", &made, None).0,
    );
    let page = "/psa/pins?limit=1";
    check("`GET /psa/pins`, a page", &cost(host, "GET", page, None).0);
    let (of_other, new) = post(&old, &third);
    check("`POST /psa/pins/{requestid}`, another CID", &of_other);
    let (of_delete, _) = cost(host, "DELETE", &new, None);
    check("`DELETE /psa/pins/{requestid}`", &of_delete);
}

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

/// A page of requests.
const PAGE: &str = "/psa/pins?limit=1";

/// Statements by name: of which class each is, and how often it was sent.
type Cost = BTreeMap<String, (String, u64)>;

/// Statements by what they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Budget {
    reads: u64,
    conditions: u64,
    writes: u64,
}

impl Budget {
    fn of(cost: &Cost) -> Self {
        let mut budget = Self::default();
        for (class, count) in cost.values() {
            match class.as_str() {
                "condition" => budget.conditions += count,
                "write" => budget.writes += count,
                _ => budget.reads += count,
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
fn sent(host: &Holdfast) -> Cost {
    let (_, page) = host.page("/metrics");
    let lines = page.lines();
    let counts = lines.filter_map(|line| {
        let rest = line.strip_prefix("holdfast_cql_attempts_total{class=\"")?;
        let (class, rest) = rest.split_once("\",statement=\"")?;
        let (label, count) = rest.split_once("\"} ")?;
        let is_ours = BY_ITSELF.iter().any(|own| label.starts_with(own));
        let sent = || (class.to_owned(), count.parse().unwrap());
        (!is_ours).then(|| (label.to_owned(), sent()))
    });
    counts.collect()
}

/// As [`sent`], when nothing of an earlier call is still to come: every change of an account ends
/// with the removal of its note, which nobody waits for.
fn settled(host: &Holdfast) -> Cost {
    let of = |all: &Cost, label: &str| all.get(label).map_or(0, |(_, count)| *count);
    let is_settled = |all: &Cost| of(all, "intent_put") == of(all, "intent_remove");
    until("the notes to be removed", || sent(host), is_settled)
}

/// What a call costs, and what it is answered.
fn cost(host: &Holdfast, method: &str, path: &str, body: Option<&Value>) -> (Cost, Value) {
    // Keys are read again after some seconds, and on a busy machine these pass between two calls.
    let (status, told) = host.ask(&host.key, "GET", PAGE, None);
    assert_eq!(status, 200, "{told}");
    let before = settled(host);
    let (status, answer) = host.ask(&host.key, method, path, body);
    assert!((200..300).contains(&status), "{method} {path}: {answer}");
    let mut after = settled(host);
    after.retain(|label, (_, count)| {
        *count -= before.get(label).map_or(0, |(_, count)| *count);
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
    let check = |call: &str, cost: &Cost| {
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
    check("`GET /psa/pins`, a page", &cost(host, "GET", PAGE, None).0);
    let (of_other, new) = post(&old, &third);
    check("`POST /psa/pins/{requestid}`, another CID", &of_other);
    let (of_delete, _) = cost(host, "DELETE", &new, None);
    check("`DELETE /psa/pins/{requestid}`", &of_delete);
}

//! What a call costs in statements: the table in ARCHITECTURE.md, kept true.

use super::{Process, sent};
use holdfast_model::{Period, RequestFilter};
use holdfast_store::contract::audit::{grow, run};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, draft, request_id};
use std::collections::BTreeMap;

/// What a call sends: by statement of which class, and how often.
type Cost = BTreeMap<String, (String, u64)>;

/// What a call sends, by statement, without what the process sends by itself all the time.
async fn cost<T>(process: &Process, call: impl Future<Output = T>) -> Cost {
    const BY_ITSELF: [&str; 7] = [
        "writer_beat",
        "writers_read",
        "feed_slot_add",
        "intent_slot_put",
        "intent_slots_upto",
        "intents_of_shard",
        "schema_versions",
    ];
    // The removal of the last intent is not waited for by who is answered.
    let settled = async || loop {
        let before = sent(process);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let quiet = sent(process);
        if before.get("intent_remove") == quiet.get("intent_remove") {
            return quiet;
        }
    };
    let before = settled().await;
    call.await;
    let mut after = settled().await;
    after.retain(|label, (_, count)| {
        *count -= before.get(label).map_or(0, |(_, count)| *count);
        *count > 0 && !BY_ITSELF.iter().any(|own| label == own)
    });
    after
}

/// How many of a call's statements are reads, conditional writes and plain writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Budget {
    reads: u64,
    conditions: u64,
    writes: u64,
}

impl Budget {
    fn of(cost: &Cost) -> Self {
        let mut budget = Self {
            reads: 0,
            conditions: 0,
            writes: 0,
        };
        for (class, count) in cost.values() {
            let kind = match class.as_str() {
                "condition" => &mut budget.conditions,
                "write" => &mut budget.writes,
                _ => &mut budget.reads,
            };
            *kind += count;
        }
        budget
    }

    /// What the documents say: the row of the table whose first cell is this.
    fn told(what: &str) -> Self {
        let document = include_str!("../../../../../ARCHITECTURE.md");
        let start = format!("| {what} |");
        let row = document
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row {start:?}"));
        let mut cells = row.split('|').skip(2).map(|cell| cell.trim().parse());
        let mut next = || cells.next().unwrap().unwrap();
        Self {
            reads: next(),
            conditions: next(),
            writes: next(),
        }
    }
}

#[tokio::test]
async fn calls_cost_what_the_documents_say() {
    let keyspace = Keyspace::empty().await.unwrap();
    let process = Process::on(&keyspace).await;
    let store = &process.store;
    let (account, now) = (account().unwrap(), at(400));
    let first = store.create_request(draft(1, 1).unwrap(), at(100)).await;
    first.unwrap();
    let new = || draft(2, 2).unwrap();
    let told = [
        (
            "create, a CID that is new",
            cost(&process, store.create_request(new(), at(200))).await,
        ),
        (
            "create, a CID that is pinned",
            cost(
                &process,
                store.create_request(draft(4, 2).unwrap(), at(200)),
            )
            .await,
        ),
        (
            "get by id",
            cost(&process, store.request(request_id(2))).await,
        ),
        ("list a page, with its count", {
            let all = RequestFilter::default();
            cost(&process, store.page_of_requests(&account, &all, 1)).await
        }),
        (
            "count by status, and bytes",
            cost(&process, store.holdings(&account)).await,
        ),
        ("settle", cost(&process, process.settle(2, 1, 5, 300)).await),
        ("replace, by another CID", {
            let new = draft(3, 3).unwrap();
            let replaced = store.replace_request(request_id(1), new, now);
            cost(&process, replaced).await
        }),
        ("delete", {
            let deleted = store.delete_request(&account, request_id(3), at(500));
            cost(&process, deleted).await
        }),
        ("usage of a past period", {
            let (start, end) = (at(150), at(350));
            cost(&process, store.usage(&account, Period { start, end })).await
        }),
    ];
    let head = grow(store, "acme", 1).await.unwrap();
    let entries = run(head, 2, 500).unwrap();
    let entered = cost(&process, store.append_audit("acme", head, &entries)).await;
    for (what, cost) in told
        .iter()
        .chain([&("enter up to 1,000 audit events", entered)])
    {
        assert_eq!(Budget::of(cost), Budget::told(what), "{what}: {cost:?}");
    }
    process.store.close().await.unwrap();
}

//! Candidates beside what serves.

use crate::house::{Ask, House, PATIENCE, counted, told};
use holdfast_runtime::{ReloadError, ShadowReport, Verdict};
use std::time::Instant;

fn promoted(deed: &str, rule: &str) -> String {
    format!("{}[promote]\n{rule}\n", told(deed))
}

/// Asks until the report says what it should. Each round asks anew, because a full queue drops.
fn shadow(house: &House, ask: impl Fn(), until: impl Fn(&ShadowReport) -> bool) -> ShadowReport {
    let start = Instant::now();
    loop {
        ask();
        let report = house.plugins.shadow_report("it").unwrap();
        if until(&report) {
            return report;
        }
        assert!(start.elapsed() < PATIENCE, "{report:?}");
    }
}

#[test]
fn a_new_price_is_compared_promoted_by_hand_and_rolled_back() {
    let house = House::new();
    house.install("hostile-pricing", "it", &told("price-7"));
    let waiting = house.install(
        "hostile-pricing",
        "it",
        &promoted("price-9", "by = \"hand\""),
    );
    assert_eq!((waiting.state.as_str(), waiting.generation), ("live", 1));
    assert!(waiting.note.unwrap().contains("holdfast plugin promote it"));
    let states: Vec<_> = waiting
        .generations
        .iter()
        .map(|g| (g.generation, g.state.as_str()))
        .collect();
    assert_eq!(states, [(2, "shadow"), (1, "live")]);
    let ask = || assert_eq!(house.quote().unwrap().total.micros, 7);
    let report = shadow(&house, ask, |report| report.calls >= 10);
    assert_eq!(
        (report.different, report.failed, report.unlisted),
        (report.calls, 0, 0)
    );
    let bill = &report.bills[0];
    assert_eq!(
        (bill.account.as_str(), bill.currency.as_str()),
        ("acme/web", "EUR")
    );
    let calls = i64::try_from(bill.calls).unwrap();
    assert_eq!(
        (
            bill.live_micros,
            bill.candidate_micros,
            bill.difference_micros
        ),
        (7 * calls, 9 * calls, 2 * calls)
    );
    assert_eq!(bill.last.as_ref().unwrap().candidate.micros, 9);
    assert!(
        serde_json::to_string(&report)
            .unwrap()
            .contains("\"difference_micros\"")
    );
    // It differs, so it takes its number to promote it.
    let objected = house.plugins.promote("it", None).unwrap_err();
    assert!(
        objected.to_string().contains("max_differences"),
        "{objected}"
    );
    assert!(matches!(
        house.plugins.promote("it", Some(7)),
        Err(ReloadError::Conflict { .. })
    ));
    let live = house.plugins.promote("it", Some(2)).unwrap();
    assert_eq!(
        (live.generation, house.quote().unwrap().total.micros),
        (2, 9)
    );
    let back = house.plugins.rollback("it").unwrap();
    assert_eq!(
        (back.generation, house.quote().unwrap().total.micros),
        (1, 7)
    );
    assert!(matches!(
        house.plugins.rollback("it"),
        Err(ReloadError::Conflict { .. })
    ));
}

#[test]
fn a_candidate_that_answers_alike_is_promoted_by_its_rule() {
    let house = House::new();
    house.install("hostile-pricing", "it", &told("price-7"));
    let rule = "by = \"shadow\"\nshadow_calls = 20";
    house.install("hostile-pricing", "it", &promoted("price-7", rule));
    let start = Instant::now();
    while house.last("it").generation == 1 {
        assert_eq!(house.quote().unwrap().total.micros, 7);
        assert!(start.elapsed() < PATIENCE, "{:?}", house.plugins.list());
    }
    let report = house.plugins.shadow_report("it").unwrap();
    assert!(report.calls >= 20 && report.different == 0, "{report:?}");
    assert_eq!(house.plugins.list().len(), 1);
}

#[test]
fn a_candidate_that_differs_is_refused_by_its_rule_and_can_be_forced() {
    let house = House::new();
    house.install("hostile-pricing", "it", &told("price-7"));
    let rule = "by = \"shadow\"\nshadow_calls = 1000000\nmax_differences = 3";
    house.install("hostile-pricing", "it", &promoted("price-9", rule));
    let start = Instant::now();
    while house.last("it").state != "refused" {
        assert_eq!(house.quote().unwrap().total.micros, 7);
        assert!(start.elapsed() < PATIENCE, "{:?}", house.plugins.list());
    }
    let refused = house.last("it");
    let why = refused.error.unwrap();
    assert!(why.contains("max_differences allows 3"), "{why}");
    // The report of what was refused stays, and a look at the folder does not try it again.
    assert!(house.plugins.shadow_report("it").unwrap().different > 3);
    house.plugins.rescan();
    assert_eq!(house.plugins.describe("it").unwrap().generation, 1);
    assert!(house.plugins.promote("it", None).is_err());
    house
        .plugins
        .promote("it", Some(refused.generation))
        .unwrap();
    assert_eq!(house.quote().unwrap().total.micros, 9);
    assert_eq!(house.plugins.list().len(), 1);
}

#[test]
fn a_candidate_that_fails_is_told_and_nobody_else_notices() {
    let house = House::new();
    house.install("hostile-pricing", "it", &told("price-7"));
    house.install("hostile-pricing", "it", &promoted("trap", "by = \"hand\""));
    let ask = || assert_eq!(house.quote().unwrap().total.micros, 7);
    let report = shadow(&house, ask, |report| report.failed >= 3);
    assert_eq!(report.failed, report.calls);
    assert!(report.failures[0].error.contains("trapped"), "{report:?}");
    assert_eq!(report.bills[0].failed, report.calls);
}

#[test]
fn an_authorizer_shows_whose_calls_would_flip() {
    let house = House::new();
    let by_hand = |deed: &str| promoted(deed, "by = \"hand\"");
    // Without one before it, it is compared with what holds now: everything is allowed.
    let first = house.install("hostile-authorizer", "it", &by_hand("echo"));
    assert_eq!(first.state, "shadow");
    assert!(
        house.plugins.has_authorizers(),
        "its facts must be gathered"
    );
    let ask = |expected: bool| {
        let verdict = Ask::new(&[]).of(&house.plugins).unwrap();
        assert_eq!(verdict == Verdict::Allow, expected);
    };
    let report = shadow(&house, || ask(true), |report| report.calls >= 5);
    let flip = &report.flips[0];
    assert_eq!(
        (flip.principal.as_str(), flip.action, flip.account.as_str()),
        ("system:test", "createRequest", "acme/web")
    );
    assert_eq!(
        (flip.allowed_to_denied, flip.denied_to_allowed),
        (report.calls, 0)
    );
    assert!(flip.message.contains("acme"), "{flip:?}");
    house.plugins.promote("it", Some(first.generation)).unwrap();
    ask(false);
    // The other way round.
    house.install("hostile-authorizer", "it", &by_hand("allow"));
    let report = shadow(&house, || ask(false), |report| report.calls >= 5);
    assert_eq!(report.flips[0].denied_to_allowed, report.calls);
}

#[test]
fn without_anything_to_compare_it_with_a_shadow_serves_at_once() {
    let house = House::new();
    let rule = promoted("price-7", "by = \"shadow\"");
    let info = house.install("hostile-pricing", "it", &rule);
    assert_eq!((info.state.as_str(), info.generation), ("live", 1));
    let by_hand = house.install(
        "hostile-pricing",
        "other",
        &promoted("price-8", "by = \"hand\""),
    );
    assert_eq!(by_hand.state, "shadow");
    assert_eq!(house.quote().unwrap().total.micros, 7);
    let number = Some(by_hand.generation);
    house.plugins.promote("other", number).unwrap();
    assert_eq!(house.quote().unwrap().total.micros, 8);
}

#[test]
fn what_the_queue_has_no_room_for_is_dropped_and_counted() {
    let house = House::new();
    house.install("hostile-pricing", "it", &told("price-7"));
    // The candidate takes its time with each call, so that the queue fills.
    let slow = format!(
        "{}[limits]\ncpu_ms = 20\n",
        promoted("loop", "by = \"hand\"")
    );
    house.install("hostile-pricing", "it", &slow);
    let dropped = || {
        counted(
            &house.plugins,
            "holdfast_plugin_shadow_calls_total",
            "dropped",
        )
    };
    let start = Instant::now();
    while dropped() == 0 {
        assert_eq!(house.quote().unwrap().total.micros, 7);
        assert!(start.elapsed() < PATIENCE, "nothing was dropped");
    }
    // What is dropped is no call that the report could be about.
    let report = house.plugins.shadow_report("it").unwrap();
    assert!(report.calls < 1_000, "{report:?}");
}

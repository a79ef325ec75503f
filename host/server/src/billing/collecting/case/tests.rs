//! The life of an invoice, from usage to receipt.

use super::*;
use crate::billing::BillingError;
use holdfast_model::{AccountId, Currency, Money, Period, Usage, usage::Operations};
use holdfast_runtime::{CollectError, PluginError, QuoteLine};
use std::collections::BTreeMap;

/// A file as it was written before there was rating.
const EARLIER: &str = r#"{
  "version": 1,
  "plugin": "pay",
  "invoice": {
    "id": "2026-01/acme",
    "account": "acme/web",
    "attributes": {},
    "period": {
      "start": "1970-01-01T00:00:00.000Z",
      "end": "1970-01-01T00:00:00.001Z"
    },
    "lines": [
      {
        "item": "storage",
        "explanation": "as used",
        "quantity": 340282366920938463463374607431768211455,
        "unit": "byte",
        "amount": {
          "micros": 5,
          "currency": "EUR"
        }
      }
    ],
    "total": {
      "micros": 5,
      "currency": "EUR"
    },
    "due": "1970-01-01T00:00:00.002Z"
  },
  "attempts": 1,
  "memo": "",
  "standing": {
    "waiting": {
      "due": "1970-01-01T00:00:05.009Z",
      "why": "plugin pay: trapped",
      "failures": 1,
      "is_plugins_fault": true
    }
  }
}"#;

fn euros(micros: i64) -> Money {
    Money {
        micros,
        currency: Currency::parse("EUR").unwrap(),
    }
}

fn line(micros: i64) -> QuoteLine {
    QuoteLine {
        item: "storage".into(),
        explanation: "as used".into(),
        quantity: u128::MAX,
        unit: "byte".into(),
        amount: euros(micros),
    }
}

fn period() -> Period {
    Period {
        start: UnixMillis::EPOCH,
        end: UnixMillis::new(1),
    }
}

fn invoice() -> Invoice {
    Invoice {
        id: "2026-01/acme".into(),
        account: AccountId::parse("acme/web").unwrap(),
        attributes: BTreeMap::new(),
        period: period(),
        lines: vec![line(5)],
        total: euros(5),
        due: UnixMillis::new(2),
    }
}

/// Usage that becomes this invoice at a price of 5.
pub(in crate::billing::collecting) fn billable() -> Billable {
    Billable {
        id: "2026-01/acme".into(),
        account: AccountId::parse("acme/web").unwrap(),
        attributes: BTreeMap::new(),
        usage: Usage {
            period: period(),
            byte_millis: u128::MAX,
            level_bytes: u128::MAX,
            operations: Operations::default(),
        },
        due: UnixMillis::new(2),
    }
}

/// A price, as the runtime has checked it.
pub(in crate::billing::collecting) fn quote(micros: i64) -> Result<Quote, BillingError> {
    Ok(Quote {
        lines: vec![line(micros)],
        total: euros(micros),
        plugin: "pricing".into(),
        digest: "d1".into(),
        currency: euros(0).currency,
    })
}

fn trapped(plugin: &str) -> PluginError {
    PluginError::Failed {
        plugin: plugin.into(),
        why: "trapped".into(),
    }
}

/// An attempt to collect that the plugin spoiled.
fn failed() -> Result<Step, CollectError> {
    Err(trapped("pay").into())
}

/// An attempt to rate that the plugin spoiled.
fn failed_rating() -> Result<Quote, BillingError> {
    Err(trapped("pricing").into())
}

fn paid(amount: Money) -> Result<Step, CollectError> {
    let reference = "r".into();
    Ok(Step::Collected(Receipt { reference, amount }))
}

fn handed_in() -> Case {
    Case::new("pay", invoice(), UnixMillis::EPOCH).unwrap()
}

fn unrated() -> Case {
    Case::unrated("pay", billable(), UnixMillis::EPOCH).unwrap()
}

/// One attempt at a time that stands still.
fn tried(case: Case, outcome: impl Into<Outcome>) -> (Case, Counted) {
    case.begun().after(outcome, UnixMillis::EPOCH)
}

fn due_millis(case: &Case) -> Option<u64> {
    case.due().map(UnixMillis::as_millis)
}

fn why(case: &Case) -> &str {
    &case.standing.wait().unwrap().why
}

#[test]
fn a_file_holds_all_of_it() {
    let (waits, _) = tried(handed_in(), failed());
    let (lacks_price, _) = tried(unrated(), failed_rating());
    let (priced, _) = tried(unrated(), quote(7));
    for case in [waits, lacks_price, priced] {
        assert_eq!(Case::parse(&case.to_bytes()).unwrap(), case);
    }
}

#[test]
fn a_file_from_before_there_was_rating_is_read_and_written_as_ever() {
    let case = Case::new("pay", invoice(), UnixMillis::new(7)).unwrap();
    let (case, _) = case.begun().after(failed(), UnixMillis::new(9));
    assert_eq!(Case::parse(EARLIER.as_bytes()).unwrap(), case);
    assert_eq!(String::from_utf8(case.to_bytes()).unwrap(), EARLIER);
}

#[test]
fn a_file_that_makes_no_sense_is_refused() {
    let refused = |text: &str| Case::parse(text.as_bytes()).unwrap_err();
    assert!(refused("{}").contains("missing field"));
    let newer = EARLIER.replacen("\"version\": 1", "\"version\": 2", 1);
    assert!(refused(&newer).contains('2'));
    // An invoice cannot be unrated, and usage cannot be collected.
    let has_price = EARLIER.replacen("\"waiting\"", "\"unrated\"", 1);
    assert!(refused(&has_price).contains("price"));
    let text = |case: &Case| String::from_utf8(case.to_bytes()).unwrap();
    let has_none = text(&unrated()).replacen("\"unrated\"", "\"waiting\"", 1);
    assert!(refused(&has_none).contains("price"));
    let (priced, _) = tried(unrated(), quote(7));
    let unknown_origin = text(&priced).replacen("\"plugin\": \"pricing\",", "", 1);
    assert!(refused(&unknown_origin).contains("missing field `plugin`"));
    let mut written: serde_json::Value = serde_json::from_str(EARLIER).unwrap();
    written.as_object_mut().unwrap().remove("invoice");
    assert!(refused(&written.to_string()).contains("neither usage"));
}

#[test]
fn each_failure_waits_longer_and_none_for_ever() {
    let mut case = handed_in();
    let mut unrated = unrated();
    let mut waits = Vec::new();
    for _ in 0..20 {
        (case, _) = tried(case, failed());
        (unrated, _) = tried(unrated, failed_rating());
        assert_eq!(unrated.due(), case.due());
        waits.push(due_millis(&case).unwrap());
    }
    assert_eq!(waits[..4], [5_000, 10_000, 20_000, 40_000]);
    assert_eq!(waits[19], 3_600_000);
    assert_eq!(case.progress(UnixMillis::EPOCH).attempt, 20);
    let soon = Err(CollectError::Unavailable {
        retry_after: Some(Duration::from_secs(86_400)),
    });
    (case, _) = tried(case, soon);
    assert_eq!(
        due_millis(&case),
        Some(86_400_000),
        "a collector may ask for longer"
    );
    let pending = Step::Pending {
        memo: "m".into(),
        again_after: Duration::from_secs(1),
        message: "soon".into(),
    };
    (case, _) = tried(case, Ok(pending));
    let progress = case.progress(UnixMillis::EPOCH);
    assert_eq!(
        (due_millis(&case), progress.memo.as_str()),
        (Some(1_000), "m")
    );
    (case, _) = tried(case, failed());
    assert_eq!(
        due_millis(&case),
        Some(5_000),
        "what was answered is no failure"
    );
}

#[test]
fn an_attempt_that_the_plugin_never_saw_is_none() {
    let unasked = || {
        let (plugin, why) = ("p".to_owned(), "why".to_owned());
        [
            PluginError::None("kind"),
            PluginError::Open {
                plugin: plugin.clone(),
                why: why.clone(),
            },
            PluginError::Overloaded { plugin, why },
        ]
    };
    for error in unasked() {
        let (case, counted) = tried(handed_in(), Err(CollectError::from(error)));
        assert_eq!((case.attempts, counted), (0, [PAYMENT, "not_asked"]));
        assert!(case.is_plugins_fault());
        let (case, counted) = tried(case, failed());
        assert_eq!((case.attempts, counted), (1, [PAYMENT, "plugin_failed"]));
    }
    for error in unasked() {
        let said = error.to_string();
        let (case, counted) = tried(unrated(), Err(BillingError::from(error)));
        assert_eq!((case.attempts, counted), (0, [RATING, "not_asked"]));
        assert_eq!((case.state(), why(&case)), (State::Unrated, said.as_str()));
        assert!(case.is_plugins_fault());
        let (case, counted) = tried(case, failed_rating());
        assert_eq!((case.attempts, counted), (1, [RATING, "plugin_failed"]));
        assert_eq!(why(&case), "plugin pricing: trapped");
    }
    let (case, counted) = tried(unrated(), Err(BillingError::Died("shot".into())));
    assert_eq!((case.attempts, counted), (1, [RATING, "other"]));
    assert!(why(&case).contains("shot") && !case.is_plugins_fault());
}

#[test]
fn after_very_many_attempts_it_is_a_persons() {
    let mut case = handed_in();
    for _ in 0..ATTEMPTS_MAX {
        (case, _) = tried(case, failed());
    }
    assert_eq!((case.state(), case.due()), (State::Declined, None));
    let case = case.renewed(UnixMillis::EPOCH);
    assert_eq!(case.state(), State::Waiting);
    let (case, counted) = tried(case, paid(invoice().total));
    assert_eq!(
        (case.state(), counted),
        (State::Collected, [PAYMENT, "collected"])
    );
}

#[test]
fn after_very_many_attempts_to_rate_it_stays_unrated_until_somebody_has_it_tried() {
    let mut case = unrated();
    for _ in 1..ATTEMPTS_MAX {
        (case, _) = tried(case, failed_rating());
        assert!(case.due().is_some());
    }
    (case, _) = tried(case, failed_rating());
    assert_eq!((case.state(), case.due()), (State::Unrated, None));
    let said = format!("given up after {ATTEMPTS_MAX} attempts: plugin pricing: trapped");
    assert_eq!(why(&case), said);
    assert!(
        !case.is_plugins_fault(),
        "another plugin does not have it tried"
    );
    let case = Case::parse(&case.to_bytes()).unwrap();
    let case = case.renewed(UnixMillis::new(3));
    assert_eq!((case.state(), due_millis(&case)), (State::Unrated, Some(3)));
    let (case, _) = tried(case, quote(7));
    assert_eq!(case.state(), State::Waiting);
    let progress = case.begun().progress(UnixMillis::EPOCH);
    assert_eq!(
        progress.attempt, 1,
        "the payment plugin knows of no other attempt"
    );
}

#[test]
fn usage_becomes_the_invoice_that_its_price_says() {
    let (case, counted) = tried(unrated(), quote(5));
    assert_eq!(counted, [RATING, "rated"]);
    assert_eq!((case.state(), due_millis(&case)), (State::Waiting, Some(0)));
    let Matter::Priced(priced, Some(origin)) = &case.matter else {
        panic!("{case:?}");
    };
    assert_eq!(*priced, invoice());
    assert_eq!(origin.billable, billable());
    assert_eq!(
        (origin.by.plugin.as_str(), origin.by.digest.as_str()),
        ("pricing", "d1")
    );
    assert_eq!(case.key(), handed_in().key());
}

/// Every life of four events: whatever comes in between, the first price is the only one.
#[test]
fn an_invoice_has_one_price_whatever_happens() {
    const EVENTS: usize = 7;
    for life in 0..EVENTS.pow(4) {
        let mut case = unrated();
        let mut first: Option<Invoice> = None;
        let mut rest = life;
        for offered in 1..=4 {
            case = happened(case, rest % EVENTS, offered);
            rest /= EVENTS;
            let now = match &case.matter {
                Matter::Unrated(_) => None,
                Matter::Priced(invoice, _) => Some(invoice),
            };
            assert_eq!(now.is_none(), case.state() == State::Unrated, "{life}");
            assert!(first.is_none() || first.as_ref() == now, "{life}: {case:?}");
            first = now.cloned();
            assert!(case.is_for(&unrated()), "{life}");
        }
    }
}

/// What an event makes of an invoice; those that cannot come leave it as it is.
fn happened(case: Case, event: usize, offered: i64) -> Case {
    let is_unrated = case.state() == State::Unrated;
    let is_waiting = case.state() == State::Waiting;
    match event {
        0 if is_unrated => tried(case, quote(offered)).0,
        // A second price, which nobody asked for.
        0 => {
            let (after, _) = case.clone().after(quote(offered), UnixMillis::EPOCH);
            assert_eq!(after, case);
            after
        }
        1 if is_unrated => tried(case, failed_rating()).0,
        1 if is_waiting => tried(case, failed()).0,
        2 if is_unrated => tried(case, Err(BillingError::from(PluginError::None("pricing")))).0,
        3 if is_waiting => tried(case, Ok(Step::Declined("no".into()))).0,
        4 if is_waiting => tried(case, paid(euros(1))).0,
        5 => Case::parse(&case.to_bytes()).unwrap(),
        6 if case.state() != State::Collected => case.renewed(UnixMillis::EPOCH),
        _ => case,
    }
}

#[test]
fn a_price_of_nothing_is_not_collected() {
    for micros in [0, -3] {
        let (case, counted) = tried(unrated(), quote(micros));
        assert_eq!(counted, [RATING, "rated"]);
        assert_eq!((case.state(), case.due()), (State::NothingOwed, None));
    }
}

#[test]
fn a_price_that_makes_no_file_leaves_it_unrated() {
    let mut large = quote(0).unwrap();
    large.lines = vec![line(0); 10_000];
    let (case, counted) = tried(unrated(), Ok(large));
    assert_eq!(counted, [RATING, "plugin_failed"]);
    assert_eq!((case.state(), case.attempts), (State::Unrated, 1));
    assert!(case.is_plugins_fault());
    assert!(why(&case).contains("plugin pricing") && why(&case).contains("fewer lines"));
    let (case, _) = tried(case, quote(7));
    assert_eq!(case.state(), State::Waiting);
}

#[test]
fn what_was_handed_in_before_is_known_again() {
    let (priced, _) = tried(unrated(), quote(5));
    assert!(priced.is_for(&unrated()) && unrated().is_for(&priced));
    let mut other = billable();
    other.usage.operations.pin = 1;
    let other = Case::unrated("pay", other, UnixMillis::EPOCH).unwrap();
    assert!(!priced.is_for(&other));
    let elsewhere = Case::unrated("bank", billable(), UnixMillis::EPOCH).unwrap();
    assert!(!priced.is_for(&elsewhere));
    // Whoever hands in a price does not mean the one that a plugin gave.
    assert!(!priced.is_for(&handed_in()) && !handed_in().is_for(&priced));
    let (tried, _) = tried(handed_in(), failed());
    assert!(tried.is_for(&handed_in()));
}

#[test]
fn what_is_no_invoice_is_not_taken() {
    let taken = |invoice| Case::new("pay", invoice, UnixMillis::EPOCH);
    let refused = |invoice| taken(invoice).unwrap_err().to_string();
    assert!(
        refused(Invoice {
            id: String::new(),
            ..invoice()
        })
        .contains("id")
    );
    assert!(
        refused(Invoice {
            lines: Vec::new(),
            ..invoice()
        })
        .contains("sum")
    );
    let mut large = Invoice {
        lines: vec![line(5); 10_000],
        ..invoice()
    };
    large.total.micros *= 10_000;
    assert!(refused(large).contains("fewer lines"));
    // Whatever the id has in it, the key is one that every collector takes.
    for id in ["a", "../../etc", "ü\n"] {
        let key = key_of(id);
        assert!(key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}

#[test]
fn usage_that_can_make_no_invoice_is_not_taken() {
    let taken = |billable| Case::unrated("pay", billable, UnixMillis::EPOCH);
    let refused = |billable| taken(billable).unwrap_err().to_string();
    let mut nameless = billable();
    nameless.id = String::new();
    assert!(refused(nameless).contains("id"));
    let mut timeless = billable();
    timeless.usage.period.end = timeless.usage.period.start;
    assert!(refused(timeless).contains("period"));
    let mut large = billable();
    let much = "x".repeat(INVOICE_BYTES_MAX);
    large.attributes.insert("plan".into(), much);
    assert!(refused(large).contains("bytes"));
}

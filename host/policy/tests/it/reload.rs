//! Policies replaced while the gate decides.

use crate::people::{holder, thing};
use crate::refusal::copy;
use holdfast_model::{Action, Cid, Role};
use holdfast_policy::{Context, Gate};
use prometheus::Registry;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const CLOSED: &str = r#"
@id("closed")
@deny_message("closed for today")
forbid (principal, action == Action::"listRequests", resource);
"#;

fn may_list(gate: &Gate) -> Result<(), Vec<String>> {
    let caller = holder("acme/web", [Role::TenantUser]);
    let on = thing(Action::ListRequests, "acme/web");
    let decided = gate.decide(&caller, Action::ListRequests, &on, &Context::default());
    decided.map(drop).map_err(|denial| denial.messages)
}

fn metric(gate: &Gate, line: &str) -> bool {
    let registry = Registry::new();
    for collector in gate.metrics() {
        registry.register(collector).unwrap();
    }
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    text.lines().any(|found| found == line)
}

#[test]
fn a_reload_swaps_a_good_set_in_and_keeps_a_bad_one_out() {
    let dir = copy();
    let gate = Gate::open(Some(dir.path())).unwrap();
    let first = gate.revision();
    assert_eq!(first, Gate::open(None).unwrap().revision());
    assert_eq!(gate.reload().unwrap(), first);
    assert_eq!(may_list(&gate), Ok(()));

    fs::write(dir.path().join("mine.cedar"), CLOSED).unwrap();
    let second = gate.reload().unwrap();
    assert_ne!(second, first);
    assert_eq!(may_list(&gate), Err(vec!["closed for today".into()]));

    fs::write(dir.path().join("mine.cedar"), "permit (").unwrap();
    assert!(gate.reload().is_err());
    assert_eq!(gate.revision(), second);
    assert_eq!(may_list(&gate), Err(vec!["closed for today".into()]));

    fs::remove_dir_all(dir.path()).unwrap();
    assert!(gate.reload().is_err());
    assert_eq!(gate.revision(), second);
    for (outcome, times) in [("swapped", 1), ("unchanged", 1), ("refused", 2)] {
        let line = format!("holdfast_policy_reloads_total{{outcome=\"{outcome}\"}} {times}");
        assert!(metric(&gate, &line), "{line}");
    }
    let line = "holdfast_policy_decisions_total{action=\"listRequests\",outcome=\"deny\"} 2";
    assert!(metric(&gate, line), "{line}");
}

/// Everybody who asks while policies change is answered by one set or the other, whole.
#[test]
fn decisions_go_on_while_policies_change() {
    let dir = copy();
    let gate = Gate::open(Some(dir.path())).unwrap();
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Err(messages) = may_list(&gate) {
                    assert_eq!(messages, ["closed for today"]);
                }
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for round in 0..6 {
            let before = asked.load(Ordering::Relaxed);
            let text = if round % 2 == 0 { CLOSED } else { "" };
            fs::write(dir.path().join("mine.cedar"), text).unwrap();
            gate.reload().unwrap();
            assert_eq!(may_list(&gate).is_err(), round % 2 == 0);
            while asked.load(Ordering::Relaxed) <= before {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn content_can_be_forbidden_under_every_spelling_of_its_cid() {
    const V0: &str = "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq";
    const V1: &str = "bafybeialdvwzlkxb7snfjllowggzncxshmt4kh5wnwf4ehgjthvo6iehna";
    let digest: String = Cid::parse(V0)
        .unwrap()
        .digest()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let dir = copy();
    let policy = format!(
        "@id(\"blocked\") @deny_message(\"this content is blocked here\")\n\
         forbid (principal, action in [Action::\"createRequest\", Action::\"replaceRequest\"], resource)\n\
         when {{ context has digest && context.digest == \"{digest}\" }};"
    );
    fs::write(dir.path().join("blocked.cedar"), policy).unwrap();
    let gate = Gate::open(Some(dir.path())).unwrap();
    let caller = holder("acme/web", [Role::TenantUser]);
    let on = thing(Action::CreateRequest, "acme/web");
    let asked = |cid: Option<&str>| {
        let context = Context {
            cid: cid.map(|cid| Cid::parse(cid).unwrap()),
            address: None,
            own: None,
        };
        gate.decide(&caller, Action::CreateRequest, &on, &context)
            .is_ok()
    };
    for _ in 0..2 {
        assert!(!asked(Some(V0)) && !asked(Some(V1)));
        assert!(asked(Some("bafkqaaa")));
        assert!(asked(None));
    }
}

//! What authorizers are told, and what the shipped one says.

use crate::house::{Ask, House, pairs, told};
use holdfast_model::{Action, Cid, UnixMillis};
use holdfast_runtime::Verdict;
use std::sync::Arc;

const QUOTAS: &[(&str, &str)] = &[
    ("quota_bytes", "100"),
    ("quota_requests", "3"),
    ("quota_request_bytes", "50"),
];

fn is_exhausted(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Deny {
            exhausted: true,
            ..
        }
    )
}

#[test]
fn without_authorizers_nobody_objects() {
    let house = House::new();
    assert!(!house.plugins.has_authorizers());
    assert_eq!(Ask::new(&[]).of(&house.plugins).unwrap(), Verdict::Allow);
    house.install("hostile-authorizer", "a", &told("allow"));
    assert!(house.plugins.has_authorizers());
}

#[test]
fn a_guest_can_ask_for_every_fact() {
    let house = House::new();
    house.install("hostile-authorizer", "echo", &told("echo"));
    let cid = Cid::parse("bafkqaaa").unwrap();
    let mut ask = Ask {
        cid: Some(cid),
        meta: Some(pairs(&[("app", "blog"), ("b", "c")])),
        request_count: 7,
        pinned_bytes: u128::MAX,
        dag_size: Some(u64::MAX),
        time: UnixMillis::parse("2026-01-01T00:00:00Z").unwrap(),
        ..Ask::new(&[("plan", "gold"), ("quota_bytes", "1")])
    };
    let mut said = || match ask_and_change(&mut ask, &house) {
        Verdict::Deny { message, .. } => message,
        Verdict::Allow => panic!("allowed"),
    };
    assert_eq!(
        said(),
        "Action::CreateRequest system:test true acme/web acme Some(\"gold\") None Some(Ok(1)) Some(Err(())) \
         Some(\"bafkqaaa\") Some(\"blog\") 7 340282366920938463463374607431768211455 \
         Some(18446744073709551615) 1767225600000"
    );
    // The next call on the same instance sees nothing of the one before.
    assert_eq!(
        said(),
        "Action::Other(\"readAudit\") system:test true acme/web acme None None None None None None 0 0 None 0"
    );
}

fn ask_and_change(ask: &mut Ask, house: &House) -> Verdict {
    let verdict = ask.of(&house.plugins).unwrap();
    *ask = Ask {
        action: Action::ReadAudit,
        ..Ask::new(&[])
    };
    verdict
}

#[test]
fn quotas_bound_what_a_tenant_may_pin() {
    let house = House::new();
    house.install("authorizer-quota", "quota", "");
    let ask = |request_count, pinned_bytes, dag_size| Ask {
        request_count,
        pinned_bytes,
        dag_size,
        ..Ask::new(QUOTAS)
    };
    for (ask, fits) in [
        (ask(2, 0, Some(50)), true),
        (ask(3, 0, Some(1)), false),
        (ask(0, 0, Some(51)), false),
        (ask(0, 60, Some(41)), false),
        (ask(0, 99, None), true),
        (ask(0, 100, None), false),
        (ask(0, u128::MAX, None), false),
    ] {
        let verdict = ask.of(&house.plugins).unwrap();
        assert_eq!(is_exhausted(&verdict), !fits, "{verdict:?}");
    }
    let reading = Ask {
        action: Action::ListRequests,
        ..ask(9, 999, None)
    };
    assert_eq!(reading.of(&house.plugins).unwrap(), Verdict::Allow);
    let unbounded = Ask {
        pinned_bytes: u128::MAX,
        ..Ask::new(&[])
    };
    assert_eq!(unbounded.of(&house.plugins).unwrap(), Verdict::Allow);
}

#[test]
fn a_quota_that_is_no_number_forbids() {
    let house = House::new();
    house.install("authorizer-quota", "quota", "");
    for text in ["", "lots", "-1", "1e9", "99999999999999999999"] {
        let verdict = Ask::new(&[("quota_bytes", text)]).of(&house.plugins);
        let Verdict::Deny {
            exhausted, message, ..
        } = verdict.unwrap()
        else {
            panic!("allowed {text:?}");
        };
        assert!(!exhausted && message.contains("quota_bytes"), "{message}");
    }
}

#[test]
fn settings_bound_those_without_attributes() {
    let house = House::new();
    house.install(
        "authorizer-quota",
        "quota",
        "[settings]\nquota_requests = 1",
    );
    let ask = Ask {
        request_count: 1,
        ..Ask::new(&[])
    };
    assert!(is_exhausted(&ask.of(&house.plugins).unwrap()));
    let refused = house.install("authorizer-quota", "quota", "[settings]\nquota = 1");
    assert!(refused.error.unwrap().contains("quota"));
    assert!(is_exhausted(&ask.of(&house.plugins).unwrap()));
}

#[test]
fn who_listens_shares_the_names_of_those_that_were_asked() {
    let house = House::new();
    house.install("hostile-authorizer", "a-allows", &told("allow"));
    let denies = house.install("hostile-authorizer", "b-denies", &told("other-cause"));
    house.install("hostile-authorizer", "c-is-not-asked", &told("trap"));
    let mut heard = Vec::new();
    for _ in 0..2 {
        let verdict = Ask::new(&[]).heard(&house.plugins, &mut heard).unwrap();
        assert!(matches!(verdict, Verdict::Deny { .. }), "{verdict:?}");
    }
    let said: Vec<_> = heard.iter().map(|one| (&*one.name, one.verdict)).collect();
    let once = [("a-allows", "allow"), ("b-denies", "deny")];
    assert_eq!(said, [once, once].concat());
    assert_eq!(*heard[1].digest, *denies.digest);
    // Nothing is copied for a call: both tell with the plugin's own texts.
    assert!(Arc::ptr_eq(&heard[0].name, &heard[2].name));
    assert!(Arc::ptr_eq(&heard[1].digest, &heard[3].digest));
}

#[test]
fn the_first_that_objects_decides() {
    let house = House::new();
    house.install("hostile-authorizer", "a-allows", &told("allow"));
    house.install("hostile-authorizer", "b-denies", &told("other-cause"));
    house.install("hostile-authorizer", "c-traps", &told("trap"));
    let Verdict::Deny { plugin, .. } = Ask::new(&[]).of(&house.plugins).unwrap() else {
        panic!("allowed");
    };
    assert_eq!(plugin, "b-denies");
}

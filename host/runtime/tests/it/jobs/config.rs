//! The shipped config plugins: one supplies from the environment, the other one refuses.

use super::{Yard, refusal, vectors};
use holdfast_runtime::{Entry, Severity, Snapshot};
use std::fs;

const OVERLAY: &str = "config-env-overlay";
const GUARD: &str = "config-guard";

const GRANTED: &str = "[environment]\nallow = [\"HOLDFAST_OVERLAY_*\"]\n";

fn snapshot(values: &[(&str, &str)]) -> Snapshot {
    let entry = |(key, value): &(&str, &str)| Entry {
        key: (*key).into(),
        value: (*value).into(),
    };
    Snapshot {
        revision: 1,
        values: values.iter().map(entry).collect(),
    }
}

#[test]
fn an_overlay_sees_what_it_is_granted_and_nothing_else() {
    let yard = Yard::new(&[
        ("HOLDFAST_OVERLAY_KUBO__CONCURRENCY", "5"),
        ("HOLDFAST_SECRET", "hush"),
        ("PATH", "/bin"),
    ]);
    assert!(!yard.plugins.has_config());
    let why = refusal(yard.install(OVERLAY, ""));
    assert!(why.contains("allow = [\"HOLDFAST_OVERLAY_*\"]"), "{why}");
    assert_eq!(yard.install(OVERLAY, GRANTED).state, "live");
    assert!(yard.plugins.has_config());
    let current = snapshot(&[("kubo.concurrency", "16")]);
    let supplied = yard.plugins.supply(&current).unwrap();
    let entry = Entry {
        key: "kubo.concurrency".into(),
        value: "5".into(),
    };
    assert_eq!(supplied, [(OVERLAY.to_owned(), vec![entry])]);
}

#[test]
fn a_plugin_that_breaks_its_vectors_is_kept_out() {
    for (plugin, grants) in [(OVERLAY, GRANTED), (GUARD, "")] {
        let good = vectors(plugin);
        for (text, state) in [
            (good.clone(), "live"),
            (good.replacen("\"ok\": []", "\"ok\": [1]", 1), "refused"),
            ("{}".to_owned(), "refused"),
        ] {
            let yard = Yard::new(&[]);
            fs::write(yard.dir.path().join(format!("{plugin}.vectors.json")), text).unwrap();
            let info = yard.install(plugin, grants);
            assert_eq!(info.state, state, "{plugin}: {:?}", info.error);
            assert!(state == "live" || info.error.unwrap().contains("vectors"));
        }
    }
}

#[test]
fn what_an_overlay_cannot_read_is_an_error() {
    let yard = Yard::new(&[("HOLDFAST_OVERLAY_KUBO__CONCURRENCY", "many")]);
    yard.install(OVERLAY, GRANTED);
    let current = snapshot(&[("kubo.concurrency", "16")]);
    let failed = yard.plugins.supply(&current).unwrap_err().to_string();
    assert!(
        failed.contains("HOLDFAST_OVERLAY_KUBO__CONCURRENCY"),
        "{failed}"
    );
}

#[test]
fn a_guard_refuses_what_its_rules_forbid() {
    let yard = Yard::new(&[]);
    let rules = "[settings]\nrules = [{ key = \"kubo.concurrency\", max = 20 }]\n";
    let info = yard.install(GUARD, rules);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    let check = |value: &str| {
        let proposed = snapshot(&[("kubo.concurrency", value)]);
        yard.plugins.check_configuration(&proposed, None).unwrap()
    };
    assert!(check("16").is_empty());
    let findings = check("64");
    let [(plugin, finding)] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert_eq!(
        (plugin.as_str(), finding.severity),
        (GUARD, Severity::Refuse)
    );
    assert_eq!(finding.key, "kubo.concurrency");
}

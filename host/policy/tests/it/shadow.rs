//! A candidate beside what is in force.

use crate::people::{holder, thing};
use crate::refusal::copy;
use holdfast_model::{Action, Principal, Role};
use holdfast_policy::{Context, Gate, ShadowReport};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const CLOSED: &str =
    "@id(\"closed\") forbid (principal, action == Action::\"listRequests\", resource);";

fn files(dir: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries
        .map(|path| (file(&path), fs::read_to_string(&path).unwrap()))
        .collect()
}

fn ask(gate: &Gate, who: &Principal, action: Action) -> bool {
    let on = thing(action, "acme/web");
    gate.decide(who, action, &on, &Context::default()).is_ok()
}

/// The report once the candidate has made as many decisions.
fn report_of(gate: &Gate, decisions: u64) -> ShadowReport {
    let begin = Instant::now();
    loop {
        let report = gate.shadow_report().unwrap();
        if report.decisions >= decisions || begin.elapsed() > Duration::from_secs(20) {
            return report;
        }
        std::thread::yield_now();
    }
}

#[test]
fn every_flip_is_told_and_a_promoted_candidate_decides() {
    let (dir, other) = (copy(), copy());
    let gate = Gate::open(Some(dir.path())).unwrap();
    let first = gate.revision();
    fs::write(other.path().join("closed.cedar"), CLOSED).unwrap();
    fs::remove_file(other.path().join("grants.cedar")).unwrap();
    let candidate = gate.shadow(files(other.path())).unwrap();
    let user = holder("acme/web", [Role::TenantUser]);
    for _ in 0..3 {
        assert!(ask(&gate, &user, Action::ListRequests));
        assert!(ask(&gate, &user, Action::CreateRequest));
        assert!(!ask(&gate, &user, Action::ReadAudit));
    }
    let report = report_of(&gate, 9);
    assert_eq!(
        (report.decisions, report.different, report.dropped),
        (9, 3, 0)
    );
    assert_eq!(
        (&*report.revision, &*report.beside),
        (&*candidate.0, &*first.0)
    );
    let [flip] = &report.flips[..] else {
        panic!("{report:#?}")
    };
    assert_eq!(
        (&*flip.principal, &*flip.action),
        ("key:holder1", "listRequests")
    );
    assert_eq!((flip.now, flip.then, flip.count), ("allow", "deny", 3));
    assert_eq!(flip.now_by, ["tenant-user-account"]);
    assert_eq!(flip.then_by, ["closed"]);
    // Until it is promoted it decides nothing.
    assert_eq!(gate.revision(), first);
    assert_eq!(gate.promote_shadow().unwrap(), candidate);
    assert!(!ask(&gate, &user, Action::ListRequests));
    assert!(gate.shadow_report().is_none());
    // And the folder has it, so that a restart has it too.
    assert!(!dir.path().join("grants.cedar").exists());
    assert_eq!(Gate::open(Some(dir.path())).unwrap().revision(), candidate);
    assert_eq!(gate.reload().unwrap(), candidate);
}

#[test]
fn a_bad_candidate_is_refused_and_a_dropped_one_is_gone() {
    let gate = Gate::open(None).unwrap();
    let dir = copy();
    let mut spoilt = files(dir.path());
    spoilt.insert("bad.cedar".into(), "permit (".into());
    let refused = gate.shadow(spoilt).unwrap_err().to_string();
    assert!(refused.contains("bad.cedar:1:"), "{refused}");
    let mut stray = files(dir.path());
    stray.insert("../escape.cedar".into(), CLOSED.into());
    let refused = gate.shadow(stray).unwrap_err().to_string();
    assert!(refused.contains("no file of policies"), "{refused}");
    assert!(gate.shadow_report().is_none() && !gate.drop_shadow());
    gate.shadow(files(dir.path())).unwrap();
    let built_in = gate.promote_shadow().unwrap_err().to_string();
    assert!(built_in.contains("set policies.dir"), "{built_in}");
    assert!(gate.drop_shadow() && gate.shadow_report().is_none());
}

//! A candidate beside what is in force.

use crate::people::{holder, thing};
use crate::refusal::copy;
use holdfast_model::{Action, Principal, Role, TenantId, UnixMillis};
use holdfast_policy::{Context, Gate, GateSettings, Grant, ShadowReport, TenantSet};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
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
    once(|| gate.shadow_report(), decisions)
}

fn once(report: impl Fn() -> Option<ShadowReport>, decisions: u64) -> ShadowReport {
    let begin = Instant::now();
    loop {
        let report = report().unwrap();
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

#[test]
fn a_tenant_tries_its_own_policies_on_its_own_and_nobody_elses() {
    let gate = Gate::open_with(GateSettings {
        asks_tenants: true,
        ..GateSettings::default()
    })
    .unwrap();
    let friend = holder("acme/app", []);
    let granted = Grant {
        id: "g1".into(),
        template: "reader".into(),
        principal: friend.id.as_str().into(),
        on: "acme/web".into(),
        by: "key:admin".into(),
        created: UnixMillis::EPOCH,
    };
    let set = |of: &str, policies: &str, grants: &[Grant]| {
        let tenant = TenantId::parse(of).unwrap();
        Arc::new(TenantSet::new(tenant, policies.into(), grants.to_vec()))
    };
    let live = set("acme", "", &[granted]);
    let ask = |who: &Principal, own: &Arc<TenantSet>, action, of: &str| {
        let context = Context {
            own: Some(Arc::clone(own)),
            ..Context::default()
        };
        gate.decide(who, action, &thing(action, of), &context)
            .is_ok()
    };
    let acme = TenantId::parse("acme").unwrap();
    let begin = |policies| gate.shadow_own(&live, &set("acme", policies, &[]), UnixMillis::EPOCH);
    let refused = begin("permit (principal");
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("policies:1:"), "{refused}");
    assert!(gate.shadow_own_report(&acme).is_none());
    let began = begin(CLOSED).unwrap();
    // It is named with the grants that it will have.
    assert_eq!(&began, set("acme", CLOSED, live.grants()).revision());
    let tried = gate.shadow_own_candidate(&acme).unwrap();
    assert_eq!((&*tried.policies, &*tried.instead_of), (CLOSED, ""));
    let user = holder("acme/web", [Role::TenantUser]);
    assert!(ask(&user, &live, Action::ListRequests, "acme/web"));
    assert!(ask(&user, &live, Action::CreateRequest, "acme/web"));
    // The grant holds beside the candidate too, so that this is no difference.
    assert!(ask(&friend, &live, Action::ReadRequest, "acme/web"));
    // Another tenant's calls are not the candidate's to decide, nor is what stands above tenants.
    let stranger = holder("umbra/web", [Role::TenantUser]);
    let theirs = set("umbra", "", &[]);
    assert!(ask(&stranger, &theirs, Action::ListRequests, "umbra/web"));
    let admin = holder("acme/web", [Role::TenantAdmin]);
    assert!(ask(&admin, &live, Action::WritePolicies, "acme/web"));
    assert!(!ask(&admin, &live, Action::ReadAudit, "acme/web"));
    let report = once(|| gate.shadow_own_report(&acme), 3);
    assert_eq!((report.decisions, report.different), (3, 1), "{report:#?}");
    let flip = &report.flips[0];
    assert_eq!(
        (flip.now, flip.then, &*flip.action),
        ("allow", "deny", "listRequests")
    );
    assert_eq!(flip.then_by, ["acme:closed"]);
    // What the tenant says meanwhile is what the candidate is compared with.
    let both = "@id(\"quiet\") forbid (principal, action == Action::\"listRequests\", resource);";
    let changed = set("acme", both, &[]);
    assert!(!ask(&user, &changed, Action::ListRequests, "acme/web"));
    let report = once(|| gate.shadow_own_report(&acme), 4);
    assert_eq!((report.decisions, report.different), (4, 1), "{report:#?}");
    // The platform's candidate is another matter.
    assert!(gate.shadow_report().is_none());
    assert!(gate.drop_shadow_own(&acme) && !gate.drop_shadow_own(&acme));
}

#[test]
fn as_many_tenants_try_policies_as_there_are_places() {
    const DAY: u64 = 24 * 3600 * 1_000;
    let gate = Gate::open(None).unwrap();
    let tenant = |of: u32| TenantId::parse(&format!("tenant{of}")).unwrap();
    let begin = |of: u32, at: u64| {
        let set = |policies: &str| TenantSet::new(tenant(of), policies.into(), Vec::new());
        gate.shadow_own(&set(""), &set(CLOSED), UnixMillis::new(at))
    };
    let tried = || {
        let all = 0..40;
        all.filter(|of| gate.shadow_own_report(&tenant(*of)).is_some())
            .collect::<Vec<_>>()
    };
    for of in 0..31 {
        begin(of, 0).unwrap();
    }
    begin(31, DAY / 2).unwrap();
    let refused = begin(32, DAY - 1).unwrap_err().to_string();
    assert!(refused.contains("32 tenants try theirs here"), "{refused}");
    // In the place of one's own there is room, and it is a new one.
    begin(0, DAY).unwrap();
    assert_eq!(tried(), (0..32).collect::<Vec<_>>());
    // Who has had a day makes room for who wants one.
    begin(32, DAY).unwrap();
    assert_eq!(tried(), [0, 31, 32]);
    // As long as there is room nobody has to go, and one that was dropped leaves room.
    for of in 1..30 {
        begin(of, 9 * DAY).unwrap();
    }
    assert!(gate.drop_shadow_own(&tenant(29)));
    begin(33, 9 * DAY).unwrap();
    assert_eq!(tried(), (0..29).chain([31, 32, 33]).collect::<Vec<_>>());
}

//! Index and memory against Cedar with every policy and every id, over made-up policies.

use super::{Bundle, Outcome, Overlay, View, compile};
use crate::error::PolicyError;
use crate::facts;
use crate::gate::Context;
use crate::source::{Source, Text};
use crate::tenant::{Grant, TenantSet};
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{
    AccountId, Action, Cid, KeyId, Principal, PrincipalId, RequestId, Role, Roles, TenantId,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const REQUESTS: [&str; 2] = [
    "00000000-0000-7000-8000-000000000001",
    "00000000-0000-7000-8000-000000000002",
];

const PRINCIPAL: &[&str] = &[
    "principal",
    "principal is User",
    r#"principal in Role::"tenant-user""#,
    r#"principal in Role::"operator""#,
    r#"principal == User::"key:first1""#,
    r#"principal in User::"key:first1""#,
    r#"principal in Account::"acme/web""#,
    r#"principal in Tenant::"umbra""#,
    r#"principal is User in Tenant::"acme""#,
];

const ACTION: &[&str] = &[
    "action",
    r#"action == Action::"createRequest""#,
    r#"action == Action::"readRequest""#,
    r#"action in Action::"pinning""#,
    r#"action in [Action::"read", Action::"revokeKey"]"#,
    r#"action in Action::"manage""#,
];

const RESOURCE: &[&str] = &[
    "resource",
    "resource is Account",
    "resource is PinRequest",
    "resource is Host",
    r#"resource == Account::"acme/web""#,
    r#"resource == Tenant::"acme""#,
    r#"resource == PinRequest::"00000000-0000-7000-8000-000000000001""#,
    r#"resource in PinRequest::"00000000-0000-7000-8000-000000000002""#,
    r#"resource in Tenant::"acme""#,
    r#"resource is PinRequest in Account::"umbra/web""#,
    r#"resource is ApiKey in Tenant::"umbra""#,
];

const CONDITION: &[&str] = &[
    "",
    r#"when { principal.proof == "key" }"#,
    "when { resource has account && resource.account == principal.account }",
    "unless { resource has tenant && resource.tenant == principal.tenant }",
    r#"when { context has cid && context.cid == "bafkqaaa" }"#,
    "when { context has address && context.address.isLoopback() }",
    r#"when { principal == User::"key:other2" }"#,
    r#"when { resource in [PinRequest::"00000000-0000-7000-8000-000000000001"] }"#,
    r#"when { principal.proof == "key" && 9223372036854775807 + 1 > 0 }"#,
    r#"when { principal in [Role::"auditor", Account::"acme/app"] }"#,
];

/// A policy in one line, without its id.
pub(crate) fn policy() -> impl Strategy<Value = String> {
    let effect = select(&["permit", "forbid"][..]);
    let parts = (
        effect,
        select(PRINCIPAL),
        select(ACTION),
        select(RESOURCE),
        select(CONDITION),
    );
    parts.prop_map(|(effect, principal, action, resource, condition)| {
        format!("{effect} ({principal}, {action}, {resource}) {condition};")
    })
}

pub(crate) fn principal() -> impl Strategy<Value = Principal> {
    let name = select(&["first1", "other2"][..]);
    let account = select(&["acme/web", "acme/app", "umbra/web"][..]);
    let roles = prop::collection::vec(select(&Role::ALL[..]), 0..3);
    (name, account, roles, 0..3_u8).prop_map(|(name, account, roles, proof)| {
        let key = KeyId::parse(name).unwrap();
        Principal {
            id: PrincipalId::of_key(&key),
            account: AccountId::parse(account).unwrap(),
            roles: roles.into_iter().collect::<Roles>(),
            proof: match proof {
                0 => Proof::Key(key),
                1 => Proof::Token {
                    issuer: "https://issuer".into(),
                },
                _ => Proof::Internal,
            },
        }
    })
}

pub(crate) fn context() -> impl Strategy<Value = Context> {
    let cid = prop::option::of(select(
        &["bafkqaaa", "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq"][..],
    ));
    let address = prop::option::of(select(
        &[
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ][..],
    ));
    (cid, address).prop_map(|(cid, address)| Context {
        cid: cid.map(|cid| Cid::parse(cid).unwrap()),
        address,
        own: None,
    })
}

pub(crate) fn question() -> impl Strategy<Value = (Principal, Action, Resource, Context)> {
    let owner = select(&["acme/web", "acme/app", "umbra/web", "umbra/app"][..]);
    let action = select(Action::ALL);
    (principal(), action, owner, 0..2_usize, context()).prop_map(
        |(principal, action, owner, which, context)| {
            let account = AccountId::parse(owner).unwrap();
            let request = RequestRef {
                account: account.clone(),
                id: RequestId::parse(REQUESTS[which]).unwrap(),
            };
            let key = KeyRef {
                account: account.clone(),
                id: KeyId::parse(["first1", "other2"][which]).unwrap(),
            };
            let tenant = account.tenant().clone();
            let candidates = [
                Resource::Host,
                tenant.into(),
                account.into(),
                request.into(),
                key.into(),
            ];
            let fits = |resource: &Resource| {
                let built_in = built_in();
                *built_in.kinds.of(resource) == built_in.actions[&action].on
            };
            let resource = candidates.into_iter().find(fits).unwrap();
            (principal, action, resource, context)
        },
    )
}

fn built_in() -> &'static Bundle {
    static BUILT_IN: std::sync::OnceLock<Bundle> = std::sync::OnceLock::new();
    BUILT_IN.get_or_init(|| compile(&Source::built_in()).unwrap())
}

/// The built-in policies and more; those that validation refuses are left out.
pub(crate) fn with(policies: &[String]) -> Bundle {
    let mut source = Source::built_in();
    let numbered = policies.iter().enumerate();
    let mut lines: Vec<String> = numbered
        .map(|(n, text)| format!("@id(\"made-up-{n}\") {text}"))
        .collect();
    for _ in 0..2 {
        let text = lines.join("\n");
        source.policies.push(Text {
            name: "made-up".into(),
            text,
        });
        match compile(&source) {
            Ok(bundle) => return bundle,
            Err(problems) => {
                for problem in problems {
                    let PolicyError::Refused(finding) = problem else {
                        panic!("{problem}")
                    };
                    assert_eq!(finding.file, "made-up", "{finding}");
                    lines[finding.line - 1].clear();
                }
            }
        }
        source.policies.pop();
    }
    panic!("still refused");
}

/// How often a property is tried: as often as here, or as PROPTEST_CASES says for a long run.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(usual),
    }
}

/// Asks three times (unknown, remembered, after the others) and compares with Cedar.
fn compare(view: View<'_>, questions: &[(Principal, Action, Resource, Context)]) {
    let all = view.everything();
    let plain = |question| view.decide_plainly(&all, question);
    let plain: Vec<_> = questions.iter().map(plain).collect();
    for round in 0..3 {
        for ((principal, action, resource, context), plain) in questions.iter().zip(&plain) {
            let ours = view.decide(*action, principal, resource, context);
            assert_eq!(
                &*ours, plain,
                "round {round}: {action} by {principal:?} on {resource:?} with {context:?}"
            );
        }
    }
}

/// What acme wrote and granted, those policies left out that are refused.
pub(crate) fn own(bundle: &Bundle, policies: &[String], grants: &[Grant]) -> (TenantSet, Overlay) {
    let compiled = |lines: &[String]| -> Result<_, Vec<PolicyError>> {
        let tenant = TenantId::parse("acme").unwrap();
        let set = TenantSet::new(tenant, lines.join("\n"), grants.to_vec());
        let overlay = super::compile_own(bundle, &set)?;
        Ok((set, overlay))
    };
    let numbered = policies.iter().enumerate();
    let mut lines: Vec<String> = numbered
        .map(|(n, text)| format!("@id(\"own-{n}\") {text}"))
        .collect();
    for _ in 0..3 {
        match compiled(&lines) {
            Ok(own) => return own,
            Err(problems) => {
                for problem in problems {
                    let PolicyError::Refused(finding) = problem else {
                        panic!("{problem}")
                    };
                    lines[finding.line - 1].clear();
                }
            }
        }
    }
    panic!("still refused");
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn the_index_says_what_cedar_says(
        policies in prop::collection::vec(policy(), 0..24),
        questions in prop::collection::vec(question(), 32),
    ) {
        compare(with(&policies).view(None), &questions);
    }

    /// The same with a tenant's own policies above the platform's, for questions in the tenant.
    #[test]
    fn tenants_policies_say_what_cedar_says(
        platform in prop::collection::vec(policy(), 0..8),
        policies in prop::collection::vec(policy(), 1..16),
        questions in prop::collection::vec(question(), 32),
    ) {
        let bundle = with(&platform);
        let (_, overlay) = own(&bundle, &policies, &[]);
        compare(bundle.view(Some(&overlay)), &questions);
    }

    #[test]
    fn the_default_policies_say_what_cedar_says(
        questions in prop::collection::vec(question(), 32),
    ) {
        compare(built_in().view(None), &questions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 64, ..cases(5) })]

    /// The same at length: a hundred policies at a time, most of them different in every part.
    #[test]
    fn the_index_says_what_cedar_says_over_many_policies(
        policies in prop::collection::vec(policy(), 80..120),
        questions in prop::collection::vec(question(), 160),
    ) {
        compare(with(&policies).view(None), &questions);
    }
}

#[test]
fn made_up_policies_are_mostly_good_ones() {
    let all: Vec<String> = CONDITION
        .iter()
        .map(|condition| format!("permit (principal, action, resource) {condition};"))
        .collect();
    let refused = built_in().len() + all.len() - with(&all).len();
    assert!(refused <= 1, "{refused} of {} refused", all.len());
}

/// What makes a decision cost the same with ten thousand policies of other tenants.
#[test]
fn policies_of_other_tenants_are_not_looked_at() {
    let scopes = [
        r#"(principal in Tenant::"NAME", action, resource)"#,
        r#"(principal, action, resource in Tenant::"NAME")"#,
        r#"(principal in Account::"NAME/web", action, resource in Account::"NAME/web")"#,
    ];
    let theirs = (0..100).flat_map(|n| scopes.map(|scope| scope.replace("NAME", &format!("t{n}"))));
    let policies: Vec<String> = theirs
        .map(|scope| format!("forbid {scope} when {{ principal.proof == \"token\" }};"))
        .collect();
    let found = |bundle: &Bundle, account: &str| {
        let principal = Principal {
            account: AccountId::parse(account).unwrap(),
            ..Principal::clone(&crate::system_principal("test"))
        };
        let rules = &bundle.actions[&Action::ListRequests];
        let what = principal.account.clone().into();
        rules.index.matching(
            &facts::principal_closure(&bundle.kinds, &principal),
            &facts::resource_closure(&bundle.kinds, &what),
        )
    };
    let bundle = with(&policies);
    assert_eq!(bundle.len(), built_in().len() + 300);
    let default = found(built_in(), "acme/web").len();
    assert_eq!(found(&bundle, "acme/web").len(), default);
    assert_eq!(found(&bundle, "t7/web").len(), default + 3);
    assert_eq!(found(&bundle, "t7/app").len(), default + 2);
}

#[test]
fn a_forbid_that_fails_denies() {
    let forbid = r#"forbid (principal in Tenant::"acme", action == Action::"listRequests", resource)
        when { 9223372036854775807 + 1 > 0 };"#;
    let bundle = with(&[forbid.replace('\n', " ")]);
    let asked = |account: &str| {
        let principal = Principal {
            id: PrincipalId::of_worker("test"),
            account: AccountId::parse(account).unwrap(),
            roles: Roles::NONE.with(Role::TenantUser),
            proof: Proof::Internal,
        };
        let on = AccountId::parse(account).unwrap().into();
        bundle.decide(Action::ListRequests, &principal, &on, &Context::default())
    };
    let denied = asked("acme/web");
    assert_eq!(
        (denied.outcome, &*denied.determined_by),
        (Outcome::Error, &["made-up-0".to_owned()][..])
    );
    assert_eq!(asked("umbra/web").outcome, Outcome::Allow);
}

#[test]
fn a_permit_that_fails_only_does_not_permit() {
    let permit = r#"permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 };"#;
    let bundle = with(&[permit.into()]);
    let principal = Principal {
        id: PrincipalId::of_worker("test"),
        account: AccountId::parse("acme/web").unwrap(),
        roles: Roles::NONE.with(Role::TenantUser),
        proof: Proof::Internal,
    };
    let own = AccountId::parse("acme/web").unwrap().into();
    let context = Context::default();
    let allowed = bundle.decide(Action::ListRequests, &principal, &own, &context);
    assert_eq!((allowed.outcome, allowed.errors), (Outcome::Allow, 1));
    let denied = bundle.decide(Action::ReadAudit, &principal, &Resource::Host, &context);
    assert_eq!((denied.outcome, denied.errors), (Outcome::Deny, 1));
}

#[test]
fn an_action_on_the_wrong_kind_of_thing_is_denied() {
    let principal = crate::system_principal("test");
    let verdict = built_in().decide(
        Action::DriveWork,
        &principal,
        &principal.account.clone().into(),
        &Context::default(),
    );
    assert_eq!(verdict.outcome, Outcome::Error);
}

#[test]
fn the_schema_has_just_the_actions_that_the_host_has() {
    let source = Source::built_in();
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&source.schema.text).unwrap();
    let groups: Vec<_> = schema.action_groups().cloned().collect();
    let mut theirs: Vec<String> = schema
        .actions()
        .filter(|uid| !groups.contains(uid))
        .map(|uid| uid.id().unescaped().to_owned())
        .collect();
    let mut ours: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(theirs, ours);
}

//! What a listing finds beside asking about everything there is.

use super::{Owner, Reach};
use crate::bundle::tests::{cases, policy, principal, with};
use crate::bundle::{Outcome, View};
use crate::gate::Context;
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::{AccountId, Action, KeyId, RequestId, TenantId};
use proptest::prelude::*;

/// What is kept: some tenants, their accounts, a key and two requests in each.
fn everything() -> Vec<Resource> {
    let accounts = [
        "acme/web",
        "acme/app",
        "umbra/web",
        "umbra/app",
        "third/web",
    ];
    let accounts = accounts.map(|name| AccountId::parse(name).unwrap());
    let mut all: Vec<Resource> = ["acme", "umbra", "third"]
        .map(|name| TenantId::parse(name).unwrap().into())
        .into();
    for account in accounts {
        all.push(account.clone().into());
        for id in [1, 2] {
            let id = format!("00000000-0000-7000-8000-00000000000{id}");
            let id = RequestId::parse(&id).unwrap();
            let account = account.clone();
            all.push(RequestRef { account, id }.into());
        }
        let id = KeyId::parse("first1").unwrap();
        all.push(KeyRef { account, id }.into());
    }
    all
}

fn allowed(view: View<'_>, action: Action, caller: &holdfast_model::Principal) -> Vec<Resource> {
    let kind = view.about(action).unwrap().1.clone();
    let all = everything().into_iter();
    let fitting = all.filter(|resource| *view.bundle.kinds().of(resource) == kind);
    fitting
        .filter(|resource| {
            let verdict = view.decide(action, caller, resource, &Context::default());
            verdict.outcome == Outcome::Allow
        })
        .collect()
}

const LISTED: [Action; 4] = [
    Action::ReadRequest,
    Action::ListRequests,
    Action::ListKeys,
    Action::ReadTenant,
];

proptest! {
    #![proptest_config(cases(10))]

    /// Everything that may be read is within reach, and the rows within reach, asked again, are
    /// just those that may be read.
    #[test]
    fn a_listing_finds_what_brute_force_finds(
        policies in prop::collection::vec(policy(), 4..12),
        callers in prop::collection::vec(principal(), 5),
    ) {
        let bundle = with(&policies);
        let view = bundle.view(None);
        for caller in &callers {
            for action in LISTED {
                let reach = super::reach(view, action, caller).unwrap();
                let brute = allowed(view, action, caller);
                let found: Vec<_> = brute.iter().filter(|one| reach.meets(one)).cloned().collect();
                prop_assert_eq!(&brute, &found, "{} by {:?}: {:?}", action, caller, reach);
            }
        }
    }
}

/// With the policies that are shipped the reach of a tenant's people is their tenant: a listing
/// looks at nobody else's rows.
#[test]
fn a_tenants_people_reach_no_further_than_their_tenant() {
    let bundle = with(&[]);
    let reach = |roles: &[holdfast_model::Role], action| {
        let caller = holdfast_model::Principal {
            account: AccountId::parse("acme/web").unwrap(),
            roles: roles.iter().copied().collect(),
            ..holdfast_model::Principal::clone(&crate::system_principal("test"))
        };
        super::reach(bundle.view(None), action, &caller).unwrap()
    };
    use holdfast_model::Role::{ClusterNode, Operator, TenantAdmin, TenantUser};
    let acme = Reach::under(Owner::Tenant(TenantId::parse("acme").unwrap()));
    let web = Reach::under(Owner::Account(AccountId::parse("acme/web").unwrap()));
    assert_eq!(reach(&[TenantUser], Action::ReadRequest), web);
    assert_eq!(reach(&[TenantAdmin], Action::ReadRequest), acme);
    assert_eq!(reach(&[TenantAdmin], Action::ListKeys), acme);
    assert_eq!(reach(&[ClusterNode], Action::ListKeys), Reach::nowhere());
    assert_eq!(reach(&[Operator], Action::ReadTenant), Reach::Everywhere);
    assert_eq!(reach(&[Operator], Action::ReadRequest), Reach::nowhere());
}

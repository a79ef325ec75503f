//! What a listing finds beside asking about everything there is.

use super::{Owner, Reach};
use crate::bundle::tests::{cases, context, own, policy, principal, with};
use crate::bundle::{Bundle, Outcome, Overlay, View};
use crate::gate::{Context, Gate};
use crate::tenant::{Grant, TenantSet};
use cedar_policy::PolicySet;
use holdfast_model::action::{
    Act, KeyRef, ListKeys, ListRequests, ReadRequest, ReadTenant, RequestRef, Resource,
};
use holdfast_model::{AccountId, Action, KeyId, Principal, RequestId, TenantId, UnixMillis};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// What is kept: some tenants, their accounts, a key and three requests in each, one of which no
/// policy names.
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
        for id in [1, 2, 3] {
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

/// An action that things are listed by.
trait Listed: Act {
    /// The thing, if it is of the kind.
    fn of(resource: &Resource) -> Option<Self::On>;
}

impl Listed for ReadRequest {
    fn of(resource: &Resource) -> Option<RequestRef> {
        match resource {
            Resource::Request(request) => Some(request.clone()),
            _ => None,
        }
    }
}

impl Listed for ListRequests {
    fn of(resource: &Resource) -> Option<AccountId> {
        match resource {
            Resource::Account(account) => Some(account.clone()),
            _ => None,
        }
    }
}

impl Listed for ListKeys {
    fn of(resource: &Resource) -> Option<AccountId> {
        ListRequests::of(resource)
    }
}

impl Listed for ReadTenant {
    fn of(resource: &Resource) -> Option<TenantId> {
        match resource {
            Resource::Tenant(tenant) => Some(tenant.clone()),
            _ => None,
        }
    }
}

/// A gate with made-up policies, and acme's own policies and grants above them.
struct Scene {
    gate: Gate,
    bundle: Arc<Bundle>,
    set: Arc<TenantSet>,
    overlay: Overlay,
    /// Every policy, without and with acme's.
    all: [PolicySet; 2],
}

impl Scene {
    fn new(platform: &[String], policies: &[String], grants: &[Grant]) -> Self {
        let bundle = Arc::new(with(platform));
        let (set, overlay) = own(&bundle, policies, grants);
        let gate = Gate::open(None).unwrap();
        gate.bundle.store(Arc::clone(&bundle));
        let all = [None, Some(&overlay)].map(|own| bundle.view(own).everything());
        Self {
            gate,
            bundle,
            set: Arc::new(set),
            overlay,
            all,
        }
    }

    /// A call by somebody: acme's people bring acme's set.
    fn context(&self, caller: &Principal, context: &Context) -> Context {
        let is_ours = caller.tenant() == self.set.tenant();
        Context {
            own: is_ours.then(|| Arc::clone(&self.set)),
            ..context.clone()
        }
    }

    /// What Cedar says with every policy that has a say, nothing left out or remembered.
    fn plainly<A: Act>(&self, caller: &Principal, on: &Resource, context: &Context) -> bool {
        let acme = Some(self.set.tenant());
        let is_theirs = Some(caller.tenant()) == acme && on.tenant() == acme;
        let view = self.bundle.view(is_theirs.then_some(&self.overlay));
        let question = (caller.clone(), A::ACTION, on.clone(), context.clone());
        let all = &self.all[usize::from(is_theirs)];
        view.decide_plainly(all, &question).outcome == Outcome::Allow
    }

    /// What a listing finds beside what Cedar allows, each thing asked about.
    fn listed<A: Listed>(&self, caller: &Principal, context: &Context) -> [Vec<Resource>; 2] {
        let context = self.context(caller, context);
        let reach = self.gate.reach::<A>(caller, &context);
        let all = everything().into_iter();
        let all: Vec<Resource> = all.filter(|one| A::of(one).is_some()).collect();
        let lets = |on| self.gate.lets::<A>(caller, on, &context);
        let is_found = |one: &Resource| reach.meets(one) && A::of(one).is_some_and(lets);
        let is_allowed = |one: &Resource| self.plainly::<A>(caller, one, &context);
        [
            all.iter().filter(|one| is_found(one)).cloned().collect(),
            all.iter().filter(|one| is_allowed(one)).cloned().collect(),
        ]
    }

    /// A thing for which an answer was said to hold for all of its owner's, and does not.
    fn unsettled<A: Listed>(
        &self,
        caller: &Principal,
        contexts: &[Context],
    ) -> Option<(Resource, Resource, Context)> {
        let all = everything().into_iter();
        let all: Vec<Resource> = all.filter(|one| A::of(one).is_some()).collect();
        for asked in &all {
            let on = A::of(asked)?;
            let first = self.context(caller, contexts.first()?);
            let Some(answer) = self.gate.lets_all::<A>(caller, on, &first) else {
                continue;
            };
            for other in all.iter().filter(|other| owner(other) == owner(asked)) {
                for context in contexts {
                    let context = self.context(caller, context);
                    if self.plainly::<A>(caller, other, &context) != answer {
                        return Some((asked.clone(), other.clone(), context));
                    }
                }
            }
        }
        None
    }
}

fn owner(resource: &Resource) -> Option<Owner> {
    match resource {
        Resource::Host => None,
        Resource::Tenant(tenant) => Some(Owner::Tenant(tenant.clone())),
        Resource::Account(account)
        | Resource::Request(RequestRef { account, .. })
        | Resource::Key(KeyRef { account, .. }) => Some(Owner::Account(account.clone())),
    }
}

fn grant() -> impl Strategy<Value = Grant> {
    let template = select(&["reader", "pinner", "key-keeper", "bookkeeper"][..]);
    let principal = select(&["key:first1", "key:other2"][..]);
    let on = select(&["acme", "acme/web", "acme/app"][..]);
    (template, principal, on, any::<u64>()).prop_map(|(template, principal, on, id)| Grant {
        id: format!("{id:016x}"),
        template: template.to_owned(),
        principal: principal.to_owned(),
        on: on.to_owned(),
        by: "key:admin1".to_owned(),
        created: UnixMillis::EPOCH,
    })
}

/// The platform's policies, a tenant's own, and its grants.
fn scene() -> impl Strategy<Value = Scene> {
    let platform = prop::collection::vec(policy(), 0..8);
    let own = prop::collection::vec(policy(), 0..12);
    let grants = prop::collection::vec(grant(), 0..4);
    (platform, own, grants).prop_map(|(platform, own, grants)| Scene::new(&platform, &own, &grants))
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene")
            .field("all", &self.all[1].to_string())
            .finish_non_exhaustive()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 64, ..cases(10) })]

    /// The same through the gate, with what a tenant says for itself above the platform's.
    #[test]
    fn a_listing_finds_what_brute_force_finds_with_tenants_own_policies_and_grants(
        scene in scene(),
        callers in prop::collection::vec(principal(), 5),
        context in context(),
    ) {
        for caller in &callers {
            let listed = [
                scene.listed::<ReadRequest>(caller, &context),
                scene.listed::<ListRequests>(caller, &context),
                scene.listed::<ListKeys>(caller, &context),
                scene.listed::<ReadTenant>(caller, &context),
            ];
            for ([found, brute], action) in listed.iter().zip(LISTED) {
                prop_assert_eq!(found, brute, "{} by {:?}", action, caller);
            }
        }
    }

    /// What is said to be settled is so for all that its owner has, in every call: on that rest
    /// the list of requests, and their count.
    #[test]
    fn a_settled_answer_holds_for_all_of_an_owners_things_in_every_call(
        scene in scene(),
        callers in prop::collection::vec(principal(), 5),
        contexts in prop::collection::vec(context(), 4),
    ) {
        for caller in &callers {
            let wrong = [
                scene.unsettled::<ReadRequest>(caller, &contexts),
                scene.unsettled::<ListRequests>(caller, &contexts),
                scene.unsettled::<ListKeys>(caller, &contexts),
                scene.unsettled::<ReadTenant>(caller, &contexts),
            ];
            prop_assert!(wrong.iter().all(Option::is_none), "{:?}: {:?}", caller, wrong);
        }
    }
}

/// So that the property above is about something: with the policies that are shipped all is
/// settled, and one that tells requests apart, or looks at the call, unsettles it.
#[test]
fn answers_are_settled_unless_a_policy_tells_things_or_calls_apart() {
    let lines = |text: &str| match text {
        "" => Vec::new(),
        text => vec![text.to_owned()],
    };
    let by_id = r#"forbid (principal, action == Action::"readRequest", resource == PinRequest::"00000000-0000-7000-8000-000000000001");"#;
    let by_call = r#"forbid (principal, action == Action::"readRequest", resource) when { context has address && context.address.isLoopback() };"#;
    let on = everything().iter().find_map(ReadRequest::of).unwrap();
    let caller = Principal {
        account: on.account.clone(),
        roles: holdfast_model::Roles::NONE.with(holdfast_model::Role::TenantUser),
        ..Principal::clone(&crate::system_principal("test"))
    };
    for (platform, own, settled) in [
        ("", "", Some(true)),
        (by_id, "", None),
        (by_call, "", None),
        ("", by_id, None),
        ("", by_call, None),
    ] {
        let scene = Scene::new(&lines(platform), &lines(own), &[]);
        let context = scene.context(&caller, &Context::default());
        let answer = scene
            .gate
            .lets_all::<ReadRequest>(&caller, on.clone(), &context);
        assert_eq!(answer, settled, "{platform} {own}");
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

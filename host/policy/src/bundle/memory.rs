//! What has been decided before.
//!
//! A decision may be remembered under less than the whole question, because Cedar can do only one
//! thing with an entity's id: compare it with another entity. An answer therefore stays the same
//! when the ids of one kind are exchanged, as long as no policy names an entity of that kind and
//! nothing else in the question refers to one. Pin requests, keys and users are referred to by
//! nothing, so where no policy about the action names one, all requests of an account are one
//! question, and all principals of an account with the same roles and kind of proof are one
//! principal. Where a policy names one, their ids are part of the question; and where a policy
//! reads the context, only the entities are kept and Cedar is asked every time.

use super::{Scene, Slice};
use crate::facts::{self, Named};
use crate::index::RuleNumber;
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::{AccountId, Action, Principal, PrincipalId, Roles, TenantId};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Questions that are remembered: a thousand active accounts times the actions that each uses. Half
/// a kilobyte each, or about 4 KiB where a policy reads the context, so 32 MiB at worst. What falls
/// out is decided again.
const SCENES_MAX: usize = 8_192;

/// Sets of policies that are remembered. There are as many as there are roles taken together,
/// actions, and tenants with policies of their own that are active at the same time.
const SLICES_MAX: usize = 4_096;

/// The same for a tenant that has policies of its own: some accounts times the actions of each.
const TENANT_SCENES_MAX: usize = 256;

/// Sets of policies that are remembered for such a tenant.
const TENANT_SLICES_MAX: usize = 64;

/// All that an answer can depend on, the context aside.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    action: Action,
    roles: Roles,
    proof: &'static str,
    account: AccountId,
    principal: Option<PrincipalId>,
    owner: Owner,
    thing: Option<Resource>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Owner {
    Nobody,
    Tenant(TenantId),
    Account(AccountId),
}

impl Question {
    pub(super) fn new(
        action: Action,
        principal: &Principal,
        resource: &Resource,
        named: Named,
    ) -> Self {
        let owner = match resource {
            Resource::Host => Owner::Nobody,
            Resource::Tenant(tenant) => Owner::Tenant(tenant.clone()),
            Resource::Account(account)
            | Resource::Request(RequestRef { account, .. })
            | Resource::Key(KeyRef { account, .. }) => Owner::Account(account.clone()),
        };
        Self {
            action,
            roles: principal.roles,
            proof: facts::proof_word(&principal.proof),
            account: principal.account.clone(),
            principal: named.principal.then(|| principal.id.clone()),
            owner,
            thing: named.resource.then(|| resource.clone()),
        }
    }
}

/// What has been decided before under one set of policies. It goes when they go.
#[derive(Debug)]
pub(super) struct Memory {
    scenes: Cache<Question, Arc<Scene>>,
    slices: Cache<(Action, Vec<RuleNumber>), Arc<Slice>>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self {
            scenes: Cache::new(SCENES_MAX),
            slices: Cache::new(SLICES_MAX),
        }
    }

    /// For the questions within one tenant.
    pub(super) fn of_tenant() -> Self {
        Self {
            scenes: Cache::new(TENANT_SCENES_MAX),
            slices: Cache::new(TENANT_SLICES_MAX),
        }
    }

    pub(super) fn scene(&self, question: &Question) -> Option<Arc<Scene>> {
        self.scenes.get(question)
    }

    pub(super) fn keep(&self, question: Question, scene: &Arc<Scene>) {
        self.scenes.insert(question, Arc::clone(scene));
    }

    pub(super) fn slice(&self, action: Action, found: &[RuleNumber]) -> Option<Arc<Slice>> {
        self.slices.get(&(action, found.to_vec()))
    }

    pub(super) fn keep_slice(&self, action: Action, found: Vec<RuleNumber>, slice: &Arc<Slice>) {
        self.slices.insert((action, found), Arc::clone(slice));
    }
}

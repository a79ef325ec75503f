//! What policies may look at: the principal, the thing and the call, as Cedar's entities.
//!
//! Everything that can be reached from the principal and the thing by their attributes and parents
//! is there, so a policy that passed validation never misses an entity.

use crate::error::PolicyError;
use crate::gate::Context;
use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Action, Principal, Role, TenantId};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// The id of a principal or thing whose own id no policy can tell from another's (see
/// [`crate::bundle::memory`]).
const ANY: &str = "any";

/// The group of the actions that tenants may give to their own.
const DELEGABLE: &str = "delegable";

/// The kinds of entities that the host makes.
#[derive(Debug, Clone)]
pub(crate) struct Kinds {
    pub(crate) user: EntityTypeName,
    pub(crate) role: EntityTypeName,
    pub(crate) tenant: EntityTypeName,
    pub(crate) account: EntityTypeName,
    pub(crate) request: EntityTypeName,
    pub(crate) key: EntityTypeName,
    pub(crate) host: EntityTypeName,
}

impl Kinds {
    pub(crate) fn new() -> Result<Self, PolicyError> {
        let kind = |name: &str| -> Result<EntityTypeName, PolicyError> {
            name.parse()
                .map_err(|e| PolicyError::Setup(format!("{name}: {e}")))
        };
        Ok(Self {
            user: kind("User")?,
            role: kind("Role")?,
            tenant: kind("Tenant")?,
            account: kind("Account")?,
            request: kind("PinRequest")?,
            key: kind("ApiKey")?,
            host: kind("Host")?,
        })
    }

    /// The kind of a thing.
    pub(crate) const fn of(&self, resource: &Resource) -> &EntityTypeName {
        match resource {
            Resource::Host => &self.host,
            Resource::Tenant(_) => &self.tenant,
            Resource::Account(_) => &self.account,
            Resource::Request(_) => &self.request,
            Resource::Key(_) => &self.key,
        }
    }
}

/// What a policy calls an action, and the groups that it is in.
#[derive(Debug, Clone)]
pub(crate) struct ActionFacts {
    pub(crate) uid: EntityUid,
    pub(crate) groups: HashSet<EntityUid>,
    entity: Entity,
}

impl ActionFacts {
    /// Whether a tenant may give it to its own by policies and grants of its own.
    pub(crate) fn is_delegable(&self) -> bool {
        let group = |uid: &EntityUid| uid.id().unescaped() == DELEGABLE;
        self.groups.iter().any(group)
    }

    /// Finds an action in the schema; `None` if it is not there.
    pub(crate) fn find(action: Action, schema: &Schema, all: &Entities) -> Option<Self> {
        let uid = schema
            .actions()
            .find(|uid| {
                uid.id().unescaped() == action.as_str() && uid.type_name().to_string() == "Action"
            })?
            .clone();
        Self::of(uid, all)
    }

    /// What is known of an action; `None` if it is not among the entities.
    pub(crate) fn of(uid: EntityUid, all: &Entities) -> Option<Self> {
        let groups = all.ancestors(&uid)?.cloned().collect();
        let entity = all.get(&uid)?.clone();
        Some(Self {
            uid,
            groups,
            entity,
        })
    }
}

/// The entities of one question.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) principal: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
}

/// Whose own ids stand in the entities, and whose are left out since no policy can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) principal: bool,
    pub(crate) resource: bool,
}

impl Named {
    /// Every id as it is.
    pub(crate) const BOTH: Self = Self {
        principal: true,
        resource: true,
    };

    /// What either leaves in stands in both.
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            principal: self.principal || other.principal,
            resource: self.resource || other.resource,
        }
    }
}

impl Facts {
    /// The entities for a question.
    pub(crate) fn new(
        kinds: &Kinds,
        action: &ActionFacts,
        principal: &Principal,
        resource: &Resource,
        named: Named,
    ) -> Result<Self, String> {
        let mut cast = Cast {
            kinds,
            entities: HashMap::new(),
        };
        let who = cast.add_principal(principal, named.principal)?;
        let what = cast.add_resource(resource, named.resource)?;
        cast.entities
            .insert(action.uid.clone(), action.entity.clone());
        let entities = Entities::from_entities(cast.entities.into_values(), None)
            .map_err(|e| e.to_string())?;
        Ok(Self {
            principal: who,
            resource: what,
            entities,
        })
    }
}

/// Everything a principal is or is in: what a policy's scope may name.
pub(crate) fn principal_closure(kinds: &Kinds, principal: &Principal) -> Vec<EntityUid> {
    let mut closure = vec![uid(&kinds.user, principal.id.as_str())];
    closure.extend(role_uids(kinds, principal));
    closure.push(account_uid(kinds, &principal.account));
    closure.push(tenant_uid(kinds, principal.tenant()));
    closure
}

/// Everything a thing is or is in: what a policy's scope may name. The thing itself goes first.
pub(crate) fn resource_closure(kinds: &Kinds, resource: &Resource) -> Vec<EntityUid> {
    let mut closure = vec![resource_uid(kinds, resource, true)];
    if let Resource::Request(RequestRef { account, .. }) | Resource::Key(KeyRef { account, .. }) =
        resource
    {
        closure.push(account_uid(kinds, account));
    }
    if let (Some(tenant), false) = (resource.tenant(), matches!(resource, Resource::Tenant(_))) {
        closure.push(tenant_uid(kinds, tenant));
    }
    closure
}

/// The facts of a call, as far as the call has them.
pub(crate) fn context(context: &Context) -> Result<cedar_policy::Context, String> {
    let mut pairs = Vec::with_capacity(3);
    if let Some(cid) = &context.cid {
        let mut digest = String::with_capacity(2 * cid.digest().len());
        for byte in cid.digest() {
            // Writing to a string cannot fail.
            let _ = write!(digest, "{byte:02x}");
        }
        pairs.push((
            "cid".into(),
            RestrictedExpression::new_string(cid.to_string()),
        ));
        pairs.push(("digest".into(), RestrictedExpression::new_string(digest)));
    }
    if let Some(address) = context.address {
        pairs.push((
            "address".into(),
            RestrictedExpression::new_ip(address.to_string()),
        ));
    }
    cedar_policy::Context::from_pairs(pairs).map_err(|e| e.to_string())
}

/// The word for a proof in policies.
pub(crate) const fn proof_word(proof: &Proof) -> &'static str {
    match proof {
        Proof::Key(_) => "key",
        Proof::Token { .. } => "token",
        Proof::Password => "password",
        Proof::Did => "did",
        Proof::Internal => "internal",
    }
}

/// The entities that take part, each once.
struct Cast<'a> {
    kinds: &'a Kinds,
    entities: HashMap<EntityUid, Entity>,
}

impl Cast<'_> {
    fn add_principal(&mut self, principal: &Principal, named: bool) -> Result<EntityUid, String> {
        let name = if named { principal.id.as_str() } else { ANY };
        let (tenant, account) = self.add_account(&principal.account)?;
        let proof = RestrictedExpression::new_string(proof_word(&principal.proof).into());
        let attributes = [
            (
                "tenant".into(),
                RestrictedExpression::new_entity_uid(tenant),
            ),
            (
                "account".into(),
                RestrictedExpression::new_entity_uid(account.clone()),
            ),
            ("proof".into(), proof),
        ];
        let mut parents: HashSet<_> = role_uids(self.kinds, principal).collect();
        parents.insert(account);
        self.add(uid(&self.kinds.user, name), attributes.into(), parents)
    }

    fn add_resource(&mut self, resource: &Resource, named: bool) -> Result<EntityUid, String> {
        match resource {
            Resource::Host => {
                let host = resource_uid(self.kinds, resource, true);
                self.add(host, HashMap::new(), HashSet::new())
            }
            Resource::Tenant(tenant) => self.add_tenant(tenant),
            Resource::Account(account) => self.add_account(account).map(|(_, account)| account),
            Resource::Request(RequestRef { account, .. })
            | Resource::Key(KeyRef { account, .. }) => {
                let (tenant, account) = self.add_account(account)?;
                let attributes = [
                    (
                        "tenant".into(),
                        RestrictedExpression::new_entity_uid(tenant),
                    ),
                    (
                        "account".into(),
                        RestrictedExpression::new_entity_uid(account.clone()),
                    ),
                ];
                let thing = resource_uid(self.kinds, resource, named);
                self.add(thing, attributes.into(), [account].into())
            }
        }
    }

    fn add_account(&mut self, account: &AccountId) -> Result<(EntityUid, EntityUid), String> {
        let tenant = self.add_tenant(account.tenant())?;
        let attributes = [(
            "tenant".into(),
            RestrictedExpression::new_entity_uid(tenant.clone()),
        )];
        let uid = account_uid(self.kinds, account);
        self.add(uid, attributes.into(), [tenant.clone()].into())
            .map(|account| (tenant, account))
    }

    fn add_tenant(&mut self, tenant: &TenantId) -> Result<EntityUid, String> {
        let uid = tenant_uid(self.kinds, tenant);
        let attributes = [(
            "tenant".into(),
            RestrictedExpression::new_entity_uid(uid.clone()),
        )];
        self.add(uid, attributes.into(), HashSet::new())
    }

    fn add(
        &mut self,
        uid: EntityUid,
        attributes: HashMap<String, RestrictedExpression>,
        parents: HashSet<EntityUid>,
    ) -> Result<EntityUid, String> {
        if !self.entities.contains_key(&uid) {
            let entity =
                Entity::new(uid.clone(), attributes, parents).map_err(|e| e.to_string())?;
            self.entities.insert(uid.clone(), entity);
        }
        Ok(uid)
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn role_uids(kinds: &Kinds, principal: &Principal) -> impl Iterator<Item = EntityUid> {
    principal.roles.iter().map(|role| role_uid(kinds, role))
}

/// A role as policies name it.
pub(crate) fn role_uid(kinds: &Kinds, role: Role) -> EntityUid {
    uid(&kinds.role, role.as_str())
}

fn account_uid(kinds: &Kinds, account: &AccountId) -> EntityUid {
    uid(&kinds.account, account.as_str())
}

fn tenant_uid(kinds: &Kinds, tenant: &TenantId) -> EntityUid {
    uid(&kinds.tenant, tenant.as_str())
}

fn resource_uid(kinds: &Kinds, resource: &Resource, named: bool) -> EntityUid {
    let kind = kinds.of(resource);
    match resource {
        Resource::Host => uid(kind, "host"),
        Resource::Tenant(tenant) => uid(kind, tenant.as_str()),
        Resource::Account(account) => uid(kind, account.as_str()),
        Resource::Request(_) | Resource::Key(_) if !named => uid(kind, ANY),
        Resource::Request(request) => uid(kind, &request.id.to_string()),
        Resource::Key(key) => uid(kind, key.id.as_str()),
    }
}

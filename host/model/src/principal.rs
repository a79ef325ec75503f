//! Who is calling, once that is known.

use crate::account::{AccountId, TenantId};
use crate::error::Invalid;
use crate::key::KeyId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What somebody may be. Roles are entities in the policies; what each may do stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Pins for an account.
    TenantUser,
    /// Looks after a tenant: its keys, its accounts, its usage.
    TenantAdmin,
    /// Looks after the host: tenants, plugins, everything but what tenants pin.
    Operator,
    /// Reads, and changes nothing.
    Auditor,
    /// A node of an IPFS Cluster that keeps its pin set here.
    ClusterNode,
    /// The host's own workers.
    System,
}

impl Role {
    /// All roles, in the order in which tables print them.
    pub const ALL: [Self; 6] = [
        Self::TenantUser,
        Self::TenantAdmin,
        Self::Operator,
        Self::Auditor,
        Self::ClusterNode,
        Self::System,
    ];

    /// The name in policies, keys and tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantUser => "tenant-user",
            Self::TenantAdmin => "tenant-admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::ClusterNode => "cluster-node",
            Self::System => "system",
        }
    }

    /// Parses a role's name. `system` cannot be given to anybody and is refused.
    ///
    /// # Errors
    /// A name that is no role.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == name && *role != Self::System)
            .ok_or_else(|| {
                Invalid::new(
                    "role",
                    format!(
                        "{name:?} is no role; write tenant-user, tenant-admin, operator, auditor or cluster-node"
                    ),
                )
            })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Role>", into = "Vec<Role>")]
pub struct Roles(u8);

impl Roles {
    /// No role at all: may do nothing.
    pub const NONE: Self = Self(0);

    /// The set with one more role.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << role as u8)
    }

    /// Whether a role is in it.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// The roles of this set that are in the other too.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every role of it is in the other too.
    #[must_use]
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether who has these may give a role away. One gives what one is, and a tenant admin is a
    /// tenant user of every account in the tenant; an operator gives tenants' roles in every tenant
    /// (somebody must give a new tenant its first key) and the host's roles in the own one.
    #[must_use]
    pub const fn may_give(self, role: Role, is_own_tenant: bool) -> bool {
        let is_operator = self.contains(Role::Operator);
        match role {
            Role::System => false,
            Role::TenantUser => {
                is_operator || self.contains(Role::TenantAdmin) || self.contains(Role::TenantUser)
            }
            Role::TenantAdmin => is_operator || self.contains(Role::TenantAdmin),
            Role::Operator | Role::Auditor | Role::ClusterNode => {
                is_own_tenant && (is_operator || self.contains(role))
            }
        }
    }

    /// Those of these that who has `giver` may give away.
    #[must_use]
    pub fn given_by(self, giver: Self, is_own_tenant: bool) -> Self {
        let given = self
            .iter()
            .filter(|role| giver.may_give(*role, is_own_tenant));
        given.collect()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its roles, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL
            .into_iter()
            .filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Vec<Role>> for Roles {
    fn from(roles: Vec<Role>) -> Self {
        roles.into_iter().collect()
    }
}

impl From<Roles> for Vec<Role> {
    fn from(roles: Roles) -> Self {
        roles.iter().collect()
    }
}

/// Their names, for people.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Proof {
    /// An API key.
    Key(KeyId),
    /// A signed token of this issuer.
    Token {
        /// The token's `iss`.
        issuer: String,
    },
    /// A session that began with a password.
    Password,
    /// A token signed with the key of a DID, or a session that began with a wallet.
    Did,
    /// Nobody called: the host works by itself.
    Internal,
}

/// A user who is kept here. Whoever is made under the name of somebody who was deleted is another
/// one, of the next generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRef<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The name within it.
    pub name: &'a str,
    /// Counts from [`FIRST_GENERATION`].
    pub generation: u32,
}

/// Who is the first of a name.
pub const FIRST_GENERATION: u32 = 1;

/// What the names of the host's own workers begin with.
const WORKER: &str = "system:";

/// Stands between a user's name and the generation, and is in no name.
const GENERATION_MARK: char = '~';

/// The name under which policies and logs know somebody: `key:<id>`, `jwt:<issuer>:<sub>`,
/// `user:<tenant>/<name>` (the second of the name is `user:<tenant>/<name>~2`), `system:<worker>`.
/// Never reused for somebody else: keys, sessions and grants of who is gone are nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalId(String);

impl PrincipalId {
    /// The holder of an API key.
    #[must_use]
    pub fn of_key(id: &KeyId) -> Self {
        Self(format!("key:{id}"))
    }

    /// A token's subject. The issuer is part of the name: two issuers may know the same subject.
    #[must_use]
    pub fn of_token(issuer: &str, subject: &str) -> Self {
        Self(format!("jwt:{}:{issuer}:{subject}", issuer.len()))
    }

    /// A user who is kept here.
    #[must_use]
    pub fn of_user(user: UserRef<'_>) -> Self {
        let UserRef {
            tenant,
            name,
            generation,
        } = user;
        Self(match generation {
            ..=FIRST_GENERATION => format!("user:{tenant}/{name}"),
            _ => format!("user:{tenant}/{name}{GENERATION_MARK}{generation}"),
        })
    }

    /// A name as it was kept.
    ///
    /// # Errors
    /// Text that is empty or far too long for a name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        /// Longer than an issuer's and a subject's name together.
        const BYTES_MAX: usize = 4_096;
        if text.is_empty() || text.len() > BYTES_MAX {
            return Err(Invalid::new("principal", "is empty or too long for a name"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The user who is kept here, if it is one.
    #[must_use]
    pub fn user(&self) -> Option<UserRef<'_>> {
        let (tenant, name) = self.0.strip_prefix("user:")?.split_once('/')?;
        let (name, generation) = match name.split_once(GENERATION_MARK) {
            None => (name, FIRST_GENERATION),
            Some((name, generation)) => (name, generation.parse().ok()?),
        };
        let user = UserRef {
            tenant,
            name,
            generation,
        };
        // One user has one name: no `~1`, no `~+2`.
        (Self::of_user(user) == *self).then_some(user)
    }

    /// Whether it is a worker of the host.
    #[must_use]
    pub fn is_worker(&self) -> bool {
        self.0.starts_with(WORKER)
    }

    /// A worker of the host.
    #[must_use]
    pub fn of_worker(name: &str) -> Self {
        Self(format!("{WORKER}{name}"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who has proved who they are; one shape, whatever the proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The name that policies and logs know.
    pub id: PrincipalId,
    /// The account that they act for.
    pub account: AccountId,
    /// What they are.
    pub roles: Roles,
    /// How they proved it.
    pub proof: Proof,
}

impl Principal {
    /// The tenant that they are of.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        self.account.tenant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_sets_hold_what_was_put_in() {
        let roles: Roles = [Role::Auditor, Role::TenantUser].into_iter().collect();
        assert!(roles.contains(Role::Auditor) && !roles.contains(Role::Operator));
        assert!(Roles::NONE.with(Role::Auditor).is_within(roles));
        assert!(!roles.is_within(Roles::NONE.with(Role::Auditor)));
        assert_eq!(
            roles.iter().collect::<Vec<_>>(),
            [Role::TenantUser, Role::Auditor]
        );
    }

    #[test]
    fn nobody_can_be_given_the_system_role() {
        assert!(Role::parse("system").is_err());
        assert_eq!(Role::parse("operator").unwrap(), Role::Operator);
    }

    #[test]
    fn token_subjects_cannot_collide_across_issuers() {
        let a = PrincipalId::of_token("https://a:b", "c");
        let b = PrincipalId::of_token("https://a", "b:c");
        assert_ne!(a, b);
    }

    #[test]
    fn users_of_one_name_are_told_apart_by_one_spelling_each() {
        let user = |generation| UserRef {
            tenant: "acme",
            name: "alice",
            generation,
        };
        for (generation, name) in [(1, "user:acme/alice"), (2, "user:acme/alice~2")] {
            let id = PrincipalId::of_user(user(generation));
            assert_eq!(id.as_str(), name);
            assert_eq!(id.user(), Some(user(generation)));
        }
        for other in ["~1", "~0", "~02", "~+2", "~", "~x", "~2~3", "~4294967296"] {
            let id = PrincipalId::parse(&format!("user:acme/alice{other}")).unwrap();
            assert_eq!(id.user(), None, "{other}");
        }
    }
}

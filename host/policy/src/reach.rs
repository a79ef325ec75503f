//! Where everything is that somebody may do an action to: what a listing need look through.
//!
//! Cedar's type-aware partial evaluation ("TPE", experimental there and kept to this one file) is
//! asked with the caller known and the thing unknown. What it leaves of the policies is turned
//! into tenants and accounts, which is what the store keeps things by. What cannot be said in
//! these words (conditions on a thing's own id, on the context) counts as met, so a [`Reach`]
//! never leaves anything out; a listing asks again about each row that it found ([`Gate::lets`]).

use crate::bundle::{Outcome, View};
use crate::facts::{Facts, Named};
use crate::gate::{Context, Gate};
use cedar_policy::pst::{BinaryOp, Clause, EntityUID, Expr, Literal, UnaryOp, Var};
use cedar_policy::{
    PartialEntities, PartialEntityUid, PartialRequest, Policy, PolicySet, TpeResponse,
};
use holdfast_model::action::{Act, KeyRef, RequestRef, Resource};
use holdfast_model::{AccountId, Action, Principal, TenantId};
use std::collections::BTreeSet;

/// Under whom things are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A tenant, with all of its accounts.
    Tenant(TenantId),
    /// One account.
    Account(AccountId),
}

impl Owner {
    const fn tenant(&self) -> &TenantId {
        match self {
            Self::Tenant(tenant) => tenant,
            Self::Account(account) => account.tenant(),
        }
    }

    fn has(&self, other: &Self) -> bool {
        match self {
            Self::Tenant(tenant) => tenant == other.tenant(),
            Self::Account(_) => self == other,
        }
    }
}

/// Where everything is that somebody may do an action to. There may be more there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Anywhere.
    Everywhere,
    /// Under these owners; nowhere if there are none.
    Under(BTreeSet<Owner>),
}

impl Reach {
    const fn nowhere() -> Self {
        Self::Under(BTreeSet::new())
    }

    fn under(owner: Owner) -> Self {
        Self::Under([owner].into())
    }

    /// The tenants under which something may be; `None` if under any.
    #[must_use]
    pub fn tenants(&self) -> Option<BTreeSet<&TenantId>> {
        match self {
            Self::Everywhere => None,
            Self::Under(owners) => Some(owners.iter().map(Owner::tenant).collect()),
        }
    }

    /// Whether something of this owner may be within.
    #[must_use]
    pub fn meets(&self, resource: &Resource) -> bool {
        let Self::Under(owners) = self else {
            return true;
        };
        let of = match resource {
            Resource::Host => return false,
            Resource::Tenant(tenant) => Owner::Tenant(tenant.clone()),
            Resource::Account(account)
            | Resource::Request(RequestRef { account, .. })
            | Resource::Key(KeyRef { account, .. }) => Owner::Account(account.clone()),
        };
        owners.iter().any(|owner| owner.has(&of))
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everywhere, _) | (_, Self::Everywhere) => Self::Everywhere,
            (Self::Under(mut these), Self::Under(those)) => {
                these.extend(those);
                Self::Under(these)
            }
        }
    }

    fn and(self, other: Self) -> Self {
        let (these, those) = match (self, other) {
            (Self::Everywhere, other) | (other, Self::Everywhere) => return other,
            (Self::Under(these), Self::Under(those)) => (these, those),
        };
        let within = |some: &BTreeSet<Owner>, others: &BTreeSet<Owner>| -> BTreeSet<Owner> {
            let some = some.iter();
            let some = some.filter(|one| others.iter().any(|other| other.has(one)));
            some.cloned().collect()
        };
        let mut both = within(&these, &those);
        both.extend(within(&those, &these));
        Self::Under(both)
    }
}

impl Gate {
    /// Where everything is that `principal` may do `A` to.
    #[must_use]
    pub fn reach<A: Act>(&self, principal: &Principal, context: &Context) -> Reach {
        let bundle = self.current();
        let own = Resource::Tenant(principal.tenant().clone());
        let compiled = self.own(&bundle, principal, A::ACTION, &own, context);
        let own = compiled
            .as_deref()
            .and_then(|own| own.overlay.as_ref().ok()?.as_ref());
        reach(bundle.view(own), A::ACTION, principal).unwrap_or_else(|why| {
            tracing::debug!(action = %A::ACTION, why, "a listing looks through everything");
            Reach::Everywhere
        })
    }

    /// Whether `principal` may do `A` to a row of a listing. The listing is what is counted and
    /// recorded, not its rows.
    #[must_use]
    pub fn lets<A: Act>(&self, principal: &Principal, on: A::On, context: &Context) -> bool {
        let resource = on.into();
        let bundle = self.bundle.load();
        let own = self.own(&bundle, principal, A::ACTION, &resource, context);
        let own = match own.as_deref().map(|own| &own.overlay) {
            Some(Err(_)) => return false,
            Some(Ok(own)) => own.as_ref(),
            None => None,
        };
        let verdict = bundle
            .view(own)
            .decide(A::ACTION, principal, &resource, context);
        verdict.outcome == Outcome::Allow
    }

    /// What [`Gate::lets`] says about everything that has the same owner as `on`; `None` if some
    /// policy can tell such things apart, by their ids or by what the call is about.
    #[must_use]
    pub fn lets_all<A: Act>(
        &self,
        principal: &Principal,
        on: A::On,
        context: &Context,
    ) -> Option<bool> {
        let resource = on.into();
        let bundle = self.bundle.load();
        let own = self.own(&bundle, principal, A::ACTION, &resource, context);
        let own = match own.as_deref().map(|own| &own.overlay) {
            Some(Err(_)) => return Some(false),
            Some(Ok(own)) => own.as_ref(),
            None => None,
        };
        let outcome = bundle.view(own).settled(A::ACTION, principal, &resource)?;
        Some(outcome == Outcome::Allow)
    }
}

fn reach(view: View<'_>, action: Action, principal: &Principal) -> Result<Reach, String> {
    let mut plain = Reach::nowhere();
    let mut open = Vec::new();
    for (rule, scope) in view.whatever(action, principal)? {
        match scope.map(|uid| owner(uid.type_name().to_string().as_str(), uid.id().unescaped())) {
            // A permit that asks for nothing but its scope needs no evaluation.
            Some(Some(reach)) if !rule.forbids && !rule.policy.has_non_scope_constraint() => {
                plain = plain.or(reach);
            }
            _ => open.push(rule.policy.clone()),
        }
    }
    let left = partly(view, action, principal, (open, plain))?;
    let here = Reach::under(Owner::Tenant(principal.tenant().clone()));
    // What the tenant gives it gives of its own. What it forbids is asked of each row.
    let own = match view.own {
        Some(_) => here,
        None => Reach::nowhere(),
    };
    Ok(left.or(own))
}

/// What partial evaluation leaves of the platform's policies, beside what some of them permit
/// plainly.
fn partly(
    view: View<'_>,
    action: Action,
    principal: &Principal,
    (policies, plain): (Vec<Policy>, Reach),
) -> Result<Reach, String> {
    let schema = &view.bundle.schema;
    let kinds = view.bundle.kinds();
    let (about, on) = view.about(action)?;
    let account = Resource::Account(principal.account.clone());
    let known = Facts::new(kinds, about, principal, &account, Named::BOTH)?;
    let entities = PartialEntities::from_concrete(known.entities, schema).map_err(text)?;
    let request = PartialRequest::new(
        PartialEntityUid::from_concrete(known.principal),
        about.uid.clone(),
        PartialEntityUid::new(on.clone(), None),
        None,
        schema,
    )
    .map_err(text)?;
    let policies = PolicySet::from_policies(policies).map_err(text)?;
    let left = policies.tpe(&request, &entities, schema).map_err(text)?;
    if left.true_forbids().next().is_some() || left.error_forbids().next().is_some() {
        return Ok(Reach::nowhere());
    }
    let mut reach = match left.true_permits().next() {
        Some(_) => Reach::Everywhere,
        None => left
            .residual_permits()
            .map(|id| condition(&left, id, true))
            .fold(plain, Reach::or),
    };
    for id in left.residual_forbids() {
        reach = reach.and(condition(&left, id, false));
    }
    Ok(reach)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Where what is left of a policy can come out as `wanted`.
fn condition(left: &TpeResponse<'_>, id: &cedar_policy::PolicyId, wanted: bool) -> Reach {
    let tree = left.get_policy(id).and_then(|policy| policy.to_pst().ok());
    let Some(tree) = tree else {
        return Reach::Everywhere;
    };
    let clauses = tree.body().clauses().iter().map(|clause| match clause {
        Clause::When(expr) => where_is(expr, wanted),
        Clause::Unless(expr) => where_is(expr, !wanted),
    });
    match wanted {
        true => clauses.fold(Reach::Everywhere, Reach::and),
        false => clauses.fold(Reach::nowhere(), Reach::or),
    }
}

/// Where an expression can come out as `wanted`: never less than that.
fn where_is(expr: &Expr, wanted: bool) -> Reach {
    match expr {
        Expr::Literal(Literal::Bool(value)) if *value != wanted => Reach::nowhere(),
        Expr::UnaryOp {
            op: UnaryOp::Not,
            expr,
        } => where_is(expr, !wanted),
        Expr::BinaryOp { op, left, right } => match (op, wanted) {
            (BinaryOp::And, true) | (BinaryOp::Or, false) => {
                where_is(left, wanted).and(where_is(right, wanted))
            }
            (BinaryOp::And, false) | (BinaryOp::Or, true) => {
                where_is(left, wanted).or(where_is(right, wanted))
            }
            (BinaryOp::Eq, true) | (BinaryOp::NotEq, false) => same(left, right)
                .or_else(|| same(right, left))
                .unwrap_or(Reach::Everywhere),
            (BinaryOp::In, true) => inside(left, right).unwrap_or(Reach::Everywhere),
            _ => Reach::Everywhere,
        },
        _ => Reach::Everywhere,
    }
}

/// `resource`, `resource.tenant` or `resource.account` beside one entity.
fn same(left: &Expr, right: &Expr) -> Option<Reach> {
    let Expr::Literal(Literal::EntityUID(uid)) = right else {
        return None;
    };
    match left {
        Expr::Var(Var::Resource) => of(uid),
        Expr::GetAttr { expr, attr } if matches!(&**expr, Expr::Var(Var::Resource)) => {
            matches!(attr.as_str(), "tenant" | "account").then(|| of(uid))?
        }
        _ => None,
    }
}

/// `resource in` one entity or some.
fn inside(left: &Expr, right: &Expr) -> Option<Reach> {
    let Expr::Var(Var::Resource) = left else {
        return None;
    };
    match right {
        Expr::Literal(Literal::EntityUID(uid)) => of(uid),
        Expr::Set(members) => members
            .iter()
            .map(|member| inside(left, member))
            .try_fold(Reach::nowhere(), |reach, one| Some(reach.or(one?))),
        _ => None,
    }
}

fn of(uid: &EntityUID) -> Option<Reach> {
    owner(&uid.ty.to_string(), &uid.eid)
}

/// What is under an entity; `None` if nothing is kept under such ones.
fn owner(kind: &str, id: &str) -> Option<Reach> {
    // What no tenant or account can be called is the owner of nothing.
    let owner = match kind {
        "Tenant" => TenantId::parse(id).map(Owner::Tenant),
        "Account" => AccountId::parse(id).map(Owner::Account),
        _ => return None,
    };
    Some(owner.map_or_else(|_| Reach::nowhere(), Reach::under))
}

#[cfg(test)]
mod tests;

//! A call for authorizers.

use holdfast_plugin::authorizer::{Action, Call, Facts, U128};
use std::collections::{BTreeMap, BTreeSet};

/// The facts of a call: by `key:test`, for the account `acme/web`, and nothing else is known.
#[derive(Debug, Clone)]
pub struct CallFacts {
    action: Action,
    principal: String,
    roles: BTreeSet<String>,
    account: String,
    attributes: BTreeMap<String, String>,
    cid: Option<String>,
    meta: BTreeMap<String, String>,
    request_count: u64,
    pinned_bytes: u128,
    dag_size: Option<u64>,
    time: u64,
}

impl CallFacts {
    /// A call that wants to do something.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self {
            action,
            principal: "key:test".into(),
            roles: BTreeSet::new(),
            account: "acme/web".into(),
            attributes: BTreeMap::new(),
            cid: None,
            meta: BTreeMap::new(),
            request_count: 0,
            pinned_bytes: 0,
            dag_size: None,
            time: 0,
        }
    }

    /// By somebody else.
    #[must_use]
    pub fn principal(self, principal: &str) -> Self {
        Self {
            principal: principal.into(),
            ..self
        }
    }

    /// With one more role.
    #[must_use]
    pub fn role(mut self, name: &str) -> Self {
        self.roles.insert(name.into());
        self
    }

    /// For another account, as `tenant/account`.
    #[must_use]
    pub fn account(self, account: &str) -> Self {
        Self {
            account: account.into(),
            ..self
        }
    }

    /// With one more attribute of the tenant.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// About this content.
    #[must_use]
    pub fn cid(self, cid: &str) -> Self {
        Self {
            cid: Some(cid.into()),
            ..self
        }
    }

    /// With one more value of `meta`.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.insert(key.into(), value.into());
        self
    }

    /// With so many pin requests before.
    #[must_use]
    pub fn request_count(self, request_count: u64) -> Self {
        Self {
            request_count,
            ..self
        }
    }

    /// With so many bytes pinned before.
    #[must_use]
    pub fn pinned_bytes(self, pinned_bytes: u128) -> Self {
        Self {
            pinned_bytes,
            ..self
        }
    }

    /// About content of so many bytes.
    #[must_use]
    pub fn dag_size(self, bytes: u64) -> Self {
        Self {
            dag_size: Some(bytes),
            ..self
        }
    }

    /// At some time, in unix milliseconds.
    #[must_use]
    pub fn time(self, millis: u64) -> Self {
        Self {
            time: millis,
            ..self
        }
    }

    /// The call, to hand to `authorize`.
    #[must_use]
    pub fn call(&self) -> Call<'_> {
        Call::of(self)
    }
}

impl Facts for CallFacts {
    fn action(&self) -> Action {
        self.action.clone()
    }

    fn principal(&self) -> String {
        self.principal.clone()
    }

    fn has_role(&self, name: &str) -> bool {
        self.roles.contains(name)
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    fn tenant(&self) -> String {
        let tenant = self.account.split_once('/');
        tenant.map_or(self.account.clone(), |(tenant, _)| tenant.into())
    }

    fn attribute(&self, name: &str) -> Option<String> {
        self.attributes.get(name).cloned()
    }

    fn attribute_number(&self, name: &str) -> Option<Result<u64, ()>> {
        let text = self.attributes.get(name)?;
        Some(text.trim().parse().map_err(|_| ()))
    }

    fn cid(&self) -> Option<String> {
        self.cid.clone()
    }

    fn meta(&self, key: &str) -> Option<String> {
        self.meta.get(key).cloned()
    }

    fn request_count(&self) -> u64 {
        self.request_count
    }

    fn pinned_bytes(&self) -> U128 {
        self.pinned_bytes.into()
    }

    fn dag_size(&self) -> Option<u64> {
        self.dag_size
    }

    fn time(&self) -> u64 {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_can_be_told() {
        let facts = CallFacts::new(Action::DeleteRequest)
            .principal("jwt:a:b")
            .role("operator")
            .account("other/x")
            .attribute("quota", " 7 ")
            .attribute("plan", "gold")
            .cid("bafkqaaa")
            .meta("app", "blog")
            .request_count(3)
            .pinned_bytes(u128::MAX)
            .dag_size(9)
            .time(11);
        let call = facts.call();
        assert_eq!(call.action(), Action::DeleteRequest);
        assert_eq!(call.principal(), "jwt:a:b");
        assert!(call.has_role("operator") && !call.has_role("auditor"));
        assert_eq!(
            (call.account().as_str(), call.tenant().as_str()),
            ("other/x", "other")
        );
        assert_eq!(call.attribute("plan").as_deref(), Some("gold"));
        assert_eq!(call.attribute_number("quota"), Some(Ok(7)));
        assert_eq!(call.attribute_number("plan"), Some(Err(())));
        assert_eq!(call.attribute_number("none"), None);
        assert_eq!(call.cid().as_deref(), Some("bafkqaaa"));
        assert_eq!(call.meta("app").as_deref(), Some("blog"));
        assert_eq!(call.request_count(), 3);
        assert_eq!(u128::from(call.pinned_bytes()), u128::MAX);
        assert_eq!((call.dag_size(), call.time()), (Some(9), 11));
    }
}

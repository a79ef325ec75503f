//! What an authorizer can ask about the call before it.
//!
//! The facts are copied into buffers that stay with the instance: a guest cannot borrow from its
//! caller's stack, and a warm call allocates nothing for what is not asked.

use crate::bindings::authorizer::holdfast::plugin::calls::{Action as WitAction, HostCall};
use crate::bindings::authorizer::holdfast::plugin::types::U128;
use crate::call::AuthorizeCall;
use crate::guest::Guest;
use holdfast_model::{AccountId, Action, Cid, Roles, UnixMillis};
use std::collections::BTreeMap;
use wasmtime::component::Resource;

/// Room for what most calls are about, made with the instance: where each call has one of its own,
/// that is not while somebody waits. Most principals are shorter, and requests seldom have `meta`.
const PRINCIPAL_BYTES: usize = 128;
/// The same of a tenant's attributes.
const ATTRIBUTES: usize = 16;
/// The same of all their texts.
const ATTRIBUTES_BYTES: usize = 512;

/// One call, as the guest sees it.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Facts {
    action: Action,
    principal: String,
    roles: Roles,
    account: Option<AccountId>,
    attributes: Pairs,
    cid: Option<Cid>,
    meta: Pairs,
    request_count: u64,
    pinned_bytes: u128,
    dag_size: Option<u64>,
    time: UnixMillis,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            action: Action::CreateRequest,
            principal: String::with_capacity(PRINCIPAL_BYTES),
            roles: Roles::NONE,
            account: None,
            attributes: Pairs::roomy(),
            cid: None,
            meta: Pairs::default(),
            request_count: 0,
            pinned_bytes: 0,
            dag_size: None,
            time: UnixMillis::EPOCH,
        }
    }
}

impl Facts {
    /// Takes the facts of the next call.
    pub(crate) fn fill(&mut self, call: &AuthorizeCall<'_>) {
        self.action = call.action;
        self.principal.clear();
        self.principal.push_str(call.principal.as_str());
        self.roles = call.roles;
        // Often it is the one of the call before, and a look is quicker than to hold it.
        if self.account.as_ref() != Some(call.account) {
            self.account = Some(call.account.clone());
        }
        self.attributes.fill(Some(call.attributes));
        self.cid = call.cid;
        self.meta.fill(call.meta);
        self.request_count = call.request_count;
        self.pinned_bytes = call.pinned_bytes;
        self.dag_size = call.dag_size;
        self.time = call.time;
    }

    /// Has the principal called by another name than a real one.
    pub(crate) fn name_principal(&mut self, name: &str) {
        self.principal.clear();
        self.principal.push_str(name);
    }
}

/// A sorted map, flat.
#[derive(Debug, Default)]
struct Pairs {
    text: String,
    /// Where each key and its value end in `text`; the key begins where the value before it ended.
    ends: Vec<(usize, usize)>,
}

impl Pairs {
    fn roomy() -> Self {
        Self {
            text: String::with_capacity(ATTRIBUTES_BYTES),
            ends: Vec::with_capacity(ATTRIBUTES),
        }
    }

    fn fill(&mut self, map: Option<&BTreeMap<String, String>>) {
        self.text.clear();
        self.ends.clear();
        for (key, value) in map.into_iter().flatten() {
            self.text.push_str(key);
            let key_end = self.text.len();
            self.text.push_str(value);
            self.ends.push((key_end, self.text.len()));
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            let (found, value) = self.pair(middle)?;
            match found.cmp(key) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = middle.saturating_add(1),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn pair(&self, index: usize) -> Option<(&str, &str)> {
        let &(key_end, value_end) = self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before)?.1,
        };
        Some((
            self.text.get(start..key_end)?,
            self.text.get(key_end..value_end)?,
        ))
    }
}

impl HostCall for Guest {
    fn action(&mut self, _: Resource<Facts>) -> WitAction {
        match self.asked("action", "").action {
            Action::CreateRequest => WitAction::CreateRequest,
            Action::ListRequests => WitAction::ListRequests,
            Action::ReadRequest => WitAction::ReadRequest,
            Action::ReplaceRequest => WitAction::ReplaceRequest,
            Action::DeleteRequest => WitAction::DeleteRequest,
            Action::ReadUsage => WitAction::ReadUsage,
            Action::ReadQuote => WitAction::ReadQuote,
            other => WitAction::Other(other.as_str().to_owned()),
        }
    }

    fn principal(&mut self, _: Resource<Facts>) -> String {
        self.asked("principal", "").principal.clone()
    }

    fn has_role(&mut self, _: Resource<Facts>, name: String) -> bool {
        self.asked("has_role", &name)
            .roles
            .iter()
            .any(|role| role.as_str() == name)
    }

    fn account(&mut self, _: Resource<Facts>) -> String {
        let account = self.asked("account", "").account.as_ref();
        account.map_or_else(String::new, |account| account.as_str().to_owned())
    }

    fn tenant(&mut self, _: Resource<Facts>) -> String {
        let account = self.asked("tenant", "").account.as_ref();
        account.map_or_else(String::new, |account| account.tenant().as_str().to_owned())
    }

    fn attribute(&mut self, _: Resource<Facts>, name: String) -> Option<String> {
        self.asked("attribute", &name)
            .attributes
            .get(&name)
            .map(str::to_owned)
    }

    fn attribute_number(&mut self, _: Resource<Facts>, name: String) -> Option<Result<u64, ()>> {
        let text = self
            .asked("attribute_number", &name)
            .attributes
            .get(&name)?;
        Some(text.trim().parse().map_err(|_| ()))
    }

    fn cid(&mut self, _: Resource<Facts>) -> Option<String> {
        self.asked("cid", "").cid.map(|cid| cid.to_string())
    }

    fn meta(&mut self, _: Resource<Facts>, key: String) -> Option<String> {
        self.asked("meta", &key).meta.get(&key).map(str::to_owned)
    }

    fn request_count(&mut self, _: Resource<Facts>) -> u64 {
        self.asked("request_count", "").request_count
    }

    fn pinned_bytes(&mut self, _: Resource<Facts>) -> U128 {
        let (high, low) = halves(self.asked("pinned_bytes", "").pinned_bytes);
        U128 { high, low }
    }

    fn dag_size(&mut self, _: Resource<Facts>) -> Option<u64> {
        self.asked("dag_size", "").dag_size
    }

    fn time(&mut self, _: Resource<Facts>) -> u64 {
        self.asked("time", "").time.as_millis()
    }

    /// The host owns the call; the guest only borrows it.
    fn drop(&mut self, _: Resource<Facts>) -> wasmtime::Result<()> {
        Ok(())
    }
}

/// The two halves of a number of 128 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is meant"
)]
pub(crate) const fn halves(number: u128) -> (u64, u64) {
    ((number >> 64) as u64, number as u64)
}

/// A number of 128 bits from its halves.
pub(crate) const fn whole(high: u64, low: u64) -> u128 {
    (high as u128) << 64 | low as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_find_what_was_put_in_and_nothing_else() {
        let map: BTreeMap<String, String> = [("a", "1"), ("ab", ""), ("b", "22"), ("é", "3")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
        let mut pairs = Pairs::default();
        pairs.fill(Some(&map));
        for (key, value) in &map {
            assert_eq!(pairs.get(key), Some(value.as_str()), "{key}");
        }
        for key in ["", "a1", "aa", "c", "z"] {
            assert_eq!(pairs.get(key), None, "{key}");
        }
        pairs.fill(None);
        assert_eq!(pairs.get("a"), None);
    }

    #[test]
    fn halves_make_the_whole() {
        for number in [0, 1, u128::from(u64::MAX), u128::MAX, 1 << 64] {
            let (high, low) = halves(number);
            assert_eq!(whole(high, low), number);
        }
    }
}

//! What a key is good for.

use crate::action::Action;
use crate::error::Invalid;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Groups of actions that scopes may name at once.
const GROUPS: &[(&str, &[Action])] = &[
    (
        "pinning",
        &[
            Action::CreateRequest,
            Action::ListRequests,
            Action::ReadRequest,
            Action::ReplaceRequest,
            Action::DeleteRequest,
        ],
    ),
    (
        "reading",
        &[
            Action::ListRequests,
            Action::ReadRequest,
            Action::ReadUsage,
            Action::ReadQuote,
            Action::ListKeys,
            Action::ReadTenant,
            Action::ListUsers,
            Action::ReadPolicies,
            Action::ExplainDecision,
            Action::ReviewPolicies,
            Action::ListPlugins,
            Action::ReadPlugin,
            Action::ReadPins,
            Action::ReadAudit,
        ],
    ),
    (
        "keys",
        &[Action::CreateKey, Action::ListKeys, Action::RevokeKey],
    ),
    ("usage", &[Action::ReadUsage, Action::ReadQuote]),
];

/// A set of actions; everything, unless somebody named some.
///
/// Its bits are of this process: what is kept and sent are the names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Option<Vec<String>>", into = "Option<Vec<String>>")]
pub struct Scopes(u64);

impl Scopes {
    /// Everything.
    pub const ALL: Self = Self(u64::MAX);

    /// Reads names of actions and of groups of them.
    ///
    /// # Errors
    /// A name that is neither, or no name at all.
    pub fn parse(names: &[String]) -> Result<Self, Invalid> {
        if names.is_empty() {
            let why = "is empty; name one at least, or leave it out for everything";
            return Err(Invalid::new("scopes", why));
        }
        names.iter().try_fold(Self(0), |scopes, name| {
            let of_group = GROUPS.iter().find(|(group, _)| group == name);
            let group = of_group.map(|(_, actions)| *actions);
            let of_action = Action::ALL.iter().find(|action| action.as_str() == name);
            let actions = group.or(of_action.map(std::slice::from_ref));
            let actions = actions.ok_or_else(|| {
                let groups: Vec<_> = GROUPS.iter().map(|(group, _)| *group).collect();
                let why = format!(
                    "{name:?} is no scope; write {}, or an action such as createRequest",
                    groups.join(", ")
                );
                Invalid::new("scopes", why)
            })?;
            Ok(actions.iter().fold(scopes, |scopes, one| scopes.with(*one)))
        })
    }

    /// Reads names that were kept. One that this program does not know means nothing to it.
    #[must_use]
    pub fn of_kept<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = |name: &str| Action::ALL.iter().find(|action| action.as_str() == name);
        let actions = names.into_iter().filter_map(known);
        actions.fold(Self(0), |scopes, action| scopes.with(*action))
    }

    /// The names of its actions; nothing if it holds all.
    #[must_use]
    pub fn names(self) -> Option<Vec<&'static str>> {
        if self == Self::ALL {
            return None;
        }
        let held = Action::ALL.iter().filter(|action| self.holds(**action));
        Some(held.map(|action| action.as_str()).collect())
    }

    /// Whether an action is in it.
    #[must_use]
    pub const fn holds(self, action: Action) -> bool {
        self.0 & Self::bit(action) != 0
    }

    /// Those that are in the other too.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn with(self, action: Action) -> Self {
        Self(self.0 | Self::bit(action))
    }

    const fn bit(action: Action) -> u64 {
        1 << action as u64
    }
}

impl Default for Scopes {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            None => f.write_str("all"),
            Some(names) => f.debug_set().entries(names).finish(),
        }
    }
}

impl TryFrom<Option<Vec<String>>> for Scopes {
    type Error = Invalid;

    fn try_from(names: Option<Vec<String>>) -> Result<Self, Invalid> {
        names.map_or(Ok(Self::ALL), |names| Self::parse(&names))
    }
}

impl From<Scopes> for Option<Vec<String>> {
    fn from(scopes: Scopes) -> Self {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        scopes.names().map(owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Scopes, Invalid> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Scopes::parse(&names)
    }

    #[test]
    fn every_action_has_a_bit_of_its_own() {
        assert!(
            Action::ALL.len() < 64,
            "the last one must leave `ALL` alone"
        );
        for action in Action::ALL {
            let only = parse(&[action.as_str()]).unwrap();
            let held = Action::ALL.iter().filter(|other| only.holds(**other));
            assert_eq!(held.collect::<Vec<_>>(), [action]);
        }
    }

    #[test]
    fn groups_and_actions_add_up_and_come_back_by_name() {
        let scopes = parse(&["pinning", "readUsage"]).unwrap();
        assert!(scopes.holds(Action::DeleteRequest) && scopes.holds(Action::ReadUsage));
        assert!(!scopes.holds(Action::CreateKey));
        let names = scopes.names().unwrap();
        assert_eq!(Scopes::of_kept(names), scopes);
        assert_eq!(Scopes::of_kept(["noSuchAction"]).names(), Some(Vec::new()));
        assert_eq!(Scopes::ALL.names(), None);
        assert!(Scopes::ALL.holds(Action::WritePins));
    }

    #[test]
    fn a_wrong_name_says_what_to_write() {
        let said = parse(&["pin"]).unwrap_err().to_string();
        assert!(
            said.contains("pinning") && said.contains("createRequest"),
            "{said}"
        );
        assert!(parse(&[]).is_err());
    }
}

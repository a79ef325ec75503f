//! Principals and things that several tests need.

use holdfast_model::action::{KeyRef, RequestRef, Resource};
use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Action, KeyId, Principal, PrincipalId, RequestId, Role, Roles};
use std::path::PathBuf;

/// The folder `policies` of this repository.
pub(crate) fn policies_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

pub(crate) fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

pub(crate) fn holder(of: &str, roles: impl IntoIterator<Item = Role>) -> Principal {
    let key = KeyId::parse("holder1").unwrap();
    Principal {
        id: PrincipalId::of_key(&key),
        account: account(of),
        roles: roles.into_iter().collect::<Roles>(),
        proof: Proof::Key(key),
    }
}

/// The thing that an action is done to, where it belongs to `of`.
pub(crate) fn thing(action: Action, of: &str) -> Resource {
    let account = account(of);
    match action {
        Action::CreateRequest
        | Action::ListRequests
        | Action::ReadUsage
        | Action::ReadQuote
        | Action::CreateKey
        | Action::ListKeys => account.into(),
        Action::ReadRequest | Action::ReplaceRequest | Action::DeleteRequest => {
            let id = RequestId::parse("0190a3c4-0000-7000-8000-000000000001").unwrap();
            RequestRef { account, id }.into()
        }
        Action::RevokeKey => {
            let id = KeyId::parse("other1").unwrap();
            KeyRef { account, id }.into()
        }
        Action::ReadTenant
        | Action::WriteTenant
        | Action::ReadPolicies
        | Action::WritePolicies
        | Action::GrantAccess
        | Action::ExplainDecision
        | Action::ListUsers
        | Action::WriteUsers
        | Action::ReadTenantAudit => account.tenant().clone().into(),
        Action::ReviewPolicies
        | Action::SwitchPolicies
        | Action::ListPlugins
        | Action::ReadPlugin
        | Action::InstallPlugin
        | Action::SwitchPlugin
        | Action::ReadPins
        | Action::WritePins
        | Action::ReadAudit
        | Action::SignAudit
        | Action::DriveWork => Resource::Host,
    }
}

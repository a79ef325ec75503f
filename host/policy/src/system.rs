//! The host's own workers as principals.

use holdfast_model::principal::Proof;
use holdfast_model::{AccountId, Principal, PrincipalId, Role, Roles};
use std::sync::Arc;

/// The account under which the host's own workers act. It holds nothing.
const SYSTEM_ACCOUNT: &str = "holdfast/system";

/// The principal of one of the host's workers: role `system`, account `holdfast/system`.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "a constant's name keeps to the rules of names, and a test parses it"
)]
pub fn system_principal(name: &str) -> Arc<Principal> {
    Arc::new(Principal {
        id: PrincipalId::of_worker(name),
        account: AccountId::parse(SYSTEM_ACCOUNT).expect("the system's account is a name"),
        roles: Roles::NONE.with(Role::System),
        proof: Proof::Internal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_system_role_and_no_other() {
        let worker = system_principal("kubo");
        assert_eq!(worker.id.as_str(), "system:kubo");
        assert_eq!(worker.roles.iter().collect::<Vec<_>>(), [Role::System]);
        assert_eq!(worker.account.as_str(), SYSTEM_ACCOUNT);
    }
}

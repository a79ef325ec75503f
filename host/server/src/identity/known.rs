//! People whom an issuer vouches for and who have made keys here: what they are, as last seen.

use holdfast_model::{Principal, PrincipalId, Roles, TenantId};
use holdfast_store::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What somebody was when their token was last seen. Their keys are cut to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// A digest of who it is: issuers' names and subjects may be longer than a record's name.
    digest: String,
    /// Their tenant.
    pub tenant: TenantId,
    /// Their roles.
    pub roles: Roles,
}

impl Known {
    /// What somebody is now.
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        Self {
            digest: Self::digest_of(&principal.id),
            tenant: principal.tenant().clone(),
            roles: principal.roles,
        }
    }

    /// What somebody is found by.
    #[must_use]
    pub fn digest_of(id: &PrincipalId) -> String {
        let digest = Sha256::digest(id.as_str().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }
}

impl Record for Known {
    const KIND: &'static str = "key-maker";

    fn owner(&self) -> &str {
        ""
    }

    fn id(&self) -> &str {
        &self.digest
    }
}

//! What a tenant says for itself: policies of its own, and grants.
//!
//! A set holds where somebody of the tenant asks about something of the tenant, and nowhere else;
//! neither about these sets themselves, so that nobody locks themselves out.

use crate::bundle::{Bundle, Overlay, compile_own};
use crate::error::PolicyError;
use crate::gate::Revision;
use arc_swap::ArcSwapOption;
use holdfast_model::{Action, Invalid, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes of a tenant's policies. What is kept of a tenant is one record of 256 KiB, with the
/// grants and what JSON adds.
pub const OWN_POLICIES_BYTES_MAX: usize = 64 * 1024;

/// Grants of one tenant. Roles are for the many; grants are for exceptions.
pub const GRANTS_MAX: usize = 256;

/// Bytes of the name of whom something is granted to: an issuer and a subject.
const PRINCIPAL_BYTES_MAX: usize = 256;

/// Bytes of what a grant is about: a tenant and an account.
const ON_BYTES_MAX: usize = 160;

/// A link of one of the platform's templates: somebody may do something to something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its own name.
    pub id: String,
    /// The template.
    pub template: String,
    /// To whom: the name that policies and the audit log know.
    pub principal: String,
    /// About what: the tenant, or `tenant/account`.
    pub on: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub created: UnixMillis,
}

impl Grant {
    /// Whether it can be kept at all.
    ///
    /// # Errors
    /// A name that is missing or too long.
    pub fn check(&self) -> Result<(), Invalid> {
        let bounded = |what: &str, text: &str, most: usize| match text.len() {
            bytes if (1..=most).contains(&bytes) => Ok(()),
            bytes => {
                let why = format!("has {bytes} bytes; write 1 to {most}");
                Err(Invalid::new(what, why))
            }
        };
        bounded("template", &self.template, ON_BYTES_MAX)?;
        bounded("principal", &self.principal, PRINCIPAL_BYTES_MAX)?;
        bounded("on", &self.on, ON_BYTES_MAX)
    }
}

/// What a tenant says for itself.
#[derive(Debug)]
pub struct TenantSet {
    tenant: TenantId,
    policies: String,
    grants: Vec<Grant>,
    revision: Revision,
    /// Above the platform's policies that were in force when it was last asked.
    compiled: ArcSwapOption<Compiled>,
}

/// A set above one revision of the platform's policies.
#[derive(Debug)]
pub(crate) struct Compiled {
    platform: Revision,
    /// Nothing where the tenant says nothing; an error where it cannot be known what it says.
    pub(crate) overlay: Result<Option<Overlay>, String>,
}

impl Compiled {
    /// That nobody knows what a tenant says.
    pub(crate) fn unknown(bundle: &Bundle) -> Self {
        Self {
            platform: bundle.revision.clone(),
            overlay: Err("the tenant's own policies were not loaded".into()),
        }
    }
}

impl TenantSet {
    /// A tenant's policies and grants.
    #[must_use]
    pub fn new(tenant: TenantId, policies: String, grants: Vec<Grant>) -> Self {
        let mut hash = Sha256::new();
        hash.update(tenant.as_str());
        hash.update(policies.len().to_be_bytes());
        hash.update(&policies);
        for grant in &grants {
            for part in [&grant.id, &grant.template, &grant.principal, &grant.on] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        let first = hash
            .finalize()
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect::<String>();
        Self {
            tenant,
            policies,
            grants,
            revision: Revision(first.into()),
            compiled: ArcSwapOption::empty(),
        }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Its policies, in Cedar.
    #[must_use]
    pub fn policies(&self) -> &str {
        &self.policies
    }

    /// Its grants.
    #[must_use]
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Just these policies and grants.
    #[must_use]
    pub const fn revision(&self) -> &Revision {
        &self.revision
    }

    /// Bytes that it takes, for caches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let grant = |grant: &Grant| grant.principal.len() + grant.on.len() + 256;
        self.policies.len() + self.grants.iter().map(grant).sum::<usize>() + 256
    }

    /// The set above a bundle, compiled now if it was not yet.
    pub(crate) fn above(&self, bundle: &Bundle) -> Arc<Compiled> {
        if let Some(compiled) = self.compiled.load_full()
            && compiled.platform == bundle.revision
        {
            return compiled;
        }
        let compiled = Arc::new(Compiled {
            platform: bundle.revision.clone(),
            overlay: self.compile(bundle).map_err(|problems| {
                let why = PolicyError::of_all(problems).map(|e| e.to_string());
                let why = why.unwrap_or_default();
                tracing::error!(
                    tenant = %self.tenant,
                    why,
                    "a tenant's policies do not fit the platform's; it may do nothing but mend them"
                );
                why
            }),
        });
        self.compiled.store(Some(Arc::clone(&compiled)));
        compiled
    }

    /// The same, for who wants to know what is wrong with it; that is not kept.
    pub(crate) fn checked(&self, bundle: &Bundle) -> Result<Arc<Compiled>, Vec<PolicyError>> {
        if let Some(compiled) = self.compiled.load_full()
            && compiled.platform == bundle.revision
            && compiled.overlay.is_ok()
        {
            return Ok(compiled);
        }
        let compiled = Arc::new(Compiled {
            platform: bundle.revision.clone(),
            overlay: Ok(self.compile(bundle)?),
        });
        self.compiled.store(Some(Arc::clone(&compiled)));
        Ok(compiled)
    }

    pub(crate) fn compile(&self, bundle: &Bundle) -> Result<Option<Overlay>, Vec<PolicyError>> {
        if self.policies.trim().is_empty() && self.grants.is_empty() {
            return Ok(None);
        }
        compile_own(bundle, self).map(Some)
    }
}

/// Whether tenants' own sets have no say about an action: it is about these sets.
pub(crate) const fn is_above_tenants(action: Action) -> bool {
    matches!(
        action,
        Action::ReadPolicies
            | Action::WritePolicies
            | Action::GrantAccess
            | Action::ExplainDecision
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gate;

    /// Sets are big, and each is checked, proved and tried. What cannot be compiled stands here for
    /// what is not to be compiled once more.
    #[test]
    fn what_was_checked_is_not_compiled_again_to_be_tried() {
        let gate = Gate::open(None).unwrap();
        let acme = TenantId::parse("acme").unwrap();
        let set = |policies: &str| TenantSet::new(acme.clone(), policies.into(), Vec::new());
        let (live, good) = (
            set(""),
            set("@id(\"closed\") forbid (principal, action, resource);"),
        );
        gate.check_own(&good).unwrap();
        let kept = good.compiled.load_full().unwrap();
        assert!(kept.platform == gate.revision() && kept.overlay.is_ok());
        let known = |set: &TenantSet, platform: Revision| {
            let overlay = Ok(None);
            set.compiled
                .store(Some(Arc::new(Compiled { platform, overlay })));
        };
        let wrong = set("permit (principal");
        assert!(gate.check_own(&wrong).is_err());
        known(&wrong, gate.revision());
        gate.shadow_own(&live, &wrong, UnixMillis::EPOCH).unwrap();
        // Above other policies of the platform's it has to be.
        known(&wrong, Revision("another".into()));
        assert!(gate.shadow_own(&live, &wrong, UnixMillis::EPOCH).is_err());
    }
}

//! Issuers as they are configured.

use super::jwt::{ALGORITHMS, Algorithm, ClaimMap, Issuer, Issuers, KeySet, KeySource};
use crate::config::{self, Auth, Complaint};
use holdfast_model::{Role, TenantId};

/// Makes the issuers of a configuration, their keys read.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn issuers(auth: &Auth) -> Result<Issuers, Vec<Complaint>> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    for (name, settings) in &auth.issuers.0 {
        let mut check = Check {
            name,
            wrong: &mut wrong,
        };
        if let Some(issuer) = check.issuer(settings) {
            all.push(issuer);
        }
    }
    for (at, issuer) in all.iter().enumerate() {
        if all
            .iter()
            .take(at)
            .any(|other| other.issuer == issuer.issuer)
        {
            let text = format!("two issuers are called {:?}", issuer.issuer);
            wrong.push(Complaint::new("auth.issuers", text, "take one of them out"));
        }
    }
    if wrong.is_empty() {
        Ok(Issuers::new(all))
    } else {
        Err(wrong)
    }
}

struct Check<'a> {
    name: &'a str,
    wrong: &'a mut Vec<Complaint>,
}

impl Check<'_> {
    fn complain(&mut self, key: &str, wrong: impl Into<String>, write: impl Into<String>) {
        let key = format!("auth.issuers.{}.{key}", self.name);
        self.wrong.push(Complaint::new(key, wrong, write));
    }

    fn issuer(&mut self, settings: &config::Issuer) -> Option<Issuer> {
        if settings.issuer.is_empty() {
            self.complain(
                "issuer",
                "is missing",
                "write the tokens' `iss`, letter for letter",
            );
        }
        if settings.audience.is_empty() {
            let write = "write the name under which the issuer knows this service";
            self.complain("audience", "is missing", write);
        }
        let keys = self.keys(settings);
        let algorithms = self.algorithms(&settings.algorithms);
        let map = self.map(settings);
        Some(Issuer {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            algorithms,
            leeway_seconds: settings.leeway_seconds.get(),
            keys: keys?,
            map,
        })
    }

    fn keys(&mut self, settings: &config::Issuer) -> Option<KeySet> {
        let (key, source) = match (&settings.key, &settings.jwks) {
            (Some(path), None) => ("key", KeySource::Pem(path.clone())),
            (None, Some(path)) => ("jwks", KeySource::Jwks(path.clone())),
            _ => {
                self.complain(
                    "jwks",
                    "exactly one of `key` and `jwks` is needed",
                    "name one file",
                );
                return None;
            }
        };
        KeySet::read(&source)
            .map_err(|e| {
                self.complain(
                    key,
                    e.to_string(),
                    "name a file with the issuer's public keys",
                )
            })
            .ok()
    }

    fn algorithms(&mut self, names: &[String]) -> Vec<Algorithm> {
        let known: Vec<String> = ALGORITHMS
            .iter()
            .map(|known| format!("{known:?}"))
            .collect();
        if names.is_empty() {
            self.complain(
                "algorithms",
                "names none",
                format!("write some of {}", known.join(", ")),
            );
        }
        let mut accepted = Vec::new();
        for name in names {
            match ALGORITHMS
                .into_iter()
                .zip(&known)
                .find(|(_, known)| *known == name)
            {
                Some((algorithm, _)) => accepted.push(algorithm),
                None => self.complain(
                    "algorithms",
                    format!("{name:?} is no algorithm that is accepted"),
                    format!("write some of {}", known.join(", ")),
                ),
            }
        }
        accepted
    }

    fn map(&mut self, settings: &config::Issuer) -> ClaimMap {
        let tenant = settings.tenant.as_ref().and_then(|name| {
            TenantId::parse(name)
                .map_err(|e| self.complain("tenant", e.why, "write another name"))
                .ok()
        });
        if settings.tenant.is_some() == settings.tenant_claim.is_some() {
            let wrong = "exactly one of `tenant` and `tenant_claim` is needed";
            self.complain(
                "tenant_claim",
                wrong,
                "write \"/claim\", or a tenant's name in `tenant`",
            );
        }
        let claims = [
            ("tenant_claim", &settings.tenant_claim),
            ("account_claim", &settings.account_claim),
        ];
        let claims = claims
            .into_iter()
            .filter_map(|(key, claim)| Some((key, claim.as_ref()?)));
        let roles = settings
            .roles_claims
            .iter()
            .map(|claim| ("roles_claims", claim));
        for (key, claim) in claims.chain(roles) {
            if !claim.starts_with('/') {
                let wrong = format!("{claim:?} is no JSON pointer");
                self.complain(key, wrong, format!("write \"/{claim}\""));
            }
        }
        let mut map = ClaimMap {
            tenant_claim: settings.tenant_claim.clone(),
            tenant,
            account_claim: settings.account_claim.clone(),
            roles_claims: settings.roles_claims.clone(),
            ..ClaimMap::default()
        };
        for (theirs, ours) in &settings.role_map.0 {
            match Role::parse(ours) {
                Ok(role) => {
                    map.roles.insert(theirs.clone(), role);
                }
                Err(e) => {
                    self.complain(&format!("role_map.{theirs}"), e.why, "write a role's name")
                }
            }
        }
        map
    }
}

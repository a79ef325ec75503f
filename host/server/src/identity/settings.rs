//! Issuers as they are configured.

use super::chain::Chain;
use super::jwt::{
    ALGORITHMS, Algorithm, ClaimMap, Issuer, Issuers, KeySet, KeySource, Keys, Remote, Source,
};
use super::secrets::{SECRET_CHARS_MIN, Secrets};
use super::terms::{Identity, Terms};
use super::users::Passwords;
use super::web::{self, Web};
use crate::config::{self, Auth, Complaint, Config};
use holdfast_model::{Role, TenantId};
use std::sync::Arc;
use url::Url;

/// Makes what identity works with.
///
/// # Errors
/// Everything that is wrong with it.
pub fn identity(config: &Config) -> Result<Identity, Vec<Complaint>> {
    let auth = &config.auth;
    let mut wrong = Vec::new();
    let secret = auth.secret.as_ref().map(config::Secret::reveal);
    if secret.is_some_and(|secret| secret.chars().count() < SECRET_CHARS_MIN) {
        let why = format!("has fewer than {SECRET_CHARS_MIN} characters");
        let write = "make one with `openssl rand -hex 32`";
        wrong.push(Complaint::new("auth.secret", why, write));
    }
    let url = auth.url.as_ref().and_then(|text| {
        let url = Url::parse(text).ok().filter(web::is_safe);
        let is_bare = |url: &Url| url.path() == "/" && url.query().is_none();
        let url = url.filter(is_bare);
        if url.is_none() {
            let write = "write https://HOST, without a path";
            wrong.push(Complaint::new("auth.url", "is no address of a host", write));
        }
        url
    });
    let mut chains = Vec::new();
    for (name, chain) in &auth.chains.0 {
        let rpc = chain.rpc.as_ref().map(|rpc| Url::parse(rpc.reveal()).ok());
        let is_wrong = rpc
            .as_ref()
            .is_some_and(|rpc| !rpc.as_ref().is_some_and(web::is_safe));
        if is_wrong {
            let key = format!("auth.chains.{name}.rpc");
            let write = "write https://… (http:// to this machine alone)";
            wrong.push(Complaint::new(key, "is no address of a node", write));
        }
        chains.push(Chain {
            id: chain.id.get(),
            rpc: rpc.flatten(),
        });
    }
    let web = Web::new(auth.trusted_roots.as_deref());
    let web = web.map_err(|why| {
        let write = "name a file with certificates in PEM";
        wrong.push(Complaint::new("auth.trusted_roots", why, write));
    });
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Identity {
        secrets: Secrets::new(secret),
        terms: Terms {
            url,
            chains,
            passwords: auth.passwords.unwrap_or(!config.general.production),
            session_lifetime: auth.session_lifetime.get(),
            key_lifetime_max: auth.key_lifetime_max.get(),
            refused_per_minute: u32::try_from(config.limits.refused_per_minute.get())
                .unwrap_or(u32::MAX),
        },
        passwords: Passwords::default(),
        web: web.ok(),
    })
}

/// Makes the issuers of a configuration, their keys read.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn issuers(auth: &Auth) -> Result<Issuers, Vec<Complaint>> {
    let mut wrong = Vec::new();
    let mut all = Vec::new();
    let web = Web::new(auth.trusted_roots.as_deref()).map_err(|why| {
        vec![Complaint::new(
            "auth.trusted_roots",
            why,
            "name a file with certificates in PEM",
        )]
    })?;
    for (name, settings) in &auth.issuers.0 {
        let mut check = Check {
            name,
            web: &web,
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
    web: &'a Web,
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

    fn keys(&mut self, settings: &config::Issuer) -> Option<Keys> {
        let (key, source) = match (&settings.key, &settings.jwks, &settings.jwks_url) {
            (Some(path), None, None) => ("key", KeySource::Pem(path.clone())),
            (None, Some(path), None) => ("jwks", KeySource::Jwks(path.clone())),
            (None, None, Some(address)) => return self.remote("jwks_url", address, Source::Jwks),
            (None, None, None) => {
                let issuer = settings.issuer.clone();
                return self.remote("issuer", &settings.issuer, |_| Source::Discovery { issuer });
            }
            _ => {
                self.complain(
                    "jwks",
                    "one of `key`, `jwks` and `jwks_url` is enough",
                    "name one; none, if the issuer's own server is to be asked",
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
            .map(Keys::Fixed)
    }

    fn remote(
        &mut self,
        key: &str,
        address: &str,
        source: impl FnOnce(Url) -> Source,
    ) -> Option<Keys> {
        match Url::parse(address) {
            Ok(url) if web::is_safe(&url) => {
                let remote = Remote::new(source(url), self.web.clone());
                Some(Keys::Remote(Arc::new(remote)))
            }
            _ => {
                let write = "write https://… (http:// to this machine alone), or name the keys' \
                             file in `jwks`";
                self.complain(key, "is no address that keys can be fetched from", write);
                None
            }
        }
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

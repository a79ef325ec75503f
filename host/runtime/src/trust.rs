//! Whose plugins are taken.

use crate::kind::Kind;
use crate::package::Package;
use crate::signature::{PublicKey, Signature};
use std::collections::BTreeMap;

/// The keys that the operator trusts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// For each kind: who may ship pricing may not thereby ship authorizers.
    pub keys: BTreeMap<Kind, Vec<PublicKey>>,
    /// Whether a plugin without a good signature is refused.
    pub is_required: bool,
}

impl Trust {
    /// The first look, before anything in the file is read: does anybody at all vouch for it? A
    /// signature that is there must be good even where none is required.
    pub(crate) fn check(&self, package: &Package) -> Result<(), String> {
        let all: Vec<PublicKey> = self.keys.values().flatten().cloned().collect();
        self.verify(package, &all)
    }

    /// The second, once its kind is known.
    pub(crate) fn check_kind(&self, package: &Package, kind: Kind) -> Result<(), String> {
        let keys = self.keys.get(&kind).map_or(&[][..], Vec::as_slice);
        self.verify(package, keys)
            .map_err(|why| format!("({kind}) {why}"))
    }

    fn verify(&self, package: &Package, keys: &[PublicKey]) -> Result<(), String> {
        let Some(text) = &package.signature else {
            return match self.is_required {
                true => Err(
                    "is missing, and signatures are required; have the component signed (holdfast plugin sign), or set plugins.require_signatures = false".into(),
                ),
                false => Ok(()),
            };
        };
        let signature = Signature::parse(text)?;
        // Where nobody is trusted and nothing is required, a signature says nothing.
        if self.keys.values().all(Vec::is_empty) && !self.is_required {
            return Ok(());
        }
        signature.verify(keys, &package.digest).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SigningKey;

    fn package(signature: Option<String>) -> Package {
        Package::new(b"component".into(), String::new(), signature, None)
    }

    fn signed_by(key: &SigningKey) -> Package {
        package(Some(key.sign(&package(None).digest).to_string()))
    }

    /// Who signed, what is required, and whether it is taken as pricing.
    #[test]
    fn the_matrix() {
        let (ours, other, gates) = (key(), key(), key());
        let trust = |is_required| Trust {
            keys: BTreeMap::from([
                (Kind::Pricing, vec![ours.public()]),
                (Kind::Authorizer, vec![gates.public()]),
            ]),
            is_required,
        };
        let nobody = |is_required| Trust {
            keys: BTreeMap::new(),
            is_required,
        };
        let changed = Package {
            digest: [0; 32],
            ..signed_by(&ours)
        };
        for (trust, package, said) in [
            (trust(true), signed_by(&ours), None),
            (trust(false), signed_by(&ours), None),
            (trust(true), signed_by(&other), Some("not trusted")),
            (trust(false), signed_by(&other), Some("not trusted")),
            (trust(true), signed_by(&gates), Some("(pricing) is signed")),
            (trust(true), changed.clone(), Some("changed after")),
            (trust(false), changed, Some("changed after")),
            (trust(true), package(None), Some("is missing")),
            (trust(false), package(None), None),
            (
                trust(false),
                package(Some("x".into())),
                Some("no signature"),
            ),
            (nobody(true), signed_by(&ours), Some("not trusted")),
            (nobody(true), package(None), Some("is missing")),
            (nobody(false), signed_by(&ours), None),
            (nobody(false), package(None), None),
        ] {
            let checked = trust
                .check(&package)
                .and_then(|()| trust.check_kind(&package, Kind::Pricing));
            match said {
                None => assert_eq!(checked, Ok(())),
                Some(said) => {
                    let refused = checked.unwrap_err();
                    assert!(refused.contains(said), "{refused}");
                }
            }
        }
    }

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }
}

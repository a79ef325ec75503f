//! An issuer's public keys, as a file or a server has them.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use std::path::{Path, PathBuf};

/// Bytes of a key file: a JWKS with a hundred keys and their certificates stays below it.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of an RSA modulus at least (2048 bits, RFC 7518 §3.3).
const RSA_BYTES_MIN: usize = 256;

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// One public key, `-----BEGIN PUBLIC KEY-----`.
    Pem(PathBuf),
    /// A JSON Web Key Set (RFC 7517).
    Jwks(PathBuf),
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {why}")]
    Unfit {
        /// The file.
        path: String,
        /// What is wrong, and what to put there.
        why: String,
    },
}

/// An issuer's keys for verifying signatures.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    /// What the key set says it is for; a key from a PEM file is for all of its family.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    /// Reads a key file.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no key for signatures, or one that is too weak.
    pub fn read(source: &KeySource) -> Result<Self, KeySetError> {
        match source {
            KeySource::Pem(path) => Self::of_pem(path, &read(path)?),
            KeySource::Jwks(path) => Self::of_jwks(path, &read(path)?),
        }
    }

    /// The keys that may have signed a token: those of its `kid`, or, if it names none, the only
    /// one there is. Guessing among several would tell attackers which keys we have.
    pub(super) fn candidates(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        let only = self.keys.len() == 1;
        self.keys
            .iter()
            .filter(move |key| match (kid, key.kid.as_deref()) {
                (Some(wanted), Some(has)) => wanted == has,
                // A key from a PEM file has no name; there is just one.
                (Some(_) | None, None) | (None, Some(_)) => only,
            })
            .filter(move |key| key.algorithm.is_none_or(|own| own == algorithm))
            .filter(move |key| key.key.family() == algorithm.family())
            .map(|key| &key.key)
    }

    fn of_pem(path: &Path, text: &[u8]) -> Result<Self, KeySetError> {
        let unfit = |why: &str| unfit(path, why);
        let rsa = DecodingKey::from_rsa_pem(text);
        let key = rsa
            .or_else(|_| DecodingKey::from_ec_pem(text))
            .or_else(|_| DecodingKey::from_ed_pem(text))
            .map_err(|_| {
                unfit("is no public key; write one RSA, EC or Ed25519 key in PEM (`-----BEGIN PUBLIC KEY-----`)")
            })?;
        let short = key
            .try_get_as_bytes()
            .is_ok_and(|der| der.len() < RSA_BYTES_MIN);
        if key.family() == AlgorithmFamily::Rsa && short {
            return Err(unfit("has an RSA key below 2048 bits; use a longer one"));
        }
        Ok(Self {
            keys: vec![Key {
                kid: None,
                algorithm: None,
                key,
            }],
        })
    }

    /// Reads a key set that an issuer's server answered. What is too weak in it is left out: the
    /// other keys serve on.
    pub(super) fn of_json(text: &[u8]) -> Result<Self, String> {
        let set = parse(text)?;
        let (weak, fit): (Vec<_>, Vec<_>) = set.keys.iter().partition(|jwk| is_short_rsa(jwk));
        for jwk in weak {
            let kid = jwk.common.key_id.as_deref();
            tracing::warn!(
                kid,
                "an issuer's key is RSA below 2048 bits and is left out"
            );
        }
        Self::of_keys(fit.into_iter())
    }

    /// Whether a key has this name; whether there is just one, if there is no name.
    pub(super) fn has(&self, kid: Option<&str>) -> bool {
        match kid {
            Some(_) => self.keys.iter().any(|key| key.kid.as_deref() == kid),
            None => self.keys.len() == 1,
        }
    }

    fn of_jwks(path: &Path, text: &[u8]) -> Result<Self, KeySetError> {
        let set = parse(text).map_err(|why| unfit(path, &why))?;
        let signing = |jwk: &&Jwk| is_for_signatures(jwk) && is_short_rsa(jwk);
        if let Some(jwk) = set.keys.iter().find(signing) {
            let name = jwk.common.key_id.as_deref().unwrap_or("without kid");
            let why =
                format!("key {name:?} is RSA below 2048 bits; take it out or use a longer one");
            return Err(unfit(path, &why));
        }
        Self::of_keys(set.keys.iter()).map_err(|why| unfit(path, &why))
    }

    fn of_keys<'a>(all: impl Iterator<Item = &'a Jwk>) -> Result<Self, String> {
        let mut keys = Vec::new();
        for jwk in all.filter(|jwk| is_for_signatures(jwk)) {
            let algorithm = jwk.common.key_algorithm.map(|own| own.to_string().parse());
            let Ok(algorithm) = algorithm.transpose() else {
                continue;
            };
            if let Ok(key) = DecodingKey::from_jwk(jwk)
                && key.family() != AlgorithmFamily::Hmac
            {
                keys.push(Key {
                    kid: jwk.common.key_id.clone(),
                    algorithm,
                    key,
                });
            }
        }
        if keys.is_empty() {
            return Err("has no public RSA, EC or Ed25519 key with \"use\": \"sig\" (or without \"use\"); add one".to_owned());
        }
        Ok(Self { keys })
    }
}

fn parse(text: &[u8]) -> Result<JwkSet, String> {
    serde_json::from_slice(text)
        .map_err(|e| format!("is no JSON Web Key Set ({e}); write {{\"keys\": [...]}}"))
}

/// Key sets also hold keys for encryption (Keycloak's does); these verify nothing.
fn is_for_signatures(jwk: &Jwk) -> bool {
    let by_use = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let by_operation = jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    by_use && by_operation
}

fn is_short_rsa(jwk: &Jwk) -> bool {
    match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => rsa.n.trim_end_matches('=').len() * 6 / 8 < RSA_BYTES_MIN,
        _ => false,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeySetError> {
    let failed = |source| KeySetError::Read {
        path: path.display().to_string(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(unfit(path, "is over 256 KiB; this is no key file"));
    }
    std::fs::read(path).map_err(failed)
}

fn unfit(path: &Path, why: &str) -> KeySetError {
    KeySetError::Unfit {
        path: path.display().to_string(),
        why: why.to_owned(),
    }
}

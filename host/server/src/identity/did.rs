//! Calls signed with the key of a DID: a short JWT that the caller made for this very call.
//!
//! The shape is that of DPoP proofs (RFC 9449): `iss` and `sub` are the DID, `aud` is this host,
//! `htm` and `htu` are the call's method and address, `jti` is used once, and it all is over five
//! minutes after `iat`. The DIDs that are read are those of `did:key`, whose document is the key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_model::UnixMillis;
use holdfast_store::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Seconds that a proof may be good for in all.
const LIFETIME_SECONDS_MAX: u64 = 300;

/// Seconds by which the caller's clock may be ahead.
const LEEWAY_SECONDS: u64 = 30;

/// Characters of a `jti`.
const JTI_CHARS_MAX: usize = 128;

/// Why a proof is refused; fit for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DidError {
    /// No URL is configured, so nobody knows what to sign for.
    #[error("DIDs are not accepted here; the operator has to set auth.url")]
    Off,
    /// It cannot be read.
    #[error("it is no JWT with the claims iss, sub, aud, htm, htu, iat, exp and jti")]
    Garbled,
    /// Its issuer is no key that is read.
    #[error(
        "its `iss` is no did:key of an Ed25519, secp256k1 or P-256 key, or its `sub` is another"
    )]
    Key,
    /// Its header says something else than the key.
    #[error(
        "its header must have `alg` EdDSA, ES256K or ES256 as its key is, `typ` JWT, and no `crit`"
    )]
    Header,
    /// The signature is wrong, or not in its one right form.
    #[error("its signature does not match")]
    Signature,
    /// It is for another service, method or address.
    #[error("its `{0}` is not that of this call")]
    Other(&'static str),
    /// It is too old, from the future, or good for too long.
    #[error("its times are not right: `iat` must be now, and `exp` within 300 seconds of it")]
    Times,
    /// It was used before.
    #[error("it was used before; sign each call anew, with a `jti` of its own")]
    Replayed,
    /// Nobody has this DID.
    #[error("its DID is nobody's here; ask your tenant's administrator to add it to your user")]
    Nobody,
}

/// The call that a proof must be for.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// Where clients reach this host.
    pub url: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
}

/// A good proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Whose key signed it.
    pub did: String,
    /// What keeps it from being used again.
    pub used: UsedProof,
}

/// A proof that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedProof {
    /// A digest of the DID and the proof's name.
    pub digest: String,
    /// When it is over anyway.
    pub until: UnixMillis,
}

impl Record for UsedProof {
    const KIND: &'static str = "used-proof";

    fn owner(&self) -> &str {
        &self.digest
    }

    fn id(&self) -> &str {
        "used"
    }

    fn expires(&self) -> Option<UnixMillis> {
        Some(self.until)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    htm: String,
    htu: String,
    iat: u64,
    exp: u64,
    nbf: Option<u64>,
    jti: String,
}

/// The DID that a token says it is signed by, if it says so. Nothing is verified.
#[must_use]
pub fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let Issuer { iss } = serde_json::from_slice(&payload).ok()?;
    iss.starts_with("did:").then_some(iss)
}

/// Verifies a proof for a call.
///
/// # Errors
/// Anything that is not exactly right.
pub fn verify(token: &str, bound: Bound<'_>, now: UnixMillis) -> Result<Proven, DidError> {
    let (said, signature) = token.rsplit_once('.').ok_or(DidError::Garbled)?;
    let (header, payload) = said.split_once('.').ok_or(DidError::Garbled)?;
    let header: Header = part(header)?;
    let claims: Claims = part(payload)?;
    let key = PublicKey::of_did(&claims.iss).ok_or(DidError::Key)?;
    if claims.sub != claims.iss {
        return Err(DidError::Key);
    }
    let typ = header.typ.as_deref();
    let is_plain = typ.is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
    if header.alg != key.algorithm() || !is_plain || header.crit.is_some() {
        return Err(DidError::Header);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature);
    let signature = signature.map_err(|_| DidError::Garbled)?;
    if !key.has_signed(said.as_bytes(), &signature) {
        return Err(DidError::Signature);
    }
    claims.check(bound, now.as_seconds())?;
    let digest = Sha256::new()
        .chain_update(claims.iss.as_bytes())
        .chain_update([0])
        .chain_update(claims.jti.as_bytes())
        .finalize();
    let until = claims.exp.saturating_add(2 * LEEWAY_SECONDS);
    Ok(Proven {
        did: claims.iss,
        used: UsedProof {
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            until: UnixMillis::from_seconds(until),
        },
    })
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, DidError> {
    let bytes = URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.map_err(|_| DidError::Garbled)?;
    serde_json::from_slice(&bytes).map_err(|_| DidError::Garbled)
}

impl Claims {
    fn check(&self, bound: Bound<'_>, now: u64) -> Result<(), DidError> {
        let base = bound.url.trim_end_matches('/');
        if self.aud.trim_end_matches('/') != base {
            return Err(DidError::Other("aud"));
        }
        if self.htm != bound.method {
            return Err(DidError::Other("htm"));
        }
        if self.htu.strip_prefix(base) != Some(bound.path) {
            return Err(DidError::Other("htu"));
        }
        let from = self.nbf.unwrap_or(0).max(self.iat);
        let is_timely = from <= now.saturating_add(LEEWAY_SECONDS)
            && now < self.exp
            && self.exp > self.iat
            && self.exp - self.iat <= LIFETIME_SECONDS_MAX;
        if !is_timely {
            return Err(DidError::Times);
        }
        let is_named = !self.jti.is_empty() && self.jti.len() <= JTI_CHARS_MAX;
        is_named.then_some(()).ok_or(DidError::Garbled)
    }
}

/// A key of a `did:key`.
enum PublicKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    Secp256k1(k256::ecdsa::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads `did:key:z…`: base58btc of a multicodec and a key, each of one right length and on its
    /// curve.
    fn of_did(did: &str) -> Option<Self> {
        /// Letters of the longest: a compressed point and two bytes before it.
        const CHARS_MAX: usize = 50;
        let text = did.strip_prefix("did:key:z")?;
        if text.len() > CHARS_MAX {
            return None;
        }
        let bytes = bs58::decode(text).into_vec().ok()?;
        match bytes.as_slice() {
            [0xed, 0x01, key @ ..] => {
                let key = <[u8; 32]>::try_from(key).ok()?;
                let key = ed25519_dalek::VerifyingKey::from_bytes(&key).ok()?;
                // A key of small order verifies signatures that nobody made.
                (!key.is_weak()).then_some(Self::Ed25519(key))
            }
            [0xe7, 0x01, key @ ..] if key.len() == 33 => {
                let key = k256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
                Some(Self::Secp256k1(key))
            }
            [0x80, 0x24, key @ ..] if key.len() == 33 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?;
                Some(Self::P256(key))
            }
            _ => None,
        }
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::Secp256k1(_) => "ES256K",
            Self::P256(_) => "ES256",
        }
    }

    fn has_signed(&self, said: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(said, &signature).is_ok()),
            // Of the two forms of each signature only one counts, or a proof had two names.
            Self::Secp256k1(key) => {
                use k256::ecdsa::signature::Verifier;
                k256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    signature.normalize_s().is_none() && key.verify(said, &signature).is_ok()
                })
            }
            // Either form counts: JOSE asks for none, and browsers make both. What was used up is
            // known by the proof's name, which both have.
            Self::P256(key) => {
                use p256::ecdsa::signature::Verifier;
                p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(said, &signature).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests;

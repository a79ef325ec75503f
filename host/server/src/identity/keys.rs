//! API keys as their holders see them: `hf_<id>_<secret><checksum>`.
//!
//! The prefix tells scanners whose key it is, the id may stand in logs, the secret has 256 bits,
//! and the checksum lets a typing error be told without looking anything up.

use super::error::AuthError;
use super::secrets::Secrets;
use holdfast_model::key::KeyHash;
use holdfast_model::{AccountId, ApiKey, Invalid, KeyId, Roles, Scopes, UnixMillis};
use rand::{CryptoRng, RngExt};
use sha2::{Digest, Sha256};

/// What every minted key begins with.
const PREFIX: &str = "hf_";
/// Letters of the public id: 71 bits, so that ids never meet.
const ID_CHARS: usize = 12;
/// Letters of the secret: 43 of 62 carry 256 bits.
const SECRET_CHARS: usize = 43;
/// Letters that hold a CRC-32 in base 62.
const CHECKSUM_CHARS: usize = 6;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A fresh key: its public parts, and the text that is shown once and kept nowhere.
#[derive(Clone)]
pub struct Minted {
    /// Its public name.
    pub id: KeyId,
    /// What the store looks it up by.
    pub hash: KeyHash,
    /// The key itself.
    pub token: String,
}

impl std::fmt::Debug for Minted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Minted")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Minted {
    /// The row to store and, beside it, the key to show once.
    #[must_use]
    pub fn into_key(
        self,
        account: AccountId,
        roles: Roles,
        label: String,
        created: UnixMillis,
        expires: Option<UnixMillis>,
    ) -> (ApiKey, String) {
        let Self { id, hash, token } = self;
        let key = ApiKey {
            id,
            hash,
            account,
            roles,
            label,
            created,
            expires,
            revoked: None,
            scopes: Scopes::ALL,
            successor: None,
            maker: None,
        };
        (key, token)
    }

    /// The same, to be looked up by a hash that is worth nothing without the host's secret.
    #[must_use]
    pub fn hashed_with(mut self, secrets: &Secrets) -> Self {
        self.hash = secrets.hash(&self.token);
        self
    }
}

/// Makes a key from the system's randomness.
///
/// # Errors
/// Never, as long as ids are made of letters and digits.
pub fn mint() -> Result<Minted, Invalid> {
    mint_from(&mut rand::rng())
}

/// Makes a key from the given randomness.
///
/// # Errors
/// As [`mint`].
pub fn mint_from(random: &mut impl CryptoRng) -> Result<Minted, Invalid> {
    let mut letters = |count: usize| -> String {
        (0..count)
            .filter_map(|_| BASE62.get(random.random_range(0..BASE62.len())))
            .map(|b| char::from(*b))
            .collect()
    };
    let id = KeyId::parse(&letters(ID_CHARS))?;
    let body = format!("{PREFIX}{id}_{}", letters(SECRET_CHARS));
    let token = format!("{body}{}", checksum(&body));
    Ok(Minted {
        id,
        hash: hash(&token),
        token,
    })
}

/// What the store looks a key up by.
#[must_use]
pub fn hash(token: &str) -> KeyHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The public name in one of our keys; nothing if it is a text that the operator chose.
///
/// # Errors
/// It looks like one of our keys and cannot be one.
pub(super) fn id_of(token: &str) -> Result<Option<KeyId>, AuthError> {
    if is_mistyped(token) {
        return Err(AuthError::Mistyped);
    }
    let Some(rest) = token.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let (id, _) = rest.split_once('_').ok_or(AuthError::Mistyped)?;
    KeyId::parse(id).map(Some).map_err(|_| AuthError::Mistyped)
}

/// Whether a text looks like one of our keys and yet cannot be one.
pub(super) fn is_mistyped(token: &str) -> bool {
    token.starts_with(PREFIX) && !is_whole(token)
}

fn is_whole(token: &str) -> bool {
    if token.len() != PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + CHECKSUM_CHARS
        || !token.is_ascii()
    {
        return false;
    }
    let (body, sum) = token.split_at(token.len() - CHECKSUM_CHARS);
    checksum(body) == sum
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_is_whole_and_its_id_is_in_it() {
        let minted = mint().unwrap();
        assert_eq!(minted.token.len(), 65);
        assert!(minted.token.starts_with(&format!("hf_{}_", minted.id)));
        assert!(!is_mistyped(&minted.token));
        assert_eq!(minted.hash, hash(&minted.token));
        assert_ne!(minted.token, mint().unwrap().token);
        assert!(!format!("{minted:?}").contains(&minted.token));
    }

    #[test]
    fn every_single_wrong_letter_is_seen() {
        let token = mint().unwrap().token;
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(bytes).unwrap();
            assert!(at < 3 || is_mistyped(&wrong), "position {at}: {wrong}");
        }
        assert!(is_mistyped(&token[..token.len() - 1]));
        assert!(is_mistyped(&format!("{token}x")));
    }

    #[test]
    fn a_key_that_is_not_ours_is_not_judged() {
        assert!(!is_mistyped("any-operator-chosen-string"));
    }
}

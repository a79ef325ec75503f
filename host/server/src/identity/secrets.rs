//! What the host keeps to itself: it makes keys' hashes worthless elsewhere, and signs sessions.

use super::keys;
use hmac::{Hmac, KeyInit, Mac};
use holdfast_model::key::KeyHash;
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Characters of the secret at least: 128 bits in hex.
pub const SECRET_CHARS_MIN: usize = 32;

/// Keys for each use, so that none says anything of another. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    /// Nothing, where no secret is configured: hashes are plain.
    pepper: Option<Arc<[u8; 32]>>,
    session: Arc<[u8; 32]>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Secrets {
    /// Keys from the configured secret. Without one hashes are plain, and sessions are signed with
    /// a key that ends with the process.
    #[must_use]
    pub fn new(secret: Option<&str>) -> Self {
        let derived = |secret: &str, use_: &str| Arc::new(mac(secret.as_bytes(), use_.as_bytes()));
        Self {
            pepper: secret.map(|secret| derived(secret, "holdfast API keys")),
            session: secret.map_or_else(
                || Arc::new(rand::random()),
                |secret| derived(secret, "holdfast sessions"),
            ),
        }
    }

    /// What a new key is kept as.
    #[must_use]
    pub fn hash(&self, token: &str) -> KeyHash {
        match &self.pepper {
            Some(pepper) => mac(pepper.as_slice(), token.as_bytes()),
            None => keys::hash(token),
        }
    }

    /// Whether a hash is of this key, made with the secret or before there was one.
    pub(super) fn is_of(&self, hash: &KeyHash, token: &str) -> bool {
        let of = |wanted: KeyHash| hash.ct_eq(&wanted);
        bool::from(of(self.hash(token)) | of(keys::hash(token)))
    }

    /// What a name and a password are remembered as: nothing that says what they are.
    pub(super) fn of_login(&self, user: &str, password: &str) -> KeyHash {
        // With the name's length, no other two texts say the same; and no session begins like this.
        let said = format!("log-in {} {user}{password}", user.len());
        mac(self.session.as_slice(), said.as_bytes())
    }

    /// Signs what a session says.
    pub(super) fn sign(&self, said: &[u8]) -> [u8; 32] {
        mac(self.session.as_slice(), said)
    }

    /// Whether a signature is ours.
    pub(super) fn has_signed(&self, said: &[u8], signature: &[u8]) -> bool {
        bool::from(self.sign(said).as_slice().ct_eq(signature))
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this is never anything else than the first.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(hmac) => hmac.chain_update(text).finalize().into_bytes().into(),
        Err(_) => rand::random(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_before_and_after_the_secret_are_told_from_others() {
        let (with, without) = (Secrets::new(Some("a secret")), Secrets::default());
        let (old, new) = (without.hash("hf_1"), with.hash("hf_1"));
        assert_ne!(old, new);
        assert!(with.is_of(&old, "hf_1") && with.is_of(&new, "hf_1"));
        assert!(!with.is_of(&new, "hf_2") && !without.is_of(&new, "hf_1"));
        let other = Secrets::new(Some("another"));
        assert!(!other.is_of(&new, "hf_1") && other.is_of(&old, "hf_1"));
        assert_eq!(new, Secrets::new(Some("a secret")).hash("hf_1"));
    }

    #[test]
    fn sessions_are_signed_with_a_key_of_their_own() {
        let secrets = Secrets::new(Some("a secret"));
        let signed = secrets.sign(b"said");
        assert!(secrets.has_signed(b"said", &signed));
        assert!(!secrets.has_signed(b"Said", &signed) && !secrets.has_signed(b"said", b""));
        assert_ne!(signed, secrets.hash("said"));
        assert_ne!(
            Secrets::default().sign(b"said"),
            Secrets::default().sign(b"said")
        );
    }
}

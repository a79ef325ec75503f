//! Who answers for a component: detached ed25519 signatures (RFC 8032) over its digest.
//!
//! | what | where | how it looks |
//! | --- | --- | --- |
//! | signature | `NAME.sig` beside `NAME.wasm` | `ed25519 <key id> <128 hex digits>`, one line |
//! | public key | `[plugins.trusted_keys]` of the host | `ed25519:<64 hex digits>` |
//! | private key | with who signs, never with the host | PKCS#8 in PEM (RFC 8410), as `openssl genpkey -algorithm ed25519` writes it |
//!
//! What is signed is a prefix and the SHA-256 of the component. The prefix keeps a signature that
//! was made for something else from passing for one over a plugin. A key id is no proof of
//! anything: it only says which key to try.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// The largest `NAME.sig`: one line of some 160 bytes, and a little room.
pub const SIGNATURE_FILE_BYTES_MAX: usize = 512;

/// Goes before the digest in what is signed.
const PREFIX: &[u8] = b"holdfast plugin v1\0";

const PUBLIC_KEY_BYTES: usize = 32;
const SEED_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// Bytes of a key's hash that make its id: enough to tell an operator's keys apart.
const KEY_ID_BYTES: usize = 8;

/// What stands before the seed in a PKCS#8 file of version 1 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; PUBLIC_KEY_BYTES],
}

impl PublicKey {
    /// Reads `ed25519:<64 hex digits>`.
    ///
    /// # Errors
    /// Another text; the error says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "is no public key; write ed25519: and 64 hex digits, as `holdfast plugin keygen` shows"
                .to_owned()
        };
        let digits = text.trim().strip_prefix("ed25519:").ok_or_else(wrong)?;
        let bytes = from_hex(digits).ok_or_else(wrong)?;
        Ok(Self { bytes })
    }

    /// The key itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether this key has signed a note: plain ed25519 over its text, as signed notes want it.
    #[must_use]
    pub fn has_signed_note(&self, text: &str, signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.bytes);
        key.verify(text.as_bytes(), signature).is_ok()
    }

    /// The first 16 hex digits of the key's SHA-256.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = Sha256::digest(self.bytes);
        to_hex(hash.get(..KEY_ID_BYTES).unwrap_or_default())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", to_hex(&self.bytes))
    }
}

/// What `NAME.sig` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    key_id: String,
    bytes: [u8; SIGNATURE_BYTES],
}

impl Signature {
    /// Reads the text of a `NAME.sig`.
    ///
    /// # Errors
    /// Another text; the error says what to do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "is no signature; it must be one line `ed25519 KEY-ID SIGNATURE`, as \
             `holdfast plugin sign` writes it"
                .to_owned()
        };
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let ["ed25519", key_id, digits] = words.as_slice() else {
            return Err(wrong());
        };
        let is_id = key_id.len() == KEY_ID_BYTES * 2 && key_id.bytes().all(is_hex_digit);
        if !is_id {
            return Err(wrong());
        }
        Ok(Self {
            key_id: (*key_id).to_owned(),
            bytes: from_hex(digits).ok_or_else(wrong)?,
        })
    }

    /// Which key it names.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Finds the trusted key that made this signature over a component with this digest.
    ///
    /// # Errors
    /// None of them did; the error says whether it is the key or the component that is wrong.
    pub fn verify<'k>(
        &self,
        trusted: &'k [PublicKey],
        digest: &[u8; 32],
    ) -> Result<&'k PublicKey, String> {
        let Some(key) = trusted.iter().find(|key| key.id() == self.key_id) else {
            return Err(format!(
                "is signed with key {}, which is not trusted for its kind; add it to \
                 plugins.trusted_keys, or have it signed with a key that is there",
                self.key_id
            ));
        };
        UnparsedPublicKey::new(&ED25519, key.bytes)
            .verify(&message(digest), &self.bytes)
            .map(|()| key)
            .map_err(|_| {
                "has a signature that is not over this component; it was changed after it was \
                 signed, or the signature is another one's: sign it again"
                    .to_owned()
            })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519 {} {}", self.key_id, to_hex(&self.bytes))
    }
}

/// A private key.
pub struct SigningKey {
    seed: [u8; SEED_BYTES],
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<Self, String> {
        let seed: [u8; SEED_BYTES] = ring::rand::generate(&SystemRandom::new())
            .map_err(|_| "the system gave no random bytes".to_owned())?
            .expose();
        Self::of_seed(seed)
    }

    /// Reads PKCS#8 in PEM.
    ///
    /// # Errors
    /// Another text, or a key of another kind. The error shows nothing of it.
    pub fn from_pem(text: &str) -> Result<Self, String> {
        let wrong = || {
            "is no private ed25519 key in PEM; make one with `holdfast plugin keygen` or \
             `openssl genpkey -algorithm ed25519`"
                .to_owned()
        };
        let (_, rest) = text.split_once(PEM_BEGIN).ok_or_else(wrong)?;
        let (body, _) = rest.split_once(PEM_END).ok_or_else(wrong)?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| wrong())?;
        let seed = der.strip_prefix(&PKCS8_HEAD).ok_or_else(wrong)?;
        Self::of_seed(seed.try_into().map_err(|_| wrong())?)
    }

    /// The key as PKCS#8 in PEM: a secret.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let der = [PKCS8_HEAD.as_slice(), self.seed.as_slice()].concat();
        format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", STANDARD.encode(der))
    }

    /// What others check its signatures with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        for (to, from) in bytes.iter_mut().zip(self.pair.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey { bytes }
    }

    /// Signs a component by its digest.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let made = self.pair.sign(&message(digest));
        let mut bytes = [0; SIGNATURE_BYTES];
        for (to, from) in bytes.iter_mut().zip(made.as_ref()) {
            *to = *from;
        }
        Signature {
            key_id: self.public().id(),
            bytes,
        }
    }

    /// Signs a note. It is text that begins with the name of a log, and the prefix of those
    /// over components begins no such name, so it is never a signature over a component.
    #[must_use]
    pub fn sign_note(&self, text: &str) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        for (to, from) in bytes
            .iter_mut()
            .zip(self.pair.sign(text.as_bytes()).as_ref())
        {
            *to = *from;
        }
        bytes
    }

    fn of_seed(seed: [u8; SEED_BYTES]) -> Result<Self, String> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| "the key is not usable; make another one".to_owned())?;
        Ok(Self { seed, pair })
    }
}

impl fmt::Debug for SigningKey {
    /// Says which key it is and not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.public().id())
            .finish_non_exhaustive()
    }
}

fn message(digest: &[u8; 32]) -> Vec<u8> {
    [PREFIX, digest.as_slice()].concat()
}

const fn is_hex_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hex digits in lower case, exactly as many as there must be.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N.checked_mul(2)? || !text.bytes().all(is_hex_digit) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let at = index.checked_mul(2)?;
        *byte = u8::from_str_radix(text.get(at..at.checked_add(2)?)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: [u8; 32] = [7; 32];

    /// As openssl 3 writes one, its secret all ones.
    const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIP//////////////////////////////////////////
-----END PRIVATE KEY-----
";

    #[test]
    fn what_was_signed_is_found_good_by_its_key_alone() {
        let ours = SigningKey::generate().unwrap();
        let theirs = SigningKey::generate().unwrap();
        let signature = Signature::parse(&ours.sign(&DIGEST).to_string()).unwrap();
        let trusted = [theirs.public(), ours.public()];
        assert_eq!(signature.verify(&trusted, &DIGEST), Ok(&ours.public()));
        let unknown = signature.verify(&[theirs.public()], &DIGEST).unwrap_err();
        assert!(unknown.contains("not trusted"), "{unknown}");
        assert!(signature.verify(&[], &DIGEST).is_err());
        let changed = signature.verify(&trusted, &[8; 32]).unwrap_err();
        assert!(changed.contains("changed"), "{changed}");
        // Somebody else's signature under the name of a trusted key.
        let forged = Signature {
            key_id: ours.public().id(),
            ..theirs.sign(&DIGEST)
        };
        assert!(forged.verify(&trusted, &DIGEST).is_err());
    }

    #[test]
    fn a_signature_over_the_bare_digest_is_none() {
        let key = SigningKey::generate().unwrap();
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(key.pair.sign(&DIGEST).as_ref());
        let bare = Signature {
            key_id: key.public().id(),
            bytes,
        };
        assert!(bare.verify(&[key.public()], &DIGEST).is_err());
    }

    #[test]
    fn keys_go_into_files_and_out_again() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(
            PublicKey::parse(&key.public().to_string()).unwrap(),
            key.public()
        );
        assert_eq!(SigningKey::from_pem(OPENSSL).unwrap().to_pem().len(), 119);
        assert!(!format!("{key:?}").contains(&to_hex(&key.seed)));
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_refused() {
        let digits = "0".repeat(64);
        for text in [
            "",
            "ed25519:",
            &digits,
            &format!("rsa:{digits}"),
            &format!("ed25519:{digits}0"),
            &format!("ed25519:{}", "g".repeat(64)),
        ] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
        let id = "0".repeat(16);
        for text in [
            "",
            "ed25519",
            &format!("ed25519 {id}"),
            &format!("ed25519 {id} {digits}"),
            &format!("ed25519 {id} {digits}{digits} more"),
            &format!("ed25519 0 {digits}{digits}"),
            &format!("rsa {id} {digits}{digits}"),
        ] {
            assert!(Signature::parse(text).is_err(), "{text}");
        }
        let other = format!("{PEM_BEGIN}\n{}\n{PEM_END}", STANDARD.encode([0; 48]));
        for text in ["", PEM_BEGIN, &other] {
            assert!(SigningKey::from_pem(text).is_err(), "{text}");
        }
    }
}

//! Addresses, and who signed a message with a key of their own.

use super::SiweError;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};
use std::fmt;

/// An address of a chain of Ethereum's kind.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(pub(super) [u8; 20]);

impl Address {
    /// Reads `0x` and forty hex digits. Of mixed case only the spelling of EIP-55 counts, whose
    /// case is a checksum.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, SiweError> {
        let wrong = SiweError::Garbled("its address");
        let digits = text.strip_prefix("0x").ok_or(wrong.clone())?;
        let bytes = hex(digits).ok_or(wrong.clone())?;
        let address = Self(bytes.try_into().map_err(|_| wrong.clone())?);
        let is_mixed = digits.bytes().any(|b| b.is_ascii_uppercase())
            && digits.bytes().any(|b| b.is_ascii_lowercase());
        if is_mixed && address.checksummed() != text {
            return Err(wrong);
        }
        Ok(address)
    }

    /// The spelling of EIP-55.
    #[must_use]
    pub fn checksummed(&self) -> String {
        let plain = self.to_string();
        let digits = plain.trim_start_matches("0x");
        let hash = Keccak256::digest(digits.as_bytes());
        let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let cased = digits
            .chars()
            .zip(nibbles)
            .map(|(digit, nibble)| match nibble {
                8.. => digit.to_ascii_uppercase(),
                _ => digit,
            });
        format!("0x{}", cased.collect::<String>())
    }

    /// The DID of a wallet (CAIP-10). A key is the same on every chain, a contract is not.
    #[must_use]
    pub fn did(&self, chain: u64) -> String {
        format!("did:pkh:eip155:{chain}:{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes of hex digits.
pub(in crate::identity) fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    let pair = |at: usize| {
        let pair = digits.get(at..at + 2)?;
        let is_hex = pair.bytes().all(|b| b.is_ascii_hexdigit());
        u8::from_str_radix(pair, 16).ok().filter(|_| is_hex)
    };
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// The hash that a wallet signs of a message (ERC-191, version 0x45).
#[must_use]
pub(in crate::identity) fn hash_of(message: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update(b"\x19Ethereum Signed Message:\n")
        .chain_update(message.len().to_string())
        .chain_update(message)
        .finalize()
        .into()
}

/// The address whose key made a signature of a message: 65 bytes, r, s and v.
#[must_use]
pub fn signer_of(message: &str, signature: &[u8]) -> Option<Address> {
    let (v, rs) = signature.split_last()?;
    let parity = match v {
        0 | 27 => false,
        1 | 28 => true,
        _ => return None,
    };
    let signature = Signature::from_slice(rs).ok()?;
    // Of the two forms of each signature wallets make this one (EIP-2).
    if signature.normalize_s().is_some() {
        return None;
    }
    let id = RecoveryId::new(parity, false);
    let key = VerifyingKey::recover_from_prehash(&hash_of(message), &signature, id).ok()?;
    let point = key.to_encoded_point(false);
    let hash = Keccak256::digest(point.as_bytes().get(1..)?);
    let last = hash.get(12..)?;
    Some(Address(last.try_into().ok()?))
}

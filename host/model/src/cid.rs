//! Content identifiers, version 0 and 1.
//!
//! A pin's key is the *full* CID: `Qm…` and the same digest as a version 1 CID are two pins, as in
//! IPFS Cluster (`state/dsstate`). The text form is the canonical one: base58 for version 0, base32
//! for version 1, whatever base the caller used.

use crate::error::Invalid;
use crate::forms::text_and_bytes;
use crate::limits::CID_CHARS_MAX;
use cid::{CidGeneric, Version, multibase};
use std::fmt;

/// Bytes of the longest digest we hold. Identity CIDs carry up to 128 bytes of content in Kubo.
const DIGEST_BYTES_MAX: usize = 128;

type Inner = CidGeneric<DIGEST_BYTES_MAX>;

/// A content identifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cid(Inner);

impl Cid {
    /// Parses the text form in any multibase.
    ///
    /// # Errors
    /// Text that is too long or no CID.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > CID_CHARS_MAX {
            return Err(invalid(&format!("longer than {CID_CHARS_MAX} characters")));
        }
        if text.starts_with("/ipfs/") || text.contains("://") {
            return Err(invalid("is a path or a URL; send the bare CID"));
        }
        if Version::is_v0_str(text) {
            let cid = Inner::try_from(text).map_err(|e| invalid(&e.to_string()))?;
            return Ok(Self(cid));
        }
        let (_, bytes) = multibase::decode(text).map_err(|e| invalid(&e.to_string()))?;
        // The crate stops reading at the digest's end: `bafkqaaa` and the same with more letters
        // would be two spellings of one pin.
        Self::from_bytes(&bytes)
    }

    /// Parses the binary form; the whole slice must be one CID.
    ///
    /// # Errors
    /// Bytes that are no CID, or have something after it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let mut rest = bytes;
        let cid = Inner::read_bytes(&mut rest).map_err(|e| invalid(&e.to_string()))?;
        if rest.is_empty() {
            Ok(Self(cid))
        } else {
            Err(invalid("has bytes after its end"))
        }
    }

    /// The binary form: what is hashed, stored and sent in protobuf.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// The digest without codec and hash function; uniform for every real hash function.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        self.0.hash().digest()
    }
}

fn invalid(why: &str) -> Invalid {
    Invalid::new("cid", format!("{why}; write a CID such as bafybei… or Qm…"))
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

text_and_bytes!(Cid);

#[cfg(test)]
mod tests {
    use super::*;

    const V0: &str = "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq";
    const V1: &str = "bafkreie2v3u4hdfg3efr4xyptxadvroajgglu4crjvtjtzbc7alx3pzb3a";

    #[test]
    fn text_and_bytes_round_trip() {
        for text in [V0, V1, "bafkqaaa"] {
            let cid = Cid::parse(text).unwrap();
            assert_eq!(cid.to_string(), text);
            assert_eq!(Cid::from_bytes(&cid.to_bytes()).unwrap(), cid);
        }
    }

    #[test]
    fn another_base_is_the_same_cid_in_canonical_text() {
        let base16 = "f015512209aaee9c38ca6d90b1e5f0f9dc03ac5c0498cba70514d6699e422f8177dbf21d8";
        assert_eq!(Cid::parse(base16).unwrap().to_string(), V1);
    }

    #[test]
    fn what_is_no_cid_is_refused_with_its_mend() {
        let long = "b".repeat(CID_CHARS_MAX + 1);
        for text in [
            "",
            "Qm",
            "hello",
            "bafkqaaaa4",
            "bafkqabdimvwgy3y",
            "/ipfs/bafkqaaa",
            "ipfs://bafkqaaa",
            &long,
            "bafkreie2v3",
        ] {
            let refused = Cid::parse(text).unwrap_err();
            assert_eq!(refused.what, "cid");
            assert!(refused.why.contains("CID"), "{text:?}: {refused}");
        }
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = Cid::parse(V1).unwrap().to_bytes();
        bytes.push(0);
        assert!(Cid::from_bytes(&bytes).is_err());
    }
}

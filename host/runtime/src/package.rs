//! A plugin as it is delivered: the component, and what lies beside it under the same name.

use sha2::{Digest, Sha256};

/// All files of one plugin, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// `NAME.wasm`.
    pub(crate) wasm: Vec<u8>,
    /// `NAME.toml`: the operator's side. Empty if there is none.
    pub(crate) manifest: String,
    /// `NAME.sig`.
    pub(crate) signature: Option<String>,
    /// `NAME.vectors.json`.
    pub(crate) vectors: Option<String>,
    /// SHA-256 of the component.
    pub(crate) digest: [u8; 32],
    /// What tells this package from another: all files are in it.
    pub(crate) fingerprint: Fingerprint,
}

/// SHA-256 over all files of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint([u8; 32]);

impl Package {
    /// Puts a package together.
    pub(crate) fn new(
        wasm: Vec<u8>,
        manifest: String,
        signature: Option<String>,
        vectors: Option<String>,
    ) -> Self {
        let digest: [u8; 32] = Sha256::digest(&wasm).into();
        let mut all = Sha256::new();
        all.update(digest);
        // Each part's hash, so that no part can pass for the end of another; none differs from
        // empty.
        let parts = [Some(&manifest), signature.as_ref(), vectors.as_ref()];
        for part in parts {
            match part {
                None => all.update([0]),
                Some(text) => {
                    all.update([1]);
                    all.update(Sha256::digest(text.as_bytes()));
                }
            }
        }
        Self {
            wasm,
            manifest,
            signature,
            vectors,
            digest,
            fingerprint: Fingerprint(all.finalize().into()),
        }
    }
}

impl Fingerprint {
    /// The digits, as the state file and its folders name it.
    pub(crate) fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// A digest as people write it.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_in_the_fingerprint() {
        let of = |wasm: &str, manifest: &str, signature: Option<&str>, vectors: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Package::new(wasm.into(), manifest.into(), own(signature), own(vectors)).fingerprint
        };
        let all = [
            of("a", "", None, None),
            of("b", "", None, None),
            of("a", "x", None, None),
            of("a", "", Some("x"), None),
            of("a", "", None, Some("x")),
            of("a", "", Some(""), None),
            of("a", "x", Some("x"), None),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(!all[n + 1..].contains(one), "{n}");
        }
        assert_eq!(of("a", "x", None, None), of("a", "x", None, None));
    }
}

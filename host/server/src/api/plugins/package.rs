//! A plugin on the wire: its files in one JSON object.

use crate::api::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_model::Invalid;
use holdfast_runtime::InstallParts;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::Duration;
use utoipa::ToSchema;

/// Bytes of a package: the largest component that a manifest can allow has 32 MiB, which are 43 in
/// base64; the texts beside it are 2 at most.
pub(super) const PACKAGE_BYTES_MAX: usize = 46 * 1024 * 1024;

/// How long a package may take to arrive: 20 MB over 10 Mbit/s.
pub(super) const PACKAGE_TIMEOUT: Duration = Duration::from_secs(16);

/// A plugin, as it is put in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PluginPackage)]
pub(crate) struct Package {
    /// The component, in base64 (RFC 4648, section 4).
    wasm: String,
    /// `NAME.toml`: settings and limits. Without it the one that is there stays.
    manifest: Option<String>,
    /// `NAME.sig`: `ed25519 KEY-ID SIGNATURE`.
    signature: Option<String>,
    /// `NAME.vectors.json`: golden vectors.
    vectors: Option<String>,
}

/// The same, taken apart.
pub(super) struct Unpacked {
    parts: InstallParts,
    /// SHA-256 of the component, in hex.
    pub(super) digest: String,
}

impl Package {
    /// Takes it apart.
    pub(super) fn unpacked(self) -> Result<Unpacked, Problem> {
        let wasm = STANDARD.decode(self.wasm.as_bytes());
        let wasm = wasm.map_err(|e| Invalid::new("wasm", format!("is no base64 ({e})")))?;
        let digest = Sha256::digest(&wasm);
        Ok(Unpacked {
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            parts: InstallParts {
                wasm,
                manifest: self.manifest,
                signature: self.signature,
                vectors: self.vectors,
            },
        })
    }
}

impl Unpacked {
    /// What the runtime installs.
    pub(super) fn into_parts(self) -> InstallParts {
        self.parts
    }
}

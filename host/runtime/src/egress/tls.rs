//! Whom the other side must be.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where systems keep the certificates of those whom they trust: Debian, Fedora, SUSE, Alpine and
/// macOS.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/// The configuration for all plugins. Sessions are not resumed: a ticket would tell one plugin's
/// connections from another's.
pub(crate) fn client(roots: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(trusted_certificates(roots)?)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates in a file; without one, those that the system trusts.
///
/// # Errors
/// A file that cannot be read.
pub fn trusted_certificates(roots: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let system = || SYSTEM_ROOTS.iter().map(PathBuf::from).find(|p| p.exists());
    let Some(path) = roots.map(Path::to_path_buf).or_else(system) else {
        tracing::warn!(
            "this machine has no list of trusted certificates: nothing is reached over https until plugins.trusted_roots and auth.trusted_roots name one"
        );
        return Ok(store);
    };
    let shown = path.display();
    let certificates = CertificateDer::pem_file_iter(&path)
        .map_err(|e| format!("the trusted certificates {shown} cannot be read ({e})"))?;
    for certificate in certificates {
        let certificate =
            certificate.map_err(|e| format!("the trusted certificates {shown}: {e}"))?;
        // A system's list may have one that is too old to be read; the others count.
        if let Err(error) = store.add(certificate) {
            tracing::debug!(file = %shown, %error, "a trusted certificate cannot be used");
        }
    }
    Ok(store)
}

//! Certificates: read, checked, and replaced without dropping a connection.

use crate::config::{ClusterApi, Complaint, Server};
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// The certificate in force.
#[derive(Debug)]
pub struct Certificate {
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Begins with this one.
    #[must_use]
    pub fn new(first: CertifiedKey) -> Self {
        Self {
            current: ArcSwap::from_pointee(first),
        }
    }

    /// Handshakes from now on get this one.
    pub fn replace(&self, next: CertifiedKey) {
        self.current.store(Arc::new(next));
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Reads the certificate and key that are configured; nothing if there are none.
///
/// # Errors
/// Files that cannot be read, or do not belong together.
pub fn read(server: &Server) -> Result<Option<CertifiedKey>, Complaint> {
    match (&server.tls_cert, &server.tls_key) {
        (Some(cert), Some(key)) => pair("server", cert, key).map(Some),
        _ => Ok(None),
    }
}

/// The same for the listener of IPFS Cluster's interface; nothing if it has none of its own.
///
/// # Errors
/// As [`read`].
pub fn read_cluster(cluster: &ClusterApi) -> Result<Option<CertifiedKey>, Complaint> {
    match (&cluster.tls_cert, &cluster.tls_key) {
        (Some(cert), Some(key)) => pair("cluster", cert, key).map(Some),
        _ => Ok(None),
    }
}

fn pair(section: &str, cert: &Path, key: &Path) -> Result<CertifiedKey, Complaint> {
    let chain = chain(cert).map_err(|why| {
        Complaint::new(
            format!("{section}.tls_cert"),
            why,
            "name a file with a certificate chain in PEM",
        )
    })?;
    let wrong_key = |why: String| {
        Complaint::new(
            format!("{section}.tls_key"),
            why,
            "name the certificate's private key in PEM",
        )
    };
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| wrong_key(format!("{}: {e}", key.display())))?;
    CertifiedKey::from_der(chain, private, &ring::default_provider())
        .map_err(|e| wrong_key(format!("{}: {e}", key.display())))
}

/// Reads certificates from a PEM file.
///
/// # Errors
/// A file that cannot be read, or has none.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |why: String| format!("{}: {why}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| wrong(e.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("has no certificate".to_owned()));
    }
    Ok(chain)
}

/// What the listener speaks: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
///
/// # Errors
/// A cryptography provider without these versions: a fault of ours.
pub fn server_config(certificate: Arc<Certificate>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    Ok(speaking_http(config))
}

/// The authorities from which clients of IPFS Cluster's interface need a certificate; nothing if
/// they need none.
///
/// # Errors
/// A file that names no authority.
pub fn authorities(cluster: &ClusterApi) -> Result<Option<RootCertStore>, Complaint> {
    let Some(file) = &cluster.client_ca else {
        return Ok(None);
    };
    let wrong = |why: String| {
        let write = "name a file with the authorities' certificates in PEM";
        Complaint::new("cluster.client_ca", why, write)
    };
    let mut roots = RootCertStore::empty();
    for authority in chain(file).map_err(wrong)? {
        let added = roots.add(authority);
        added.map_err(|e| wrong(format!("{}: {e}", file.display())))?;
    }
    Ok(Some(roots))
}

/// What a listener speaks that shows what `shown` shows, to clients alone that have a certificate
/// by one of these authorities.
///
/// # Errors
/// As [`server_config`].
pub fn for_certified(
    shown: &ServerConfig,
    authorities: RootCertStore,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let authorities = Arc::new(authorities);
    let clients = WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(&provider))
        .build()
        .map_err(|e| rustls::Error::General(e.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::clone(&shown.cert_resolver));
    Ok(speaking_http(config))
}

fn speaking_http(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

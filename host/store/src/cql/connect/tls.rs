//! TLS to the nodes.
//!
//! The cryptography is named (ring), because with two providers in the program the library refuses
//! to choose one, and the driver brings a second one in.

use crate::Result;
use crate::cql::settings::TlsFiles;
use crate::error::StoreError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// Reads the files, so that a new session takes up new certificates.
pub(crate) async fn configuration(files: &TlsFiles) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(&files.ca).await?);
    let unusable = |e: &dyn std::fmt::Display| unusable("store.cql.tls", e.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| unusable(&e))?;
    let builder = match &files.server_name {
        None => builder.with_root_certificates(roots),
        Some(name) => {
            let verifier = Named::new(roots, provider, name)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let configuration = match &files.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (chain, key) = (certificates(chain).await?, private_key(key).await?);
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|e| unusable(&e))?
        }
    };
    Ok(Arc::new(configuration))
}

async fn roots(ca: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca).await? {
        roots
            .add(certificate)
            .map_err(|e| unusable(&ca.display().to_string(), e.to_string()))?;
    }
    Ok(roots)
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display().to_string();
    let pem = read(path).await?;
    let certificates: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|e| unusable(&shown, e.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(&shown, "holds no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

async fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = read(path).await?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|e| unusable(&path.display().to_string(), e.to_string()))
}

async fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = tokio::fs::read(path).await;
    bytes.map_err(|source| unusable(&path.display().to_string(), source.to_string()))
}

fn unusable(path: &str, why: String) -> StoreError {
    StoreError::Open {
        path: path.to_owned(),
        why,
    }
}

/// Checks every node's certificate as usual, but for one name and not for the address connected to:
/// for clusters whose certificates name no addresses.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl Named {
    fn new(roots: Arc<RootCertStore>, provider: Arc<CryptoProvider>, name: &str) -> Result<Self> {
        const KEY: &str = "store.cql.tls.server_name";
        let inner = WebPkiServerVerifier::builder_with_provider(roots, provider);
        let inner = inner.build().map_err(|e| unusable(KEY, e.to_string()))?;
        let name = ServerName::try_from(name.to_owned());
        let name = name.map_err(|e| unusable(KEY, e.to_string()))?;
        Ok(Self { inner, name })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _connected_to: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let name = &self.name;
        self.inner
            .verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

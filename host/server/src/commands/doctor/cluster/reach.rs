//! From a contact point's name to a TLS session with it.

use super::STEP_TIMEOUT;
use crate::clock::Clock;
use crate::commands::doctor::Finding;
use crate::commands::doctor::certificate;
use crate::ops::tls;
use holdfast_model::UnixMillis;
use holdfast_store::{CqlSettings, TlsFiles};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The port of CQL, where a contact point names none.
const PORT: u16 = 9042;

/// So many days before a certificate ends, somebody should know.
const DAYS_LEFT_MIN: u64 = 14;

const DAY_MILLIS: u64 = 86_400_000;

/// Each step to a contact point, up to the first that fails.
pub(super) async fn point(point: &str, settings: &CqlSettings) -> Vec<Finding> {
    let (host, port) = host_and_port(point);
    let mut findings = Vec::new();
    let addresses = match resolved(&host, port).await {
        Ok(addresses) => addresses,
        Err(why) => {
            let mend = "mend the name in store.cql.contact_points, or the DNS of this machine";
            return vec![Finding::ill(&format!("dns {host}"), why, mend)];
        }
    };
    if host.parse::<std::net::IpAddr>().is_err() {
        let all: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
        findings.push(Finding::well(&format!("dns {host}"), all.join(", ")));
    }
    for address in addresses {
        let what = format!("tcp {address}");
        let stream = match timeout(STEP_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            failed => {
                let why = failed.map_or_else(|_| "no answer".to_owned(), |e| said(e.err()));
                let mend = "start the node, open its port in the firewall, or look at \
                            native_transport_port and rpc_address in cassandra.yaml";
                findings.push(Finding::ill(&what, why, mend));
                continue;
            }
        };
        findings.push(Finding::well(&what, "connects"));
        if let Some(files) = &settings.tls {
            findings.push(handshake(stream, &host, address, files).await);
        }
    }
    findings
}

fn said(error: Option<std::io::Error>) -> String {
    error.map(|e| e.to_string()).unwrap_or_default()
}

/// `host`, `host:port`, `::1` or `[::1]:port`; the configuration has checked that it is one.
fn host_and_port(point: &str) -> (String, u16) {
    if point.parse::<std::net::IpAddr>().is_ok() {
        return (point.to_owned(), PORT);
    }
    let (host, port) = match point.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(PORT)),
        None => (point, PORT),
    };
    (host.trim_matches(['[', ']']).to_owned(), port)
}

async fn resolved(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let looked_up = timeout(STEP_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    let found = looked_up.map_err(|_| "no answer from the DNS".to_owned())?;
    let mut all: Vec<SocketAddr> = found.map_err(|e| e.to_string())?.collect();
    all.sort();
    all.dedup();
    match all.is_empty() {
        true => Err("has no address".to_owned()),
        false => Ok(all),
    }
}

async fn handshake(
    stream: TcpStream,
    host: &str,
    address: SocketAddr,
    files: &TlsFiles,
) -> Finding {
    let what = format!("tls {address}");
    let (client, name) = match prepared(files, host) {
        Ok(prepared) => prepared,
        Err(why) => {
            return Finding::ill(&what, why, "mend the files that store.cql.tls names");
        }
    };
    let shaking = tokio_rustls::TlsConnector::from(client).connect(name, stream);
    match timeout(STEP_TIMEOUT, shaking).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let first = session.peer_certificates().and_then(<[_]>::first);
            let ends = first.and_then(|certificate| certificate::not_after(certificate));
            expiry(&what, ends, Clock::System.now())
        }
        Ok(Err(error)) => Finding::ill(&what, error.to_string(), mend_of(&error)),
        Err(_) => Finding::ill(
            &what,
            "the node does not answer the handshake",
            "turn on client_encryption_options at the node, or take store.cql.tls.ca out",
        ),
    }
}

/// What to say of a certificate that is good today.
fn expiry(what: &str, ends: Option<UnixMillis>, now: UnixMillis) -> Finding {
    let Some(ends) = ends else {
        return Finding::well(what, "the certificate is good");
    };
    let days = ends.millis_since(now) / DAY_MILLIS;
    let detail = format!("the certificate is good for {days} days more");
    match days < DAYS_LEFT_MIN {
        true => Finding::doubt(what, detail, "renew the node's certificate"),
        false => Finding::well(what, detail),
    }
}

fn prepared(
    files: &TlsFiles,
    host: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let mut roots = RootCertStore::empty();
    for certificate in tls::chain(&files.ca)? {
        let added = roots.add(certificate);
        added.map_err(|e| format!("{}: {e}", files.ca.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots);
    let client = match &files.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
            let chain = tls::chain(cert)?;
            builder
                .with_client_auth_cert(chain, private)
                .map_err(|e| format!("{}: {e}", cert.display()))?
        }
    };
    let name = files.server_name.as_deref().unwrap_or(host).to_owned();
    let shown = name.clone();
    let name = ServerName::try_from(name).map_err(|e| format!("{shown}: {e}"))?;
    Ok((Arc::new(client), name))
}

fn mend_of(error: &std::io::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};
    let inner = error.get_ref().and_then(|of| of.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(Bad::UnknownIssuer)) => {
            "let store.cql.tls.ca name the authority that signed the nodes' certificates"
        }
        Some(Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        )) => {
            "put the node's address into its certificate's alternative names, or set \
             store.cql.tls.server_name to the name that is there"
        }
        Some(Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => {
            "renew the node's certificate"
        }
        Some(Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. })) => {
            "set the clock of this machine or of the node"
        }
        Some(Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure)) => {
            "the nodes ask for a client certificate: set store.cql.tls.cert and store.cql.tls.key"
        }
        Some(Error::AlertReceived(_)) => {
            "let store.cql.tls.cert be of an authority that the nodes trust"
        }
        _ => "look whether the node speaks TLS on this port (client_encryption_options)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_taken_apart() {
        for (point, host, port) in [
            ("db1", "db1", 9042),
            ("db1:9142", "db1", 9142),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("::1", "::1", 9042),
            ("[::1]:9", "::1", 9),
        ] {
            assert_eq!(host_and_port(point), (host.to_owned(), port));
        }
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        let now = UnixMillis::new(1_000 * DAY_MILLIS);
        let of = |days: u64| expiry("tls", Some(now.plus_millis(days * DAY_MILLIS)), now);
        assert!(of(DAYS_LEFT_MIN).mend.is_none());
        let soon = of(DAYS_LEFT_MIN - 1);
        assert!(soon.ok && soon.mend.is_some(), "{soon:?}");
        assert!(soon.detail.contains("13 days"), "{soon:?}");
    }
}

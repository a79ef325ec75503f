//! What each value alone cannot show: whether they fit together.

use super::problem::Complaint;
use super::sections::{Config, StoreKind};

/// Characters that the first administrator's key must have; `identity::bootstrap` holds to it too.
const BOOTSTRAP_KEY_BYTES_MIN: usize = 16;

pub(super) fn check(config: &Config) -> Vec<Complaint> {
    let mut wrong = Vec::new();
    if config.store.kind == StoreKind::Cql {
        wrong.push(Complaint::new(
            "store.kind",
            "the CQL store is not in this build yet",
            "write \"embedded\"",
        ));
    }
    let server = &config.server;
    match (&server.tls_cert, &server.tls_key) {
        (Some(_), None) => {
            wrong.push(Complaint::new(
                "server.tls_key",
                "is missing beside tls_cert",
                "name the certificate's key",
            ));
        }
        (None, Some(_)) => {
            wrong.push(Complaint::new(
                "server.tls_cert",
                "is missing beside tls_key",
                "name the key's certificate",
            ));
        }
        _ => {}
    }
    if server.listen == config.ops.listen && server.listen.port() != 0 {
        let text = "is the main listener's address too";
        wrong.push(Complaint::new(
            "ops.listen",
            text,
            "write another port, such as 127.0.0.1:8421",
        ));
    }
    kubo(config, &mut wrong);
    if let Some(key) = &config.auth.bootstrap_admin_key {
        let fits = key.reveal().len() >= BOOTSTRAP_KEY_BYTES_MIN
            && key.reveal().bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            wrong.push(Complaint::new(
                "auth.bootstrap_admin_key",
                "is shorter than 16 characters or has other ones than visible ASCII",
                "make one with `openssl rand -hex 32`",
            ));
        }
    }
    wrong
}

fn kubo(config: &Config, wrong: &mut Vec<Complaint>) {
    if config.kubo.api.is_empty() {
        wrong.push(Complaint::new(
            "kubo.api",
            "names no node",
            "write [\"http://127.0.0.1:5001\"]",
        ));
    }
    for api in &config.kubo.api {
        let is_url = url::Url::parse(api).is_ok_and(|url| url.scheme() == "http" && url.has_host());
        if !is_url && !api.starts_with('/') {
            wrong.push(Complaint::new(
                "kubo.api",
                format!("{api:?} is no address of an RPC API"),
                "write http://HOST:PORT or a multiaddr such as /ip4/127.0.0.1/tcp/5001",
            ));
        }
    }
    for delegate in &config.kubo.delegates {
        if let Err(e) = holdfast_model::Origin::parse(delegate) {
            wrong.push(Complaint::new(
                "kubo.delegates",
                format!("{delegate:?} {}", e.why),
                "write a multiaddr that ends in /p2p/PEER-ID",
            ));
        } else if !delegate.contains("/p2p/") {
            wrong.push(Complaint::new(
                "kubo.delegates",
                format!("{delegate:?} names no peer"),
                "let it end in /p2p/PEER-ID",
            ));
        }
    }
    if config.kubo.retry_first.0 > config.kubo.retry_longest.0 {
        let mend = "write a span that is not shorter than kubo.retry_first";
        wrong.push(Complaint::new(
            "kubo.retry_longest",
            "is shorter than the first wait",
            mend,
        ));
    }
}

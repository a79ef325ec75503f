//! Why there is no session: what time can mend, and what somebody must.

use super::unreachable;
use crate::cql::settings::CqlSettings;
use crate::error::StoreError;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind as Setup, DbError,
    MetadataError, NewSessionError,
};

/// What a failed attempt to connect is to the caller: `Open` if it would fail again just so.
pub(super) fn not_connected(settings: &CqlSettings, error: &NewSessionError) -> StoreError {
    let refused = |key: &str, why: String| StoreError::Open {
        path: key.to_owned(),
        why,
    };
    let connection = match error {
        NewSessionError::FailedToResolveAnyHostname(names) => {
            let why = format!("no name can be resolved: {}", names.join(", "));
            return unreachable(settings, &why);
        }
        NewSessionError::MetadataError(MetadataError::ConnectionPoolError(
            ConnectionPoolError::Broken {
                last_connection_error,
            },
        )) => last_connection_error,
        other => return unreachable(settings, &other.to_string()),
    };
    match connection {
        ConnectionError::ConnectionSetupRequestError(setup) => match setup.get_error() {
            Setup::DbError(DbError::AuthenticationError, said) => {
                let role = settings
                    .login
                    .as_ref()
                    .map_or("", |of| of.username.as_str());
                let why = format!("the cluster refuses the login of {role:?}: {said}");
                refused("store.cql.password", why)
            }
            Setup::MissingAuthentication => {
                let why = "the cluster asks for a login; set username and password";
                refused("store.cql.username", why.to_owned())
            }
            other => unreachable(settings, &cut_off(settings, other)),
        },
        ConnectionError::IoError(io) => {
            let tls = io
                .get_ref()
                .and_then(|of| of.downcast_ref::<rustls::Error>());
            match tls {
                Some(tls) => refused("store.cql.tls", mend(tls)),
                None => unreachable(settings, &cut_off(settings, io)),
            }
        }
        other => unreachable(settings, &cut_off(settings, other)),
    }
}

/// With TLS 1.3 a node looks at our certificate only after the handshake is over on our side, and
/// mostly hangs up before its complaint has been read.
fn cut_off(settings: &CqlSettings, error: &dyn std::fmt::Display) -> String {
    let mend = match &settings.tls {
        None => return error.to_string(),
        Some(files) if files.client.is_none() => {
            "if the nodes ask for a client certificate, set tls.cert and tls.key"
        }
        Some(_) => "if it goes on, look whether the nodes trust the authority of tls.cert",
    };
    format!("{error}; {mend}")
}

/// What the library says, and what to do about it.
fn mend(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    let mend = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "tls.ca must hold the authority that signed the nodes' certificates"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "the nodes' certificates must name their addresses, or tls.server_name the name they have"
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "renew the nodes' certificates",
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        ) => "the nodes ask for a client certificate: set tls.cert and tls.key",
        Error::AlertReceived(_) => {
            "the nodes refuse our certificate: tls.cert must be of an authority that they trust"
        }
        _ => "look whether the nodes speak TLS on this port",
    };
    format!("{error}; {mend}")
}

//! IPFS Cluster's words for what goes wrong: `{"code":404,"message":"…"}`.

use super::{Problem, Told};
use crate::api::reply::Reply;
use crate::identity::AuthError;
use crate::pins::cluster::ClusterError;
use crate::workers::kubo::KuboError;
use axum::http::{HeaderValue, StatusCode, header};
use holdfast_model::ErrorKind;
use serde::Serialize;

/// What a client is told who did not say who it is: either will do.
const CHALLENGES: [&str; 2] = [
    r#"Bearer realm="Restricted IPFS Cluster API""#,
    r#"Basic realm="Restricted IPFS Cluster API""#,
];

impl Problem {
    /// Peers are Kubo nodes that an operator names.
    pub(crate) fn fixed_peers() -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NOT_IMPLEMENTED",
            "peers are the Kubo nodes that kubo.api names in the host's configuration; change them there and restart the host",
        )
    }

    /// No node has answered yet, or none does now.
    pub(crate) fn no_node() -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            "no IPFS node answers now; try again",
        )
    }

    /// Only other hosts drive nodes; one that is to have its own may not have reached it yet.
    pub(crate) fn others_nodes() -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            "this host drives no IPFS node, and cannot call those of other hosts; ask a host with \
             the role worker, or give this one that role and a node in kubo.api",
        )
    }

    /// No route of the cluster's interface has this path; clients look for these words.
    pub(crate) fn no_cluster_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "not found")
    }

    /// Who is not let in, in words that clients of IPFS Cluster know.
    pub(crate) fn not_let_in(error: AuthError) -> Self {
        let words = match &error {
            AuthError::Missing => "unauthorized: no auth provided",
            AuthError::Token(_) | AuthError::Expired | AuthError::Revoked => {
                "unauthorized: invalid token"
            }
            _ => "unauthorized: access denied",
        };
        let mut problem = Self::from(error);
        if problem.0.status == StatusCode::UNAUTHORIZED {
            words.clone_into(&mut problem.0.detail);
        }
        problem
    }

    /// What the client is told.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl Told {
    pub(super) fn as_error(&self) -> Reply {
        #[derive(Serialize)]
        struct Error<'a> {
            code: u16,
            message: &'a str,
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            return Reply::empty(self.status);
        }
        let message = match &self.denied {
            Some(denied) => &format!(
                "{} (decision {}, policies {})",
                self.detail, denied.decision_id, denied.policy_revision
            ),
            None => &self.detail,
        };
        let code = self.status.as_u16();
        let mut reply = Self::written(self.status, "application/json", &Error { code, message });
        let challenges = match self.status {
            StatusCode::UNAUTHORIZED => &CHALLENGES[..],
            _ => &[],
        };
        for challenge in challenges {
            let challenge = HeaderValue::from_static(challenge);
            reply = reply.with_header(header::WWW_AUTHENTICATE, challenge);
        }
        reply
    }
}

impl From<ClusterError> for Problem {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Store(error) => error.into(),
            ClusterError::Invalid(invalid) => invalid.into(),
            ClusterError::NotPinned => {
                Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", error.to_string())
            }
            other => Self::of_kind(other.kind(), other.to_string()),
        }
    }
}

impl From<KuboError> for Problem {
    fn from(error: KuboError) -> Self {
        match &error {
            // The node's words are about what the caller sent.
            KuboError::Refused { .. } => Self::of_kind(ErrorKind::Invalid, error.to_string()),
            KuboError::Stalled { .. } => Self::neighbour(
                ErrorKind::Unavailable,
                "the IPFS node found nothing in time; try again",
                &error,
            ),
            KuboError::Unreachable { .. } | KuboError::Protocol { .. } => Self::neighbour(
                ErrorKind::Unavailable,
                "the IPFS node does not answer as it should; try again",
                &error,
            ),
        }
    }
}

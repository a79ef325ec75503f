//! What each error of ours is to a client.

use super::{Denied, Problem};
use crate::accounts::AccountError;
use crate::billing::BillingError;
use crate::identity::{AuthError, LoginError};
use crate::pins::PinError;
use crate::policies::PoliciesError;
use axum::http::{HeaderValue, StatusCode, header};
use holdfast_model::{ErrorKind, Invalid};
use holdfast_policy::Denial;
use holdfast_runtime::{PluginError, ReloadError};
use holdfast_store::StoreError;

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::of_kind(ErrorKind::Invalid, invalid.to_string())
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let error = match error {
            AuthError::Password(error) => return error.into(),
            error => error,
        };
        let kind = error.kind();
        if let AuthError::TooMany(seconds) = &error {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let problem = Self::new(status, "TOO_MANY_REQUESTS", error.to_string());
            return problem.after(*seconds).saying_no();
        }
        if let AuthError::NoIssuerKeys(_) = &error {
            // The caller's own token names the issuer.
            return Self::neighbour(kind, &error.to_string(), &error);
        }
        if kind != ErrorKind::Unauthenticated {
            return Self::neighbour(kind, "the key cannot be looked up now; try again", &error);
        }
        let mut problem = Self::of_kind(kind, error.to_string());
        // RFC 6750, section 3: no error code when the caller sent nothing.
        let challenge = if error.is_about_a_token() {
            r#"Bearer realm="holdfast", error="invalid_token""#
        } else {
            r#"Bearer realm="holdfast""#
        };
        problem.0.header = Some((
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static(challenge),
        ));
        problem.saying_no()
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        if denial.hidden {
            return Self::not_found().saying_no();
        }
        let detail = if denial.messages.is_empty() {
            format!("no policy grants {}", denial.action)
        } else {
            denial.messages.join("; ")
        };
        let mut problem = Self::of_kind(ErrorKind::Denied, detail);
        problem.0.denied = Some(Denied {
            decision_id: denial.decision.id.to_string(),
            action: denial.action.as_str(),
            policy_revision: denial.decision.revision.0.to_string(),
        });
        problem.saying_no()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            kind @ (ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict) => {
                Self::of_kind(kind, error.to_string())
            }
            kind @ (ErrorKind::Overloaded | ErrorKind::Unavailable) => {
                Self::neighbour(kind, "the pin store cannot do this now; try again", &error)
            }
            _ => Self::internal("the store failed", &error),
        }
    }
}

impl From<PinError> for Problem {
    fn from(error: PinError) -> Self {
        let kind = error.kind();
        match error {
            PinError::Store(error) => error.into(),
            PinError::Refused {
                plugin, message, ..
            } => {
                let mut problem = Self::of_kind(kind, message.clone()).saying_no();
                problem.0.plugin = Some((plugin, message));
                problem
            }
            PinError::Plugin(cause) => Self::neighbour(
                kind,
                "an authorizer component failed, so nothing was changed; try again",
                &cause,
            )
            .by_plugin(&cause),
        }
    }
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        match error {
            ReloadError::NotFound(_) => Self::not_found(),
            ReloadError::Unwritten { .. } => Self::internal("a plugin was not kept", &error),
            // Operators alone get here, and what is wrong with a plugin is what they must know.
            _ => Self::of_kind(error.kind(), error.to_string()),
        }
    }
}

impl From<BillingError> for Problem {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Store(error) => error.into(),
            BillingError::Invalid(invalid) => invalid.into(),
            BillingError::Plugin(none @ PluginError::None(_)) => {
                Self::of_kind(ErrorKind::Unavailable, none.to_string())
            }
            BillingError::Plugin(out @ PluginError::Open { .. }) => Self::neighbour(
                ErrorKind::Unavailable,
                "the pricing component is out of service for a while, so there is no price; none was made up",
                &out,
            )
            .by_plugin(&out),
            BillingError::Plugin(failed) => {
                let mut problem = Self::new(
                    StatusCode::BAD_GATEWAY,
                    "PRICING_FAILED",
                    "the pricing component failed, so there is no price; none was made up",
                );
                problem.0.cause = Some(failed.to_string());
                problem.by_plugin(&failed)
            }
            BillingError::Died(cause) => Self::internal("a quote died", &cause),
        }
    }
}

impl From<PoliciesError> for Problem {
    fn from(error: PoliciesError) -> Self {
        match error {
            PoliciesError::Store(error) => error.into(),
            PoliciesError::Missing(_) => Self::not_found(),
            PoliciesError::Failed(why) => Self::internal("policies", &why),
            // Whoever writes policies must know what is wrong with them.
            PoliciesError::Invalid(_)
            | PoliciesError::Policy(_)
            | PoliciesError::Refuted(_)
            | PoliciesError::Changed => Self::of_kind(error.kind(), error.to_string()),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Store(error) => error.into(),
            AccountError::Invalid(invalid) => invalid.into(),
            AccountError::Exceeds(_) => {
                Self::of_kind(ErrorKind::Denied, error.to_string()).saying_no()
            }
            AccountError::Taken(_)
            | AccountError::Exists(_)
            | AccountError::Rotated(_)
            | AccountError::Busy(_) => Self::of_kind(error.kind(), error.to_string()),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let (kind, text) = (error.kind(), error.to_string());
        match error {
            LoginError::Store(error) => error.into(),
            LoginError::Locked(seconds) => {
                let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", text);
                problem.after(seconds).saying_no()
            }
            _ if kind == ErrorKind::Unauthenticated => {
                let mut problem = Self::of_kind(kind, text);
                let challenge = HeaderValue::from_static(r#"Bearer realm="holdfast""#);
                problem.0.header = Some((header::WWW_AUTHENTICATE, challenge));
                problem.saying_no()
            }
            _ => Self::of_kind(kind, text),
        }
    }
}

//! A problem in each API's words.

use super::{Denied, Told};
use crate::api::reply::Reply;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

impl Told {
    pub(super) fn as_failure(&self) -> Reply {
        #[derive(Serialize)]
        struct Failure<'a> {
            error: Reason<'a>,
        }
        #[derive(Serialize)]
        struct Reason<'a> {
            reason: &'a str,
            details: &'a str,
        }
        let details = match &self.denied {
            Some(denied) => &format!(
                "{} (decision {}, policies {})",
                self.detail, denied.decision_id, denied.policy_revision
            ),
            None => &self.detail,
        };
        let body = Failure {
            error: Reason {
                reason: self.code,
                details,
            },
        };
        Self::written(self.status, "application/json", &body)
    }

    pub(super) fn as_problem_details(&self, request_id: u128) -> Reply {
        /// RFC 9457, section 3.
        #[derive(Serialize)]
        struct Details<'a> {
            r#type: &'a str,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            instance: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<String>,
            #[serde(flatten)]
            denied: Option<&'a Denied>,
            #[serde(flatten)]
            members: &'a Map<String, Value>,
        }
        // What is hidden and what is missing answer alike, to the byte.
        let hides = self.status == StatusCode::NOT_FOUND;
        let body = Details {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            instance: (!hides).then(|| Uuid::from_u128(request_id).urn().to_string()),
            request_id: (!hides).then(|| format!("{request_id:032x}")),
            denied: self.denied.as_ref(),
            members: &self.members,
        };
        Self::written(self.status, "application/problem+json", &body)
    }

    pub(super) fn written<T: Serialize>(
        status: StatusCode,
        content_type: &'static str,
        body: &T,
    ) -> Reply {
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        Reply::bytes(status, content_type, bytes)
    }
}

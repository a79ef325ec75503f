//! The Pinning Service API's JSON, borrowed from what it shows and written once.

use crate::pins;
use holdfast_model::{Cid, Origin, PinRequest, UnixMillis};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// `PinResults`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PinResults)]
pub(crate) struct Page<'a> {
    /// Requests that the filters mean, on this page or not.
    count: u64,
    results: Vec<Status<'a>>,
}

/// `PinStatus`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PinStatus)]
pub(crate) struct Status<'a> {
    #[schema(value_type = String, format = "uuid")]
    requestid: Uuid,
    /// `queued`, `pinning`, `pinned` or `failed`.
    status: &'static str,
    #[schema(value_type = String, format = "date-time")]
    created: UnixMillis,
    pin: Pin<'a>,
    /// Where to send the content: multiaddrs that end in a peer id.
    delegates: &'a [String],
    #[serde(skip_serializing_if = "Info::is_empty")]
    info: Info<'a>,
}

/// `Pin`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pin<'a> {
    #[schema(value_type = String, example = "bafkqaaa")]
    cid: Cid,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255)]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Origin]>::is_empty")]
    #[schema(value_type = Vec<String>, required = false, max_items = 20)]
    origins: &'a [Origin],
    /// Free pairs. `expire_at`, an RFC 3339 time, says when the pin is to go by itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    meta: &'a BTreeMap<String, String>,
}

/// `StatusInfo`: every value is text.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = StatusInfo)]
pub(crate) struct Info<'a> {
    /// Progress, or why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_details: Option<&'a str>,
    /// Bytes of the whole DAG.
    #[serde(skip_serializing_if = "Option::is_none")]
    dag_size: Option<String>,
    /// When the pin goes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    pinned_until: Option<UnixMillis>,
}

/// `Failure`, for the document only: `problem` writes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what another module writes")]
pub(crate) struct Failure {
    error: Reason,
}

/// Why, for machines and for people.
#[derive(ToSchema)]
#[schema(as = FailureReason)]
#[expect(dead_code, reason = "describes what another module writes")]
pub(crate) struct Reason {
    /// Such as `NOT_FOUND`.
    reason: String,
    details: String,
}

impl<'a> Page<'a> {
    pub(crate) fn of(page: &'a pins::Page, delegates: &'a [String]) -> Self {
        let rows = page.rows.iter();
        Self {
            count: page.count,
            results: rows.map(|request| Status::of(request, delegates)).collect(),
        }
    }
}

impl<'a> Status<'a> {
    pub(crate) fn of(request: &'a PinRequest, delegates: &'a [String]) -> Self {
        let asked = &request.asked;
        Self {
            requestid: request.id.0,
            status: request.status.as_str(),
            created: request.created,
            pin: Pin {
                cid: asked.cid,
                name: asked.name.as_deref(),
                origins: &asked.origins,
                meta: &asked.meta,
            },
            delegates,
            info: Info {
                status_details: request.details.as_deref(),
                dag_size: request.dag_size.map(|bytes| bytes.to_string()),
                pinned_until: asked.expires,
            },
        }
    }
}

impl Info<'_> {
    const fn is_empty(&self) -> bool {
        self.status_details.is_none() && self.dag_size.is_none() && self.pinned_until.is_none()
    }
}

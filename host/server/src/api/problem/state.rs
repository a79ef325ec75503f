//! What the State API refuses in words of its own.

use super::Problem;
use axum::http::StatusCode;
use holdfast_model::{Cursor, ErrorKind};
use holdfast_store::StoreError;
use serde_json::{Value, json};

impl Problem {
    /// A condition of a write does not hold.
    pub(crate) fn version_changed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "VERSION_CHANGED",
            "the pin has another version, or is there or is not against what was expected; read it and decide anew",
        )
    }

    /// What a write that had a condition, or had none, makes of the store's refusal.
    pub(crate) fn of_write(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::version_changed(),
            other => other.into(),
        }
    }

    /// What reading the feed from a cursor makes of the store's refusal.
    pub(crate) fn of_feed(error: StoreError, head: Cursor) -> Self {
        let mut problem = match error {
            StoreError::CursorTooOld { oldest } => {
                let mut problem = Self::new(
                    StatusCode::GONE,
                    "CURSOR_TOO_OLD",
                    "changes after this cursor have been trimmed; read /v1/state/pins once and go on after its holdfast-head",
                );
                problem.member("oldest", json!(oldest.0));
                problem
            }
            StoreError::Invalid(invalid) => Self::new(
                StatusCode::BAD_REQUEST,
                "CURSOR_IN_FUTURE",
                invalid.to_string(),
            ),
            other => return other.into(),
        };
        problem.member("head", json!(head.0));
        problem
    }

    /// As many streams as there may be are open.
    pub(crate) fn too_many_streams(most: usize) -> Self {
        Self::of_kind(
            ErrorKind::Overloaded,
            format!("{most} streams are open here already; end one, or ask another host"),
        )
    }

    /// As many large bodies as there may be are being read.
    pub(crate) fn too_many_bodies() -> Self {
        Self::of_kind(
            ErrorKind::Overloaded,
            "too many large bodies at once; try again in a second",
        )
    }

    /// The host stops.
    pub(crate) fn stopping() -> Self {
        Self::of_kind(
            ErrorKind::Unavailable,
            "the host is stopping; go on at another one, or in a moment",
        )
    }

    /// More entries than a batch may have.
    pub(crate) fn large_batch(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("the batch has more than {most} entries and nothing was done; send several"),
        )
    }

    /// None of the types that the caller accepts can be answered.
    pub(crate) fn not_acceptable(known: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            "NOT_ACCEPTABLE",
            format!("the Accept header names none of the types that there are: {known}"),
        )
    }

    fn member(&mut self, name: &str, value: Value) {
        self.0.members.insert(name.to_owned(), value);
    }

    /// The problem where no answer can bear it any more: in a line of a stream or of a batch.
    pub(crate) fn as_member(&self) -> (u16, &'static str, &str) {
        (self.0.status.as_u16(), self.0.code, &self.0.detail)
    }
}

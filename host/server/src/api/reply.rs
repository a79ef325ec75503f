//! An answer, before it is a response.

use crate::api::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// The header that carries the request id, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bytes set aside for a body. A `PinStatus` with one delegate is about 500.
const BODY_BYTES_USUAL: usize = 768;

/// What is sent.
#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    /// As it comes into being; see `stream`.
    Stream(Body),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    content_type: Option<&'static str>,
    content: Content,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// A JSON body, serialised once into the bytes that are sent.
    pub(crate) fn json<T: Serialize + ?Sized>(
        status: StatusCode,
        value: &T,
    ) -> Result<Self, Problem> {
        let mut body = Vec::with_capacity(BODY_BYTES_USUAL);
        serde_json::to_writer(&mut body, value)
            .map_err(|e| Problem::internal("cannot write the answer", &e))?;
        Ok(Self::bytes(status, "application/json", body))
    }

    /// A body that is bytes already.
    pub(crate) const fn bytes(
        status: StatusCode,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Self {
        Self {
            status,
            content_type: Some(content_type),
            content: Content::Bytes(body),
            headers: Vec::new(),
        }
    }

    /// A body that comes into being while it is sent.
    pub(crate) const fn stream(content_type: &'static str, body: Body) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: Some(content_type),
            content: Content::Stream(body),
            headers: Vec::new(),
        }
    }

    /// No body.
    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            content_type: None,
            content: Content::Bytes(Vec::new()),
            headers: Vec::new(),
        }
    }

    /// With one more header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The response.
    pub(crate) fn into_response(self, request_id: u128) -> Response<Body> {
        let mut response = Response::new(match self.content {
            Content::Bytes(bytes) if bytes.is_empty() => Body::empty(),
            Content::Bytes(bytes) => Body::from(bytes),
            Content::Stream(body) => body,
        });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if let Ok(id) = HeaderValue::try_from(format!("{request_id:032x}")) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}

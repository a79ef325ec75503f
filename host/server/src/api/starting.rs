//! What callers hear while the store is not there yet.

use crate::api::context::given_id;
use crate::api::problem::Problem;
use crate::api::router::shape_of;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};

/// Answers every call with 503 and `Retry-After`, in the shape of its API, and ends the connection:
/// the next call comes on one that reaches the whole host, if that is there by then.
pub fn starting() -> Router {
    Router::new().fallback(|request: Request| async move {
        let request_id = given_id(request.headers()).unwrap_or_else(rand::random);
        let reply = Problem::starting().into_reply(shape_of(request.uri().path()), request_id);
        let mut response = reply.into_response(request_id);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    })
}

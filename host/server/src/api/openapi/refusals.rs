//! What every call can be refused with, in the document.
//!
//! Handlers describe what is special about them; what follows from a route's place in the table
//! (its shape, whom it lets in, whether it takes a body) is added here, so that nobody can forget
//! it. A refusal that a handler describes without a body gets its API's own.

use crate::api::routes::{Access, ROUTES, Route, Shape};
use axum::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa::{Modify, ToSchema};

/// The statuses, and when they come.
const REFUSALS: [(u16, &str); 12] = [
    (
        400,
        "Something in the call is not as it must be; it is named",
    ),
    (401, "No proof of who calls, or none that is good"),
    (403, "No policy allows it"),
    (404, "Not there, or not yours to know of"),
    (406, "None of the types that are accepted can be answered"),
    (408, "The body did not arrive in time"),
    (409, "Something is not as the call takes it to be"),
    (413, "The body is too long"),
    (415, "The body is not of a type that is read here"),
    (429, "Too many calls; Retry-After says when to go on"),
    (500, "A fault of the host"),
    (
        503,
        "It cannot be done now; Retry-After says when to try again",
    ),
];

/// Adds to each operation what it can be refused with.
pub(super) struct Refusals;

/// What went wrong, as RFC 9457 has it. Some refusals have members beside these.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `problem` writes")]
pub(super) struct ProblemDetails {
    /// `about:blank`: the status says of which type it is.
    r#type: String,
    /// The status in words.
    title: String,
    status: u16,
    /// What is wrong with this call, and what to do about it.
    detail: String,
    /// The same for machines, such as `NOT_FOUND`.
    code: String,
    /// This very occurrence: the request's id as `urn:uuid:…`; not in a 404.
    #[schema(required = false, nullable = false, format = "uri")]
    instance: Option<String>,
    /// What to tell who runs the host; not in a 404.
    #[schema(required = false, nullable = false)]
    request_id: Option<String>,
    /// Of a denial: the decision's name, for `/v1/authz/explain`.
    #[schema(required = false, nullable = false)]
    decision_id: Option<String>,
    /// Of a denial: what was not allowed.
    #[schema(required = false, nullable = false)]
    action: Option<String>,
    /// Of a denial: by which policies.
    #[schema(required = false, nullable = false)]
    policy_revision: Option<String>,
}

impl Modify for Refusals {
    fn modify(&self, document: &mut OpenApi) {
        for route in ROUTES {
            if let Some(operation) = operation(document, route) {
                describe(operation, route);
            }
        }
        let components = document.components.get_or_insert_default();
        for shape in [Shape::Ours, Shape::Pinning] {
            let named = REFUSALS.map(|(status, when)| {
                let mut response = Response::new(when);
                fill(&mut response, shape);
                (name(shape, status), RefOr::T(response))
            });
            components.responses.extend(named);
        }
    }
}

fn operation<'d>(document: &'d mut OpenApi, route: &Route) -> Option<&'d mut Operation> {
    let path = document.paths.paths.get_mut(route.path)?;
    let operation = match route.method {
        Method::POST => &mut path.post,
        Method::PUT => &mut path.put,
        Method::DELETE => &mut path.delete,
        _ => &mut path.get,
    };
    operation.as_mut()
}

fn describe(operation: &mut Operation, route: &Route) {
    let possible: Vec<u16> = REFUSALS
        .into_iter()
        .map(|(status, _)| status)
        .filter(|status| is_possible(operation, route, *status))
        .collect();
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let is_refusal = status.starts_with(['4', '5']);
        if let (true, RefOr::T(response)) = (is_refusal, response) {
            fill(response, route.shape);
        }
    }
    for status in possible {
        let refusal = Ref::from_response_name(name(route.shape, status));
        responses
            .entry(status.to_string())
            .or_insert(RefOr::Ref(refusal));
    }
}

/// Whether a route can answer a status, by what it is.
fn is_possible(operation: &Operation, route: &Route, status: u16) -> bool {
    let asks = matches!(route.access, Access::Permit | Access::Rows);
    let logs_in = route.access == Access::Open && route.is_change();
    let has_body = operation.request_body.is_some();
    match status {
        400 => has_body || operation.parameters.is_some(),
        401 => route.access != Access::Open || logs_in,
        403 => asks || logs_in,
        404 => route.access == Access::Permit,
        406 => has_choice(operation),
        408 | 413 | 415 => has_body,
        409 => asks && route.is_change(),
        _ => true,
    }
}

/// Whether the answer comes in more than one type.
fn has_choice(operation: &Operation) -> bool {
    let response = operation.responses.responses.get("200");
    matches!(response, Some(RefOr::T(response)) if response.content.len() > 1)
}

/// Gives a refusal that has no body the one of its API.
fn fill(response: &mut Response, shape: Shape) {
    if !response.content.is_empty() {
        return;
    }
    let (content_type, schema) = match shape {
        Shape::Pinning => ("application/json", "Failure"),
        Shape::Ours | Shape::Cluster => ("application/problem+json", "Problem"),
    };
    let content = Content::new(Some(Ref::from_schema_name(schema)));
    response
        .content
        .insert(content_type.into(), RefOr::T(content));
}

fn name(shape: Shape, status: u16) -> String {
    match shape {
        Shape::Pinning => format!("Failure{status}"),
        Shape::Ours | Shape::Cluster => format!("Problem{status}"),
    }
}

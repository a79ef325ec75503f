//! The table of everything that can be called.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::{keys, money, openapi, pinning, plugins, tenants, whoami};
use axum::http::Method;

/// In whose words errors are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The Pinning Service API's `{"error":{"reason","details"}}`.
    Pinning,
    /// Ours: problem details, RFC 9457.
    Ours,
}

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A permit from the policies.
    Permit,
    /// To be somebody, whoever it is.
    Known,
    /// Nothing.
    Open,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A page of the caller's pin requests.
    ListRequests,
    /// A new pin request.
    CreateRequest,
    /// One pin request.
    ReadRequest,
    /// A pin request in the place of another.
    ReplaceRequest,
    /// Gives up a pin request.
    DeleteRequest,
    /// What an account used.
    ReadUsage,
    /// What that costs.
    ReadQuote,
    /// A new API key.
    CreateKey,
    /// An account's API keys.
    ListKeys,
    /// Revokes an API key.
    RevokeKey,
    /// A tenant's attributes.
    ReadTenant,
    /// Sets a tenant's attributes.
    WriteTenant,
    /// What plugins are loaded.
    ListPlugins,
    /// Who the caller is taken for.
    WhoAmI,
    /// This API, described.
    Describe,
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: Method,
    /// The path; a `{name}` stands last, if at all.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// How its errors look.
    pub shape: Shape,
    /// What the caller needs.
    pub access: Access,
}

impl Route {
    const fn pinning(method: Method, path: &'static str, operation: Operation) -> Self {
        Self {
            method,
            path,
            operation,
            shape: Shape::Pinning,
            access: Access::Permit,
        }
    }

    const fn ours(method: Method, path: &'static str, operation: Operation) -> Self {
        Self {
            method,
            path,
            operation,
            shape: Shape::Ours,
            access: Access::Permit,
        }
    }

    const fn needing(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Whether it changes something, and is therefore carried through when its caller hangs up.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.method != Method::GET
    }
}

use Operation as Op;

/// Everything that can be called, in the order in which documents show it.
pub static ROUTES: &[Route] = &[
    Route::pinning(Method::GET, "/psa/pins", Op::ListRequests),
    Route::pinning(Method::POST, "/psa/pins", Op::CreateRequest),
    Route::pinning(Method::GET, "/psa/pins/{requestid}", Op::ReadRequest),
    Route::pinning(Method::POST, "/psa/pins/{requestid}", Op::ReplaceRequest),
    Route::pinning(Method::DELETE, "/psa/pins/{requestid}", Op::DeleteRequest),
    Route::ours(Method::GET, "/v1/usage", Op::ReadUsage),
    Route::ours(Method::GET, "/v1/quote", Op::ReadQuote),
    Route::ours(Method::GET, "/v1/keys", Op::ListKeys),
    Route::ours(Method::POST, "/v1/keys", Op::CreateKey),
    Route::ours(Method::DELETE, "/v1/keys/{id}", Op::RevokeKey),
    Route::ours(Method::GET, "/v1/tenants/{tenant}", Op::ReadTenant),
    Route::ours(Method::PUT, "/v1/tenants/{tenant}", Op::WriteTenant),
    Route::ours(Method::GET, "/v1/plugins", Op::ListPlugins),
    Route::ours(Method::GET, "/v1/whoami", Op::WhoAmI).needing(Access::Known),
    Route::ours(Method::GET, "/openapi.json", Op::Describe).needing(Access::Open),
];

/// Runs the handler of an operation.
pub(crate) async fn handle(call: &mut Call) -> Result<Reply, Problem> {
    match call.route.operation {
        Op::ListRequests => pinning::list(call).await,
        Op::CreateRequest => pinning::create(call).await,
        Op::ReadRequest => pinning::read(call).await,
        Op::ReplaceRequest => pinning::replace(call).await,
        Op::DeleteRequest => pinning::delete(call).await,
        Op::ReadUsage => money::usage(call).await,
        Op::ReadQuote => money::quote(call).await,
        Op::CreateKey => keys::create(call).await,
        Op::ListKeys => keys::list(call).await,
        Op::RevokeKey => keys::revoke(call).await,
        Op::ReadTenant => tenants::read(call).await,
        Op::WriteTenant => tenants::write(call).await,
        Op::ListPlugins => plugins::list(call),
        Op::WhoAmI => whoami::show(call),
        Op::Describe => openapi::show(call),
    }
}

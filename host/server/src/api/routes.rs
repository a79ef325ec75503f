//! The table of everything that can be called.

use crate::api::cluster::{self, ClusterOperation};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::{
    audit, authz, keys, login, money, openapi, pinning, plugins, policies, state, tenants, users,
    whoami,
};
use axum::http::Method;
use std::future::ready;
use std::pin::Pin;

/// In whose words errors are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The Pinning Service API's `{"error":{"reason","details"}}`.
    Pinning,
    /// Ours: problem details, RFC 9457.
    Ours,
    /// IPFS Cluster's `{"code","message"}`.
    Cluster,
}

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A permit from the policies.
    Permit,
    /// To be somebody; the policies are asked about each row of the answer.
    Rows,
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
    /// The tenants that the caller may read.
    ListTenants,
    /// A new API key in the place of an old one.
    RotateKey,
    /// A session for a password.
    LogIn,
    /// What a wallet's message must say.
    GetNonce,
    /// A session for a wallet's signature.
    LogInWithWallet,
    /// Ends a session.
    LogOut,
    /// A new user.
    CreateUser,
    /// A tenant's users.
    ListUsers,
    /// Another password, other roles, and the like.
    ChangeUser,
    /// A user who is gone.
    DeleteUser,
    /// A tenant's attributes.
    ReadTenant,
    /// Sets a tenant's attributes.
    WriteTenant,
    /// What plugins are loaded.
    ListPlugins,
    /// One plugin.
    ReadPlugin,
    /// Puts a plugin in.
    InstallPlugin,
    /// Takes a plugin out.
    RemovePlugin,
    /// Asks a candidate a made-up question.
    TryPlugin,
    /// Has a candidate serve.
    PromotePlugin,
    /// Has the generation before serve again.
    RollBackPlugin,
    /// How a candidate differs.
    ReadShadow,
    /// What a plugin logged.
    ReadLogs,
    /// What a tenant says for itself.
    ReadPolicies,
    /// Sets a tenant's own policies.
    WritePolicies,
    /// Drops a tenant's own policies.
    DropPolicies,
    /// A tenant's grants.
    ListGrants,
    /// A new grant.
    GrantAccess,
    /// Revokes a grant.
    RevokeGrant,
    /// Why something was decided.
    ExplainDecision,
    /// Tries a candidate for the platform's policies.
    TryPolicies,
    /// How that candidate differs.
    ReviewPolicies,
    /// Has that candidate decide.
    PromotePolicies,
    /// Drops that candidate.
    DropCandidate,
    /// All pins, as a stream.
    ListPins,
    /// One pin of the whole set.
    ReadPin,
    /// Many pins of the whole set.
    ReadPins,
    /// Puts a pin as a cluster node does.
    PutPin,
    /// Removes a pin as a cluster node does.
    RemovePin,
    /// Puts and removes many pins.
    CommitPins,
    /// What changes in the whole set.
    FollowPins,
    /// A page of an audit chain.
    ReadAudit,
    /// An audit chain as a stream.
    ExportAudit,
    /// The audit chains that there are.
    ListChains,
    /// A chain's checkpoints.
    ListCheckpoints,
    /// Has a chain signed now.
    SignAudit,
    /// A call of IPFS Cluster's interface.
    Cluster(ClusterOperation),
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
    /// The path; a `{name}` is its third part, if it has one.
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
        // What is asked for there is too long for a path.
        self.method != Method::GET && self.operation != Operation::ReadPins
    }

    /// Whether it is for administrators and changes something: such a call is put down before
    /// anything is done, and answered once its outcome is put down too. What accounts do with their
    /// own pins, and nodes with the set, is recorded once it is done, and then answered.
    #[must_use]
    pub fn is_administrative(&self) -> bool {
        let is_administration = !matches!(
            self.operation,
            Operation::CreateRequest
                | Operation::ReplaceRequest
                | Operation::DeleteRequest
                | Operation::ExplainDecision
                | Operation::PutPin
                | Operation::RemovePin
                | Operation::CommitPins
                | Operation::LogOut
                | Operation::Cluster(_)
        );
        self.is_change() && self.access != Access::Open && is_administration
    }

    /// Whether its answer may begin late, so that a call's deadline does not hold for it.
    #[must_use]
    pub const fn begins_late(&self) -> bool {
        matches!(self.operation, Operation::Cluster(operation) if operation.begins_late())
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
    Route::ours(Method::GET, "/v1/tenants", Op::ListTenants).needing(Access::Rows),
    Route::ours(Method::POST, "/v1/keys/{id}/rotate", Op::RotateKey),
    Route::ours(Method::POST, "/v1/login", Op::LogIn).needing(Access::Open),
    Route::ours(Method::DELETE, "/v1/login", Op::LogOut).needing(Access::Known),
    Route::ours(Method::POST, "/v1/login/nonce", Op::GetNonce).needing(Access::Open),
    Route::ours(Method::POST, "/v1/login/wallet", Op::LogInWithWallet).needing(Access::Open),
    Route::ours(Method::GET, "/v1/users", Op::ListUsers),
    Route::ours(Method::POST, "/v1/users", Op::CreateUser),
    Route::ours(Method::PUT, "/v1/users/{name}", Op::ChangeUser),
    Route::ours(Method::DELETE, "/v1/users/{name}", Op::DeleteUser),
    Route::ours(Method::GET, "/v1/tenants/{tenant}", Op::ReadTenant),
    Route::ours(Method::PUT, "/v1/tenants/{tenant}", Op::WriteTenant),
    Route::ours(Method::GET, "/v1/plugins", Op::ListPlugins),
    Route::ours(Method::GET, "/v1/plugins/{name}", Op::ReadPlugin),
    Route::ours(Method::PUT, "/v1/plugins/{name}", Op::InstallPlugin),
    Route::ours(Method::DELETE, "/v1/plugins/{name}", Op::RemovePlugin),
    Route::ours(Method::POST, "/v1/plugins/{name}/try", Op::TryPlugin),
    Route::ours(
        Method::POST,
        "/v1/plugins/{name}/promote",
        Op::PromotePlugin,
    ),
    Route::ours(
        Method::POST,
        "/v1/plugins/{name}/rollback",
        Op::RollBackPlugin,
    ),
    Route::ours(Method::GET, "/v1/plugins/{name}/shadow", Op::ReadShadow),
    Route::ours(Method::GET, "/v1/plugins/{name}/logs", Op::ReadLogs),
    Route::ours(Method::GET, "/v1/policies", Op::ReadPolicies),
    Route::ours(Method::PUT, "/v1/policies", Op::WritePolicies),
    Route::ours(Method::DELETE, "/v1/policies", Op::DropPolicies),
    Route::ours(Method::GET, "/v1/grants", Op::ListGrants),
    Route::ours(Method::POST, "/v1/grants", Op::GrantAccess),
    Route::ours(Method::DELETE, "/v1/grants/{id}", Op::RevokeGrant),
    Route::ours(Method::POST, "/v1/authz/explain", Op::ExplainDecision),
    Route::ours(Method::PUT, "/v1/policies/candidate", Op::TryPolicies),
    Route::ours(Method::GET, "/v1/policies/candidate", Op::ReviewPolicies),
    Route::ours(
        Method::POST,
        "/v1/policies/candidate/promote",
        Op::PromotePolicies,
    ),
    Route::ours(Method::DELETE, "/v1/policies/candidate", Op::DropCandidate),
    Route::ours(Method::GET, "/v1/state/pins", Op::ListPins),
    Route::ours(Method::GET, "/v1/state/pins/{cid}", Op::ReadPin),
    Route::ours(Method::PUT, "/v1/state/pins/{cid}", Op::PutPin),
    Route::ours(Method::DELETE, "/v1/state/pins/{cid}", Op::RemovePin),
    Route::ours(Method::POST, "/v1/state/read", Op::ReadPins),
    Route::ours(Method::POST, "/v1/state/batch", Op::CommitPins),
    Route::ours(Method::GET, "/v1/state/changes", Op::FollowPins),
    Route::ours(Method::GET, "/v1/audit", Op::ReadAudit),
    Route::ours(Method::GET, "/v1/audit/export", Op::ExportAudit),
    Route::ours(Method::GET, "/v1/audit/chains", Op::ListChains),
    Route::ours(Method::GET, "/v1/audit/checkpoints", Op::ListCheckpoints),
    Route::ours(Method::POST, "/v1/audit/checkpoints", Op::SignAudit),
    Route::ours(Method::GET, "/v1/whoami", Op::WhoAmI).needing(Access::Known),
    Route::ours(Method::GET, "/openapi.json", Op::Describe).needing(Access::Open),
];

/// A handler under way.
pub(crate) type Handling<'a> = Pin<Box<dyn Future<Output = Result<Reply, Problem>> + Send + 'a>>;

/// Runs the handler of an operation. Each is boxed by itself: in one future they would make every
/// call as large as the largest of them, and a call is moved more than once.
pub(crate) fn handle(call: &mut Call) -> Handling<'_> {
    match call.route.operation {
        Op::ListRequests => Box::pin(pinning::list(call)),
        Op::CreateRequest => Box::pin(pinning::create(call)),
        Op::ReadRequest => Box::pin(pinning::read(call)),
        Op::ReplaceRequest => Box::pin(pinning::replace(call)),
        Op::DeleteRequest => Box::pin(pinning::delete(call)),
        Op::ReadUsage => Box::pin(money::usage(call)),
        Op::ReadQuote => Box::pin(money::quote(call)),
        Op::CreateKey => Box::pin(keys::create(call)),
        Op::ListKeys => Box::pin(keys::list(call)),
        Op::RevokeKey => Box::pin(keys::revoke(call)),
        Op::ListTenants => Box::pin(tenants::list(call)),
        Op::RotateKey => Box::pin(keys::rotate(call)),
        Op::LogIn => Box::pin(login::password(call)),
        Op::GetNonce => Box::pin(login::nonce(call)),
        Op::LogInWithWallet => Box::pin(login::wallet(call)),
        Op::LogOut => Box::pin(login::out(call)),
        Op::CreateUser => Box::pin(users::create(call)),
        Op::ListUsers => Box::pin(users::list(call)),
        Op::ChangeUser => Box::pin(users::change(call)),
        Op::DeleteUser => Box::pin(users::delete(call)),
        Op::ReadTenant => Box::pin(tenants::read(call)),
        Op::WriteTenant => Box::pin(tenants::write(call)),
        Op::ListPlugins => Box::pin(ready(plugins::list(call))),
        Op::ReadPlugin => Box::pin(ready(plugins::read(call))),
        Op::InstallPlugin => Box::pin(plugins::install(call)),
        Op::RemovePlugin => Box::pin(plugins::remove(call)),
        Op::TryPlugin => Box::pin(plugins::attempt(call)),
        Op::PromotePlugin => Box::pin(plugins::promote(call)),
        Op::RollBackPlugin => Box::pin(plugins::rollback(call)),
        Op::ReadShadow => Box::pin(ready(plugins::shadow(call))),
        Op::ReadLogs => Box::pin(ready(plugins::logs(call))),
        Op::ReadPolicies => Box::pin(policies::read(call)),
        Op::WritePolicies => Box::pin(policies::write(call)),
        Op::DropPolicies => Box::pin(policies::remove(call)),
        Op::ListGrants => Box::pin(policies::grants(call)),
        Op::GrantAccess => Box::pin(policies::grant(call)),
        Op::RevokeGrant => Box::pin(policies::revoke(call)),
        Op::ExplainDecision => Box::pin(authz::explain(call)),
        Op::TryPolicies => Box::pin(authz::begin(call)),
        Op::ReviewPolicies => Box::pin(ready(authz::report(call))),
        Op::PromotePolicies => Box::pin(authz::promote(call)),
        Op::DropCandidate => Box::pin(ready(authz::drop_it(call))),
        Op::ListPins => Box::pin(state::list::list(call)),
        Op::ReadPin => Box::pin(state::read(call)),
        Op::PutPin => Box::pin(state::put(call)),
        Op::RemovePin => Box::pin(state::remove(call)),
        Op::ReadPins => Box::pin(state::several::read(call)),
        Op::CommitPins => Box::pin(state::batch::commit(call)),
        Op::FollowPins => Box::pin(state::changes::read(call)),
        Op::ReadAudit => Box::pin(audit::list(call)),
        Op::ExportAudit => Box::pin(audit::export(call)),
        Op::ListChains => Box::pin(audit::chains(call)),
        Op::ListCheckpoints => Box::pin(audit::checkpoints(call)),
        Op::SignAudit => Box::pin(audit::sign(call)),
        Op::Cluster(operation) => cluster::handle(call, operation),
        Op::WhoAmI => Box::pin(ready(whoami::show(call))),
        Op::Describe => Box::pin(ready(openapi::show(call))),
    }
}

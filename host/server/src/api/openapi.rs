//! The API, described: generated from the handlers, kept in `schema/openapi.json` by a test.

mod refusals;

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::api::{
    audit, authz, keys, login, money, pinning, plugins, policies, state, tenants, users, whoami,
};
use axum::http::StatusCode;
use refusals::Refusals;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holdfast",
        description = "A pinning service: the IPFS Pinning Service API under /psa (give clients \
            http://HOST:8420/psa as their endpoint), and our own under /v1.",
        license(name = "Apache-2.0 OR MIT")
    ),
    paths(
        pinning::list, pinning::create, pinning::read, pinning::replace, pinning::delete,
        money::usage, money::quote,
        keys::list, keys::create, keys::revoke, keys::rotate,
        login::password, login::out, login::nonce, login::wallet,
        users::list, users::create, users::change, users::delete,
        tenants::list, tenants::read, tenants::write,
        plugins::list, plugins::read, plugins::install, plugins::promote, plugins::rollback,
        plugins::shadow, plugins::logs, plugins::remove, plugins::attempt,
        policies::read, policies::write, policies::remove,
        policies::grants, policies::grant, policies::revoke,
        authz::explain, authz::begin, authz::report, authz::promote, authz::drop_it,
        state::read, state::put, state::remove, state::list::list, state::several::read,
        state::batch::commit, state::changes::read,
        audit::list, audit::export::export, audit::chains, audit::checkpoints, audit::sign::sign,
        whoami::show, show
    ),
    components(schemas(
        refusals::ProblemDetails, pinning::Failure,
        plugins::Plugin, plugins::Generation, plugins::Line, plugins::Report, plugins::Attempt,
        state::StatePin, state::BatchEntry, state::BatchOutcome, state::BatchRefusal,
        state::Change, state::ChangePage
    )),
    modifiers(&Keys, &Refusals),
    security(("key" = []))
)]
struct Document;

/// Every call but this one carries a key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", bearer);
    }
}

/// The document as it stands in `schema/openapi.json`.
#[must_use]
pub fn document() -> String {
    let text = Document::openapi().to_pretty_json();
    text.map(|text| text + "\n").unwrap_or_default()
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "about", operation_id = "describe", security(()),
    responses((status = 200, description = "This document"))
)]
pub(crate) fn show(_call: &Call) -> Result<Reply, Problem> {
    let body = document().into_bytes();
    Ok(Reply::bytes(StatusCode::OK, "application/json", body))
}

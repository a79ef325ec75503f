//! Logging in and out, under `/v1/login`.

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::identity::siwe::Cacao;
use crate::identity::{
    AuthError, LoginError, Session, SignedIn, begin_wallet, end_session, wanted_user,
    with_password, with_wallet,
};
use axum::http::StatusCode;
use holdfast_model::{ErrorKind, Invalid, TenantId, UnixMillis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a user posts to log in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// `tenant/name`.
    user: String,
    password: String,
}

/// What a wallet has signed: a message of ERC-4361 and its signature, or a CACAO (CAIP-74).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WalletLogin {
    /// The message, as the wallet showed it.
    message: Option<String>,
    /// `0x…`.
    signature: Option<String>,
    #[schema(value_type = Option<Object>)]
    cacao: Option<Cacao>,
}

/// A session.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct Fresh {
    /// What to send as `Authorization: Bearer …`.
    token: String,
    /// The name that policies and the audit log know.
    principal: String,
    #[schema(value_type = String, format = "date-time")]
    expires: UnixMillis,
}

/// What a wallet's message must say.
#[derive(Serialize, ToSchema)]
pub(crate) struct Nonce {
    nonce: String,
    domain: String,
    /// The message's `URI` may be anything below it.
    uri: String,
    /// Chains that are accepted.
    chains: Vec<u64>,
    /// Until when the nonce waits for its message.
    #[schema(value_type = String, format = "date-time")]
    expires: UnixMillis,
}

/// Log in with a password.
#[utoipa::path(
    post, path = "/v1/login", tag = "login", operation_id = "logIn", request_body = Login,
    security(()),
    responses((status = 201, description = "A session", body = Fresh),
        (status = 429, description = "Too many failed log-ins"))
)]
pub(crate) async fn password(call: &mut Call) -> Result<Reply, Problem> {
    admit(call)?;
    let Login { user, password } = call.json().await?;
    let app = call.app().clone();
    let logged_in = with_password(&app.store, &app.identity, &app.clock, (&user, password)).await;
    if logged_in.is_err() {
        tell_of_attempt(call, &user).await;
    }
    end(call, logged_in)
}

/// Has the audit log tell of an attempt to be a user: in the chain of the tenant, which is to know
/// who is tried. A name that nobody has is no tenant's business, and is not written down: it may be
/// a password in the wrong field. A store that does not say who there is leaves it at that.
async fn tell_of_attempt(call: &mut Call, user: &str) {
    let app = call.app();
    if let Ok(Some(user)) = wanted_user(&app.store, &app.clock, user).await {
        let principal = user.principal_id();
        call.note(format!("{principal} did not log in"));
        call.concerns = Some(user.tenant);
    }
}

/// Get a nonce for a wallet's message.
#[utoipa::path(
    post, path = "/v1/login/nonce", tag = "login", operation_id = "getNonce", security(()),
    responses((status = 201, description = "What the message must say", body = Nonce))
)]
pub(crate) async fn nonce(call: &mut Call) -> Result<Reply, Problem> {
    admit(call)?;
    let app = call.app();
    let opened = begin_wallet(&app.store, &app.identity, &app.clock).await?;
    let view = Nonce {
        nonce: opened.nonce.nonce,
        domain: opened.domain,
        uri: opened.uri,
        chains: opened.chains,
        expires: opened.nonce.until,
    };
    Reply::json(StatusCode::CREATED, &view)
}

/// Log in with a wallet.
#[utoipa::path(
    post, path = "/v1/login/wallet", tag = "login", operation_id = "logInWithWallet",
    request_body = WalletLogin, security(()),
    responses((status = 201, description = "A session", body = Fresh))
)]
pub(crate) async fn wallet(call: &mut Call) -> Result<Reply, Problem> {
    admit(call)?;
    let wanted: WalletLogin = call.json().await?;
    let signed = match (wanted.message, wanted.signature, wanted.cacao) {
        (Some(message), Some(signature), None) => SignedIn::Message(message, signature),
        (None, None, Some(cacao)) => SignedIn::Cacao(Box::new(cacao)),
        _ => {
            let why = "is missing or too much; send `message` and `signature`, or `cacao`";
            return Err(Invalid::new("message", why).into());
        }
    };
    let app = call.app().clone();
    let logged_in = with_wallet(&app.store, &app.identity, &app.clock, signed).await;
    end(call, logged_in)
}

/// Log out: the session's token opens nothing a few seconds later.
#[utoipa::path(
    delete, path = "/v1/login", tag = "login", operation_id = "logOut",
    responses((status = 204, description = "The session is over"),
        (status = 400, description = "The call was not made in a session"))
)]
pub(crate) async fn out(call: &mut Call) -> Result<Reply, Problem> {
    let session = call
        .caller
        .as_ref()
        .and_then(|caller| caller.session.clone());
    let session = session.ok_or_else(|| {
        Invalid::new(
            "session",
            "is none; only a session's token logs out, keys are revoked",
        )
    })?;
    let app = call.app();
    end_session(&app.store, &app.clock, &session).await?;
    call.note(format!("session {} ended", session.id));
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Sends away who comes from where too many were refused, and counts it.
fn admit(call: &Call) -> Result<(), Problem> {
    let (authenticator, address) = (call.authenticator(), call.address());
    authenticator.admit(address).map_err(|error| {
        authenticator.refused(&error, address);
        error.into()
    })
}

/// What a log-in came to; one that failed counts against its address.
fn end(
    call: &mut Call,
    logged_in: Result<(Session, String), LoginError>,
) -> Result<Reply, Problem> {
    match logged_in {
        Ok((session, token)) => {
            let tenant = TenantId::parse(&session.tenant)?;
            let principal = session.principal_id();
            call.note(format!("{principal} began session {}", session.id));
            call.concerns = Some(tenant);
            let fresh = Fresh {
                token,
                principal: principal.as_str().to_owned(),
                expires: session.end,
            };
            Reply::json(StatusCode::CREATED, &fresh)
        }
        Err(error) => {
            if error.kind() == ErrorKind::Unauthenticated {
                let refused = AuthError::LoginFailed;
                call.authenticator().refused(&refused, call.address());
            }
            Err(error.into())
        }
    }
}

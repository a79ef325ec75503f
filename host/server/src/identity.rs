//! Bytes on the wire become a [`Principal`]: one shape, whatever the proof.
//!
//! *Architecture invariants:* nothing but the `Authorization` header says who calls (no tenant, no
//! role, no account comes from any other header); what fails says what is wrong with the proof and
//! nothing about what exists here.

mod authenticator;
mod bearer;
mod bootstrap;
mod chain;
pub mod did;
mod door;
mod error;
pub mod jwt;
pub mod keys;
mod known;
mod login;
pub mod owners;
mod refusals;
mod secrets;
mod session;
mod settings;
pub mod siwe;
mod terms;
pub mod users;
mod web;

pub use authenticator::{Approach, Authenticator, Caller, KeyUse, Retiring};
pub use bootstrap::{BOOTSTRAP_KEY_BYTES_MIN, BootstrapError, FirstKey};
pub use chain::Chain;
pub use door::Door;
pub use error::AuthError;
pub use holdfast_model::Principal;
pub use known::Known;
pub use login::{
    LoginError, LoginNonce, Opened, SignedIn, begin_wallet, end_session, wanted_user,
    with_password, with_wallet,
};
pub use refusals::block;
pub use secrets::{SECRET_CHARS_MIN, Secrets};
pub use session::{Began, EndedSession, Session};
pub use settings::{identity, issuers};
pub use terms::{Identity, Terms};
pub use web::Web;

/// Chooses the cryptography that tokens are verified with. To be called before the first token is
/// seen; calling it again does nothing.
pub fn install_crypto() {
    // An error means that a provider is installed already: that is what we want.
    let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
}

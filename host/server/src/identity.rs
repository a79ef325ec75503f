//! Bytes on the wire become a [`Principal`]: one shape, whatever the proof.
//!
//! *Architecture invariants:* nothing but the `Authorization` header says who calls (no tenant, no
//! role, no account comes from any other header); what fails says what is wrong with the proof and
//! nothing about what exists here.

mod authenticator;
mod bearer;
mod bootstrap;
mod door;
mod error;
pub mod jwt;
pub mod keys;
mod settings;

pub use authenticator::Authenticator;
pub use bootstrap::{BOOTSTRAP_KEY_BYTES_MIN, BootstrapError, bootstrap};
pub use door::Door;
pub use error::AuthError;
pub use holdfast_model::Principal;
pub use settings::issuers;

/// Chooses the cryptography that tokens are verified with. To be called before the first token is
/// seen; calling it again does nothing.
pub fn install_crypto() {
    // An error means that a provider is installed already: that is what we want.
    let _ = jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default();
}

//! Who calls: keys, tokens, users, DIDs and wallets, good and bad.

mod keycloak;
mod keys;
mod logins;
mod proofs;
mod remote;
mod tokens;
mod wallets;

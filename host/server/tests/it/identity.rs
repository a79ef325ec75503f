//! Who calls: keys, tokens, users, DIDs and wallets, good and bad.

mod guesses;
mod issuers;
mod keycloak;
mod keys;
mod leaks;
mod logins;
mod owners;
mod proofs;
mod remote;
mod tokens;
mod wallets;

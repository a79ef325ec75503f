//! Sign-In with Ethereum: the message of ERC-4361, read by its grammar, and what must hold of it.

mod cacao;
mod cursor;
mod wallet;

pub use cacao::Cacao;
pub use wallet::{Address, signer_of};
pub(in crate::identity) use wallet::{hash_of, hex};

use cursor::Cursor;
use holdfast_model::UnixMillis;
use url::Url;

/// Bytes of a message: one with ten resources stays below a fourth of it.
const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// For how long a message may be good, and how long ago it may have been made.
const LIFETIME_MILLIS_MAX: u64 = 600_000;

/// By how much the wallet's clock may be ahead.
const LEEWAY_MILLIS: u64 = 30_000;

/// Letters of a nonce at least (ERC-4361).
const NONCE_CHARS_MIN: usize = 8;

/// Why a sign-in is refused; fit for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiweError {
    /// No URL or no chain is configured.
    #[error("wallets are not accepted here; the operator has to set auth.url and auth.chains")]
    Off,
    /// It is no message of ERC-4361.
    #[error("the message does not follow ERC-4361 at {0}")]
    Garbled(&'static str),
    /// It is for another service.
    #[error("the message's {0} is not this host's")]
    Other(&'static str),
    /// Its chain is not configured.
    #[error("the message's chain is not accepted here; switch the wallet to another one")]
    Chain,
    /// Its times are not right.
    #[error(
        "the message's times are not right: it needs an expiration time within ten minutes of its issued-at, and must be good now"
    )]
    Times,
    /// Its nonce is not ours, or was used, or is too old.
    #[error(
        "the message's nonce is not known or was used; get a new one from POST /v1/login/nonce"
    )]
    Nonce,
    /// The signature is not the address's.
    #[error("the signature is not one of the message's address")]
    Signature,
    /// A wallet that is still only a promise.
    #[error(
        "the wallet is a contract that is not deployed yet (ERC-6492); deploy it and sign again"
    )]
    Undeployed,
    /// The chain could not be asked.
    #[error("the wallet's chain cannot be asked now; try again")]
    Unreachable,
    /// Nobody has this wallet.
    #[error("the wallet is nobody's here; ask your tenant's administrator to add it to your user")]
    Nobody,
}

/// A message, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `https` in `https://pins.example wants you…`.
    pub scheme: Option<String>,
    /// Who asks for the signature.
    pub domain: String,
    /// Who signs.
    pub address: Address,
    /// What it is for.
    pub uri: String,
    /// On which chain.
    pub chain: u64,
    /// Used once.
    pub nonce: String,
    /// When it was made.
    pub issued_at: UnixMillis,
    /// Until when it is good.
    pub expires: Option<UnixMillis>,
    /// From when on it is good.
    pub not_before: Option<UnixMillis>,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// The place at which it does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, SiweError> {
        if text.len() > MESSAGE_BYTES_MAX || text.contains('\r') {
            return Err(SiweError::Garbled("its length or line ends"));
        }
        let mut rest = Cursor::new(text);
        let first = rest.until(
            " wants you to sign in with your Ethereum account:\n",
            "line 1",
        )?;
        let (scheme, domain) = match first.split_once("://") {
            Some((scheme, domain)) => (Some(scheme.to_owned()), domain),
            None => (None, first),
        };
        if domain.is_empty() || domain.contains(|c: char| c.is_whitespace() || "/?#@".contains(c)) {
            return Err(SiweError::Garbled("its domain"));
        }
        let address = Address::parse(rest.line("address")?)?;
        rest.tag("\n", "the empty line before the statement")?;
        // With a statement there is a line of it and an empty one, without it only the empty one.
        if !rest.takes("\n") {
            let statement = rest.line("statement")?;
            if !statement.chars().all(is_plain) {
                return Err(SiweError::Garbled("its statement"));
            }
            rest.tag("\n", "the empty line after the statement")?;
        }
        rest.tag("URI: ", "URI")?;
        let uri = rest.line("URI")?.to_owned();
        rest.tag("Version: 1\n", "Version")?;
        rest.tag("Chain ID: ", "Chain ID")?;
        let chain = number(rest.line("Chain ID")?)?;
        rest.tag("Nonce: ", "Nonce")?;
        let nonce = rest.line("Nonce")?.to_owned();
        let is_fit =
            nonce.len() >= NONCE_CHARS_MIN && nonce.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_fit {
            return Err(SiweError::Garbled("Nonce"));
        }
        rest.tag("Issued At: ", "Issued At")?;
        let issued_at = instant(rest.last_line(), "Issued At")?;
        let expires = rest.optional("\nExpiration Time: ");
        let not_before = rest.optional("\nNot Before: ");
        let _request_id = rest.optional("\nRequest ID: ");
        if rest.takes("\nResources:") {
            while rest.takes("\n- ") {
                let resource = rest.last_line();
                Url::parse(resource).map_err(|_| SiweError::Garbled("Resources"))?;
            }
        }
        if !rest.is_done() {
            return Err(SiweError::Garbled("its end"));
        }
        let optional = |text: Option<&str>, what| text.map(|text| instant(text, what)).transpose();
        Ok(Self {
            scheme,
            domain: domain.to_owned(),
            address,
            uri,
            chain,
            nonce,
            issued_at,
            expires: optional(expires, "Expiration Time")?,
            not_before: optional(not_before, "Not Before")?,
        })
    }

    /// Whether it is for this host, for a chain that is accepted, and for now. The nonce is not
    /// looked at.
    ///
    /// # Errors
    /// What is not right.
    pub fn check(&self, url: &Url, chains: &[u64], now: UnixMillis) -> Result<(), SiweError> {
        if self
            .scheme
            .as_deref()
            .is_some_and(|scheme| scheme != url.scheme())
        {
            return Err(SiweError::Other("scheme"));
        }
        if self.domain != authority(url) {
            return Err(SiweError::Other("domain"));
        }
        let uri = Url::parse(&self.uri).map_err(|_| SiweError::Garbled("URI"))?;
        if uri.origin() != url.origin() {
            return Err(SiweError::Other("URI"));
        }
        if !chains.contains(&self.chain) {
            return Err(SiweError::Chain);
        }
        let expires = self.expires.ok_or(SiweError::Times)?;
        let made = self.issued_at.as_millis();
        let begins = made.max(self.not_before.map_or(0, UnixMillis::as_millis));
        let is_timely = begins <= now.as_millis().saturating_add(LEEWAY_MILLIS)
            && now < expires
            && expires.as_millis().saturating_sub(made) <= LIFETIME_MILLIS_MAX;
        is_timely.then_some(()).ok_or(SiweError::Times)
    }
}

/// Host and port of an address, as messages name a domain.
#[must_use]
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What a statement is made of (ERC-4361: reserved, unreserved, and spaces).
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;= ".contains(c)
}

fn number(text: &str) -> Result<u64, SiweError> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.ok_or(SiweError::Garbled("Chain ID"))
}

fn instant(text: &str, what: &'static str) -> Result<UnixMillis, SiweError> {
    UnixMillis::parse(text).map_err(|_| SiweError::Garbled(what))
}

#[cfg(test)]
mod tests;

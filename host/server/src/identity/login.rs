//! Logging in: a password or a wallet's signature becomes a session.

use super::chain;
use super::session::{Began, EndedSession, Session};
use super::siwe::{self, Cacao, Message, SiweError, hash_of, hex};
use super::terms::Identity;
use super::users::{self, Busy, Lockout, LoginOf, User};
use crate::clock::Clock;
use holdfast_model::principal::UserRef;
use holdfast_model::{ErrorKind, UnixMillis};
use holdfast_store::{Expect, Record, Store, StoreError};
use serde::{Deserialize, Serialize};

/// For how long a nonce waits for its message.
const NONCE_MILLIS: u64 = 300_000;

/// Letters of a nonce: 128 bits and more in hex.
const NONCE_BYTES: usize = 20;

/// Times that a failure is counted again because another one was counted meanwhile.
const COUNTED_TRIES: u32 = 5;

/// Why somebody is not logged in; fit for the caller.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Passwords are switched off.
    #[error(
        "nobody logs in with a password here; use your identity provider or an API key, or have the operator set auth.passwords"
    )]
    Off,
    /// Whether there is such a user is not told.
    #[error("the user or the password is wrong")]
    Wrong,
    /// Too many failures.
    #[error(
        "too many failed log-ins; try again in {0} s, or ask your tenant's administrator to unlock you"
    )]
    Locked(u64),
    /// Too many at once.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A wallet's message or signature.
    #[error(transparent)]
    Wallet(#[from] SiweError),
    /// The store failed.
    #[error("log-ins are not possible now")]
    Store(#[from] StoreError),
}

impl LoginError {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Off => ErrorKind::Denied,
            Self::Wrong => ErrorKind::Unauthenticated,
            Self::Locked(_) | Self::Busy(_) => ErrorKind::Overloaded,
            Self::Wallet(SiweError::Off) => ErrorKind::Denied,
            Self::Wallet(SiweError::Unreachable) => ErrorKind::Unavailable,
            Self::Wallet(SiweError::Garbled(_)) => ErrorKind::Invalid,
            Self::Wallet(_) => ErrorKind::Unauthenticated,
            Self::Store(error) => error.kind(),
        }
    }
}

/// A nonce that waits for its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginNonce {
    /// The nonce.
    pub nonce: String,
    /// Until when it waits.
    pub until: UnixMillis,
}

impl Record for LoginNonce {
    const KIND: &'static str = "login-nonce";

    fn owner(&self) -> &str {
        &self.nonce
    }

    fn id(&self) -> &str {
        "nonce"
    }

    fn expires(&self) -> Option<UnixMillis> {
        Some(self.until)
    }
}

/// What a wallet is to put into its message.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The nonce.
    pub nonce: LoginNonce,
    /// The domain.
    pub domain: String,
    /// The URI.
    pub uri: String,
    /// Chains that are accepted.
    pub chains: Vec<u64>,
}

/// What a wallet has signed.
#[derive(Debug, Clone)]
pub enum SignedIn {
    /// The message, and the signature as `0x…`.
    Message(String, String),
    /// Its parts.
    Cacao(Box<Cacao>),
}

/// What logging in works with.
#[derive(Debug, Clone, Copy)]
struct Desk<'a> {
    store: &'a Store,
    identity: &'a Identity,
    now: UnixMillis,
}

/// Logs a user in with a password.
///
/// # Errors
/// Why not; a wrong name and a wrong password answer alike, and as slowly.
pub async fn with_password(
    store: &Store,
    identity: &Identity,
    clock: &Clock,
    (user, password): (&str, String),
) -> Result<(Session, String), LoginError> {
    let now = clock.now();
    let desk = Desk {
        store,
        identity,
        now,
    };
    let found = desk.user_of(user, password).await?;
    Ok(desk.session(&found, Began::Password))
}

/// The user that somebody wanted to log in as, if there is one: for the audit log alone, because
/// callers are not told who exists.
///
/// # Errors
/// The store fails.
pub async fn wanted_user(
    store: &Store,
    clock: &Clock,
    user: &str,
) -> Result<Option<User>, StoreError> {
    let Some((tenant, name)) = parts(user) else {
        return Ok(None);
    };
    let kept = users::find(store, (tenant, name), clock.now()).await?;
    Ok(kept.map(|kept| kept.value))
}

/// `tenant/name`, if it can be one.
fn parts(user: &str) -> Option<(&str, &str)> {
    let (tenant, name) = user.split_once('/')?;
    let is_short = user.len() <= holdfast_store::RECORD_NAME_BYTES_MAX;
    (is_short && !name.is_empty() && !user.contains('\0')).then_some((tenant, name))
}

/// The user whose name and password these are; for who sends them with each call.
///
/// # Errors
/// As [`with_password`].
pub(super) async fn check_password(
    store: &Store,
    identity: &Identity,
    now: UnixMillis,
    (user, password): (&str, String),
) -> Result<User, LoginError> {
    let desk = Desk {
        store,
        identity,
        now,
    };
    desk.user_of(user, password).await
}

/// Makes a nonce for a wallet's message.
///
/// # Errors
/// Wallets are not accepted, or the store fails.
pub async fn begin_wallet(
    store: &Store,
    identity: &Identity,
    clock: &Clock,
) -> Result<Opened, LoginError> {
    let terms = &identity.terms;
    let url = terms.url.as_ref().filter(|_| !terms.chains.is_empty());
    let url = url.ok_or(SiweError::Off)?;
    let now = clock.now();
    let bytes: [u8; NONCE_BYTES] = rand::random();
    let nonce = LoginNonce {
        nonce: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        until: now.plus_millis(NONCE_MILLIS),
    };
    store.put_record(&nonce, Expect::Absent, now).await?;
    Ok(Opened {
        nonce,
        domain: siwe::authority(url),
        uri: url.as_str().trim_end_matches('/').to_owned(),
        chains: terms.chains.iter().map(|chain| chain.id).collect(),
    })
}

/// Logs a user in with a wallet's signature.
///
/// # Errors
/// Why not.
pub async fn with_wallet(
    store: &Store,
    identity: &Identity,
    clock: &Clock,
    signed: SignedIn,
) -> Result<(Session, String), LoginError> {
    let terms = &identity.terms;
    let now = clock.now();
    let desk = Desk {
        store,
        identity,
        now,
    };
    let url = terms.url.as_ref().filter(|_| !terms.chains.is_empty());
    let url = url.ok_or(SiweError::Off)?;
    let (text, signature) = match signed {
        SignedIn::Message(text, signature) => (text, signature),
        SignedIn::Cacao(cacao) => cacao.into_parts()?,
    };
    let message = Message::parse(&text)?;
    let chains: Vec<u64> = terms.chains.iter().map(|chain| chain.id).collect();
    message.check(url, &chains, now)?;
    // Used before the signature is looked at: a nonce is good for one attempt.
    desk.use_up(&message.nonce).await?;
    let subject = desk.signer(&message, &text, &signature).await?;
    let of = store.record::<LoginOf>(&subject, "user", now).await?;
    let of = of.ok_or(SiweError::Nobody)?.value;
    let kept = users::find(store, (of.tenant.as_str(), &of.name), now).await?;
    let user = kept.map(|kept| kept.value);
    let user = user.filter(|user| !user.disabled && user.logins.contains(&subject));
    let user = user.ok_or(SiweError::Nobody)?;
    Ok(desk.session(&user, Began::Wallet))
}

/// Ends a session before its time.
///
/// # Errors
/// The store fails.
pub async fn end_session(
    store: &Store,
    clock: &Clock,
    session: &Session,
) -> Result<(), LoginError> {
    let ended = EndedSession::of(session);
    store.put_record(&ended, Expect::Any, clock.now()).await?;
    Ok(())
}

impl Desk<'_> {
    /// The user whose password this is. Failures are counted, and lock.
    async fn user_of(&self, user: &str, password: String) -> Result<User, LoginError> {
        if !self.identity.terms.passwords {
            return Err(LoginError::Off);
        }
        let (store, now) = (self.store, self.now);
        let (tenant, name) = parts(user).ok_or(LoginError::Wrong)?;
        let lockout = store.record::<Lockout>(user, "lockout", now).await?;
        if let Some(kept) = &lockout
            && now < kept.value.until
        {
            let left = kept.value.until.millis_since(now).div_ceil(1_000);
            return Err(LoginError::Locked(left.max(1)));
        }
        let kept = users::find(store, (tenant, name), now).await?;
        let found = kept.map(|kept| kept.value).filter(|user| !user.disabled);
        let hash = found.as_ref().and_then(|user| user.password.clone());
        let is_right = self.identity.passwords.is_right(password, hash).await?;
        match found {
            Some(found) if is_right => {
                if lockout.is_some() {
                    store
                        .delete_record::<Lockout>(user, "lockout", Expect::Any, now)
                        .await?;
                }
                Ok(found)
            }
            _ => {
                self.count_failure(user).await?;
                Err(LoginError::Wrong)
            }
        }
    }

    fn session(&self, user: &User, began: Began) -> (Session, String) {
        let of = UserRef {
            tenant: user.tenant.as_str(),
            name: &user.name,
            generation: user.generation,
        };
        let lifetime = self.identity.terms.session_lifetime;
        let session = Session::begin(of, began, self.now, lifetime);
        let token = session.token(&self.identity.secrets);
        (session, token)
    }

    async fn count_failure(&self, user: &str) -> Result<(), StoreError> {
        let (store, now) = (self.store, self.now);
        for _ in 0..COUNTED_TRIES {
            let kept = store.record::<Lockout>(user, "lockout", now).await?;
            let expect = match &kept {
                Some(kept) => Expect::Version(kept.version),
                None => Expect::Absent,
            };
            let lockout = Lockout::after(kept.map(|kept| kept.value), user, now);
            match store.put_record(&lockout, expect, now).await {
                Err(StoreError::Conflict(_)) => {}
                done => return done.map(drop),
            }
        }
        // So many at once: those that were counted are enough.
        Ok(())
    }

    async fn use_up(&self, nonce: &str) -> Result<(), LoginError> {
        let (store, now) = (self.store, self.now);
        if nonce.len() != 2 * NONCE_BYTES {
            return Err(SiweError::Nonce.into());
        }
        let kept = store.record::<LoginNonce>(nonce, "nonce", now).await?;
        let kept = kept.ok_or(SiweError::Nonce)?;
        let expect = Expect::Version(kept.version);
        match store
            .delete_record::<LoginNonce>(nonce, "nonce", expect, now)
            .await
        {
            Err(StoreError::Conflict(_)) => Err(SiweError::Nonce.into()),
            done => Ok(done?),
        }
    }

    /// The DID of who signed: of the key, which is one on all chains, or of the contract.
    async fn signer(
        &self,
        message: &Message,
        text: &str,
        signature: &str,
    ) -> Result<String, SiweError> {
        /// Digits of the longest signature that is looked at, whatever it is for.
        const DIGITS_MAX: usize = 4 * chain::SIGNATURE_BYTES_MAX;
        let digits = signature.strip_prefix("0x").unwrap_or(signature);
        if digits.len() > DIGITS_MAX {
            return Err(SiweError::Signature);
        }
        let signature = hex(digits).ok_or(SiweError::Signature)?;
        if siwe::signer_of(text, &signature) == Some(message.address) {
            return Ok(message.address.did(1));
        }
        let chains = &self.identity.terms.chains;
        let chain = chains.iter().find(|chain| chain.id == message.chain);
        let chain = chain.ok_or(SiweError::Chain)?;
        let web = self.identity.web.as_ref().ok_or(SiweError::Signature)?;
        chain::is_valid(web, chain, message.address, hash_of(text), &signature).await?;
        Ok(message.address.did(message.chain))
    }
}

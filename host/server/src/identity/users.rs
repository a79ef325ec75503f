//! Users who are kept here: what is known of them, their passwords, and how they are locked out.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use holdfast_model::principal::{FIRST_GENERATION, Proof, UserRef};
use holdfast_model::{AccountId, Invalid, Principal, PrincipalId, Roles, TenantId, UnixMillis};
use holdfast_store::{Kept, Record, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Letters of a password at least (NIST SP 800-63B-4, section 3.1.1.2), and bytes at most: more
/// would only cost time.
pub const PASSWORD_CHARS_MIN: usize = 12;
const PASSWORD_BYTES_MAX: usize = 1_024;

/// Letters of a user's name, as of an account's.
const NAME_BYTES_MAX: usize = 64;

/// DIDs and wallets of one user.
const LOGINS_MAX: usize = 16;

/// Passwords that are looked at at once. Each takes 19 MiB and some 30 ms of one core.
const HASHING_AT_ONCE: usize = 2;

/// Passwords that wait to be looked at: half a second's work. Whoever comes later is told to come
/// again, so that log-ins cannot take memory or threads from calls.
const HASHING_WAITING_MAX: usize = 32;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The tenant.
    pub tenant: TenantId,
    /// The name within it.
    pub name: String,
    /// The account that the user acts for.
    pub account: AccountId,
    /// What the user is.
    pub roles: Roles,
    /// Argon2id, in the PHC string format. Nothing: no log-in with a password.
    #[serde(default)]
    pub password: Option<String>,
    /// DIDs and wallets (`did:pkh:…`) that log in as this user.
    #[serde(default)]
    pub logins: Vec<String>,
    /// When the user was made.
    pub created: UnixMillis,
    /// Whether the user is kept out.
    #[serde(default)]
    pub disabled: bool,
    /// Sessions that began before are over.
    #[serde(default)]
    pub sessions_from: Option<UnixMillis>,
    /// How many of this name there have been in the tenant, with this one.
    #[serde(default = "first")]
    pub generation: u32,
    /// Set once the user is deleted. The record stays, so that nobody becomes who this one was.
    #[serde(default)]
    pub deleted: Option<UnixMillis>,
}

pub(super) const fn first() -> u32 {
    FIRST_GENERATION
}

impl User {
    /// The name that policies, keys and the audit log know.
    #[must_use]
    pub fn principal_id(&self) -> PrincipalId {
        PrincipalId::of_user(UserRef {
            tenant: self.tenant.as_str(),
            name: &self.name,
            generation: self.generation,
        })
    }

    /// Whether there is such a user still.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.deleted.is_none()
    }

    /// What is left of a user who is deleted: nothing that opens anything, for processes of before
    /// there were such records too.
    #[must_use]
    pub fn gone(self, now: UnixMillis) -> Self {
        Self {
            roles: Roles::NONE,
            password: None,
            logins: Vec::new(),
            disabled: true,
            deleted: Some(now),
            ..self
        }
    }

    /// The user as whoever calls.
    #[must_use]
    pub fn principal(&self, proof: Proof) -> Principal {
        Principal {
            id: self.principal_id(),
            account: self.account.clone(),
            roles: self.roles,
            proof,
        }
    }

    /// Checks what a person may have written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Invalid> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = self.name.len() <= NAME_BYTES_MAX
            && self.name.bytes().next().is_some_and(is_plain)
            && self
                .name
                .bytes()
                .all(|b| is_plain(b) || b"._-@".contains(&b));
        if !fits {
            let why = format!(
                "is no user's name; write 1 to {NAME_BYTES_MAX} of a-z 0-9 . _ - @, beginning with \
                 a letter or digit"
            );
            return Err(Invalid::new("name", why));
        }
        if self.account.tenant() != &self.tenant {
            return Err(Invalid::new("account", "is another tenant's than the user"));
        }
        if self.logins.len() > LOGINS_MAX {
            let why = format!("names {}; {LOGINS_MAX} at most", self.logins.len());
            return Err(Invalid::new("logins", why));
        }
        for login in &self.logins {
            if !login.starts_with("did:key:") && !login.starts_with("did:pkh:eip155:") {
                let why = format!(
                    "{login:?} is nobody; write did:key:z… or did:pkh:eip155:1:0x… in lower case"
                );
                return Err(Invalid::new("logins", why));
            }
        }
        Ok(())
    }
}

impl Record for User {
    const KIND: &'static str = "user";

    fn owner(&self) -> &str {
        self.tenant.as_str()
    }

    fn id(&self) -> &str {
        &self.name
    }
}

/// A user who is there still.
///
/// # Errors
/// The store fails.
pub async fn find(
    store: &Store,
    (tenant, name): (&str, &str),
    now: UnixMillis,
) -> Result<Option<Kept<User>>, StoreError> {
    let kept = store.record::<User>(tenant, name, now).await?;
    Ok(kept.filter(|kept| kept.value.is_there()))
}

/// Whose a DID or a wallet is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginOf {
    /// The DID.
    pub subject: String,
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user.
    pub name: String,
}

impl Record for LoginOf {
    const KIND: &'static str = "login-of";

    fn owner(&self) -> &str {
        &self.subject
    }

    fn id(&self) -> &str {
        "user"
    }
}

/// How often somebody failed to log in as a user, and until when nobody may try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockout {
    /// `tenant/name`, whether there is such a user or not.
    pub user: String,
    /// Failures in a row.
    pub failures: u32,
    /// Nobody may try before.
    pub until: UnixMillis,
    /// When it is forgotten.
    pub forgotten: UnixMillis,
}

impl Lockout {
    /// Failures that cost nothing: fingers slip.
    const FREE: u32 = 4;
    /// The first wait; each further one is twice as long, up to the longest. A guesser who keeps at
    /// it gets some hundred guesses a day.
    const FIRST_MILLIS: u64 = 1_000;
    const LONGEST_MILLIS: u64 = 900_000;
    /// After so long without a failure all is forgotten.
    const FORGOTTEN_MILLIS: u64 = 24 * 3_600_000;

    /// After one more failure.
    #[must_use]
    pub fn after(before: Option<Self>, user: &str, now: UnixMillis) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let doublings = failures.saturating_sub(Self::FREE + 1).min(32);
        let wait = match failures {
            0..=Self::FREE => 0,
            _ => (Self::FIRST_MILLIS << doublings).min(Self::LONGEST_MILLIS),
        };
        Self {
            user: user.to_owned(),
            failures,
            until: now.plus_millis(wait),
            forgotten: now.plus_millis(Self::FORGOTTEN_MILLIS),
        }
    }
}

impl Record for Lockout {
    const KIND: &'static str = "lockout";

    fn owner(&self) -> &str {
        &self.user
    }

    fn id(&self) -> &str {
        "lockout"
    }

    fn expires(&self) -> Option<UnixMillis> {
        Some(self.forgotten)
    }
}

/// Makes and compares passwords' hashes, a few at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(HASHING_AT_ONCE)),
            waiting: Arc::default(),
        }
    }
}

/// More passwords wait than are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people log in at once; try again in a second")]
pub struct Busy;

impl Passwords {
    /// The hash to keep.
    ///
    /// # Errors
    /// Too many wait.
    pub async fn hash(&self, password: String) -> Result<String, Busy> {
        self.run(move || {
            let salt: [u8; 16] = rand::random();
            let salt = SaltString::encode_b64(&salt).ok()?;
            let hash = argon2().hash_password(password.as_bytes(), &salt).ok()?;
            Some(hash.to_string())
        })
        .await?
        .ok_or(Busy)
    }

    /// Whether a password is the one. Takes as long where there is no hash, so that nobody learns
    /// who is a user here.
    ///
    /// # Errors
    /// Too many wait.
    pub async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        self.run(move || {
            let Some(hash) = hash else {
                let mut unused = [0; 32];
                let _ = argon2().hash_password_into(password.as_bytes(), &[7; 16], &mut unused);
                return false;
            };
            PasswordHash::new(&hash)
                .is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= HASHING_WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let place = self.places.acquire().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let _place = place.map_err(|_| Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
    }
}

/// 19 MiB, two rounds, one lane: OWASP's first choice for argon2id, and the crate's default.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// Checks a password that somebody chose.
///
/// # Errors
/// Too short, or far too long.
pub fn check_password(password: &str) -> Result<(), Invalid> {
    let chars = password.chars().count();
    if chars < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
        let why = format!(
            "has {chars} characters; write {PASSWORD_CHARS_MIN} or more, {PASSWORD_BYTES_MAX} bytes \
             at most"
        );
        return Err(Invalid::new("password", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_after_some_free_failures() {
        let now = UnixMillis::new(0);
        let mut lockout = None;
        let mut waits = Vec::new();
        for _ in 0..18 {
            let next = Lockout::after(lockout, "acme/alice", now);
            waits.push(next.until.as_millis() / 1_000);
            lockout = Some(next);
        }
        assert_eq!(waits[..8], [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(waits[14..], [900, 900, 900, 900]);
    }

    #[tokio::test]
    async fn a_password_is_told_from_another() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let is_right = async |said: &str, hash: Option<String>| {
            passwords.is_right(said.to_owned(), hash).await.unwrap()
        };
        assert!(is_right("correct horse", Some(hash.clone())).await);
        assert!(!is_right("correct Horse", Some(hash)).await);
        assert!(!is_right("correct horse", None).await);
        assert!(!is_right("x", Some("no hash".to_owned())).await);
    }

    #[tokio::test]
    async fn more_than_can_wait_are_sent_away() {
        let passwords = Passwords::default();
        passwords
            .waiting
            .store(HASHING_WAITING_MAX, Ordering::Relaxed);
        assert_eq!(passwords.hash("x".to_owned()).await, Err(Busy));
        assert_eq!(
            passwords.waiting.load(Ordering::Relaxed),
            HASHING_WAITING_MAX
        );
    }
}

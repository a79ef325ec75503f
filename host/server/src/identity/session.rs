//! Session tokens: `hfs_<what it says>.<our signature>`, short-lived, for who logged in.

use super::secrets::Secrets;
use super::users::first;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_model::principal::UserRef;
use holdfast_model::{PrincipalId, UnixMillis};
use holdfast_store::Record;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// What every session token begins with.
pub(super) const PREFIX: &str = "hfs_";

/// How a session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Began {
    /// With a password.
    Password,
    /// With a wallet's signature.
    Wallet,
}

/// What a session token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name, by which it can be ended.
    pub id: Uuid,
    /// The user's tenant.
    pub tenant: String,
    /// The user.
    pub user: String,
    /// Which one of that name.
    #[serde(default = "first")]
    pub generation: u32,
    /// How it began.
    pub began: Began,
    /// When.
    pub at: UnixMillis,
    /// Until when it is good.
    pub end: UnixMillis,
}

impl Session {
    /// One that begins now.
    #[must_use]
    pub fn begin(user: UserRef<'_>, began: Began, now: UnixMillis, lifetime: Duration) -> Self {
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Self {
            id: Uuid::new_v4(),
            tenant: user.tenant.to_owned(),
            user: user.name.to_owned(),
            generation: user.generation,
            began,
            at: now,
            end: now.plus_millis(lifetime),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn principal_id(&self) -> PrincipalId {
        PrincipalId::of_user(UserRef {
            tenant: &self.tenant,
            name: &self.user,
            generation: self.generation,
        })
    }

    /// The token to send.
    #[must_use]
    pub fn token(&self, secrets: &Secrets) -> String {
        let said = serde_json::to_vec(self).unwrap_or_default();
        let said = URL_SAFE_NO_PAD.encode(said);
        let signature = URL_SAFE_NO_PAD.encode(secrets.sign(said.as_bytes()));
        format!("{PREFIX}{said}.{signature}")
    }

    /// What a token says, if we have signed it and it has not ended.
    #[must_use]
    pub fn read(token: &str, secrets: &Secrets, now: UnixMillis) -> Option<Self> {
        let (said, signature) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !secrets.has_signed(said.as_bytes(), &signature) {
            return None;
        }
        let said = URL_SAFE_NO_PAD.decode(said).ok()?;
        let session: Self = serde_json::from_slice(&said).ok()?;
        // From both sides: a clock that was set back prolongs nothing by much.
        (now < session.end).then_some(session)
    }
}

/// A session that was ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// The session.
    pub id: Uuid,
    /// Its name as text: what the record is found by.
    pub name: String,
    /// When its token ends by itself; nothing needs to be known from then on.
    pub until: UnixMillis,
}

impl EndedSession {
    /// The end of a session.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self {
            id: session.id,
            name: session.id.to_string(),
            until: session.end,
        }
    }
}

impl Record for EndedSession {
    const KIND: &'static str = "ended-session";

    // An owner of its own: sessions end all the time, and one owner's records are one partition.
    fn owner(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &str {
        "ended"
    }

    fn expires(&self) -> Option<UnixMillis> {
        Some(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_until_it_ends_by_who_signed_it() {
        let secrets = Secrets::new(Some("a secret"));
        let session = Session {
            id: Uuid::nil(),
            tenant: "acme".to_owned(),
            user: "alice".to_owned(),
            generation: 2,
            began: Began::Password,
            at: UnixMillis::new(1_000),
            end: UnixMillis::new(2_000),
        };
        let token = session.token(&secrets);
        let read = |token: &str, at| Session::read(token, &secrets, UnixMillis::new(at));
        assert_eq!(read(&token, 1_999), Some(session));
        assert_eq!(read(&token, 2_000), None);
        assert_eq!(
            Session::read(&token, &Secrets::default(), UnixMillis::new(1_000)),
            None
        );
        for at in PREFIX.len()..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let wrong = String::from_utf8(bytes).unwrap();
            // The last letter of base64 carries bits that nobody reads.
            let is_spare = at + 1 == token.len();
            assert!(is_spare || read(&wrong, 1_500).is_none(), "{at}: {wrong}");
        }
        assert_eq!(read("hfs_", 1), None);
        assert_eq!(read("hfs_.", 1), None);
    }
}

//! On which terms people are let in, out of the configuration.

use super::chain::Chain;
use super::secrets::Secrets;
use super::users::Passwords;
use super::web::Web;
use std::time::Duration;
use url::Url;

/// What identity works with, made once at start.
#[derive(Debug, Default)]
pub struct Identity {
    /// The host's secret, in keys for each use.
    pub secrets: Secrets,
    /// The terms.
    pub terms: Terms,
    /// Who makes and compares passwords' hashes.
    pub passwords: Passwords,
    /// Who calls chains' nodes; nobody, in tests that need none.
    pub web: Option<Web>,
}

/// The terms.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where clients reach this host; nothing: no DIDs and no wallets.
    pub url: Option<Url>,
    /// Chains whose wallets may sign in.
    pub chains: Vec<Chain>,
    /// Whether users may log in with passwords.
    pub passwords: bool,
    /// For how long a session token is good.
    pub session_lifetime: Duration,
    /// The longest time for which a key is good.
    pub key_lifetime_max: Duration,
    /// Refused credentials a minute from one address; 0 is without bound.
    pub refused_per_minute: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            url: None,
            chains: Vec::new(),
            passwords: true,
            session_lifetime: Duration::from_secs(3_600),
            key_lifetime_max: Duration::from_secs(365 * 86_400),
            refused_per_minute: 0,
        }
    }
}

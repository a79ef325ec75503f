//! Changing the connection while the store is open.

use super::calls::{Trace, fetch, recording};
use super::connect::{self, Connected};
use super::home::Home;
use super::settings::CqlSettings;
use super::statement::Statement;
use super::{Cql, Shared};
use crate::Result;
use crate::error::StoreError;
use tokio::time::timeout;

/// What the new connection is proven with: a row that every keyspace of ours has a place for.
const PROBE: &str = "prefix_bits";

/// A connection with other settings that has been proven and that nobody uses yet.
#[derive(Debug)]
pub struct Candidate {
    connected: Connected,
}

impl Cql {
    /// Goes on with other settings: connects anew with the certificates and passwords as they are
    /// now, logs in, prepares everything, reads something, and only then sends new calls that way.
    /// Calls under way end on the old connection. The same settings make a new connection too:
    /// that is how renewed certificates are taken up.
    ///
    /// # Errors
    /// Settings that cannot be used, that need a new start, or with which the cluster cannot be
    /// used. Then all stays as it was.
    pub async fn reconfigure(&self, new: CqlSettings) -> Result<()> {
        let candidate = self.candidate(new).await?;
        self.install(candidate);
        Ok(())
    }

    /// The first half of [`Cql::reconfigure`]: everything that may fail. New calls go the old way
    /// until the candidate is installed; if it is dropped, nothing has changed.
    ///
    /// # Errors
    /// As there.
    pub async fn candidate(&self, new: CqlSettings) -> Result<Candidate> {
        let proven = self.shared.proven(&new).await;
        if proven.is_err() {
            self.shared.calls.metrics().reconfigured("refused");
        }
        Ok(Candidate { connected: proven? })
    }

    /// The other half, which cannot fail: new calls go the new way.
    pub fn install(&self, candidate: Candidate) {
        let contact_points = candidate.connected.settings.contact_points.clone();
        let cached_pins = candidate.connected.settings.flow.cached_pins;
        self.shared.calls.swap(candidate.connected);
        self.shared.cache.resize(cached_pins);
        self.shared.calls.metrics().reconfigured("swapped");
        tracing::info!(?contact_points, "connected anew");
    }

    /// The settings that calls are made with.
    #[must_use]
    pub fn settings(&self) -> CqlSettings {
        self.shared.calls.connected().settings.clone()
    }

    /// Runs a future and tells what the servers did for the statements that it sent: slow, for
    /// looking into one call. Statements that others send on its behalf are not among them.
    pub async fn traced<F: Future>(&self, future: F) -> (F::Output, Vec<Trace>) {
        let (output, traced) = recording(future).await;
        let connected = self.shared.calls.connected();
        (output, fetch(&connected, traced).await)
    }
}

impl Shared {
    async fn proven(&self, new: &CqlSettings) -> Result<Connected> {
        new.check()?;
        self.calls.connected().settings.check_change(new)?;
        let session = connect::session(new).await?;
        let connected = Connected::prepare(session, new, &self.params.homes).await?;
        prove(&connected).await?;
        Ok(connected)
    }
}

/// Reads one row through a connection that nobody uses yet.
async fn prove(connected: &Connected) -> Result<()> {
    let useless = |why: String| StoreError::Unavailable {
        doing: "read through the new connection".to_owned(),
        source: std::io::Error::other(why),
    };
    let read = connected.statement(Home::default(), Statement::ParamRead)?;
    let reading = connected.session.execute_unpaged(read, (PROBE,));
    match timeout(connected.settings.timeouts.read, reading).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(useless(error.to_string())),
        Err(_) => Err(useless("no answer in time".to_owned())),
    }
}

//! How a node is: whom it is connected to, how full it is, what goes over its wires.

use super::answer::{Peering, Rates, Repository};
use super::{Kubo, KuboError, SHORT};
use holdfast_model::PeerId;

/// How full a node's repository is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What it takes up.
    pub used: u64,
    /// What it may take up.
    pub limit: u64,
}

impl Space {
    /// What is left.
    #[must_use]
    pub const fn free(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// What went over a node's wires with one protocol: bytes in all, and bytes a second lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bandwidth {
    /// Bytes received.
    pub total_in: u64,
    /// Bytes sent.
    pub total_out: u64,
    /// Received a second.
    pub rate_in: f64,
    /// Sent a second.
    pub rate_out: f64,
}

impl Kubo {
    /// The peers that the node is connected to.
    ///
    /// # Errors
    /// As [`KuboError`] tells; so for every call below.
    pub async fn connected(&self) -> Result<Vec<PeerId>, KuboError> {
        let answer: Peering = self.caller.one("swarm/peers", &[], SHORT).await?;
        let peers = answer.peers.unwrap_or_default();
        Ok(peers
            .iter()
            .filter_map(|one| PeerId::parse(&one.peer).ok())
            .collect())
    }

    /// How full the node is.
    ///
    /// # Errors
    /// See [`Self::connected`].
    pub async fn space(&self) -> Result<Space, KuboError> {
        let query = [("size-only", "true")];
        let answer: Repository = self.caller.one("repo/stat", &query, SHORT).await?;
        Ok(Space {
            used: answer.repo_size,
            limit: answer.storage_max,
        })
    }

    /// What goes over the node's wires with a protocol such as `/ipfs/kad/1.0.0`.
    ///
    /// # Errors
    /// See [`Self::connected`].
    pub async fn bandwidth(&self, protocol: &str) -> Result<Bandwidth, KuboError> {
        let query = [("proto", protocol)];
        let answer: Rates = self.caller.one("stats/bw", &query, SHORT).await?;
        Ok(Bandwidth {
            total_in: answer.total_in,
            total_out: answer.total_out,
            rate_in: answer.rate_in,
            rate_out: answer.rate_out,
        })
    }
}

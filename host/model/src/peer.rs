//! Peers of the IPFS network and the addresses that lead to them.

use crate::error::Invalid;
use crate::forms::text_and_bytes;
use crate::limits::MULTIADDR_BYTES_MAX;
use multiaddr::{Multiaddr, Protocol};
use std::fmt;

/// The id of a libp2p node: `12D3Koo…` or `Qm…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(libp2p_identity::PeerId);

impl PeerId {
    /// Parses the base58 text.
    ///
    /// # Errors
    /// Text that is no peer id.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.parse()
            .map(Self)
            .map_err(|e| Invalid::new("peer", format!("{e}; write a peer id such as 12D3KooW…")))
    }

    /// Parses the multihash bytes.
    ///
    /// # Errors
    /// Bytes that are no peer id.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        libp2p_identity::PeerId::from_bytes(bytes)
            .map(Self)
            .map_err(|e| Invalid::new("peer", e.to_string()))
    }

    /// The multihash bytes, as protobuf carries them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

text_and_bytes!(PeerId);

/// An address that names the peer it leads to: a multiaddr with a `/p2p/` part.
///
/// Kubo refuses a delegate without one, IPFS Cluster an origin without one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Multiaddr);

impl Origin {
    /// Parses the text form.
    ///
    /// # Errors
    /// Text that is too long, no multiaddr, or names no peer.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MULTIADDR_BYTES_MAX {
            return Err(invalid(&format!(
                "longer than {MULTIADDR_BYTES_MAX} characters"
            )));
        }
        let address = text
            .parse::<Multiaddr>()
            .map_err(|e| invalid(&e.to_string()))?;
        Self::with_peer(address)
    }

    /// Parses the binary form.
    ///
    /// # Errors
    /// Bytes that are no multiaddr or name no peer.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let address = Multiaddr::try_from(bytes.to_vec()).map_err(|e| invalid(&e.to_string()))?;
        Self::with_peer(address)
    }

    fn with_peer(address: Multiaddr) -> Result<Self, Invalid> {
        if address.iter().any(|part| matches!(part, Protocol::P2p(_))) {
            Ok(Self(address))
        } else {
            Err(invalid("names no peer"))
        }
    }

    /// Whether the peer's id is the last part, as the Pinning Service API demands of its callers.
    #[must_use]
    pub fn ends_in_peer(&self) -> bool {
        matches!(self.0.iter().last(), Some(Protocol::P2p(_)))
    }

    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// How many bytes it has in the binary form.
    pub(crate) fn weight(&self) -> usize {
        self.0.len()
    }
}

fn invalid(why: &str) -> Invalid {
    Invalid::new(
        "multiaddr",
        format!("{why}; write an address such as /ip4/203.0.113.7/tcp/4001/p2p/12D3KooW…"),
    )
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

text_and_bytes!(Origin);

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";

    #[test]
    fn an_origin_must_name_its_peer() {
        let good = Origin::parse(&format!("/ip4/1.2.3.4/tcp/4001/p2p/{PEER}")).unwrap();
        assert!(good.ends_in_peer());
        assert_eq!(Origin::from_bytes(&good.to_bytes()).unwrap(), good);
        for text in [
            "",
            "/ip4/1.2.3.4/tcp/4001",
            "1.2.3.4:4001",
            "/ip4/999.1.1.1/tcp/1/p2p/x",
        ] {
            assert!(
                Origin::parse(text).unwrap_err().why.contains("/p2p/"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_relayed_address_does_not_end_in_its_relay() {
        let relayed = Origin::parse(&format!("/p2p/{PEER}/p2p-circuit")).unwrap();
        assert!(!relayed.ends_in_peer());
    }

    #[test]
    fn peer_ids_round_trip() {
        let peer = PeerId::parse(PEER).unwrap();
        assert_eq!(peer.to_string(), PEER);
        assert_eq!(PeerId::from_bytes(&peer.to_bytes()).unwrap(), peer);
        assert!(PeerId::parse("12D3").is_err());
    }
}

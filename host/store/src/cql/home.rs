//! Where things lie: a pin's prefix, a key's home datacenter, slots of time and shards.
//!
//! Everything here is a pure function of a key and of [`Params`], which are fixed when the keyspace
//! is first used: all processes, today's and next year's, must compute the same.

use holdfast_model::Cid;
use sha2::{Digest, Sha256};

/// What was fixed when the keyspace was first used (table `store_params`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    /// Bits of a pin's prefix: 2^bits partitions of pins.
    pub(crate) prefix_bits: u8,
    /// Bits of a prefix that make a peer's bucket.
    pub(crate) peer_bucket_bits: u8,
    /// Partitions that one slot of the feed is spread over.
    pub(crate) feed_shards: u16,
    /// Partitions that one slot of an expiry index is spread over.
    pub(crate) expiry_shards: u16,
    /// Datacenters that keys have their homes in; never empty.
    pub(crate) homes: Vec<String>,
}

/// A datacenter of [`Params::homes`], by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Home(pub(crate) u8);

impl Home {
    /// Where walks over all pins are read. What lies in another home is seen as it was a moment
    /// ago, which a walk over what changes all the while cannot tell from having come later.
    pub(crate) const OF_WALKS: Self = Self(0);
}

impl Params {
    /// The prefix of a pin: the top bits of a hash of its digest, so that neither CIDs with a
    /// common beginning nor identity multihashes crowd one partition, and both versions of a CID
    /// lie together.
    pub(crate) fn prefix(&self, cid: &Cid) -> i32 {
        let hash = hash_of(cid.digest());
        let bits = u32::from(self.prefix_bits.clamp(1, 31));
        let top = u32::try_from(hash >> 32).unwrap_or(u32::MAX);
        i32::try_from(top >> (32 - bits)).unwrap_or(i32::MAX)
    }

    /// The bucket of a peer's placements that a prefix falls into.
    pub(crate) fn peer_bucket(&self, prefix: i32) -> i32 {
        let bits = self.prefix_bits.saturating_sub(self.peer_bucket_bits);
        prefix >> bits.min(30)
    }

    /// How many buckets a peer's placements have.
    pub(crate) fn peer_buckets(&self) -> i32 {
        1 << self.peer_bucket_bits.min(self.prefix_bits).min(30)
    }

    /// The shard of `shards` that a key falls into.
    pub(crate) fn shard(key: &[u8], shards: u16) -> i32 {
        let shard = hash_of(key) % u64::from(shards.max(1));
        i32::try_from(shard).unwrap_or(0)
    }

    /// The home of a partition, by the bytes of its key.
    pub(crate) fn home(&self, key: &[u8]) -> Home {
        if self.homes.len() < 2 {
            return Home(0);
        }
        let place = hash_of(key) % (self.homes.len() as u64);
        Home(u8::try_from(place).unwrap_or(0))
    }

    /// The home of a pin and of all that lies beside it.
    pub(crate) fn pin_home(&self, prefix: i32) -> Home {
        self.home(&prefix.to_be_bytes())
    }
}

/// The first eight bytes of a SHA-256: stable for ever, and nobody can choose keys that crowd one
/// partition without paying for each bit.
fn hash_of(key: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = from;
    }
    u64::from_be_bytes(first)
}

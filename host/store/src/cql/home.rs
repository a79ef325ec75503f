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
    /// The prefix of a pin.
    pub(crate) fn prefix(&self, cid: &Cid) -> i32 {
        prefix(self.prefix_bits, cid)
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

/// The prefix of a pin: the top bits of a hash of its digest, so that neither CIDs with a common
/// beginning nor identity multihashes crowd one partition, and both versions of a CID lie together.
pub(crate) fn prefix(bits: u8, cid: &Cid) -> i32 {
    let hash = hash_of(cid.digest());
    let bits = u32::from(bits.clamp(1, 31));
    let top = u32::try_from(hash >> 32).unwrap_or(u32::MAX);
    i32::try_from(top >> (32 - bits)).unwrap_or(i32::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn params(prefix_bits: u8) -> Params {
        Params {
            prefix_bits,
            peer_bucket_bits: 6,
            feed_shards: 4,
            expiry_shards: 4,
            homes: vec!["dc1".to_owned(), "dc2".to_owned()],
        }
    }

    fn cid(before: &[u8], digest: &[u8]) -> Cid {
        Cid::from_bytes(&[before, digest].concat()).unwrap()
    }

    /// All CIDs of one kind begin with the same bytes, and identity CIDs hold what their makers
    /// like, here numbers: neither may crowd a partition, nor a home.
    #[test]
    fn prefixes_come_from_a_hash_of_the_digest() {
        const CIDS: u32 = 4_096;
        let params = params(4);
        let sha = |n: u32| cid(&[0x01, 0x55, 0x12, 0x20], &[n.to_be_bytes(); 8].concat());
        let identity = |n: u32| cid(&[0x01, 0x55, 0x00, 0x04], &n.to_be_bytes());
        for kind in [&sha as &dyn Fn(u32) -> Cid, &identity] {
            let mut of_prefix: HashMap<i32, u32> = HashMap::new();
            for n in 0..CIDS {
                let prefix = params.prefix(&kind(n));
                assert!((0..16).contains(&prefix));
                *of_prefix.entry(prefix).or_default() += 1;
            }
            // 256 each, and no further off than five times the square root of that.
            assert!(
                of_prefix.len() == 16 && of_prefix.values().all(|n| n.abs_diff(256) < 80),
                "{of_prefix:?}"
            );
        }
        let homes = (0..1_000)
            .filter(|n| params.pin_home(*n) == Home(1))
            .count();
        assert!(homes.abs_diff(500) < 80, "{homes}");
    }

    #[test]
    fn both_versions_of_a_cid_lie_together() {
        let params = params(28);
        let digest = [7; 32];
        let second = cid(&[0x01, 0x70, 0x12, 0x20], &digest);
        let first = cid(&[0x12, 0x20], &digest);
        assert_ne!(first, second);
        assert_eq!(params.prefix(&first), params.prefix(&second));
    }

    /// Every process of every release must compute the same. The prefix is the beginning of
    /// `sha256sum` of 32 bytes of one.
    #[test]
    fn where_things_lie_is_fixed() {
        let params = params(28);
        let cid = cid(&[0x01, 0x55, 0x12, 0x20], &[1; 32]);
        let prefix = params.prefix(&cid);
        assert_eq!(prefix, 0x072c_d6e8);
        assert_eq!(params.pin_home(prefix), Home(0));
        assert_eq!(params.home(b"acme/web"), Home(0));
    }
}

//! The root of a Merkle tree, as certificate logs make it (RFC 6962, section 2.1).

use sha2::{Digest, Sha256};

/// A tree that grows leaf by leaf and keeps only what its root needs: one hash for each bit of the
/// number of its leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditTree {
    leaves: u64,
    /// The roots of the full trees that it consists of, the largest first.
    peaks: Vec<[u8; 32]>,
}

impl AuditTree {
    /// Adds a leaf: of an audit chain, an entry's hash.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut node = hash(0, &[leaf]);
        // Each bit that is set is a full tree on the left, as large as what it is joined with.
        let mut bits = self.leaves;
        while bits & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            node = hash(1, &[&left, &node]);
            bits >>= 1;
        }
        self.peaks.push(node);
        self.leaves = self.leaves.saturating_add(1);
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Its root; of no leaves, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        let mut peaks = self.peaks.iter().rev();
        let Some(smallest) = peaks.next() else {
            return Sha256::digest([]).into();
        };
        peaks.fold(*smallest, |right, left| hash(1, &[left, &right]))
    }
}

/// Leaves and nodes begin with different bytes, so that none can be taken for the other.
fn hash(kind: u8, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update([kind]);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots that implementations of RFC 6962 test with.
    #[test]
    fn roots_are_those_of_certificate_logs() {
        const LEAVES: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        const ROOTS: [&str; 9] = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = AuditTree::default();
        for (leaves, root) in ROOTS.iter().enumerate() {
            let made: String = tree.root().map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(&made, root, "{leaves} leaves");
            assert_eq!(tree.leaves(), leaves as u64);
            if let Some(leaf) = LEAVES.get(leaves) {
                tree.push(leaf);
            }
        }
    }
}

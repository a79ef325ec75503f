//! Wallets that are contracts: their chain is asked whether a signature is theirs (ERC-1271).

use super::siwe::{Address, SiweError};
use super::web::Web;
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::fmt::Write;
use url::Url;

/// Bytes of a contract wallet's signature: those of multi-signature wallets grow with their owners,
/// and twenty fit.
pub(super) const SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// Gas for the question: a wallet with several owners needs some 100,000, a gas bomb wants all.
const GAS_MAX: &str = "0xf4240";

/// What `isValidSignature` answers if it is, padded to a word; its own selector.
const MAGIC: &str = "0x1626ba7e";

/// What signatures of wallets that are not deployed end with (ERC-6492).
const UNDEPLOYED: [u8; 2] = [0x64, 0x92];

/// A chain whose wallets may sign in.
#[derive(Clone)]
pub struct Chain {
    /// Its number.
    pub id: u64,
    /// A node of it.
    pub rpc: Option<Url>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A node's address often has a key in it.
        let has_rpc = self.rpc.is_some();
        write!(f, "Chain {{ id: {}, has_rpc: {has_rpc} }}", self.id)
    }
}

#[derive(Deserialize)]
struct Answer {
    result: Option<String>,
}

/// Whether a contract says that a signature of a hash is its own.
///
/// # Errors
/// It does not, or its chain cannot be asked.
pub(super) async fn is_valid(
    web: &Web,
    chain: &Chain,
    wallet: Address,
    hash: [u8; 32],
    signature: &[u8],
) -> Result<(), SiweError> {
    let is_undeployed = signature
        .last_chunk::<32>()
        .is_some_and(|end| end.chunks(2).all(|pair| pair == UNDEPLOYED));
    if is_undeployed {
        return Err(SiweError::Undeployed);
    }
    let rpc = chain.rpc.as_ref().ok_or(SiweError::Signature)?;
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err(SiweError::Signature);
    }
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "eth_call",
        "params": [
            { "to": wallet.to_string(), "data": question(hash, signature), "gas": GAS_MAX },
            "latest",
        ],
    });
    let answer = web.post(rpc, call.to_string().into_bytes()).await;
    let answer = answer.map_err(|error| {
        tracing::warn!(chain = chain.id, %error, "a chain's node does not answer");
        SiweError::Unreachable
    })?;
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| SiweError::Unreachable)?;
    // A call that reverts, runs out of gas or meets no contract has an error or another result.
    let word = answer.result.unwrap_or_default();
    let padding = word.strip_prefix(MAGIC).unwrap_or("x");
    let is_own = padding.len() == 56 && padding.bytes().all(|b| b == b'0');
    is_own.then_some(()).ok_or(SiweError::Signature)
}

/// `isValidSignature(bytes32,bytes)`, as the ABI writes it.
fn question(hash: [u8; 32], signature: &[u8]) -> String {
    let mut text = MAGIC.to_owned();
    let put = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a text cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
    };
    put(&mut text, &hash);
    let _ = write!(text, "{:064x}{:064x}", 64, signature.len());
    put(&mut text, signature);
    let padding = signature.len().next_multiple_of(32) - signature.len();
    put(&mut text, &vec![0; padding]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_written_as_the_abi_wants_it() {
        let text = question([0x11; 32], &[0xaa; 33]);
        let words: Vec<_> = text.as_bytes()[10..].chunks(64).collect();
        assert_eq!(&text[..10], MAGIC);
        assert_eq!(words.len(), 5);
        assert!(words[1].ends_with(b"40") && words[2].ends_with(b"21"));
        assert!(words[4].starts_with(b"aa00"));
    }

    #[tokio::test]
    async fn a_wallet_that_is_not_deployed_is_told_so_and_no_node_refuses() {
        let web = Web::new(None).unwrap();
        let chain = Chain { id: 1, rpc: None };
        let wallet = Address::parse(&format!("0x{}", "11".repeat(20))).unwrap();
        let suffix = [0x64, 0x92].repeat(16);
        let signature = [vec![0; 64], suffix].concat();
        let asked = is_valid(&web, &chain, wallet, [0; 32], &signature).await;
        assert_eq!(asked, Err(SiweError::Undeployed));
        let asked = is_valid(&web, &chain, wallet, [0; 32], &[0; 96]).await;
        assert_eq!(asked, Err(SiweError::Signature));
    }
}

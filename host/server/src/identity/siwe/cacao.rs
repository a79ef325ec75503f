//! CACAO (CAIP-74): the parts of a signed-in message, as WalletConnect hands them over.

use super::SiweError;
use super::wallet::Address;
use serde::Deserialize;
use std::fmt::Write;

/// A capability object. What it says is put together to the message that the wallet showed.
#[derive(Debug, Clone, Deserialize)]
pub struct Cacao {
    h: Header,
    p: Payload,
    s: Signature,
}

#[derive(Debug, Clone, Deserialize)]
struct Header {
    t: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Signature {
    t: String,
    s: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Payload {
    iss: String,
    domain: String,
    aud: String,
    version: Version,
    nonce: String,
    iat: String,
    exp: Option<String>,
    nbf: Option<String>,
    statement: Option<String>,
    #[serde(rename = "requestId")]
    request_id: Option<String>,
    resources: Option<Vec<String>>,
}

/// Both spellings are met.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Version {
    Text(String),
    Number(u64),
}

impl Cacao {
    /// The message that was signed, and the signature as `0x…`.
    ///
    /// # Errors
    /// Kinds that are not read.
    pub fn into_parts(self) -> Result<(String, String), SiweError> {
        let is_known = ["eip4361", "caip122"].contains(&self.h.t.as_str())
            && ["eip191", "eip1271"].contains(&self.s.t.as_str());
        if !is_known {
            return Err(SiweError::Garbled("the CACAO's kind"));
        }
        let is_first = match &self.p.version {
            Version::Text(text) => text == "1",
            Version::Number(number) => *number == 1,
        };
        if !is_first {
            return Err(SiweError::Garbled("Version"));
        }
        Ok((self.p.message()?, self.s.s))
    }
}

impl Payload {
    fn message(&self) -> Result<String, SiweError> {
        let wrong = SiweError::Garbled("the CACAO's iss");
        let account = self
            .iss
            .strip_prefix("did:pkh:eip155:")
            .ok_or(wrong.clone())?;
        let (chain, address) = account.split_once(':').ok_or(wrong)?;
        Address::parse(address)?;
        let mut text = format!(
            "{} wants you to sign in with your Ethereum account:\n{address}\n\n",
            self.domain
        );
        if let Some(statement) = &self.statement {
            text += statement;
            text.push('\n');
        }
        // Writing to a text cannot fail.
        let _ = write!(
            text,
            "\nURI: {}\nVersion: 1\nChain ID: {chain}\nNonce: {}\nIssued At: {}",
            self.aud, self.nonce, self.iat
        );
        let lines = [
            ("Expiration Time", &self.exp),
            ("Not Before", &self.nbf),
            ("Request ID", &self.request_id),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                let _ = write!(text, "\n{name}: {value}");
            }
        }
        if let Some(resources) = &self.resources {
            text += "\nResources:";
            for resource in resources {
                let _ = write!(text, "\n- {resource}");
            }
        }
        Ok(text)
    }
}

//! Whose policies are taken: the look at a folder's signature.
//!
//! What a signature is and which keys are good is not this crate's to know; it says what was signed
//! and keeps out what is not good.

use crate::error::{Finding, PolicyError};
use crate::source::{SIGNATURE, Source};
use std::fmt;

/// Looks at a signature: its text, if there is one, and the digest that it must be over.
type Look = dyn Fn(Option<&str>, &[u8; 32]) -> Result<(), String> + Send + Sync;

/// Who looks at a folder's signature.
pub struct Seal(Box<Look>);

impl Seal {
    /// Asks `look` about every folder before it is compiled; its refusal completes the sentence
    /// "the signature …".
    pub fn new(
        look: impl Fn(Option<&str>, &[u8; 32]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(look))
    }

    pub(crate) fn check(&self, source: &Source) -> Result<(), PolicyError> {
        let text = source.signature.as_ref().map(|file| file.text.as_str());
        self.0(text, &source.digest()).map_err(|why| {
            let name = source
                .signature
                .as_ref()
                .map_or(SIGNATURE, |file| &file.name);
            let mend = "sign the folder again with `holdfast policy sign`";
            Finding::whole(name, format!("the signature {why}"), mend).into()
        })
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

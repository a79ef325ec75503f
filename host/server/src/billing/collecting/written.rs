//! An invoice as its file holds it. One that was handed in with its price is written as ever, and
//! what was written before there was rating is still read.

use super::billable::{Billable, RatedBy};
use super::case::{Case, Matter, Origin};
use super::standing::{Standing, State};
use holdfast_runtime::Invoice;
use serde::{Deserialize, Serialize};

/// The format of a file.
const VERSION: u32 = 1;

/// What a file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    plugin: String,
    /// What was handed in, if it had no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    billable: Option<Billable>,
    /// Who gave it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rated_by: Option<RatedBy>,
    /// What is collected, as soon as there is a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    invoice: Option<Invoice>,
    attempts: u32,
    memo: String,
    standing: Standing,
}

impl Case {
    /// Reads a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        match written.version == VERSION {
            true => written.into_case(),
            false => Err(format!(
                "it has version {}, and this host knows {VERSION}",
                written.version
            )),
        }
    }

    /// What a file has.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (billable, rated_by, invoice) = match self.matter.clone() {
            Matter::Unrated(billable) => (Some(billable), None, None),
            Matter::Priced(invoice, None) => (None, None, Some(invoice)),
            Matter::Priced(invoice, Some(origin)) => {
                (Some(origin.billable), Some(origin.by), Some(invoice))
            }
        };
        let written = Written {
            version: VERSION,
            plugin: self.plugin.clone(),
            billable,
            rated_by,
            invoice,
            attempts: self.attempts,
            memo: self.memo.clone(),
            standing: self.standing.clone(),
        };
        // It cannot fail: keys are text, and numbers are whole.
        serde_json::to_vec_pretty(&written).unwrap_or_default()
    }
}

impl Written {
    fn into_case(self) -> Result<Case, String> {
        let wrong = |why: &str| Err(why.to_owned());
        let matter = match (self.billable, self.rated_by, self.invoice) {
            (Some(billable), None, None) => Matter::Unrated(billable),
            (None, None, Some(invoice)) => Matter::Priced(invoice, None),
            (Some(billable), Some(by), Some(invoice)) => {
                Matter::Priced(invoice, Some(Box::new(Origin { billable, by })))
            }
            _ => return wrong("it has neither usage alone nor a price whose origin is known"),
        };
        let is_unrated = matches!(matter, Matter::Unrated(_));
        if is_unrated != (self.standing.state() == State::Unrated) {
            return wrong("it stands as if it had a price and has none, or the other way round");
        }
        Ok(Case {
            plugin: self.plugin,
            matter,
            attempts: self.attempts,
            memo: self.memo,
            standing: self.standing,
        })
    }
}

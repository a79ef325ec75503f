//! Pins on disk.

use super::{at_once, damaged};
use crate::Result;
use holdfast_model::{Pin, StoredPin, UnixMillis};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A pin: what the store itself needs of it, and the pin in IPFS Cluster's protobuf form, which
/// most writes hand on unread.
#[derive(Serialize, Deserialize)]
pub(crate) struct PinRow<'a> {
    pub(crate) version: u64,
    pub(crate) requests: u64,
    pub(crate) by_cluster: bool,
    /// `expire_at` of the pin, in milliseconds: the expiry index follows it.
    pub(crate) expires: Option<u64>,
    #[serde(borrow, serialize_with = "at_once")]
    pub(crate) proto: Cow<'a, [u8]>,
}

impl PinRow<'_> {
    pub(crate) const fn is_wanted(&self) -> bool {
        self.by_cluster || self.requests > 0
    }

    /// When the pin is to go by itself, as far as the store minds it.
    pub(crate) fn expires(&self) -> Option<UnixMillis> {
        self.expires
            .filter(|_| self.by_cluster)
            .map(UnixMillis::new)
    }

    pub(crate) fn into_pin(self) -> Result<StoredPin> {
        Ok(StoredPin {
            pin: Pin::from_proto(&self.proto).map_err(|e| damaged("pin", &e))?,
            version: self.version,
            requests: self.requests,
            by_cluster: self.by_cluster,
        })
    }
}

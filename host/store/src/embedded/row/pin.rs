//! Pins on disk.

use super::damaged;
use crate::Result;
use holdfast_model::{Pin, StoredPin, UnixMillis};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A pin: what the store itself needs of it, and the pin in IPFS Cluster's protobuf form, which
/// most writes hand on unread.
#[derive(Serialize, Deserialize)]
pub(in crate::embedded) struct PinRow<'a> {
    pub(in crate::embedded) version: u64,
    pub(in crate::embedded) requests: u64,
    pub(in crate::embedded) by_cluster: bool,
    /// `expire_at` of the pin, in milliseconds: the expiry index follows it.
    pub(in crate::embedded) expires: Option<u64>,
    #[serde(borrow)]
    pub(in crate::embedded) proto: Cow<'a, [u8]>,
}

impl PinRow<'_> {
    pub(in crate::embedded) const fn is_wanted(&self) -> bool {
        self.by_cluster || self.requests > 0
    }

    /// When the pin is to go by itself, as far as the store minds it.
    pub(in crate::embedded) fn expires(&self) -> Option<UnixMillis> {
        self.expires
            .filter(|_| self.by_cluster)
            .map(UnixMillis::new)
    }

    pub(in crate::embedded) fn into_pin(self) -> Result<StoredPin> {
        Ok(StoredPin {
            pin: Pin::from_proto(&self.proto).map_err(|e| damaged("pin", &e))?,
            version: self.version,
            requests: self.requests,
            by_cluster: self.by_cluster,
        })
    }
}

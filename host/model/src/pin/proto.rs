//! `api.Pin` as protobuf, byte for byte as IPFS Cluster writes it.
//!
//! The messages are those of IPFS Cluster's `api/pb/types.proto`; what is written when, and what is
//! read how, follows `Pin.ProtoMarshal` and `Pin.ProtoUnmarshal` in its `api/types.go`. Only two
//! things are stricter here: a pin without a CID and a CID, peer or address that cannot be read are
//! refused, because a store that answers something else than it was given is worse than one that
//! says so.

use super::{MaxDepth, Pin, PinOptions, PinType};
use crate::cid::Cid;
use crate::error::Invalid;
use crate::limits::PIN_BYTES_MAX;
use crate::peer::{Origin, PeerId};
use crate::time::UnixMillis;
use prost::Message;
use std::collections::BTreeMap;

impl Pin {
    /// The protobuf form, as IPFS Cluster stores it.
    ///
    /// It keeps what [`Pin::into_stored`] keeps: times in whole seconds, no allocations that the
    /// caller asked for.
    #[must_use]
    pub fn to_proto(&self) -> Vec<u8> {
        PinMessage::from(self).encode_to_vec()
    }

    /// The pin as it reads once it has been stored, and what is stored of it.
    ///
    /// # Errors
    /// More than [`PIN_BYTES_MAX`] bytes.
    pub fn into_stored_form(self) -> Result<(Self, Vec<u8>), Invalid> {
        let proto = self.to_proto();
        if proto.len() > PIN_BYTES_MAX {
            return Err(too_large(&proto));
        }
        Ok((self.into_stored(), proto))
    }

    /// Reads the protobuf form.
    ///
    /// # Errors
    /// More than [`PIN_BYTES_MAX`] bytes, bytes that are no pin, or a field that cannot be read;
    /// the error names the field.
    pub fn from_proto(bytes: &[u8]) -> Result<Self, Invalid> {
        if bytes.len() > PIN_BYTES_MAX {
            return Err(too_large(bytes));
        }
        PinMessage::decode(bytes)
            .map_err(|e| Invalid::new("pin", format!("is no protobuf api.Pin ({e})")))?
            .into_pin()
            .map_err(|e| e.within("pin"))
    }
}

#[derive(Clone, PartialEq, Message)]
struct PinMessage {
    #[prost(bytes = "vec", tag = "1")]
    cid: Vec<u8>,
    #[prost(int32, tag = "2")]
    pin_type: i32,
    #[prost(bytes = "vec", repeated, tag = "3")]
    allocations: Vec<Vec<u8>>,
    #[prost(sint32, tag = "4")]
    max_depth: i32,
    #[prost(bytes = "vec", tag = "5")]
    reference: Vec<u8>,
    /// Always written, even when empty.
    #[prost(message, optional, tag = "6")]
    options: Option<OptionsMessage>,
    /// Unix seconds; 0 is Go's zero time.
    #[prost(uint64, tag = "7")]
    timestamp: u64,
}

#[derive(Clone, PartialEq, Message)]
struct OptionsMessage {
    #[prost(sint32, tag = "1")]
    replication_factor_min: i32,
    #[prost(sint32, tag = "2")]
    replication_factor_max: i32,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(uint64, tag = "4")]
    shard_size: u64,
    /// Deprecated since IPFS Cluster 1.0.1: read, never written.
    #[prost(btree_map = "string, string", tag = "6")]
    metadata: BTreeMap<String, String>,
    #[prost(bytes = "vec", tag = "7")]
    pin_update: Vec<u8>,
    /// Unix seconds; 0 is never.
    #[prost(uint64, tag = "8")]
    expire_at: u64,
    #[prost(bytes = "vec", repeated, tag = "9")]
    origins: Vec<Vec<u8>>,
    /// Sorted by key, so that equal pins are equal bytes.
    #[prost(message, repeated, tag = "10")]
    sorted_metadata: Vec<PairMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PairMessage {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

impl From<&Pin> for PinMessage {
    fn from(pin: &Pin) -> Self {
        Self {
            cid: pin.cid.to_bytes(),
            pin_type: number_of(pin.pin_type),
            allocations: pin.allocations.iter().map(PeerId::to_bytes).collect(),
            max_depth: pin.max_depth.0,
            reference: pin.reference.map_or_else(Vec::new, |cid| cid.to_bytes()),
            options: Some(OptionsMessage::from(&pin.options)),
            timestamp: pin.timestamp.map_or(0, UnixMillis::as_seconds),
        }
    }
}

impl From<&PinOptions> for OptionsMessage {
    fn from(options: &PinOptions) -> Self {
        let pair = |(key, value): (&String, &String)| PairMessage {
            key: key.clone(),
            value: value.clone(),
        };
        Self {
            replication_factor_min: options.replication_factor_min,
            replication_factor_max: options.replication_factor_max,
            name: options.name.clone(),
            shard_size: options.shard_size,
            metadata: BTreeMap::new(),
            pin_update: options
                .pin_update
                .map_or_else(Vec::new, |cid| cid.to_bytes()),
            expire_at: options.expire_at.map_or(0, UnixMillis::as_seconds),
            origins: options.origins.iter().map(Origin::to_bytes).collect(),
            sorted_metadata: options.metadata.iter().map(pair).collect(),
        }
    }
}

impl PinMessage {
    fn into_pin(self) -> Result<Pin, Invalid> {
        if self.cid.is_empty() {
            return Err(Invalid::new("cid", "is missing; a pin is of something"));
        }
        Ok(Pin {
            cid: Cid::from_bytes(&self.cid)?,
            pin_type: type_of(self.pin_type)?,
            allocations: each("allocations", &self.allocations, PeerId::from_bytes)?,
            max_depth: MaxDepth(self.max_depth),
            reference: optional_cid("reference", &self.reference)?,
            timestamp: instant("timestamp", self.timestamp)?,
            options: self.options.unwrap_or_default().into_options()?,
        })
    }
}

impl OptionsMessage {
    fn into_options(self) -> Result<PinOptions, Invalid> {
        // Where both fields hold a key, the newer one is right: so reads IPFS Cluster.
        let mut metadata = self.metadata;
        for pair in self.sorted_metadata {
            metadata.insert(pair.key, pair.value);
        }
        Ok(PinOptions {
            replication_factor_min: self.replication_factor_min,
            replication_factor_max: self.replication_factor_max,
            name: self.name,
            shard_size: self.shard_size,
            user_allocations: Vec::new(),
            expire_at: instant("expire_at", self.expire_at)?,
            metadata,
            pin_update: optional_cid("pin_update", &self.pin_update)?,
            origins: each("origins", &self.origins, Origin::from_bytes)?,
        })
    }
}

fn too_large(proto: &[u8]) -> Invalid {
    let why = format!("has {} bytes; {PIN_BYTES_MAX} at most", proto.len());
    Invalid::new("pin", why)
}

const fn number_of(pin_type: PinType) -> i32 {
    match pin_type {
        PinType::Bad => 0,
        PinType::Data => 1,
        PinType::Meta => 2,
        PinType::ClusterDag => 3,
        PinType::Shard => 4,
    }
}

fn type_of(number: i32) -> Result<PinType, Invalid> {
    PinType::ALL
        .into_iter()
        .find(|pin_type| number_of(*pin_type) == number)
        .ok_or_else(|| Invalid::new("type", format!("{number} is no pin type; 0 to 4 are")))
}

fn optional_cid(what: &str, bytes: &[u8]) -> Result<Option<Cid>, Invalid> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Cid::from_bytes(bytes)
        .map(Some)
        .map_err(|e| Invalid::new(what, e.why))
}

fn instant(what: &str, seconds: u64) -> Result<Option<UnixMillis>, Invalid> {
    if seconds == 0 {
        return Ok(None);
    }
    let instant = UnixMillis::from_seconds(seconds);
    if instant.as_seconds() != seconds {
        let why = format!(
            "{seconds} seconds lie after {}, the last instant",
            UnixMillis::MAX
        );
        return Err(Invalid::new(what, why));
    }
    Ok(Some(instant))
}

fn each<T>(
    what: &str,
    all: &[Vec<u8>],
    read: impl Fn(&[u8]) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    all.iter()
        .enumerate()
        .map(|(n, bytes)| read(bytes).map_err(|e| Invalid::new(format!("{what}[{n}]"), e.why)))
        .collect()
}

//! `api.Pin` as JSON, as IPFS Cluster answers it.
//!
//! Keys, their order and their shapes are those of Go's encoder over IPFS Cluster's `api.Pin`, for
//! a pin that has been stored once: nothing is ever left out, an empty map or list of user
//! allocations is `null`, other empty lists are `[]`, and no time is Go's zero time. Reading is as
//! lenient as Go's decoder: any key may be missing or `null`, and unknown ones are passed over.

use super::{MaxDepth, Pin, PinOptions, PinType};
use crate::cid::Cid;
use crate::error::Invalid;
use crate::peer::{Origin, PeerId};
use crate::time::UnixMillis;
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// Go's zero time: "not set" in every JSON that IPFS Cluster writes.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// Keys of a pin's object; some formats want the number ahead.
const KEYS: usize = 16;

/// Peers whose texts a writer keeps: clusters have tens. Beyond, it begins to gather anew.
const PEERS_MAX: usize = 1_024;

/// Writes many pins, each byte for byte as its own `Serialize` does.
///
/// The peers of a cluster are few and stand in pin after pin, and the text of one, base58, takes
/// longer to make than all else of a pin. So it is made once.
#[derive(Debug, Default)]
pub struct PinWriter {
    texts: HashMap<PeerId, String>,
}

/// Reads many pins, each as its own `Deserialize` does.
///
/// As with [`PinWriter`], each peer's text is taken apart once.
#[derive(Debug, Default)]
pub struct PinReader {
    peers: HashMap<String, PeerId>,
}

impl PinReader {
    /// Reads a pin's object, or says nothing of what is wrong with it.
    pub(super) fn read(&mut self, json: &[u8]) -> Option<Pin> {
        let object: PinObject<'_, Text<'_>> = serde_json::from_slice(json).ok()?;
        object.into_pin(|peer| self.peer(&peer.0)).ok()
    }

    fn peer(&mut self, text: &str) -> Result<PeerId, Invalid> {
        if let Some(peer) = self.peers.get(text) {
            return Ok(*peer);
        }
        let peer = PeerId::parse(text)?;
        if self.peers.len() >= PEERS_MAX {
            self.peers.clear();
        }
        self.peers.insert(text.to_owned(), peer);
        Ok(peer)
    }
}

/// A pin whose allocations are texts already.
struct Prepared<'a> {
    pin: &'a Pin,
    allocations: Vec<&'a str>,
}

impl PinWriter {
    /// Appends a pin.
    ///
    /// # Errors
    /// None of a pin; serde has no word for that.
    pub fn write(&mut self, pin: &Pin, out: &mut Vec<u8>) -> serde_json::Result<()> {
        if self.texts.len() >= PEERS_MAX {
            self.texts.clear();
        }
        for peer in &pin.allocations {
            if !self.texts.contains_key(peer) {
                self.texts.insert(*peer, peer.to_string());
            }
        }
        let text = |peer| self.texts.get(peer).map(String::as_str);
        let allocations = pin.allocations.iter().filter_map(text).collect();
        serde_json::to_writer(out, &Prepared { pin, allocations })
    }
}

impl Serialize for Prepared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pin.with_allocations(&self.allocations, serializer)
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_allocations(&self.allocations, serializer)
    }
}

impl Pin {
    fn with_allocations<S: Serializer>(
        &self,
        allocations: &impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let options = &self.options;
        let mut object = serializer.serialize_struct("Pin", KEYS)?;
        object.serialize_field("replication_factor_min", &options.replication_factor_min)?;
        object.serialize_field("replication_factor_max", &options.replication_factor_max)?;
        object.serialize_field("name", &options.name)?;
        object.serialize_field("mode", self.max_depth.mode())?;
        object.serialize_field("shard_size", &options.shard_size)?;
        let user_allocations = &options.user_allocations;
        let asked_for = (!user_allocations.is_empty()).then_some(user_allocations);
        object.serialize_field("user_allocations", &asked_for)?;
        object.serialize_field("expire_at", &GoTime(options.expire_at))?;
        let metadata = (!options.metadata.is_empty()).then_some(&options.metadata);
        object.serialize_field("metadata", &metadata)?;
        object.serialize_field("pin_update", &options.pin_update)?;
        object.serialize_field("origins", &options.origins)?;
        object.serialize_field("cid", &self.cid)?;
        object.serialize_field("type", self.pin_type.as_str())?;
        object.serialize_field("allocations", allocations)?;
        object.serialize_field("max_depth", &self.max_depth.0)?;
        object.serialize_field("reference", &self.reference)?;
        object.serialize_field("timestamp", &GoTime(self.timestamp))?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PinObject::<PeerId>::deserialize(deserializer)?
            .into_pin(Ok)
            .map_err(D::Error::custom)
    }
}

/// A text that is not kept.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What is read before it is checked: everything may be missing or `null`. Peers are a `P`.
#[derive(Deserialize)]
#[serde(bound(deserialize = "P: Deserialize<'de>"))]
struct PinObject<'a, P> {
    replication_factor_min: Option<i32>,
    replication_factor_max: Option<i32>,
    name: Option<String>,
    #[serde(borrow)]
    mode: Option<Text<'a>>,
    shard_size: Option<u64>,
    user_allocations: Option<Vec<P>>,
    expire_at: Option<GoTime>,
    metadata: Option<BTreeMap<String, String>>,
    pin_update: Option<Cid>,
    origins: Option<Vec<Origin>>,
    cid: Option<Cid>,
    #[serde(rename = "type", borrow)]
    pin_type: Option<Text<'a>>,
    allocations: Option<Vec<P>>,
    max_depth: Option<i32>,
    reference: Option<Cid>,
    timestamp: Option<GoTime>,
}

impl<P> PinObject<'_, P> {
    fn into_pin(self, mut peer: impl FnMut(P) -> Result<PeerId, Invalid>) -> Result<Pin, Invalid> {
        let mut peers = |all: Option<Vec<P>>| {
            let all = all.unwrap_or_default().into_iter();
            all.map(&mut peer).collect::<Result<Vec<_>, _>>()
        };
        let cid = self.cid.ok_or_else(|| {
            Invalid::new("cid", "is missing; write a CID such as bafybei… or Qm…")
        })?;
        // `max_depth` is what is stored. Where only `mode` is told, it says the same in a word.
        let mode = self
            .mode
            .map(|mode| MaxDepth::of_mode(&mode.0))
            .transpose()?;
        let max_depth = self.max_depth.map(MaxDepth).or(mode).unwrap_or_default();
        Ok(Pin {
            cid,
            pin_type: match self.pin_type {
                Some(name) => PinType::parse(&name.0)?,
                None => PinType::Bad,
            },
            allocations: peers(self.allocations)?,
            max_depth,
            reference: self.reference,
            timestamp: self.timestamp.and_then(|time| time.0),
            options: PinOptions {
                replication_factor_min: self.replication_factor_min.unwrap_or_default(),
                replication_factor_max: self.replication_factor_max.unwrap_or_default(),
                name: self.name.unwrap_or_default(),
                shard_size: self.shard_size.unwrap_or_default(),
                user_allocations: peers(self.user_allocations)?,
                expire_at: self.expire_at.and_then(|time| time.0),
                metadata: self.metadata.unwrap_or_default(),
                pin_update: self.pin_update,
                origins: self.origins.unwrap_or_default(),
            },
        })
    }
}

/// A time as Go writes it: RFC 3339 with as many digits of a second as are not zero.
struct GoTime(Option<UnixMillis>);

impl Serialize for GoTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_str(ZERO_TIME),
            Some(instant) => serializer.collect_str(&instant.shortest()),
        }
    }
}

impl<'de> Deserialize<'de> for GoTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        if text == ZERO_TIME {
            return Ok(Self(None));
        }
        let instant = UnixMillis::parse(&text).map_err(D::Error::custom)?;
        Ok(Self(Some(instant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_of_many_writes_each_as_it_is_written_alone() {
        let mut writer = PinWriter::default();
        let cid = Cid::parse("bafkqaaa").unwrap();
        for n in 0..2 * PEERS_MAX {
            let mut pin = Pin::recursive(cid, UnixMillis::from_seconds(1_700_000_000));
            let digest = [&[0x12, 0x20][..], &n.to_be_bytes(), &[7; 24]].concat();
            pin.allocations = vec![PeerId::from_bytes(&digest).unwrap(); 2];
            let mut written = Vec::new();
            writer.write(&pin, &mut written).unwrap();
            assert_eq!(written, serde_json::to_vec(&pin).unwrap());
            assert!(writer.texts.len() <= PEERS_MAX);
        }
    }

    #[test]
    fn a_reader_of_many_reads_each_as_it_is_read_alone() {
        let mut reader = PinReader::default();
        let cid = Cid::parse("bafkqaaa").unwrap();
        for n in 0..2 * PEERS_MAX {
            let mut pin = Pin::recursive(cid, UnixMillis::from_seconds(1_700_000_000));
            let digest = [&[0x12, 0x20][..], &n.to_be_bytes(), &[7; 24]].concat();
            pin.allocations = vec![PeerId::from_bytes(&digest).unwrap(); 2];
            pin.options.name = "a \"name\"".to_owned();
            let json = serde_json::to_vec(&pin).unwrap();
            assert_eq!(reader.read(&json).as_ref(), Some(&pin));
            assert_eq!(serde_json::from_slice::<Pin>(&json).unwrap(), pin);
            assert!(reader.peers.len() <= PEERS_MAX);
        }
        assert_eq!(
            reader.read(br#"{"cid":"bafkqaaa","allocations":["12D3"]}"#),
            None
        );
    }
}

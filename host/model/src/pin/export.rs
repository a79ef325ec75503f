//! IPFS Cluster's exports: the lines of `ipfs-cluster-service state export`, of today and of long
//! ago, and the entries of its snapshots.
//!
//! A line of today is an `api.Pin` as JSON. Lines of before 1.0 have numbers for types and modes,
//! `{"/": "Qm…"}` for CIDs, and one `replication_factor` for two; they are read as what they meant.
//! What a line leaves out is taken as a plain recursive pin has it. (IPFS Cluster 1.x takes a line
//! without `type` and `max_depth` for a direct pin of type `bad-type`, which no peer ever pins.)

use super::{MaxDepth, Pin, PinReader, PinType};
use crate::error::Invalid;
use crate::limits::PIN_BYTES_MAX;
use serde_json::{Map, Value};

/// Bytes of a line: a pin of [`PIN_BYTES_MAX`] whose text is all escapes.
pub const LINE_BYTES_MAX: usize = 2 * PIN_BYTES_MAX;

impl PinReader {
    /// Reads one line of an export, as [`parse_line`] does; of many it is the quicker.
    ///
    /// # Errors
    /// What is no pin; the error names the field.
    pub fn line(&mut self, line: &[u8]) -> Result<(Pin, bool), Invalid> {
        if line.len() <= LINE_BYTES_MAX
            && let Some(pin) = self.read(line)
            && is_of_today(&pin)
        {
            return Ok((pin, false));
        }
        // What is of an old form is rare, and what is wrong with a line is told by the other.
        parse_line(line)
    }
}

/// Whether what a line leaves out can only stand for something that is not there.
fn is_of_today(pin: &Pin) -> bool {
    pin.pin_type != PinType::Bad && !pin.max_depth.is_direct()
}

/// Reads one line of an export. Says with the pin whether it was of an old form.
///
/// # Errors
/// What is no pin; the error names the field.
pub fn parse_line(line: &[u8]) -> Result<(Pin, bool), Invalid> {
    if line.len() > LINE_BYTES_MAX {
        let why = format!("has {} bytes; {LINE_BYTES_MAX} at most", line.len());
        return Err(Invalid::new("line", why));
    }
    let error = match serde_json::from_slice::<Pin>(line) {
        Ok(pin) if is_of_today(&pin) => return Ok((pin, false)),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    // What is wrong with a line of today is told best by its own reader.
    let told = |invalid: Invalid| match &error {
        Some(error) => Invalid::new("line", error.to_string()),
        None => invalid,
    };
    let value = serde_json::from_slice(line).map_err(|e| Invalid::new("line", e.to_string()))?;
    let Value::Object(mut object) = value else {
        return Err(Invalid::new("line", "is no object; write one pin a line"));
    };
    let is_old = upgrade(&mut object).map_err(told)?;
    let pin = serde_json::from_value(Value::Object(object));
    let pin = pin.map_err(|e| Invalid::new("line", error.as_ref().unwrap_or(&e).to_string()))?;
    Ok((pin, is_old))
}

/// Writes old forms as new ones; says whether there was one.
fn upgrade(pin: &mut Map<String, Value>) -> Result<bool, Invalid> {
    let mut is_old = false;
    for key in ["cid", "pin_update", "reference"] {
        if let Some(linked) = pin.get(key).and_then(|value| value.get("/")).cloned() {
            pin.insert(key.to_owned(), linked);
            is_old = true;
        }
    }
    if let Some(number) = pin.get("type").and_then(Value::as_u64) {
        let name = type_of_flag(number)?.as_str();
        pin.insert("type".to_owned(), name.into());
        is_old = true;
    }
    if let Some(number) = pin.get("mode").and_then(Value::as_u64) {
        let mode = match number {
            0 => MaxDepth::RECURSIVE.mode(),
            1 => MaxDepth::DIRECT.mode(),
            _ => {
                return Err(Invalid::new(
                    "mode",
                    format!("{number} is none; 0 and 1 are"),
                ));
            }
        };
        pin.insert("mode".to_owned(), mode.into());
        is_old = true;
    }
    if let Some(factor) = pin.remove("replication_factor") {
        for key in ["replication_factor_min", "replication_factor_max"] {
            pin.entry(key).or_insert_with(|| factor.clone());
        }
        is_old = true;
    }
    if let Some(recursive) = pin.remove("recursive").and_then(|value| value.as_bool()) {
        let depth = if recursive {
            MaxDepth::RECURSIVE
        } else {
            MaxDepth::DIRECT
        };
        pin.entry("max_depth").or_insert_with(|| depth.0.into());
        is_old = true;
    }
    let is_missing = |pin: &Map<String, Value>, key: &str| pin.get(key).is_none_or(Value::is_null);
    if is_missing(pin, "type") {
        pin.insert("type".to_owned(), PinType::Data.as_str().into());
        is_old = true;
    }
    if is_missing(pin, "max_depth") && is_missing(pin, "mode") {
        pin.insert("max_depth".to_owned(), MaxDepth::RECURSIVE.0.into());
        is_old = true;
    }
    Ok(is_old)
}

/// IPFS Cluster's types are flags: 1 is bad, 2 data, 4 meta, 8 the DAG of shards, 16 a shard.
fn type_of_flag(number: u64) -> Result<PinType, Invalid> {
    let flags = PinType::ALL.into_iter().zip([1, 2, 4, 8, 16]);
    let mut found = flags.filter(|(_, flag)| *flag == number);
    found.next().map(|(pin_type, _)| pin_type).ok_or_else(|| {
        let why = format!("{number} is no pin type; 1, 2, 4, 8 and 16 are");
        Invalid::new("type", why)
    })
}

/// First byte of a snapshot's entry: a MessagePack map of two. No line of JSON begins so.
pub const SNAPSHOT_MARK: u8 = 0x82;

/// Bytes of an entry beside the pin's: keys, lengths, and the pin's name.
const ENTRY_BYTES_BESIDE: usize = 1_024;

/// The alphabet of a datastore's keys: RFC 4648, base32 without padding.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Writes a pin as an entry of a snapshot, byte for byte as IPFS Cluster's `dsstate` marshals it:
/// MessagePack's `{"k": key, "v": protobuf}` in the old forms without `str8` for short texts.
pub fn write_entry(pin: &Pin, out: &mut Vec<u8>) {
    out.extend_from_slice(&[SNAPSHOT_MARK, 0xa1, b'k']);
    text(base32(&pin.cid.to_bytes()).as_bytes(), out);
    out.extend_from_slice(&[0xa1, b'v']);
    text(&pin.to_proto(), out);
}

/// A pin, or what is wrong with it, and how many bytes its entry takes.
pub type Entry = (Result<Pin, Invalid>, usize);

/// Reads the entry that a snapshot begins with: the pin and how many bytes it took. `None` if the
/// entry is longer than what is there so far.
///
/// # Errors
/// `Err` of the outer kind if the bytes are no entry at all, so that nothing after them can be read
/// either; of the inner kind if only this entry's pin is bad.
#[expect(
    clippy::type_complexity,
    reason = "the two kinds of failure are the point"
)]
pub fn read_entry(bytes: &[u8]) -> Result<Option<(Result<Pin, Invalid>, usize)>, Invalid> {
    let mut rest = bytes;
    let mut read = || -> Result<Option<Vec<u8>>, Invalid> {
        let mut pin = None;
        let Some(mark) = byte(&mut rest) else {
            return Ok(None);
        };
        if mark != SNAPSHOT_MARK {
            return Err(broken("does not begin as an entry of a snapshot"));
        }
        for _ in 0..2 {
            let Some(name) = raw(&mut rest)? else {
                return Ok(None);
            };
            let Some(value) = raw(&mut rest)? else {
                return Ok(None);
            };
            match name {
                b"v" => pin = Some(value.to_vec()),
                b"k" => {}
                _ => return Err(broken("has a key that is neither k nor v")),
            }
        }
        pin.map(Some).ok_or_else(|| broken("has no v"))
    };
    let Some(proto) = read()? else {
        if bytes.len() > PIN_BYTES_MAX + ENTRY_BYTES_BESIDE {
            return Err(broken("is longer than any pin"));
        }
        return Ok(None);
    };
    Ok(Some((Pin::from_proto(&proto), bytes.len() - rest.len())))
}

/// The key of a pin in IPFS Cluster's datastore, without its slash.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0_u32, 0_u32);
    let letter = |value: u32| {
        let letter = BASE32.get(value as usize & 31).copied();
        char::from(letter.unwrap_or(b'A'))
    };
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(letter(bits >> held));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        text.push(letter(bits << (5 - held)));
    }
    text
}

/// A MessagePack raw: `fixstr`, `str16` or `str32`, which the encoder of Go's IPFS Cluster uses
/// for texts and bytes alike. Of 32 bytes and more it writes `str16`, never `str8`.
fn text(bytes: &[u8], out: &mut Vec<u8>) {
    let length = bytes.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..32), _) => out.push(0xa0 | short),
        (_, Ok(middle)) => {
            out.push(0xda);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, beyond) = rest.split_first()?;
    *rest = beyond;
    Some(*first)
}

/// A text or bytes of any of MessagePack's kinds; `None` if it is not all there yet.
fn raw<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Invalid> {
    let Some(kind) = byte(rest) else {
        return Ok(None);
    };
    let width = match kind {
        0xa0..=0xbf => 0,
        0xc4 | 0xd9 => 1,
        0xc5 | 0xda => 2,
        0xc6 | 0xdb => 4,
        _ => return Err(broken("has something that is neither text nor bytes")),
    };
    let Some((digits, beyond)) = rest.split_at_checked(width) else {
        return Ok(None);
    };
    let of_digits = |length: usize, digit: &u8| length << 8 | usize::from(*digit);
    let length = match width {
        0 => usize::from(kind & 0x1f),
        _ => digits.iter().fold(0, of_digits),
    };
    if length > PIN_BYTES_MAX {
        return Err(broken("is longer than any pin"));
    }
    let Some((value, beyond)) = beyond.split_at_checked(length) else {
        return Ok(None);
    };
    *rest = beyond;
    Ok(Some(value))
}

fn broken(why: &str) -> Invalid {
    Invalid::new("entry", why)
}

//! Pins on the wire: IPFS Cluster's own forms, with what a stream has to say beside them.
//!
//! In JSON a pin has its `version` as one key more; control lines have no `cid`. In protobuf every
//! message of a stream is an `api.pb.Pin` with fields above 999, which its own reader passes over;
//! control messages have no CID.

use holdfast_model::pin::PinWriter;
use holdfast_model::{Cid, Invalid, Pin, StoredPin};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint, uint64};
use serde::Serialize;

/// The field that bears a pin's version.
const VERSION_FIELD: u32 = 1_000;

/// A pin as IPFS Cluster writes it, and its version.
#[derive(Serialize)]
pub(super) struct Versioned<'a> {
    #[serde(flatten)]
    pin: &'a Pin,
    version: u64,
}

impl<'a> Versioned<'a> {
    pub(super) const fn of(stored: &'a StoredPin) -> Self {
        Self {
            pin: &stored.pin,
            version: stored.version,
        }
    }
}

/// A line of a stream that is not a pin.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Control<'a> {
    /// The list is whole.
    End { pins: u64 },
    /// The stream broke.
    Error(Fault<'a>),
    /// There is no pin of this CID.
    Absent(Cid),
    /// Nothing has changed; the feed is at this cursor.
    Heartbeat(u64),
    /// How far the list has come.
    #[serde(untagged)]
    Mark {
        mark: &'a str,
        /// About how many millionths of it are done, for who waits.
        #[serde(skip_serializing_if = "Option::is_none")]
        done_millionths: Option<u32>,
    },
}

/// Why a stream broke.
#[derive(Serialize)]
pub(super) struct Fault<'a> {
    pub(super) status: u16,
    pub(super) code: &'a str,
    pub(super) detail: &'a str,
}

#[derive(Message)]
struct ControlMessage {
    #[prost(string, tag = "1001")]
    mark: String,
    #[prost(message, optional, tag = "1002")]
    end: Option<EndMessage>,
    #[prost(message, optional, tag = "1003")]
    error: Option<FaultMessage>,
    #[prost(bytes = "vec", tag = "1004")]
    absent: Vec<u8>,
}

#[derive(Message)]
struct EndMessage {
    #[prost(uint64, tag = "1")]
    pins: u64,
}

#[derive(Message)]
struct FaultMessage {
    #[prost(uint32, tag = "1")]
    status: u32,
    #[prost(string, tag = "2")]
    code: String,
    #[prost(string, tag = "3")]
    detail: String,
}

/// How the pins of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) is_protobuf: bool,
    /// Pins and nothing beside them.
    pub(super) is_bare: bool,
}

impl Form {
    pub(super) fn pin(self, stored: &StoredPin, writer: &mut PinWriter, out: &mut Vec<u8>) {
        if self.is_protobuf {
            let mut message = stored.pin.to_proto();
            if !self.is_bare {
                uint64::encode(VERSION_FIELD, &stored.version, &mut message);
            }
            return framed(&message, out);
        }
        let written = writer.write(&stored.pin, out);
        debug_assert!(written.is_ok(), "our own shapes are always written");
        if !self.is_bare {
            // The pin's own object, with one key more before it closes: flattening it instead
            // would go through a map, and this is written millions of times.
            out.pop();
            out.extend_from_slice(b",\"version\":");
            out.extend_from_slice(stored.version.to_string().as_bytes());
            out.push(b'}');
        }
        out.push(b'\n');
    }

    pub(super) fn control(self, control: &Control<'_>, out: &mut Vec<u8>) {
        if !self.is_protobuf {
            return line(control, out);
        }
        let mut message = ControlMessage::default();
        match control {
            Control::Mark { mark, .. } => message.mark = (*mark).to_owned(),
            Control::End { pins } => message.end = Some(EndMessage { pins: *pins }),
            Control::Error(fault) => {
                message.error = Some(FaultMessage {
                    status: u32::from(fault.status),
                    code: fault.code.to_owned(),
                    detail: fault.detail.to_owned(),
                });
            }
            Control::Absent(cid) => message.absent = cid.to_bytes(),
            // The feed has no protobuf form.
            Control::Heartbeat(_) => {}
        }
        framed(&message.encode_to_vec(), out);
    }
}

/// The messages of a body, each with its length ahead; an error is the last of them.
pub(super) fn messages(body: &[u8]) -> impl Iterator<Item = Result<&[u8], Invalid>> {
    let mut rest = body;
    let mut place = 0_usize;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = prost::decode_length_delimiter(&mut rest).ok();
        let Some((message, beyond)) = length.and_then(|length| rest.split_at_checked(length))
        else {
            rest = &[];
            let why = format!(
                "message {place} has no length, or is longer than the rest; send each with its \
                 length ahead as a varint"
            );
            return Some(Err(Invalid::new("body", why)));
        };
        rest = beyond;
        place += 1;
        Some(Ok(message))
    })
}

/// One message with its length ahead.
fn framed(message: &[u8], out: &mut Vec<u8>) {
    let length = u64::try_from(message.len()).unwrap_or(u64::MAX);
    out.reserve(message.len() + encoded_len_varint(length));
    encode_varint(length, out);
    out.extend_from_slice(message);
}

/// One value on a line of its own.
pub(super) fn line<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "our own shapes are always written");
    out.push(b'\n');
}

/// A pin that a caller sent.
pub(super) fn pin_of_json(bytes: &[u8]) -> Result<Pin, Invalid> {
    serde_json::from_slice(bytes).map_err(|error| Invalid::new("body", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::UnixMillis;

    fn stored() -> StoredPin {
        let cid = Cid::parse("bafkqaaa").unwrap();
        StoredPin {
            pin: Pin::recursive(cid, UnixMillis::new(1_700_000_000_000)),
            version: 300,
            requests: 0,
            by_cluster: true,
        }
    }

    fn written(form: Form) -> Vec<u8> {
        let mut out = Vec::new();
        form.pin(&stored(), &mut PinWriter::default(), &mut out);
        out
    }

    #[test]
    fn a_line_is_the_pin_with_its_version_and_a_bare_one_the_pin() {
        let form = |is_bare| Form {
            is_protobuf: false,
            is_bare,
        };
        let line: serde_json::Value = serde_json::from_slice(&written(form(false))).unwrap();
        assert_eq!(line["version"], 300);
        assert_eq!(
            line,
            serde_json::to_value(Versioned::of(&stored())).unwrap()
        );
        let bare = serde_json::to_string(&stored().pin).unwrap() + "\n";
        assert_eq!(written(form(true)), bare.as_bytes());
    }

    #[test]
    fn a_message_is_a_pin_to_its_own_reader() {
        for is_bare in [false, true] {
            let bytes = written(Form {
                is_protobuf: true,
                is_bare,
            });
            let mut rest = bytes.as_slice();
            let length = prost::decode_length_delimiter(&mut rest).unwrap();
            assert_eq!(length, rest.len());
            assert_eq!(Pin::from_proto(rest).unwrap(), stored().pin);
            assert_eq!(rest == stored().pin.to_proto(), is_bare);
        }
    }
}

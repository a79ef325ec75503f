//! Reading many pins in one call: a node that works on hundreds at once pays for one.
//!
//! The answer has one line or message for each CID, in the order in which they were asked for. It
//! ends early when it has grown large: who asked asks again for the rest.

use super::wire::{self, Control, Form};
use super::{LINES, PROTOBUF, accepted};
use crate::api::context::Call;
use crate::api::metrics::Item;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::pins::state;
use axum::http::StatusCode;
use futures_util::TryStreamExt;
use holdfast_model::action::{Host, ReadPins};
use holdfast_model::pin::PinWriter;
use holdfast_model::{Cid, Invalid};

/// CIDs of one call: what a store on a cluster reads well within the deadline of a call.
const CIDS_MAX: usize = 1_000;

/// Bytes after which an answer ends: a pin may have 10 MiB, and they are held until all are read.
const ANSWER_BYTES: usize = 4 << 20;

/// Read many pins.
#[utoipa::path(
    post, path = "/v1/state/read", tag = "state", operation_id = "readPins",
    request_body(content(
        (String = "application/x-ndjson"), (super::Protobuf = "application/x-protobuf")),
        description = "One CID a line, as a JSON string, or the bytes of each with their length \
            ahead; 1,000 at most"),
    responses(
        (status = 200, description = "One pin a line or message with its version, or that there \
            is none, for as many of the CIDs as fit, in their order",
            content((String = "application/x-ndjson"), (super::Protobuf = "application/x-protobuf"))),
        (status = 413, description = "Too many CIDs"))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<ReadPins>(Host)?;
    let accepted = accepted(call, &[LINES, PROTOBUF])?;
    let (content_type, bytes) = call.large_body(&[LINES, PROTOBUF]).await?;
    let cids = match content_type {
        PROTOBUF => of_messages(&bytes)?,
        _ => of_lines(&bytes)?,
    };
    let form = Form {
        is_protobuf: accepted == PROTOBUF,
        is_bare: false,
    };
    let (mut answer, mut writer, mut found) = (Vec::new(), PinWriter::default(), 0);
    let store = &call.app().store;
    let mut pins = std::pin::pin!(state::get_each(store, &permit, cids));
    while let Some((cid, pin)) = pins.try_next().await? {
        match pin {
            Some(stored) => form.pin(&stored, &mut writer, &mut answer),
            None => form.control(&Control::Absent(cid), &mut answer),
        }
        found += 1;
        if answer.len() >= ANSWER_BYTES {
            break;
        }
    }
    call.station.edge.metrics.state.streamed(Item::Pin, found);
    Ok(Reply::bytes(StatusCode::OK, accepted, answer))
}

fn of_messages(body: &[u8]) -> Result<Vec<Cid>, Problem> {
    let cid = |bytes| Cid::from_bytes(bytes).map_err(|error| error.within("cid"));
    all_of(wire::messages(body).map(|message| message.and_then(cid)))
}

fn of_lines(body: &[u8]) -> Result<Vec<Cid>, Problem> {
    let cid = |line| {
        serde_json::from_slice(line).map_err(|error| {
            let why = format!("{error}; send one CID a line, each in quotes");
            Invalid::new("cid", why)
        })
    };
    let lines = body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    all_of(lines.map(cid))
}

fn all_of(read: impl Iterator<Item = Result<Cid, Invalid>>) -> Result<Vec<Cid>, Problem> {
    let mut cids = Vec::new();
    for cid in read {
        if cids.len() == CIDS_MAX {
            return Err(Problem::large_batch(CIDS_MAX));
        }
        cids.push(cid?);
    }
    Ok(cids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cids_come_as_lines_and_as_messages() {
        let cid = Cid::parse("bafkqaaa").unwrap();
        let mut body = Vec::new();
        for _ in 0..2 {
            let bytes = cid.to_bytes();
            prost::encode_length_delimiter(bytes.len(), &mut body).unwrap();
            body.extend(bytes);
        }
        assert_eq!(of_messages(&body).ok().unwrap(), [cid, cid]);
        body.pop();
        assert_eq!(of_messages(&body).err().unwrap().status(), 400);
        let lines = b"\"bafkqaaa\"\n\n\"bafkqaaa\"";
        assert_eq!(of_lines(lines).ok().unwrap(), [cid, cid]);
        assert_eq!(of_lines(b"bafkqaaa").err().unwrap().status(), 400);
    }

    #[test]
    fn there_is_a_most() {
        let lines = |count| "\"bafkqaaa\"\n".repeat(count);
        assert!(of_lines(lines(CIDS_MAX).as_bytes()).is_ok());
        let refused = of_lines(lines(CIDS_MAX + 1).as_bytes()).err().unwrap();
        assert_eq!(refused.status(), 413);
    }
}

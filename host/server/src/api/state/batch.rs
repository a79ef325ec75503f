//! Committing many puts and deletes in one call.
//!
//! Each entry is atomic by itself, and a bad one does not stop the others: the answer names those
//! that were not applied. Entries of one CID take effect in their order. A body that cannot be
//! taken apart, or has too many entries, changes nothing.

use super::{LINES, PROTOBUF, wire};
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::pins::state::{self, Entry, Step};
use axum::http::StatusCode;
use holdfast_model::action::{Host, WritePins};
use holdfast_model::{Cid, Invalid, Pin};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Store};
use prost::Message;
use serde::{Deserialize, Serialize};

/// Entries of a batch: what a store on a cluster commits well within the deadline of a call.
const ENTRIES_MAX: usize = 10_000;

/// One entry as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    put: Option<Pin>,
    delete: Option<Cid>,
    if_version: Option<u64>,
    #[serde(default)]
    if_absent: bool,
}

/// What can be told of an entry that cannot be read.
#[derive(Deserialize)]
struct Named {
    put: Option<NamedPin>,
    delete: Option<String>,
}

#[derive(Deserialize)]
struct NamedPin {
    cid: Option<String>,
}

/// One entry as protobuf.
#[derive(Message)]
pub(crate) struct EntryMessage {
    #[prost(bytes = "vec", optional, tag = "1")]
    put: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    delete: Option<Vec<u8>>,
    #[prost(uint64, tag = "3")]
    if_version: u64,
    #[prost(bool, tag = "4")]
    if_absent: bool,
}

/// An entry, or why it cannot be read and which CID it seems to be about.
type Read = Result<Entry, (Option<String>, Invalid)>;

/// What became of a batch.
#[derive(Serialize)]
struct Outcome {
    applied: usize,
    failed: Vec<Refused>,
    head: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<Vec<u64>>,
}

#[derive(Serialize)]
struct Refused {
    index: usize,
    cid: Option<String>,
    status: u16,
    code: &'static str,
    detail: String,
}

/// Put and delete many pins.
#[utoipa::path(
    post, path = "/v1/state/batch", tag = "state", operation_id = "commitPins",
    params(("versions" = Option<bool>, Query, description = "Tell the new version of each put")),
    request_body(content(
        (super::BatchEntry = "application/x-ndjson"), (super::Protobuf = "application/x-protobuf")),
        description = "One entry a line, or one message with its length ahead"),
    responses(
        (status = 200, description = "All that is not named as failed is durable",
            body = super::BatchOutcome),
        (status = 413, description = "Too many entries or bytes; nothing was applied"))
)]
pub(crate) async fn commit(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let is_told = call.query(&["versions"])?.flag("versions")?;
    let (content_type, bytes) = call.large_body(&[LINES, PROTOBUF]).await?;
    let entries = match content_type {
        PROTOBUF => messages(&bytes)?,
        _ => lines(&bytes)?,
    };
    drop(bytes);
    let all = entries.len();
    let store = call.app().store.clone();
    let (versions, failed) = apply(&store, &permit, entries).await;
    let applied = all - failed.len();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let metrics = &call.station.edge.metrics.state;
    metrics.batched(count(applied), count(failed.len()));
    call.note(format!(
        "{applied} entries applied, {} failed",
        failed.len()
    ));
    let head = store.head().borrow().0;
    let outcome = Outcome {
        applied,
        failed,
        head,
        versions: is_told.then_some(versions),
    };
    Reply::json(StatusCode::OK, &outcome)
}

/// Takes lines apart. Empty ones are no entries.
fn lines(bytes: &[u8]) -> Result<Vec<Read>, Problem> {
    let mut entries = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        room_for_one_more(&entries)?;
        entries.push(serde_json::from_slice::<Line>(line).map_or_else(
            |error| Err((named(line), Invalid::new("entry", error.to_string()))),
            Line::into_entry,
        ));
    }
    Ok(entries)
}

/// Takes messages apart.
fn messages(bytes: &[u8]) -> Result<Vec<Read>, Problem> {
    let mut entries = Vec::new();
    for message in wire::messages(bytes) {
        room_for_one_more(&entries)?;
        entries.push(EntryMessage::decode(message?).map_or_else(
            |error| Err((None, Invalid::new("entry", error.to_string()))),
            EntryMessage::into_entry,
        ));
    }
    Ok(entries)
}

fn room_for_one_more(entries: &[Read]) -> Result<(), Problem> {
    match entries.len() {
        ENTRIES_MAX.. => Err(Problem::large_batch(ENTRIES_MAX)),
        _ => Ok(()),
    }
}

/// The CID that an entry seems to be about.
fn named(line: &[u8]) -> Option<String> {
    let named: Named = serde_json::from_slice(line).ok()?;
    let put = named.put.and_then(|pin| pin.cid);
    // As it was sent, which may be anything: enough of it to find it again.
    Some(put.or(named.delete)?.chars().take(80).collect())
}

impl Line {
    fn into_entry(self) -> Read {
        let step = match (self.put, self.delete) {
            (Some(pin), None) => Step::Put(Box::new(pin)),
            (None, Some(cid)) => Step::Delete(cid),
            _ => return Err((None, neither())),
        };
        entry(step, self.if_version, self.if_absent)
    }
}

impl EntryMessage {
    /// An entry as clients write it.
    ///
    /// # Errors
    /// A pin that is too large.
    pub(crate) fn of(entry: Entry) -> Result<Self, Invalid> {
        let mut message = Self::default();
        match entry.step {
            Step::Put(pin) => message.put = Some(pin.into_stored_form()?.1),
            Step::Delete(cid) => message.delete = Some(cid.to_bytes()),
        }
        match entry.expect {
            Expect::Any => {}
            Expect::Absent => message.if_absent = true,
            Expect::Version(version) => message.if_version = version,
        }
        Ok(message)
    }

    fn into_entry(self) -> Read {
        let step = match (self.put, self.delete) {
            (Some(pin), None) => Step::Put(Box::new(Pin::from_proto(&pin).map_err(|e| (None, e))?)),
            (None, Some(cid)) => {
                Step::Delete(Cid::from_bytes(&cid).map_err(|e| (None, e.within("delete")))?)
            }
            _ => return Err((None, neither())),
        };
        let version = Some(self.if_version).filter(|version| *version > 0);
        entry(step, version, self.if_absent)
    }
}

fn neither() -> Invalid {
    Invalid::new("entry", "must have either put or delete")
}

/// An entry with its condition, if these are not two.
fn entry(step: Step, version: Option<u64>, is_absent: bool) -> Read {
    let expect = match (version, is_absent) {
        (None, false) => Expect::Any,
        (Some(version), false) => Expect::Version(version),
        (None, true) => Expect::Absent,
        (Some(_), true) => {
            let why = "has if_version and if_absent, which contradict each other";
            let expect = Expect::Any;
            let cid = Entry { step, expect }.cid().to_string();
            return Err((Some(cid), Invalid::new("entry", why)));
        }
    };
    Ok(Entry { step, expect })
}

/// Applies entries; answers the version of each that was put, 0 for the others, and those that
/// failed, in their order.
async fn apply(
    store: &Store,
    permit: &Permit<WritePins>,
    entries: Vec<Read>,
) -> (Vec<u64>, Vec<Refused>) {
    let mut versions = vec![0; entries.len()];
    let (mut failed, mut good, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (index, entry) in entries.into_iter().enumerate() {
        match entry {
            Ok(entry) => {
                places.push((index, entry.cid()));
                good.push(entry);
            }
            Err((cid, invalid)) => failed.push(refused(index, cid, &invalid.into())),
        }
    }
    let answers = state::commit(store, permit, good).await;
    for ((index, cid), answer) in places.into_iter().zip(answers) {
        let error = match answer {
            Ok(version) => {
                if let (Some(version), Some(told)) = (version, versions.get_mut(index)) {
                    *told = version;
                }
                continue;
            }
            Err(error) => error,
        };
        let problem = Problem::of_write(error);
        if let Some(cause) = problem.cause() {
            tracing::warn!(%cid, cause, "an entry of a batch was not applied");
        }
        failed.push(refused(index, Some(cid.to_string()), &problem));
    }
    failed.sort_by_key(|refused| refused.index);
    (versions, failed)
}

fn refused(index: usize, cid: Option<String>, problem: &Problem) -> Refused {
    let (status, code, detail) = problem.as_member();
    Refused {
        index,
        cid,
        status,
        code,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: &str = r#"{"put":{"cid":"bafkqaaa","type":"pin","max_depth":-1}}"#;

    fn reasons(body: &str) -> Vec<Option<(Option<String>, String)>> {
        let entries = lines(body.as_bytes()).unwrap();
        let reason = |entry: Read| entry.err().map(|(cid, invalid)| (cid, invalid.to_string()));
        entries.into_iter().map(reason).collect()
    }

    #[test]
    fn a_bad_line_is_told_and_is_no_obstacle() {
        let body = format!(
            "{PUT}\n\n{}\n{}\n{}\n{}\n{{\n",
            r#"{"put":{"cid":"bafkqaaa","type":"zebra"}}"#,
            r#"{"delete":"bafkqaaa","if_version":3}"#,
            r#"{"delete":"bafkqaaa","if_version":3,"if_absent":true}"#,
            r#"{"delete":"bafkqaaa","put":null,"iff":1}"#,
        );
        let reasons = reasons(&body);
        assert_eq!(reasons.len(), 6);
        let told: Vec<bool> = reasons.iter().map(Option::is_some).collect();
        assert_eq!(told, [false, true, false, true, true, true]);
        let (cid, why) = reasons[1].clone().unwrap();
        assert_eq!(cid.as_deref(), Some("bafkqaaa"));
        assert!(why.contains("zebra") && why.contains("meta-pin"), "{why}");
        assert_eq!(reasons[5].clone().unwrap().0, None);
    }

    #[test]
    fn messages_are_read_one_by_one_and_a_broken_frame_spoils_all() {
        let cid = Cid::parse("bafkqaaa").unwrap();
        let pin = Pin::recursive(cid, holdfast_model::UnixMillis::EPOCH);
        let entry = |message: EntryMessage| message.encode_length_delimited_to_vec();
        let mut body = entry(EntryMessage {
            put: Some(pin.to_proto()),
            if_version: 7,
            ..EntryMessage::default()
        });
        body.extend(entry(EntryMessage {
            put: Some(vec![1, 2, 3]),
            ..EntryMessage::default()
        }));
        body.extend(entry(EntryMessage {
            delete: Some(cid.to_bytes()),
            if_absent: true,
            ..EntryMessage::default()
        }));
        let read = messages(&body).unwrap();
        let first = read[0].as_ref().ok().unwrap();
        assert_eq!(first.expect, Expect::Version(7));
        assert!(read[1].is_err());
        assert_eq!(read[2].as_ref().ok().unwrap().expect, Expect::Absent);
        body.push(9);
        assert_eq!(messages(&body).err().unwrap().status(), 400);
    }

    #[test]
    fn too_many_entries_are_refused_before_any() {
        let body = format!("{PUT}\n").repeat(ENTRIES_MAX + 1);
        assert_eq!(lines(body.as_bytes()).err().unwrap().status(), 413);
    }
}

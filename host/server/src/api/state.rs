//! The State API, under `/v1/state`: the pin set as a cluster's nodes keep it.
//!
//! Nodes read and write single pins under conditions ([`Expect`]), read many at once (`several`)
//! and commit many (`batch`), list all of them (`list`) and follow what changes (`changes`). Pins
//! are IPFS Cluster's `api.Pin`, as JSON or as protobuf; beside each stands its version, which says
//! `ETag` in headers.

pub(super) mod batch;
pub(super) mod changes;
mod describe;
pub(super) mod list;
mod mark;
pub(super) mod several;
mod wire;

pub(crate) use batch::EntryMessage;
pub(crate) use describe::{
    BatchEntry, BatchOutcome, BatchRefusal, Change, ChangePage, Protobuf, StatePin,
};

use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::pins::state;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use holdfast_model::action::{Host, ReadPins, WritePins};
use holdfast_model::{Cid, Invalid, Pin};
use holdfast_store::Expect;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const PROTOBUF: &str = "application/x-protobuf";

/// Read one pin; `HEAD` asks whether there is one.
#[utoipa::path(
    get, path = "/v1/state/pins/{cid}", tag = "state", operation_id = "readPin",
    params(("cid" = String, Path, description = "The pin's CID", example = "bafkqaaa"),
        ("If-None-Match" = Option<String>, Header, description = "A version that is known, quoted")),
    responses(
        (status = 200, description = "The pin; its version is the ETag", content(
            (StatePin = "application/json"), (Protobuf = "application/x-protobuf"))),
        (status = 304, description = "It still has the version that is known"),
        (status = 404, description = "There is no such pin"))
)]
pub(crate) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    let cid = Cid::parse(call.segment())?;
    let permit = call.permit_about::<ReadPins>(Host, Some(cid))?;
    let accepted = accepted(call, &[JSON, PROTOBUF])?;
    let found = state::get(&call.app().store, &permit, &cid).await?;
    let stored = found.ok_or_else(Problem::not_found)?;
    let tag = tag(stored.version);
    let known = call.parts.headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| *known == tag) {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with_header(header::ETAG, tag));
    }
    let reply = match accepted {
        PROTOBUF => Reply::bytes(StatusCode::OK, PROTOBUF, stored.pin.to_proto()),
        _ => Reply::json(StatusCode::OK, &wire::Versioned::of(&stored))?,
    };
    Ok(reply.with_header(header::ETAG, tag))
}

/// Put one pin.
#[utoipa::path(
    put, path = "/v1/state/pins/{cid}", tag = "state", operation_id = "putPin",
    params(("cid" = String, Path, description = "The pin's CID", example = "bafkqaaa"),
        ("If-Match" = Option<String>, Header, description = "Only if the pin has this version"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is none")),
    request_body(content(
        (StatePin = "application/json"), (Protobuf = "application/x-protobuf"))),
    responses(
        (status = 204, description = "Durable; the new version is the ETag"),
        (status = 412, description = "It has another version"))
)]
pub(crate) async fn put(call: &mut Call) -> Result<Reply, Problem> {
    let cid = Cid::parse(call.segment())?;
    let permit = call.permit_about::<WritePins>(Host, Some(cid))?;
    let expect = expected(call)?;
    let (content_type, bytes) = call.large_body(&[JSON, PROTOBUF]).await?;
    let pin = match content_type {
        PROTOBUF => Pin::from_proto(&bytes)?,
        _ => wire::pin_of_json(&bytes)?,
    };
    if pin.cid != cid {
        let why = format!(
            "is {} and the path names {cid}; send the pin to its own path",
            pin.cid
        );
        return Err(Invalid::new("cid", why).into());
    }
    let put = state::put(&call.app().store, &permit, pin, expect).await;
    let stored = put.map_err(Problem::of_write)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT).with_header(header::ETAG, tag(stored.version)))
}

/// Remove one pin. One that requests of the Pinning Service API want stays for them.
#[utoipa::path(
    delete, path = "/v1/state/pins/{cid}", tag = "state", operation_id = "removePin",
    params(("cid" = String, Path, description = "The pin's CID", example = "bafkqaaa"),
        ("If-Match" = Option<String>, Header, description = "Only if the pin has this version")),
    responses(
        (status = 204, description = "The cluster no longer wants it"),
        (status = 412, description = "It has another version"))
)]
pub(crate) async fn remove(call: &mut Call) -> Result<Reply, Problem> {
    let cid = Cid::parse(call.segment())?;
    let permit = call.permit_about::<WritePins>(Host, Some(cid))?;
    let expect = expected(call)?;
    let removed = state::remove(&call.app().store, &permit, &cid, expect).await;
    removed.map_err(Problem::of_write)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// A version as an entity tag.
fn tag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What the caller's conditional headers expect of the pin.
fn expected(call: &Call) -> Result<Expect, Invalid> {
    let wanted = |name: &HeaderName| {
        let mut all = call.parts.headers.get_all(name).iter();
        let first = all
            .next()
            .map(|value| value.to_str().unwrap_or_default().trim());
        match all.next() {
            Some(_) => Err(Invalid::new(name.as_str(), "is there twice; send it once")),
            None => Ok(first),
        }
    };
    match (wanted(&header::IF_MATCH)?, wanted(&header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Expect::Any),
        (None, Some("*")) => Ok(Expect::Absent),
        (Some(tag), None) => version_of(tag).map(Expect::Version).ok_or_else(|| {
            Invalid::new(
                "If-Match",
                "is no version; send one as an ETag told it, such as \"12\"",
            )
        }),
        (None, Some(_)) => Err(Invalid::new(
            "If-None-Match",
            "can only be * on a write: put the pin if there is none",
        )),
        (Some(_), Some(_)) => Err(Invalid::new(
            "If-None-Match",
            "contradicts If-Match; send one of them",
        )),
    }
}

fn version_of(tag: &str) -> Option<u64> {
    let bare = tag.strip_prefix('"')?.strip_suffix('"')?;
    // What Rust takes for a number beside digits is a sign.
    bare.parse().ok().filter(|_| !bare.starts_with('+'))
}

/// The first of some types that the caller accepts; without a word of the caller's, the first.
fn accepted(call: &Call, known: &[&'static str]) -> Result<&'static str, Problem> {
    let first = known.first().copied().unwrap_or(JSON);
    let Some(header) = call.parts.headers.get(header::ACCEPT) else {
        return Ok(first);
    };
    let names = header.to_str().unwrap_or_default().split(',');
    for name in names {
        let name = name.split(';').next().unwrap_or_default().trim();
        if name == "*/*" || name == "application/*" {
            return Ok(first);
        }
        if let Some(found) = known.iter().find(|one| name.eq_ignore_ascii_case(one)) {
            return Ok(found);
        }
    }
    Err(Problem::not_acceptable(&known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_tags_and_from_nothing_else() {
        assert_eq!(version_of("\"12\""), Some(12));
        for tag in [
            "12",
            "\"+1\"",
            "W/\"12\"",
            "\"\"",
            "*",
            "\"1\", \"2\"",
            "\"-1\"",
        ] {
            assert_eq!(version_of(tag), None, "{tag}");
        }
    }
}

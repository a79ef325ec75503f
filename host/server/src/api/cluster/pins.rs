//! The pin set: what is pinned, and changes of that.

use super::lines::{self, Ended, Lines};
use super::options;
use super::roster::Roster;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api::reply::Reply;
use crate::pins::cluster::{self, ClusterError, Wish};
use axum::http::StatusCode;
use holdfast_model::action::{Host, ReadPins, WritePins};
use holdfast_model::{Cid, Invalid, Pin, PinType};
use holdfast_policy::Permit;
use holdfast_store::Store;

/// All pins of some types: `GET /allocations`.
pub(super) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let types = types(&call.any_query())?;
    let store = call.app().store.clone();
    lines::answer(call, |mut lines| async move {
        let outcome = write(&store, &types, &mut lines).await;
        (lines, outcome)
    })
    .await
}

async fn write(store: &Store, types: &[PinType], lines: &mut Lines) -> Result<(), Ended> {
    let mut scan = store.scan_pins(None)?;
    while let Some(page) = scan.next().await? {
        for stored in &page {
            if types.contains(&stored.pin.pin_type) {
                lines.line(&stored.pin).await?;
            }
        }
    }
    Ok(())
}

/// The types that a filter names; all for none.
fn types(query: &Query) -> Result<Vec<PinType>, Invalid> {
    let all = || PinType::ALL.to_vec();
    let wrong = |why: &str| Invalid::new("filter", format!("invalid filter value: {why}"));
    let mut types = Vec::new();
    for word in options::members(query.first("filter")) {
        match word {
            "all" => return Ok(all()),
            // It stands for a word that is none: nobody asks for it on purpose.
            "bad-type" => return Err(wrong("bad-type is no pin type")),
            name => types.push(PinType::parse(name).map_err(|e| wrong(&e.why))?),
        }
    }
    if types.is_empty() {
        types = all();
    }
    Ok(types)
}

/// One pin: `GET /allocations/{cid}`.
pub(super) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let cid = Cid::parse(call.segment())?;
    let stored = call.app().store.pin_lately(&cid).await?;
    let stored = stored.ok_or(ClusterError::NotPinned)?;
    Reply::json(StatusCode::OK, &stored.pin)
}

/// Pins a CID.
pub(super) async fn pin(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let cid = Cid::parse(call.segment())?;
    let wish = wish(call, cid)?;
    put(call, &permit, &wish).await
}

/// Pins what a path leads to.
pub(super) async fn pin_path(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    // Before anybody looks for the path: a bad option must change nothing and cost nothing.
    let mut wish = wish(call, nothing()?)?;
    wish.cid = resolved(call).await?;
    put(call, &permit, &wish).await
}

/// Removes a CID's pin.
pub(super) async fn unpin(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let cid = Cid::parse(call.segment())?;
    remove(call, &permit, &cid).await
}

/// Removes the pin of what a path leads to.
pub(super) async fn unpin_path(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let cid = resolved(call).await?;
    remove(call, &permit, &cid).await
}

/// What the query asks for.
pub(super) fn wish(call: &Call, cid: Cid) -> Result<Wish, Problem> {
    let (max_depth, options) = options::read(&call.any_query(), call.app().clock.now())?;
    Ok(Wish {
        cid,
        max_depth,
        options,
    })
}

/// The identity CID of no bytes: it stands where the real one is not known yet.
fn nothing() -> Result<Cid, Invalid> {
    Cid::parse("bafkqaaa")
}

async fn put(call: &mut Call, permit: &Permit<WritePins>, wish: &Wish) -> Result<Reply, Problem> {
    let candidates = Roster::of(call)?.candidates();
    let (app, defaults) = (call.app(), call.cluster()?.defaults);
    let now = app.clock.now();
    let made = cluster::pin(&app.store, permit, wish, defaults, &candidates, now).await?;
    call.note(format!("pin {}", made.cid));
    Reply::json(StatusCode::OK, &made)
}

async fn remove(call: &mut Call, permit: &Permit<WritePins>, cid: &Cid) -> Result<Reply, Problem> {
    let parts = parts(call, cid).await?;
    let store = &call.app().store;
    let pin = cluster::unpin(store, permit, cid).await?;
    cluster::removed_with(store, permit, &parts).await?;
    call.note(format!("unpin {cid}"));
    Reply::json(StatusCode::OK, &pin)
}

/// The parts of sharded content: its DAG of shards, and they. None of plain content.
async fn parts(call: &mut Call, cid: &Cid) -> Result<Vec<Cid>, Problem> {
    let stored = call.app().store.pin(cid).await?;
    let meta = stored.filter(|stored| stored.pin.pin_type == PinType::Meta);
    let Some(Pin {
        reference: Some(dag),
        ..
    }) = meta.map(|stored| stored.pin)
    else {
        return Ok(Vec::new());
    };
    let roster = Roster::of(call)?;
    let (_, kubo) = roster.any()?;
    let mut parts = kubo.links(&dag).await?;
    parts.push(dag);
    Ok(parts)
}

/// The CID that the call's path leads to: itself, or what a node finds behind it.
async fn resolved(call: &mut Call) -> Result<Cid, Problem> {
    let path = decoded(
        call.parts
            .uri
            .path()
            .strip_prefix("/pins")
            .unwrap_or_default(),
    )?;
    if let Some(bare) = path.strip_prefix("/ipfs/")
        && !bare.contains('/')
    {
        return Ok(Cid::parse(bare)?);
    }
    let roster = Roster::of(call)?;
    let (_, kubo) = roster.any()?;
    Ok(kubo.resolve(&path).await?)
}

/// A path without its percent signs.
fn decoded(path: &str) -> Result<String, Invalid> {
    let wrong = || {
        Invalid::new(
            "path",
            "cannot be read; send UTF-8, with %XX for what is special",
        )
    };
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| wrong())?);
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_types_and_nothing_else() {
        let of = |query| types(&Query::all(Some(query)));
        assert_eq!(of("").unwrap(), PinType::ALL);
        assert_eq!(of("filter=pin,all").unwrap(), PinType::ALL);
        assert_eq!(
            of("filter=pin,shard-pin").unwrap(),
            [PinType::Data, PinType::Shard]
        );
        assert!(
            of("filter=pin,plain")
                .unwrap_err()
                .why
                .contains("invalid filter value")
        );
    }

    #[test]
    fn paths_are_decoded_once() {
        assert_eq!(decoded("/ipfs/Qm/a%20b%2525").unwrap(), "/ipfs/Qm/a b%25");
        for path in ["/ipfs/%", "/ipfs/%2", "/ipfs/%zz", "/ipfs/%ff"] {
            assert!(decoded(path).is_err(), "{path}");
        }
    }
}

//! How pins fare on their peers, and what is done about those that do not fare well.

use super::filter::Filter;
use super::info::{Known, View};
use super::lines::{self, Ended, Lines};
use super::options::{members, switch};
use super::roster::Roster;
use crate::api::context::Call;
use crate::api::problem::Problem;
use crate::api::reply::Reply;
use crate::clock::Clock;
use crate::pins::cluster;
use crate::workers::kubo::Depth;
use axum::http::StatusCode;
use futures_util::{StreamExt, TryStreamExt, stream};
use holdfast_model::action::{Host, ReadPins, WritePins};
use holdfast_model::{Cid, Invalid, PeerId, Placement, PlacementState, StoredPin, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Store, StoreError};

/// Pins whose placements are read at once while all are listed: enough to keep a cluster's nodes
/// busy, few enough to leave room for other callers.
const READS_AT_ONCE: usize = 64;

/// Placements read at once of a peer.
const PAGE_ROWS: u32 = 1_000;

/// CIDs that can be asked for in one call. The head of a request holds some 500 of them.
const CIDS_MAX: usize = 1_000;

/// How all pins fare: `GET /pins`.
pub(super) async fn list(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let query = call.any_query();
    let asked = Asked {
        store: call.app().store.clone(),
        clock: call.app().clock.clone(),
        roster: Roster::of(call)?,
        is_local: switch(&query, "local")?.unwrap_or(false),
        filter: Filter::parse(query.first("filter").unwrap_or_default())?,
    };
    if query.first("cids").is_some_and(|cids| !cids.is_empty()) {
        let mut cids = Vec::new();
        for text in members(query.first("cids")) {
            cids.push(Cid::parse(text)?);
            if cids.len() > CIDS_MAX {
                let why = format!("names more than {CIDS_MAX} CIDs; ask in several calls");
                return Err(Invalid::new("cids", why).into());
            }
        }
        // As in IPFS Cluster, a filter says nothing about pins that are named.
        let asked = Asked {
            filter: Filter::ALL,
            ..asked
        };
        return lines::answer(call, |mut lines| async move {
            let outcome = asked.named(&cids, &mut lines).await;
            (lines, outcome)
        })
        .await;
    }
    lines::answer(call, |mut lines| async move {
        let outcome = asked.all(&mut lines).await;
        (lines, outcome)
    })
    .await
}

/// How one pin fares: `GET /pins/{cid}`. What is not pinned is `unpinned` everywhere.
pub(super) async fn read(call: &mut Call) -> Result<Reply, Problem> {
    call.permit::<ReadPins>(Host)?;
    let cid = Cid::parse(call.segment())?;
    let is_local = switch(&call.any_query(), "local")?.unwrap_or(false);
    answer(call, &cid, is_local).await
}

/// Repeats what has failed of one pin, and what its peers have lost.
pub(super) async fn recover(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let cid = Cid::parse(call.part(1))?;
    let is_local = switch(&call.any_query(), "local")?.unwrap_or(false);
    let roster = Roster::of(call)?;
    let (store, now) = (call.app().store.clone(), call.app().clock.now());
    let lost = lost(&store, &roster, &cid).await?;
    let again = cluster::recover(&store, &permit, &cid, &lost, now).await?;
    call.note(format!("{cid} again on {} peers", again.peers.len()));
    answer(call, &cid, is_local).await
}

/// Repeats all that has failed, and answers what that is.
pub(super) async fn recover_all(call: &mut Call) -> Result<Reply, Problem> {
    let permit = call.permit::<WritePins>(Host)?;
    let asked = Asked {
        store: call.app().store.clone(),
        clock: call.app().clock.clone(),
        roster: Roster::of(call)?,
        is_local: switch(&call.any_query(), "local")?.unwrap_or(false),
        filter: Filter::ALL,
    };
    lines::carry_through(call, |mut lines| async move {
        let outcome = asked.again(&permit, &mut lines).await;
        (lines, outcome)
    })
    .await
}

/// One pin as it is now.
async fn answer(call: &mut Call, cid: &Cid, is_local: bool) -> Result<Reply, Problem> {
    let app = call.app();
    let (stored, placements) =
        tokio::try_join!(app.store.pin_lately(cid), app.store.placements_of_pin(cid))?;
    let view = View {
        roster: &Roster::of(call)?,
        filter: &Filter::ALL,
        is_local,
        now: app.clock.now(),
    };
    let known = Known {
        cid,
        stored: stored.as_ref(),
        placements: &placements,
    };
    Reply::json(StatusCode::OK, &view.of(&known))
}

/// The peers that should have a pin and say that they do not. A peer that cannot be asked is
/// believed to have it.
async fn lost(store: &Store, roster: &Roster, cid: &Cid) -> Result<Vec<PeerId>, StoreError> {
    let Some(StoredPin { pin, .. }) = store.pin(cid).await? else {
        return Ok(Vec::new());
    };
    let depth = match pin.max_depth.is_direct() {
        true => Depth::Direct,
        false => Depth::Recursive,
    };
    let mut lost = Vec::new();
    for placement in store.placements_of_pin(cid).await? {
        let node = roster.find(&placement.peer);
        let client = node.and_then(|node| roster.client(node));
        if let (PlacementState::Pinned, Some(kubo)) = (placement.state, client)
            && kubo.holds(cid, depth).await.is_ok_and(|holds| !holds)
        {
            lost.push(placement.peer);
        }
    }
    Ok(lost)
}

/// What is asked about many pins.
struct Asked {
    store: Store,
    clock: Clock,
    roster: Roster,
    is_local: bool,
    filter: Filter,
}

impl Asked {
    fn view(&self, now: UnixMillis) -> View<'_> {
        View {
            roster: &self.roster,
            filter: &self.filter,
            is_local: self.is_local,
            now,
        }
    }

    /// All pins, then those that are gone and still being removed. What is held in memory is one
    /// page of the scan, whatever the number of pins.
    async fn all(&self, lines: &mut Lines) -> Result<(), Ended> {
        let view = self.view(self.clock.now());
        let mut scan = self.store.scan_pins(None)?;
        while let Some(page) = scan.next().await? {
            let reads = page.into_iter().map(|stored| async move {
                let placements = self.store.placements_of_pin(&stored.pin.cid).await?;
                Ok::<_, StoreError>((stored, placements))
            });
            let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
            while let Some((stored, placements)) = reads.try_next().await? {
                let known = Known {
                    cid: &stored.pin.cid,
                    stored: Some(&stored),
                    placements: &placements,
                };
                let info = view.of(&known);
                if info.is_shown(&self.filter) {
                    lines.line(&info).await?;
                }
            }
        }
        self.going(&view, lines).await
    }

    /// Pins that are gone and that peers have not let go of: those at the head of each peer's
    /// queue, where removals stand. Each is told once, by the first peer that has it.
    async fn going(&self, view: &View<'_>, lines: &mut Lines) -> Result<(), Ended> {
        for node in self.roster.nodes() {
            let due = self
                .store
                .due_placements(&node.peer, view.now, PAGE_ROWS)
                .await?;
            let leaving = |one: &Placement| one.state == PlacementState::UnpinQueued;
            for Placement { cid, peer, .. } in due.into_iter().filter(leaving) {
                let placements = self.store.placements_of_pin(&cid).await?;
                let first = placements.iter().map(|one| one.peer).min();
                if first != Some(peer) || self.store.pin(&cid).await?.is_some() {
                    continue;
                }
                let known = Known {
                    cid: &cid,
                    stored: None,
                    placements: &placements,
                };
                let info = view.of(&known);
                if info.is_shown(&self.filter) {
                    lines.line(&info).await?;
                }
            }
        }
        Ok(())
    }

    /// Pins that are named.
    async fn named(&self, cids: &[Cid], lines: &mut Lines) -> Result<(), Ended> {
        let view = self.view(self.clock.now());
        let reads = cids.iter().copied().map(|cid| async move {
            let store = &self.store;
            let found = tokio::try_join!(store.pin_lately(&cid), store.placements_of_pin(&cid));
            found.map(|(stored, placements)| (cid, stored, placements))
        });
        let mut reads = stream::iter(reads).buffered(READS_AT_ONCE);
        while let Some((cid, stored, placements)) = reads.try_next().await? {
            let known = Known {
                cid: &cid,
                stored: stored.as_ref(),
                placements: &placements,
            };
            lines.line(&view.of(&known)).await?;
        }
        Ok(())
    }

    /// Queues all that has failed, peer by peer; tells each pin once, with the peers that begin
    /// again.
    async fn again(&self, permit: &Permit<WritePins>, lines: &mut Lines) -> Result<(), Ended> {
        for node in self.roster.nodes() {
            let mut after = None;
            loop {
                let page = self
                    .store
                    .placements_of_peer(&node.peer, after.as_ref(), PAGE_ROWS)
                    .await?;
                let Some(last) = page.last() else { break };
                after = Some(last.cid);
                for placement in page.iter().filter(|one| cluster::has_failed(one)) {
                    self.again_of(permit, &placement.cid, lines).await?;
                }
            }
        }
        Ok(())
    }

    async fn again_of(
        &self,
        permit: &Permit<WritePins>,
        cid: &Cid,
        lines: &mut Lines,
    ) -> Result<(), Ended> {
        let now = self.clock.now();
        let again = cluster::recover(&self.store, permit, cid, &[], now).await?;
        if again.peers.is_empty() {
            return Ok(());
        }
        let stored = self.store.pin(cid).await?;
        let placements = self.store.placements_of_pin(cid).await?;
        let known = Known {
            cid,
            stored: stored.as_ref(),
            placements: &placements,
        };
        let view = self.view(now);
        lines.line(&view.of(&known).on(&again.peers)).await
    }
}

//! Reporting: how far a peer is with a pin, and what its requests are to say of that.
//!
//! Each verb writes a placement only if it still is what the worker saw; `None` tells the worker
//! that the world has moved on. The requests follow by [`settle`], which reads the placements and
//! so may be repeated at will. A placement that has come to an end stays *due* until its requests
//! are settled: a crash between the two is found by that.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use holdfast_model::action::DriveWork;
use holdfast_model::{Cid, PinRequest, Placement, PlacementState, RequestStatus, UnixMillis};
use holdfast_policy::Permit;
use holdfast_store::{Expect, Outcome, Store, StoreError};

/// Requests read at once.
const PAGE_ROWS: u32 = 256;

/// Requests written at once: enough to share a group commit.
const WRITES_AT_ONCE: usize = 32;

/// Of a pin that very many want, so many requests show each step of its progress.
const PROGRESS_REQUESTS_MAX: usize = 100;

/// What settling moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Milliseconds from each request that is now pinned to its pin.
    pub waited: Vec<u64>,
    /// Requests that have another status now.
    pub moved: usize,
}

/// Takes a piece of work: the peer is fetching it, and nobody else looks at it before the lease is
/// over.
///
/// # Errors
/// The store's; so for every verb here.
pub async fn claim(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
    lease_millis: u64,
    now: UnixMillis,
) -> Result<Option<Placement>, StoreError> {
    let claimed = Placement {
        state: PlacementState::Pinning,
        due: Some(now.plus_millis(lease_millis)),
        updated: now,
        ..placement.clone()
    };
    put(store, claimed).await
}

/// The peer has it, whole, whatever else has happened to the placement but being let go.
pub async fn fetched(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
    dag_size: u64,
    now: UnixMillis,
) -> Result<Option<Placement>, StoreError> {
    let mut seen = Some(placement.clone());
    while let Some(current) = seen.filter(|p| p.state != PlacementState::UnpinQueued) {
        let pinned = Placement {
            state: PlacementState::Pinned,
            due: Some(now),
            attempts: 0,
            error: None,
            dag_size: Some(dag_size),
            updated: now,
            ..current
        };
        if let Some(written) = put(store, pinned).await? {
            return Ok(Some(written));
        }
        seen = store.placement(&placement.cid, &placement.peer).await?;
    }
    Ok(None)
}

/// An attempt failed: it is repeated at `again`, or given up. Failures count.
pub async fn failed(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
    why: &str,
    again: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<Option<Placement>, StoreError> {
    let state = match (placement.state, again) {
        (PlacementState::UnpinQueued, _) => PlacementState::UnpinQueued,
        (_, Some(_)) => PlacementState::PinQueued,
        (_, None) => PlacementState::PinError,
    };
    let failed = Placement {
        state,
        due: Some(again.unwrap_or(now)),
        attempts: placement.attempts.saturating_add(1),
        error: Some(why.into()),
        updated: now,
        ..placement.clone()
    };
    put(store, failed).await
}

/// The work is put back as it was, through no fault of its own, to be taken up at `again`.
pub async fn put_back(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
    why: Option<&str>,
    again: UnixMillis,
    now: UnixMillis,
) -> Result<Option<Placement>, StoreError> {
    let waiting = Placement {
        state: match placement.state {
            PlacementState::UnpinQueued => PlacementState::UnpinQueued,
            _ => PlacementState::PinQueued,
        },
        due: Some(again),
        error: why.map(Into::into),
        updated: now,
        ..placement.clone()
    };
    put(store, waiting).await
}

/// The peer holds it no more, as was wanted: the placement goes.
pub async fn removed(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
) -> Result<(), StoreError> {
    let expect = Expect::Version(placement.version);
    match store
        .delete_placement(&placement.cid, &placement.peer, expect)
        .await
    {
        Err(StoreError::Conflict(_)) => Ok(()),
        other => other,
    }
}

/// Whoever waited for this placement has been told: nothing is due any more.
pub async fn rest(
    store: &Store,
    _permit: &Permit<DriveWork>,
    placement: &Placement,
) -> Result<Option<Placement>, StoreError> {
    let settled = Placement {
        due: None,
        ..placement.clone()
    };
    put(store, settled).await
}

/// Moves the requests of a pin to what its placements say. `progress` is shown with those that are
/// being fetched.
pub async fn settle(
    store: &Store,
    _permit: &Permit<DriveWork>,
    cid: &Cid,
    progress: Option<&str>,
    now: UnixMillis,
) -> Result<Settled, StoreError> {
    let Some(stored) = store.pin(cid).await? else {
        return Ok(Settled::default());
    };
    let placements = store.placements_of_pin(cid).await?;
    let standing = Standing::of(
        &placements,
        stored.pin.options.replication_factor_min,
        progress,
    );
    let mut settled = Settled::default();
    let mut after = None;
    let mut seen = 0;
    loop {
        let page = store
            .requests_of_pin(cid, after.as_ref(), PAGE_ROWS)
            .await?;
        let Some(last) = page.last() else {
            return Ok(settled);
        };
        after = Some(last.clone());
        let shows = seen < PROGRESS_REQUESTS_MAX;
        seen = seen.saturating_add(page.len());
        let moves = page.into_iter().filter_map(|request| {
            let outcome = standing.outcome(&request, shows)?;
            Some(move_one(store, request, outcome, now))
        });
        let moves: Vec<_> = moves.collect();
        let moved: Vec<_> = stream::iter(moves)
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await?;
        for request in moved.into_iter().flatten() {
            settled.moved = settled.moved.saturating_add(1);
            if request.status == RequestStatus::Pinned {
                settled.waited.push(now.millis_since(request.created));
            }
        }
    }
}

/// Where a pin stands, over all its peers.
#[derive(Debug)]
struct Standing {
    status: RequestStatus,
    dag_size: Option<u64>,
    details: Option<String>,
}

impl Standing {
    /// Pinned when as many peers have it as the pin insists on (one, if it does not say); failed
    /// when every peer has given up.
    fn of(placements: &[Placement], copies_min: i32, progress: Option<&str>) -> Self {
        let kept: Vec<&Placement> = placements
            .iter()
            .filter(|p| p.state != PlacementState::UnpinQueued)
            .collect();
        let count = |state| kept.iter().filter(|p| p.state == state).count();
        let needed = usize::try_from(copies_min)
            .unwrap_or(1)
            .clamp(1, kept.len().max(1));
        let begun = |p: &&&Placement| p.state == PlacementState::Pinning || p.attempts > 0;
        let status = if count(PlacementState::Pinned) >= needed {
            RequestStatus::Pinned
        } else if !kept.is_empty() && count(PlacementState::PinError) == kept.len() {
            RequestStatus::Failed
        } else if kept.iter().any(|p| begun(&p)) || count(PlacementState::Pinned) > 0 {
            RequestStatus::Pinning
        } else {
            RequestStatus::Queued
        };
        let details = match status {
            RequestStatus::Pinned => None,
            _ => progress
                .map(Into::into)
                .or_else(|| kept.iter().find_map(|p| trouble(p))),
        };
        Self {
            status,
            dag_size: kept.iter().filter_map(|p| p.dag_size).max(),
            details,
        }
    }

    /// What a request is to become, if anything.
    ///
    /// What was pinned and is not is *pinning* again, so that nobody pays for it. What was given up
    /// stays so, until the content is there after all.
    fn outcome(&self, request: &PinRequest, shows_progress: bool) -> Option<Outcome> {
        use RequestStatus::{Failed, Pinned, Pinning, Queued};
        let status = match (request.status, self.status) {
            (Failed, Pinning | Queued) => return None,
            (Pinning | Pinned, Queued) => Pinning,
            (_, status) => status,
        };
        let dag_size = self.dag_size.filter(|_| status == Pinned);
        let same = status == request.status
            && (dag_size.is_none() || dag_size == request.dag_size)
            && (request.details == self.details || !shows_progress);
        (!same).then(|| Outcome {
            status,
            dag_size,
            details: self.details.clone(),
        })
    }
}

/// What a person should know of a peer that has no luck.
fn trouble(placement: &Placement) -> Option<String> {
    let error = placement.error.as_deref()?;
    Some(match (placement.state, placement.attempts, placement.due) {
        (PlacementState::PinError, attempts, _) => {
            format!("given up after {attempts} attempts; the last one: {error}")
        }
        (PlacementState::PinQueued, 1.., Some(due)) => {
            format!(
                "attempt {} failed: {error}; the next is at {due}",
                placement.attempts
            )
        }
        (_, 1.., _) => format!(
            "attempt {} is under way; the one before: {error}",
            placement.attempts.saturating_add(1)
        ),
        _ => error.to_owned(),
    })
}

/// Moves one request; answers it if it has another status now. One that has changed or gone in the
/// meantime is left to whoever changed it, unless only its version moved.
async fn move_one(
    store: &Store,
    request: PinRequest,
    outcome: Outcome,
    now: UnixMillis,
) -> Result<Option<PinRequest>, StoreError> {
    let mut seen = request;
    loop {
        let was = seen.status;
        match store
            .settle_request(seen.id, seen.version, outcome.clone(), now)
            .await
        {
            Ok(moved) => return Ok(Some(moved).filter(|moved| moved.status != was)),
            Err(StoreError::NotFound(_)) => return Ok(None),
            Err(StoreError::Conflict(_)) => match store.request(seen.id).await? {
                Some(current) if current.status == was => seen = current,
                _ => return Ok(None),
            },
            Err(other) => return Err(other),
        }
    }
}

/// Writes a placement if it has not changed; `None` if it has, or is gone.
async fn put(store: &Store, placement: Placement) -> Result<Option<Placement>, StoreError> {
    let expect = Expect::Version(placement.version);
    match store.put_placement(placement, expect).await {
        Ok(written) => Ok(Some(written)),
        Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

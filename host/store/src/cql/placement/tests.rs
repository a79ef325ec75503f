//! Placements when processes die between the steps, and what is due.

use super::due::Due;
use super::record::{Place, Record};
use crate::Expect;
use crate::contract::sample::{at, cid, peer, placement};
use crate::contract::{Backend, Outcome, refusal};
use crate::cql::trial::Trial;
use crate::cql::{Cql, Stop};
use holdfast_model::{ErrorKind, Placement, UnixMillis};

const STOPS: [Stop; 3] = [
    Stop::PlacementQueued,
    Stop::PlacementWritten,
    Stop::PlacementFollowed,
];

fn due(of: u64, due: Option<u64>) -> Result<Placement, holdfast_model::Invalid> {
    let mut given = placement(of, 1)?;
    given.due = due.map(at);
    Ok(given)
}

/// The placement, after everything due has been looked at: exactly what is to be done is due, and
/// the peer's row says the same. A peer's row whose placement is still to be looked at may be late,
/// until it is.
async fn agrees(store: &Cql, of: u64) -> Result<Option<Placement>, Box<dyn std::error::Error>> {
    let (cid, peer) = (cid(of)?, peer(1)?);
    let now = UnixMillis::new(u64::MAX >> 1);
    let mut due = store.due_placements(&peer, now, 100).await?;
    due.retain(|p| p.cid == cid);
    let mut placement = store.placement(&cid, &peer).await?;
    let expected = placement.clone().into_iter().filter(|p| p.due.is_some());
    assert_eq!(due, expected.collect::<Vec<_>>());
    let mut listed = store.placements_of_peer(&peer, None, 100).await?;
    listed.retain(|p| p.cid == cid);
    if let Some(found) = due.pop()
        && listed.first() != Some(&found)
    {
        let expect = Expect::Version(found.version);
        placement = Some(store.put_placement(found, expect).await?);
        listed = store.placements_of_peer(&peer, None, 100).await?;
        listed.retain(|p| p.cid == cid);
    }
    assert_eq!(listed.first(), placement.as_ref());
    Ok(placement)
}

/// A process dies after each step of each change; whoever looks at what is due makes everything
/// agree, and nothing that was to be done is forgotten.
#[tokio::test]
async fn a_death_between_two_steps_leaves_nothing_undone() -> Outcome {
    let trial = Trial::start().await;
    let other = trial.cql();
    let changes = [
        (Some(10), Some(20)),
        (Some(10), None),
        (None, Some(20)),
        (None, None),
    ];
    let mut of = 0;
    for stop in STOPS {
        for (before, after) in changes {
            of += 1;
            let old = other
                .put_placement(due(of, before)?, Expect::Absent)
                .await?;
            let mut new = due(of, after)?;
            new.attempts = 7;
            let dying = trial.another().await;
            dying.die_at(stop);
            let answer = dying.put_placement(new, Expect::Version(old.version)).await;
            assert!(answer.is_err());
            let found = agrees(other, of).await?.ok_or("it is gone")?;
            let is_new = stop != Stop::PlacementQueued;
            assert_eq!(found.attempts == 7, is_new, "{stop:?} {before:?} {after:?}");
        }
        for before in [Some(10), None] {
            of += 1;
            other
                .put_placement(due(of, before)?, Expect::Absent)
                .await?;
            let dying = trial.another().await;
            dying.die_at(stop);
            let gone = dying
                .delete_placement(&cid(of)?, &peer(1)?, Expect::Any)
                .await;
            assert!(gone.is_err());
            let found = agrees(other, of).await?;
            assert_eq!(found.is_none(), stop != Stop::PlacementQueued, "{stop:?}");
        }
        of += 1;
        let dying = trial.another().await;
        dying.die_at(stop);
        let made = dying
            .put_placement(due(of, Some(30))?, Expect::Absent)
            .await;
        assert!(made.is_err());
        let found = agrees(other, of).await?;
        assert_eq!(found.is_some(), stop != Stop::PlacementQueued);
        // And life goes on.
        other.put_placement(due(of, None)?, Expect::Any).await?;
        assert!(agrees(other, of).await?.is_some());
    }
    Ok(())
}

/// Who acts on a peer's row that is late is refused, and finds it in line afterwards.
#[tokio::test]
async fn a_refusal_brings_the_peers_row_in_line() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    let old = store.put_placement(due(1, None)?, Expect::Absent).await?;
    let dying = trial.another().await;
    dying.die_at(Stop::PlacementWritten);
    assert!(
        dying
            .put_placement(due(1, Some(20))?, Expect::Any)
            .await
            .is_err()
    );
    let listed = store.placements_of_peer(&peer(1)?, None, 10).await?;
    assert_eq!(listed, std::slice::from_ref(&old));
    let late = store
        .put_placement(old.clone(), Expect::Version(old.version))
        .await;
    assert_eq!(refusal(late), Some(ErrorKind::Conflict));
    let listed = store.placements_of_peer(&peer(1)?, None, 10).await?;
    assert_eq!(listed.first().and_then(|p| p.due), Some(at(20)));
    Ok(())
}

/// Deleting everything leaves no row behind but graves, which go by themselves, and the index of
/// slots, of which an empty one goes a minute later.
#[tokio::test]
async fn deleted_placements_leave_nothing() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    for of in 1..=4 {
        store
            .put_placement(due(of, Some(of))?, Expect::Absent)
            .await?;
        store.put_placement(due(of, Some(9))?, Expect::Any).await?;
        store.put_placement(due(of, None)?, Expect::Any).await?;
        store
            .delete_placement(&cid(of)?, &peer(1)?, Expect::Any)
            .await?;
    }
    let rows = trial.rows().await;
    assert_eq!(rows.get("placements"), Some(&4), "{rows:?}");
    for of in 1..=4 {
        let place = Place::of(&store.shared, &cid(of)?, &peer(1)?);
        let grave = place
            .read_serially(&store.shared)
            .await?
            .ok_or("no grave")?;
        assert_eq!(grave.placement, None);
        assert_eq!(store.placements_of_pin(&cid(of)?).await?, []);
    }
    for table in ["placements_by_peer", "placements_due"] {
        assert_eq!(rows.get(table), None, "{rows:?}");
    }
    Ok(())
}

/// A making that a node carries out only after the placement has been made and deleted by another
/// attempt finds that it comes too late.
#[tokio::test]
async fn a_late_making_brings_nothing_back() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    let made = store
        .put_placement(due(1, Some(5))?, Expect::Absent)
        .await?;
    store
        .delete_placement(&made.cid, &made.peer, Expect::Any)
        .await?;
    let place = Place::of(&store.shared, &made.cid, &made.peer);
    let body = crate::row::encode_placement(&made)?;
    let late = Record::over(None, uuid::Uuid::now_v7(), made.version, Some(made.clone()));
    let late = place.write(&store.shared, None, &late, body).await?;
    assert_eq!(late, crate::cql::calls::Cas::Refused);
    assert_eq!(store.placement(&made.cid, &made.peer).await?, None);
    let again = store.put_placement(due(1, None)?, Expect::Absent).await?;
    assert!(again.version > made.version);
    assert_eq!(store.placement(&made.cid, &made.peer).await?, Some(again));
    Ok(())
}

/// Letting go is due since ever, and does not crowd one slot.
#[tokio::test]
async fn what_is_due_since_ever_comes_first() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    store
        .put_placement(due(1, Some(1))?, Expect::Absent)
        .await?;
    store
        .put_placement(due(2, Some(0))?, Expect::Absent)
        .await?;
    let found = store.due_placements(&peer(1)?, at(1), 10).await?;
    let found: Vec<_> = found.iter().map(|p| p.cid).collect();
    assert_eq!(found, [cid(2)?, cid(1)?]);
    assert_eq!(store.next_due(&peer(1)?).await?, Some(at(0)));
    let place = Place::of(&store.shared, &cid(1)?, &peer(1)?);
    let slot = |version: u64| Due::at(&place, at(0), version << 33).slot();
    assert!(slot(1) < slot(2) && slot(1 << 20) < Due::at(&place, at(1), 0).slot());
    Ok(())
}

/// A page that ends in the middle of a slot is gone on with.
#[tokio::test]
async fn many_due_in_one_slot_come_in_order() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    for of in 1..=40 {
        let given = due(of, Some(1 + of * 37 % 41))?;
        store.put_placement(given, Expect::Absent).await?;
    }
    for limit in [1, 17, 40, 100] {
        let found = store.due_placements(&peer(1)?, at(50), limit).await?;
        let times: Vec<_> = found.iter().filter_map(|p| p.due).collect();
        assert!(times.is_sorted());
        assert_eq!(times.len(), (limit as usize).min(40));
    }
    Ok(())
}

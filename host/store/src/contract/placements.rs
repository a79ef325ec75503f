//! Placements.

use super::sample::{at, cid, peer, placement};
use super::{Backend, Outcome, refusal};
use crate::{Expect, Result, Store};
use holdfast_model::{Cid, ErrorKind, PeerId, Placement, PlacementState};

/// The store sets the version, which grows and is never used again.
pub async fn a_placement_gets_a_version(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut given = placement(1, 1)?;
    given.state = PlacementState::PinError;
    given.due = Some(at(77));
    given.attempts = 3;
    given.error = Some("no providers".into());
    let put = store.put_placement(given.clone(), Expect::Absent).await?;
    given.version = put.version;
    assert_eq!(put, given);
    assert_eq!(
        store.placement(&put.cid, &put.peer).await?,
        Some(put.clone())
    );
    assert_eq!(store.placement(&put.cid, &peer(2)?).await?, None);
    store
        .delete_placement(&put.cid, &put.peer, Expect::Any)
        .await?;
    assert_eq!(store.placement(&put.cid, &put.peer).await?, None);
    let backend = backend.reopen().await;
    let again = backend.store().put_placement(given, Expect::Absent).await?;
    assert!(again.version > put.version);
    Ok(())
}

/// `Absent`, a version, or anything.
pub async fn expectations_guard_placements(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let given = placement(1, 1)?;
    let answer = store.put_placement(given.clone(), Expect::Version(1)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    let first = store.put_placement(given.clone(), Expect::Any).await?;
    let answer = store.put_placement(given.clone(), Expect::Absent).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    let second = store
        .put_placement(given, Expect::Version(first.version))
        .await?;
    for expect in [Expect::Absent, Expect::Version(first.version)] {
        let answer = store
            .delete_placement(&first.cid, &first.peer, expect)
            .await;
        assert_eq!(refusal(answer), Some(ErrorKind::Conflict), "{expect:?}");
    }
    let expect = Expect::Version(second.version);
    store
        .delete_placement(&first.cid, &first.peer, expect)
        .await?;
    store
        .delete_placement(&first.cid, &first.peer, Expect::Any)
        .await?;
    let answer = store
        .delete_placement(&first.cid, &first.peer, expect)
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    Ok(())
}

/// A pin's placements all at once; a peer's page by page, each once, in the backend's own order.
pub async fn placements_by_pin_and_by_peer(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for of in 1..=6 {
        for on in [2, 1] {
            store.put_placement(placement(of, on)?, Expect::Any).await?;
        }
    }
    store
        .delete_placement(&cid(3)?, &peer(1)?, Expect::Any)
        .await?;
    let peers = |all: Vec<Placement>| all.iter().map(|p| p.peer).collect::<Vec<PeerId>>();
    assert_eq!(
        peers(store.placements_of_pin(&cid(2)?).await?),
        [peer(1)?, peer(2)?]
    );
    assert_eq!(peers(store.placements_of_pin(&cid(3)?).await?), [peer(2)?]);
    assert_eq!(peers(store.placements_of_pin(&cid(9)?).await?), []);

    let mut expected = vec![cid(1)?, cid(2)?, cid(4)?, cid(5)?, cid(6)?];
    expected.sort();
    let all = store.placements_of_peer(&peer(1)?, None, 100).await?;
    let order: Vec<Cid> = all.iter().map(|p| p.cid).collect();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    for size in [1, 2, 5] {
        let mut seen = Vec::new();
        loop {
            let page = store
                .placements_of_peer(&peer(1)?, seen.last(), size)
                .await?;
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|p| p.cid));
        }
        assert_eq!(seen, order, "pages of {size}");
    }
    Ok(())
}

/// What is due comes soonest first, its own instant included; what is settled never.
pub async fn due_placements_come_soonest_first(backend: impl Backend) -> Outcome {
    let store = backend.store();
    put_due(store, 1, 1, Some(300)).await?;
    put_due(store, 2, 1, Some(100)).await?;
    put_due(store, 3, 1, None).await?;
    put_due(store, 4, 1, Some(200)).await?;
    put_due(store, 5, 2, Some(50)).await?;
    let due = async |now, limit| -> Result<Vec<Cid>> {
        let all = store.due_placements(&peer(1)?, at(now), limit).await?;
        Ok(all.iter().map(|p| p.cid).collect())
    };
    assert_eq!(due(99, 10).await?, []);
    assert_eq!(due(100, 10).await?, [cid(2)?]);
    assert_eq!(due(1_000, 10).await?, [cid(2)?, cid(4)?, cid(1)?]);
    assert_eq!(due(1_000, 2).await?, [cid(2)?, cid(4)?]);
    assert_eq!(store.next_due(&peer(1)?).await?, Some(at(100)));
    assert_eq!(store.next_due(&peer(2)?).await?, Some(at(50)));
    assert_eq!(store.next_due(&peer(3)?).await?, None);

    put_due(store, 2, 1, None).await?;
    put_due(store, 4, 1, Some(400)).await?;
    assert_eq!(due(1_000, 10).await?, [cid(1)?, cid(4)?]);
    store
        .delete_placement(&cid(1)?, &peer(1)?, Expect::Any)
        .await?;
    assert_eq!(store.next_due(&peer(1)?).await?, Some(at(400)));
    Ok(())
}

async fn put_due(store: &Store, of: u64, on: u8, due: Option<u64>) -> Outcome {
    let mut given = placement(of, on)?;
    given.due = due.map(at);
    store.put_placement(given, Expect::Any).await?;
    Ok(())
}

//! Pins between processes that race or die between the steps.

use crate::contract::sample::{account, at, cid, peer};
use crate::contract::{Backend, Outcome};
use crate::cql::pin::PinPlace;
use crate::cql::trial::Trial;
use crate::cql::wanted::PinSeed;
use crate::cql::{Cql, Stop};
use crate::error::StoreError;
use crate::{Expect, Result};
use holdfast_model::{Cid, Pin, StoredPin};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Pins that all race for, tasks, and changes by each.
const PINS: u64 = 3;
const TASKS: u64 = 6;
const CHANGES: usize = 25;

/// One who changes pins, and what he knows.
struct Racer {
    store: Cql,
    chance: SmallRng,
    /// Versions that his changes made: each must be of one change only.
    made: Vec<(u64, u64)>,
    /// Rows of requests that he has written and not deleted.
    wants: Vec<(u64, Uuid)>,
}

impl Racer {
    async fn run(mut self) -> Result<Self> {
        for _ in 0..CHANGES {
            let n = self.chance.random_range(1..=PINS);
            let cid = cid(n)?;
            let version = match self.chance.random_range(0..6) {
                0 | 1 => self.put(&cid).await,
                2 => self.delete(&cid).await,
                3 => self.allocate(&cid).await,
                4 => self.want(n, &cid).await,
                _ => self.unwant().await,
            };
            match version {
                Ok(Some(version)) => self.made.push((n, version)),
                Ok(None) | Err(StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(self)
    }

    async fn put(&mut self, cid: &Cid) -> Result<Option<u64>> {
        let pin = Pin::recursive(*cid, at(1_000));
        let expect = match (self.chance.random_range(0..3), self.store.pin(cid).await?) {
            (0, _) => Expect::Any,
            (_, Some(found)) => Expect::Version(found.version),
            (_, None) => Expect::Absent,
        };
        let put = self.store.put_pin(pin, expect).await?;
        if let Expect::Version(seen) = expect {
            assert!(put.version > seen, "versions grow");
        }
        Ok(Some(put.version))
    }

    async fn delete(&mut self, cid: &Cid) -> Result<Option<u64>> {
        let found = self.store.pin(cid).await?;
        let expect = found.map_or(Expect::Any, |found| Expect::Version(found.version));
        self.store.delete_pin(cid, expect).await.map(|()| None)
    }

    async fn allocate(&mut self, cid: &Cid) -> Result<Option<u64>> {
        let Some(found) = self.store.pin(cid).await? else {
            return Ok(None);
        };
        let placed = self.store.allocate_pin(cid, found.version, vec![peer(1)?]);
        placed.await.map(|placed| Some(placed.version))
    }

    async fn want(&mut self, n: u64, cid: &Cid) -> Result<Option<u64>> {
        let shared = &self.store.shared;
        let (place, id) = (PinPlace::of(shared, cid), Uuid::now_v7());
        let stamp = shared.clock.next().cast_signed();
        let account = account()?;
        let text = "INSERT INTO pin_requests (prefix, cid, account, id) VALUES (?, ?, ?, ?) \
                    USING TIMESTAMP ?";
        let values = (place.prefix, &place.key, account.as_str(), id, stamp);
        shared.calls.plainly(text, values).await;
        self.wants.push((n, id));
        shared.touch_pin(cid, Some(&seed())).await.map(|_| None)
    }

    async fn unwant(&mut self) -> Result<Option<u64>> {
        let Some((n, id)) = self.wants.pop() else {
            return Ok(None);
        };
        let shared = &self.store.shared;
        let cid = cid(n)?;
        let place = PinPlace::of(shared, &cid);
        let stamp = shared.clock.next().cast_signed();
        let account = account()?;
        let text = "DELETE FROM pin_requests USING TIMESTAMP ? \
                    WHERE prefix = ? AND cid = ? AND account = ? AND id = ?";
        let values = (stamp, place.prefix, &place.key, account.as_str(), id);
        shared.calls.plainly(text, values).await;
        shared.touch_pin(&cid, None).await.map(|_| None)
    }
}

fn seed() -> PinSeed {
    PinSeed {
        name: None,
        origins: Vec::new(),
        metadata: BTreeMap::new(),
        created: at(5_000),
    }
}

/// Two processes race for few pins: no version is given twice, what a condition guarded was not
/// overwritten, and in the end there is a pin exactly where somebody wants one, counted right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_lost_between_processes() -> Outcome {
    let trial = Trial::start().await;
    let stores = [trial.cql().clone(), trial.another().await];
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let racing = (0..TASKS).map(|n| {
        let racer = Racer {
            store: stores[usize::try_from(n % 2).unwrap()].clone(),
            chance: SmallRng::seed_from_u64(seed.wrapping_add(n)),
            made: Vec::new(),
            wants: Vec::new(),
        };
        tokio::spawn(racer.run())
    });
    let (mut made, mut wants) = (Vec::new(), Vec::new());
    for racer in racing.collect::<Vec<_>>() {
        let racer = racer.await??;
        assert!(racer.made.is_sorted_by(|a, b| a.0 != b.0 || a.1 < b.1));
        made.extend(racer.made);
        wants.extend(racer.wants);
    }
    let changes = made.len();
    assert!(changes > 0);
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), changes, "a version was made twice");
    for n in 1..=PINS {
        let wanted = wants.iter().filter(|(of, _)| *of == n).count() as u64;
        let found = stores[0].pin(&cid(n)?).await?;
        if let Some(found) = &found {
            assert_eq!(found.requests, wanted);
            assert!(found.is_wanted());
            let newest = made
                .iter()
                .filter(|(of, _)| *of == n)
                .map(|(_, v)| *v)
                .max();
            assert!(newest.is_none_or(|newest| found.version >= newest));
        } else {
            assert_eq!(wanted, 0);
        }
        // The cluster's wish ends, and the pin is there for the requests alone.
        stores[1].delete_pin(&cid(n)?, Expect::Any).await?;
        let left = stores[0].pin(&cid(n)?).await?;
        assert_eq!(left.map_or(0, |left: StoredPin| left.requests), wanted);
    }
    Ok(())
}

/// A process dies while it puts a pin with an end: the pin goes at its end if it was written, and
/// no entry stays that says otherwise.
#[tokio::test]
async fn a_death_while_putting_loses_no_end() -> Outcome {
    let trial = Trial::start().await;
    let store = trial.cql();
    for (n, stop) in [(1, Stop::PinAnnounced), (2, Stop::PinWritten)] {
        let mut pin = Pin::recursive(cid(n)?, at(1_000));
        pin.options.expire_at = Some(at(7_000));
        store.put_pin(pin.clone(), Expect::Absent).await?;
        pin.options.expire_at = Some(at(9_000));
        let dying = trial.another().await;
        dying.die_at(stop);
        let _ = dying.put_pin(pin, Expect::Any).await;
        let expired = store.expired_pins(at(8_000), 10).await?;
        let is_old = expired.iter().any(|p| p.pin.cid == cid(n).unwrap());
        assert_eq!(is_old, stop == Stop::PinAnnounced);
        let expired = store.expired_pins(at(9_000), 10).await?;
        assert!(expired.iter().any(|p| p.pin.cid == cid(n).unwrap()));
    }
    Ok(())
}

/// A touch that was held up until its request had been deleted leaves nothing behind.
#[tokio::test]
async fn a_touch_that_comes_late_makes_nothing() -> Outcome {
    let trial = Trial::start().await;
    let shared = &trial.cql().shared;
    let place = PinPlace::of(shared, &cid(1)?);
    for turn in ["no row", "a grave"] {
        shared.touch_pin(&cid(1)?, Some(&seed())).await?;
        assert_eq!(trial.cql().pin(&cid(1)?).await?, None, "{turn}");
        let left = place.read_serially(shared).await?;
        assert!(left.is_none_or(|row| row.is_grave()), "{turn}");
    }
    Ok(())
}

//! Keys and tenants when processes die between the steps or race.

use crate::contract::sample::{account, key};
use crate::contract::{Backend, Outcome, refusal};
use crate::cql::Stop;
use crate::cql::trial::Trial;
use holdfast_model::ErrorKind;

/// Whoever died before the key was there has added nothing; the key can be added later on, not
/// before it is sure that he is dead.
#[tokio::test]
async fn a_death_before_the_key_adds_nothing() -> Outcome {
    let trial = Trial::in_a_time_of_its_own().await;
    let store = trial.cql();
    for (n, stop) in [(1, Stop::KeyClaimed), (2, Stop::KeyPrepared)] {
        let dying = trial.another().await;
        dying.die_at(stop);
        assert!(dying.add_key(key(n)?).await.is_err());
        assert_eq!(store.key_by_hash(&key(n)?.hash).await?, None);
        assert_eq!(store.keys(account()?.tenant(), None, 10).await?, []);
        let early = store.add_key(key(n)?).await;
        assert_eq!(refusal(early), Some(ErrorKind::Conflict));
    }
    // A minute later, as the clocks of all who read what was stamped then tell.
    let later = store.shared.clock.reached() + 61_000_000;
    store.shared.clock.observe(later);
    for n in [1, 2] {
        store.add_key(key(n)?).await?;
        assert_eq!(store.key_by_hash(&key(n)?.hash).await?, Some(key(n)?));
    }
    assert_eq!(store.keys(account()?.tenant(), None, 10).await?.len(), 2);
    Ok(())
}

/// Of many who add a first key at once, one does.
#[tokio::test]
async fn one_key_is_the_first() -> Outcome {
    let trial = Trial::start().await;
    let stores = [trial.cql().clone(), trial.another().await];
    let adding = (1..=8).map(|n| {
        let store = stores[usize::from(n) % 2].clone();
        tokio::spawn(async move { store.add_first_key(key(n).unwrap()).await })
    });
    let mut added = 0;
    for one in adding.collect::<Vec<_>>() {
        added += usize::from(matches!(one.await?, Ok(true)));
    }
    assert_eq!(added, 1);
    assert_eq!(
        stores[0].keys(account()?.tenant(), None, 10).await?.len(),
        1
    );
    Ok(())
}

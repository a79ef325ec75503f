//! Pins as cluster nodes put and delete them.

use super::sample::{account, at, cid, draft, pairs, peer, request_id};
use super::{Backend, Outcome, refusal};
use crate::{Expect, PinEntry, PinStep, ScanMark};
use holdfast_model::limits::PIN_BYTES_MAX;
use holdfast_model::{Cid, ErrorKind, Origin, Pin, StoredPin};

/// What a put answers is what is read later: whole seconds, no allocations asked for by the caller.
pub async fn putting_a_pin_answers_its_stored_form(backend: impl Backend) -> Outcome {
    let mut pin = Pin::recursive(cid(1)?, at(1_999));
    pin.allocations = vec![peer(1)?, peer(2)?];
    pin.reference = Some(cid(2)?);
    pin.options.user_allocations = vec![peer(3)?];
    pin.options.expire_at = Some(at(5_001));
    pin.options.metadata = pairs(&[("a", "b"), ("c", "")]);
    pin.options.origins = vec![Origin::parse(&format!(
        "/ip4/1.2.3.4/tcp/1/p2p/{}",
        peer(1)?
    ))?];
    let put = backend.store().put_pin(pin.clone(), Expect::Absent).await?;
    pin.options.user_allocations.clear();
    pin.options.expire_at = Some(at(5_000));
    pin.timestamp = Some(at(1_000));
    assert_eq!(put.pin, pin);
    assert_eq!((put.requests, put.by_cluster), (0, true));
    assert_eq!(backend.store().pin(&pin.cid).await?, Some(put.clone()));
    let backend = backend.reopen().await;
    assert_eq!(backend.store().pin(&pin.cid).await?, Some(put));
    Ok(())
}

/// `Absent`, a version, or anything: what does not hold is a conflict and changes nothing.
pub async fn expectations_guard_a_put(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let pin = Pin::recursive(cid(1)?, at(1_000));
    let answer = store.put_pin(pin.clone(), Expect::Version(1)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(store.pin(&pin.cid).await?, None);
    let first = store.put_pin(pin.clone(), Expect::Absent).await?;
    let answer = store.put_pin(pin.clone(), Expect::Absent).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    let second = store
        .put_pin(pin.clone(), Expect::Version(first.version))
        .await?;
    assert!(second.version > first.version);
    let answer = store
        .put_pin(pin.clone(), Expect::Version(first.version))
        .await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(store.pin(&pin.cid).await?, Some(second));
    store.put_pin(pin, Expect::Any).await?;
    Ok(())
}

/// As for a put.
pub async fn expectations_guard_a_delete(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let put = store
        .put_pin(Pin::recursive(cid(1)?, at(1_000)), Expect::Any)
        .await?;
    for expect in [Expect::Absent, Expect::Version(put.version + 1)] {
        let answer = store.delete_pin(&cid(1)?, expect).await;
        assert_eq!(refusal(answer), Some(ErrorKind::Conflict), "{expect:?}");
        assert_eq!(store.pin(&cid(1)?).await?, Some(put.clone()));
    }
    store
        .delete_pin(&cid(1)?, Expect::Version(put.version))
        .await?;
    assert_eq!(store.pin(&cid(1)?).await?, None);
    Ok(())
}

/// Of many changes each is made or refused by itself, and those of one pin follow each other. More
/// than any backend does in one go.
pub async fn many_change_at_once_and_each_by_itself(backend: impl Backend) -> Outcome {
    const MANY: u64 = 600;
    let store = backend.store();
    let pin = |n: u64| cid(n).map(|cid| Pin::recursive(cid, at(1_000)));
    let put = |pin, expect| PinEntry {
        step: PinStep::Put(Box::new(pin)),
        expect,
    };
    let old = store.put_pin(pin(1)?, Expect::Any).await?;
    let mut large = pin(2)?;
    let filling = "x".repeat(PIN_BYTES_MAX);
    large.options.metadata = pairs(&[("filling", &filling)]);
    let mut entries = vec![
        put(pin(1)?, Expect::Absent),
        put(pin(1)?, Expect::Version(old.version)),
        put(large, Expect::Any),
        put(pin(3)?, Expect::Absent),
        PinEntry {
            step: PinStep::Delete(cid(3)?),
            expect: Expect::Any,
        },
        PinEntry {
            step: PinStep::Delete(cid(1)?),
            expect: Expect::Version(old.version),
        },
        PinEntry {
            step: PinStep::Delete(cid(4)?),
            expect: Expect::Any,
        },
    ];
    for n in 10..10 + MANY {
        entries.push(put(pin(n)?, Expect::Absent));
    }
    let mut answers = store.change_pins(entries).await.into_iter();
    let kinds: Vec<_> = answers
        .by_ref()
        .take(7)
        .map(|answer| {
            answer
                .map(|version| version.is_some())
                .map_err(|e| e.kind())
        })
        .collect();
    let (conflict, invalid) = (ErrorKind::Conflict, ErrorKind::Invalid);
    let wanted = [
        Err(conflict),
        Ok(true),
        Err(invalid),
        Ok(true),
        Ok(false),
        Err(conflict),
        Ok(false),
    ];
    assert_eq!(kinds, wanted);
    assert_eq!(store.pin(&cid(2)?).await?, None);
    assert_eq!(store.pin(&cid(3)?).await?, None);
    let backend = backend.reopen().await;
    let store = backend.store();
    for n in 10..10 + MANY {
        let version = answers.next().ok_or("an answer is missing")??;
        let there = store.pin(&cid(n)?).await?;
        assert_eq!(there.map(|pin| pin.version), version, "{n}");
    }
    assert!(answers.next().is_none());
    Ok(())
}

/// Entries of one pin follow each other also where a backend cuts a large call into many parts.
pub async fn a_large_call_takes_effect_in_its_order(backend: impl Backend) -> Outcome {
    const ENTRIES: u64 = 2_600;
    const BETWEEN: u64 = 100;
    let store = backend.store();
    let mut entries = Vec::new();
    for n in 0..ENTRIES {
        let (turn, is_other) = (n / BETWEEN, n % BETWEEN > 0);
        let step = match (is_other, turn.is_multiple_of(2)) {
            (true, _) => PinStep::Put(Box::new(Pin::recursive(cid(10 + n)?, at(1_000)))),
            (false, true) => PinStep::Put(Box::new(Pin::recursive(cid(1)?, at(1_000)))),
            (false, false) => PinStep::Delete(cid(1)?),
        };
        let expect = match step {
            PinStep::Put(_) => Expect::Absent,
            PinStep::Delete(_) => Expect::Any,
        };
        entries.push(PinEntry { step, expect });
    }
    let answers = store.change_pins(entries).await;
    assert_eq!(u64::try_from(answers.len())?, ENTRIES);
    let mut newest = 0;
    for (n, answer) in (0_u64..).zip(answers) {
        // Each put of the one pin finds it removed by the entry before.
        let version = answer.map_err(|error| format!("entry {n}: {error}"))?;
        if n.is_multiple_of(BETWEEN) {
            assert_eq!(version.is_some(), (n / BETWEEN).is_multiple_of(2), "{n}");
            assert!(version.is_none_or(|version| version > newest), "{n}");
            newest = version.unwrap_or(newest);
        }
    }
    assert_eq!(store.pin(&cid(1)?).await?, None);
    Ok(())
}

/// What is not there can be deleted with `Any` (and `Absent`), and nothing is announced.
pub async fn deleting_what_is_not_there(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let head = *store.head().borrow();
    store.delete_pin(&cid(1)?, Expect::Any).await?;
    store.delete_pin(&cid(1)?, Expect::Absent).await?;
    let answer = store.delete_pin(&cid(1)?, Expect::Version(1)).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    assert_eq!(*store.head().borrow(), head);
    Ok(())
}

/// Not after a removal, not after reopening, not for a pin that a request made.
pub async fn versions_are_never_used_again(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let pin = Pin::recursive(cid(1)?, at(1_000));
    let first = store.put_pin(pin.clone(), Expect::Any).await?.version;
    store.delete_pin(&cid(1)?, Expect::Any).await?;
    store.create_request(draft(1, 1)?, at(10)).await?;
    let second = store.pin(&cid(1)?).await?.map_or(0, |p| p.version);
    assert!(second > first);
    store
        .delete_request(&account()?, request_id(1), at(20))
        .await?;
    let backend = backend.reopen().await;
    let third = backend.store().put_pin(pin, Expect::Absent).await?.version;
    assert!(third > second);
    Ok(())
}

/// Allocations are recorded at the version that was seen, and keep all else.
pub async fn allocating_needs_the_version(backend: impl Backend) -> Outcome {
    let store = backend.store();
    store.create_request(draft(1, 1)?, at(10)).await?;
    let seen = store.pin(&cid(1)?).await?.ok_or("the pin is missing")?;
    let answer = store.allocate_pin(&cid(1)?, seen.version + 1, vec![]).await;
    assert_eq!(refusal(answer), Some(ErrorKind::Conflict));
    let answer = store.allocate_pin(&cid(2)?, seen.version, vec![]).await;
    assert_eq!(refusal(answer), Some(ErrorKind::NotFound));
    let placed = vec![peer(2)?, peer(1)?];
    let stored = store
        .allocate_pin(&cid(1)?, seen.version, placed.clone())
        .await?;
    assert!(stored.version > seen.version);
    assert_eq!(stored.pin.allocations, placed);
    assert_eq!((stored.requests, stored.by_cluster), (1, false));
    assert_eq!(store.pin(&cid(1)?).await?, Some(stored));
    Ok(())
}

/// Pages of pins meet each pin once, whoever wants it, in the backend's own order, and go on after
/// any pin.
pub async fn pins_are_each_met_once(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut expected = Vec::new();
    for n in 1..=9 {
        store.create_request(draft(n, n)?, at(n)).await?;
        store
            .put_pin(Pin::recursive(cid(n + 5)?, at(1_000)), Expect::Any)
            .await?;
        expected.extend([cid(n)?, cid(n + 5)?]);
    }
    expected.sort();
    expected.dedup();
    let of = |page: &[StoredPin]| page.iter().map(|p| p.pin.cid).collect::<Vec<_>>();
    let order = of(&store.pins(None, 100).await?);
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, expected);
    for size in [1, 4] {
        let mut seen: Vec<Cid> = Vec::new();
        loop {
            let page = store.pins(seen.last(), size).await?;
            if page.is_empty() {
                break;
            }
            seen.extend(of(&page));
        }
        assert_eq!(seen, order, "pages of {size}");
    }
    Ok(())
}

/// A scan meets each pin that is there all the while once, also if it begins anew at every mark and
/// pins come and go in between; a mark survives being written down.
pub async fn a_scan_goes_on_from_its_mark(backend: impl Backend) -> Outcome {
    let store = backend.store();
    let mut steady = Vec::new();
    for n in 1..=12 {
        store.create_request(draft(n, n)?, at(n)).await?;
        store
            .put_pin(Pin::recursive(cid(n + 100)?, at(1_000)), Expect::Any)
            .await?;
        steady.push(cid(n)?);
    }
    steady.sort();
    let mut seen: Vec<Cid> = Vec::new();
    let mut mark: Option<ScanMark> = None;
    for n in 1.. {
        let mut scan = store.scan_pins(mark.take())?;
        let Some(pins) = scan.next().await? else {
            break;
        };
        seen.extend(pins.iter().map(|p| p.pin.cid));
        let kept = serde_json::to_string(&scan.mark())?;
        mark = Some(serde_json::from_str(&kept)?);
        store.delete_pin(&cid(n % 12 + 101)?, Expect::Any).await?;
    }
    let met = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), met, "a pin was met twice");
    seen.retain(|cid| steady.contains(cid));
    assert_eq!(seen, steady);
    Ok(())
}

/// Pins expire that a cluster node put with an end, soonest first; a request's pin does not.
pub async fn only_cluster_pins_expire(backend: impl Backend) -> Outcome {
    let store = backend.store();
    for (n, expires) in [
        (1, Some(3_000)),
        (2, Some(1_999)),
        (3, None),
        (4, Some(2_000)),
    ] {
        let mut pin = Pin::recursive(cid(n)?, at(1_000));
        pin.options.expire_at = expires.map(at);
        store.put_pin(pin, Expect::Any).await?;
    }
    let mut request = draft(1, 5)?;
    request.asked.expires = Some(at(1));
    store.create_request(request, at(10)).await?;
    let of = |pins: Vec<StoredPin>| pins.iter().map(|p| p.pin.cid).collect::<Vec<_>>();
    assert_eq!(of(store.expired_pins(at(999), 10).await?), []);
    assert_eq!(
        of(store.expired_pins(at(1_000), 10).await?),
        [cid(2)?],
        "in whole seconds"
    );
    let all = [cid(2)?, cid(4)?, cid(1)?];
    assert_eq!(of(store.expired_pins(at(3_000), 10).await?), all);
    assert_eq!(
        of(store.expired_pins(at(3_000), 2).await?),
        [cid(2)?, cid(4)?]
    );

    let mut later = Pin::recursive(cid(2)?, at(1_000));
    later.options.expire_at = Some(at(9_000));
    store.put_pin(later, Expect::Any).await?;
    store.create_request(draft(2, 4)?, at(10)).await?;
    store.delete_pin(&cid(4)?, Expect::Any).await?;
    let left = of(store.expired_pins(at(3_000), 10).await?);
    assert_eq!(left, [cid(1)?], "moved, or no longer the cluster's");
    Ok(())
}

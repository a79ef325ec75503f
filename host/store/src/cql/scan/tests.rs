//! A walk over all pins, taken up again by others.

use super::*;
use crate::contract::sample::{at, cid};
use crate::contract::{Backend, Outcome};
use crate::cql::trial::Trial;
use crate::{Expect, ScanMark};
use holdfast_model::Pin;
use proptest::prelude::*;
use std::collections::BTreeSet;

proptest! {
    /// Every token is in one part, and there are about as many as were wanted.
    #[test]
    fn parts_make_up_the_ring(
        tokens in prop::collection::vec(any::<i64>(), 0..50),
        parts in 1..200_usize,
    ) {
        let ranges = split(tokens, parts);
        let mut reached = i64::MIN;
        for range in &ranges {
            prop_assert_eq!(range.after, reached);
            prop_assert!(range.upto > reached);
            reached = range.upto;
        }
        prop_assert_eq!(reached, i64::MAX);
        prop_assert!(ranges.len() >= parts.min(50) && ranges.len() <= parts + 101);
    }
}

/// A scan that begins anew from its mark after each piece, in another process, meets each pin once.
#[tokio::test]
async fn a_scan_goes_on_in_another_process() -> Outcome {
    let trial = Trial::start().await;
    let mut expected = BTreeSet::new();
    for n in 1..=40 {
        let pin = Pin::recursive(cid(n)?, at(1_000));
        trial.store().put_pin(pin, Expect::Absent).await?;
        expected.insert(cid(n)?);
    }
    let stores = [trial.cql().clone(), trial.another().await];
    let mut mark: Option<String> = None;
    let mut seen = BTreeSet::new();
    for turn in 0.. {
        let store = crate::Store::Cql(stores[turn % 2].clone());
        let from = mark.as_deref().map(serde_json::from_str::<ScanMark>);
        let mut scan = store.scan_pins(from.transpose()?)?;
        let Some(pins) = scan.next().await? else {
            break;
        };
        for stored in pins {
            assert!(seen.insert(stored.pin.cid), "{} came twice", stored.pin.cid);
        }
        mark = Some(serde_json::to_string(&scan.mark())?);
    }
    assert_eq!(seen, expected);
    Ok(())
}

fn large(cid: Cid) -> Pin {
    let mut pin = Pin::recursive(cid, at(1_000));
    let filling = ("filling".to_owned(), "x".repeat(3 * 1024 * 1024));
    pin.options.metadata.extend([filling]);
    pin
}

/// Of large pins a page and a piece have few, however many may be asked for. (The tests' node takes
/// 4 MiB at once.)
#[tokio::test]
async fn pages_and_pieces_of_large_pins_are_short() -> Outcome {
    const PINS: u64 = 10;
    let trial = Trial::start().await;
    let mut expected = BTreeSet::new();
    for n in 1..=PINS {
        let pin = large(cid(n)?);
        trial.store().put_pin(pin, Expect::Absent).await?;
        expected.insert(cid(n)?);
    }
    let ring = RangeLeft {
        after: i64::MIN,
        upto: i64::MAX,
        at: None,
    };
    let mut scan = PinRanges::resume(trial.cql(), vec![ring]);
    let mut seen = BTreeSet::new();
    let (mut done, ring) = scan.done();
    assert_eq!(done, 0);
    while let Some(pins) = scan.next().await? {
        let before = std::mem::replace(&mut done, scan.done().0);
        assert!(before <= done && done < ring, "{before} {done}");
        assert!(pins.len() <= 2, "a piece has {} pins", pins.len());
        seen.extend(pins.into_iter().map(|stored| stored.pin.cid));
    }
    assert_eq!(seen, expected);
    assert_eq!(scan.done(), (ring, ring));
    assert!(done > ring / 4, "of ten pins, all lie before {done}");
    let (mut seen, mut after) = (BTreeSet::new(), None);
    loop {
        let page = trial.cql().pins(after.as_ref(), 100).await?;
        let Some(last) = page.last() else {
            break;
        };
        assert!(page.len() <= 6, "a page has {} pins", page.len());
        after = Some(last.pin.cid);
        seen.extend(page.into_iter().map(|stored| stored.pin.cid));
    }
    assert_eq!(seen, expected);
    Ok(())
}

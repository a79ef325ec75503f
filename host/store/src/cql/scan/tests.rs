//! A walk over all pins, taken up again by others.

use super::*;
use crate::contract::sample::{at, cid};
use crate::contract::{Backend, Outcome};
use crate::cql::trial::Trial;
use crate::{Expect, PinEntry, PinStep, ScanMark};
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

/// Pages of a stream that have come so far.
fn pages(store: &crate::Store, statement: &str) -> f64 {
    let registry = prometheus::Registry::new();
    for collector in store.metrics() {
        registry.register(collector).unwrap();
    }
    let families = registry.gather();
    let named = |family: &&prometheus::proto::MetricFamily| {
        family.name() == "holdfast_cql_stream_pages_total"
    };
    let metrics = families.iter().filter(named).flat_map(|f| f.get_metric());
    let of_it = metrics.filter(|metric| metric.get_label()[0].value() == statement);
    of_it.map(|metric| metric.get_counter().get_value()).sum()
}

/// Only the parts that are read first feel their way with small pages: the others know by then how
/// large rows are, and have one page each. (With a feeling of its own, each would have three.)
#[tokio::test]
async fn parts_of_a_walk_learn_from_one_another() -> Outcome {
    const PINS: u64 = 1_000;
    const PARTS: u16 = 24;
    let trial = Trial::start().await;
    let put = |n| {
        let pin = Pin::recursive(cid(n).unwrap(), at(1_000));
        let step = PinStep::Put(Box::new(pin));
        PinEntry {
            step,
            expect: Expect::Absent,
        }
    };
    for answer in trial.cql().change_pins((1..=PINS).map(put).collect()).await {
        answer?;
    }
    let parts = split(Vec::new(), usize::from(PARTS));
    assert_eq!(parts.len(), usize::from(PARTS));
    let mut scan = PinRanges::resume(trial.cql(), parts);
    let mut seen = 0;
    while let Some(pins) = scan.next().await? {
        seen += pins.len() as u64;
    }
    assert_eq!(seen, PINS);
    let first = at_once(trial.cql().shared.calls.ring().shards);
    let asked = pages(trial.store(), "pins_range");
    let most = f64::from(PARTS) + 2.0 * f64::from(u16::try_from(first).unwrap());
    assert!(asked <= most, "{asked} pages, and {most} are enough");
    Ok(())
}

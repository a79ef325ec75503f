//! Pages of large pins end early, so that a walk holds a few of them and not a thousand.

use holdfast_model::{Cid, Pin, UnixMillis};
use holdfast_store::{Expect, Store};
use std::collections::BTreeSet;

const PINS: u8 = 10;

fn large(n: u8) -> Pin {
    let cid = Cid::from_bytes(&[1, 0x55, 0, 1, n]).unwrap();
    let mut pin = Pin::recursive(cid, UnixMillis::from_seconds(1));
    let filling = "x".repeat(9 * 1024 * 1024);
    pin.options.metadata.insert("filling".to_owned(), filling);
    pin
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_pins_of_nine_mebibytes_are_five_pages() {
    let dir = tempfile::tempdir().unwrap();
    ten_are_five_pages(Store::embedded(dir.path()).await.unwrap()).await;
    ten_are_five_pages(Store::memory()).await;
}

async fn ten_are_five_pages(store: Store) {
    for n in 0..PINS {
        store.put_pin(large(n), Expect::Any).await.unwrap();
    }
    let mut scan = store.scan_pins(None).unwrap();
    let (mut pages, mut met) = (Vec::new(), BTreeSet::new());
    while let Some(page) = scan.next().await.unwrap() {
        pages.push(page.len());
        let done = pages.iter().sum::<usize>() * 100_000;
        assert_eq!(scan.millionths(), Some(u32::try_from(done).unwrap()));
        met.extend(page.into_iter().map(|stored| stored.pin.cid));
    }
    assert_eq!(pages, [2; 5]);
    assert_eq!(met, (0..PINS).map(|n| large(n).cid).collect());
    store.close().await.unwrap();
}

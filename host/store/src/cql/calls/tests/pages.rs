//! Long answers, page by page.

use super::*;

/// Three pages, the last one not full.
const ROWS: i64 = 12_000;

/// A slot that nobody else writes to.
const SLOT: i64 = 7_000_000;

type Entry = (i64, i32, i64, Vec<u8>, i64);

async fn fill(rig: &Rig) {
    let entry = |at| -> Entry { (SLOT, 0, at, vec![1], 1) };
    let entries: Vec<_> = (0..ROWS).map(entry).collect();
    let written = rig.calls.write_all(Statement::FeedAdd, HOME, &entries);
    written.await.unwrap();
}

async fn read(rig: &Rig) -> Vec<i64> {
    let whole = (i64::MIN, i64::MAX);
    let stream = rig
        .calls
        .stream::<(i64, i64)>(Statement::ScanFeed, HOME, whole);
    let rows: Vec<_> = stream.await.unwrap().try_collect().await.unwrap();
    let ours = rows.into_iter().filter(|(slot, _)| *slot == SLOT);
    ours.map(|(_, at)| at).collect()
}

#[tokio::test]
async fn a_stream_reads_on_when_a_connection_breaks_between_its_pages() {
    let mut rig = Rig::new().await;
    fill(&rig).await;
    let mut heard = rig.first(Statement::ScanFeed, 0, RequestReaction::noop());
    assert!(read(&rig).await.into_iter().eq(0..ROWS));
    let pages = heard.count();
    assert!(pages >= 3, "{pages} pages");
    // The second page's connection breaks, and again while it is asked for once more.
    let id = rig.id(Statement::ScanFeed);
    let second = Condition::RequestOpcode(RequestOpcode::Execute)
        .and(Condition::BodyContainsCaseSensitive(id))
        .and(Condition::not(Condition::TrueForLimitedTimes(1)))
        .and(Condition::TrueForLimitedTimes(2));
    let broken = RequestRule(second, RequestReaction::drop_connection());
    rig.proxy.running_nodes[0].change_request_rules(Some(vec![broken]));
    assert!(read(&rig).await.into_iter().eq(0..ROWS));
}

#[tokio::test]
async fn a_stream_that_cannot_go_on_says_so() {
    let mut rig = Rig::with(|settings| settings.timeouts.page = Duration::from_secs(1)).await;
    let forge = RequestReaction::forge_with_error(scylla::errors::DbError::ServerError);
    rig.first(Statement::ScanFeed, usize::MAX, forge);
    let whole = (i64::MIN, i64::MAX);
    let stream = rig
        .calls
        .stream::<(i64, i64)>(Statement::ScanFeed, HOME, whole);
    assert!(matches!(
        stream.await.err(),
        Some(StoreError::Unavailable { .. })
    ));
}

/// What a batch is for is to be written whole or not at all: so it keeps to one partition. Tests
/// run with this looked at, so every batch of theirs is.
#[tokio::test]
async fn a_batch_over_two_partitions_is_noticed() {
    let rig = Rig::new().await;
    let calls = Arc::clone(&rig.calls);
    let two =
        |slot: i64| -> [Entry; 2] { [(SLOT + 1, 0, 1, vec![1], 1), (slot, 0, 2, vec![1], 1)] };
    let same = two(SLOT + 1);
    let together = calls.write_all(Statement::FeedAdd, HOME, &same);
    together.await.unwrap();
    let apart = async move {
        let entries = two(SLOT + 2);
        calls.write_all(Statement::FeedAdd, HOME, &entries).await
    };
    assert!(tokio::spawn(apart).await.unwrap_err().is_panic());
}

//! A page and the count that it comes with while others write: neither denies the other, nor what
//! was answered before it was asked for.

use super::{PATIENCE, Process, must_be_clean, until};
use holdfast_model::{PinRequest, RequestFilter};
use holdfast_store::contract::keyspace::Keyspace;
use holdfast_store::contract::sample::{account, at, draft, request_id};
use holdfast_store::{Stop, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::timeout;

/// A page that is always full, one that is so at first, and one that never is.
const LIMITS: [u32; 3] = [1, 3, 1_000];

/// Requests that each writer makes.
const EACH: u64 = 40;

/// A page with its count, which must agree.
async fn page(store: &Store, limit: u32) -> (u64, Vec<PinRequest>) {
    let account = account().unwrap();
    let all = RequestFilter::default();
    let page = store.page_of_requests(&account, &all, limit);
    let (count, rows) = page.await.unwrap();
    let shown = rows.len() as u64;
    assert!(shown <= u64::from(limit));
    assert!(count >= shown, "{count} of {shown} that are shown");
    if shown < u64::from(limit) {
        assert_eq!(count, shown, "the page is not full, and it is not all");
    }
    assert!(rows.is_sorted_by(|a, b| a.created > b.created), "{rows:?}");
    (count, rows)
}

/// Another process has moved the head and written nothing else: as long as nobody has finished
/// what it began, the page may lack the request, and is not contradicted by its count.
#[tokio::test]
async fn a_page_agrees_with_its_count_when_a_writer_has_died() {
    let keyspace = Keyspace::empty().await.unwrap();
    let dying = Process::on(&keyspace).await;
    for n in 1..=2 {
        let made = dying.store.create_request(draft(n, n).unwrap(), at(100));
        made.await.unwrap();
    }
    dying.cql.die_at(Stop::Moved);
    let third = dying.store.create_request(draft(3, 3).unwrap(), at(100));
    third.await.unwrap_err();
    let other = Process::on(&keyspace).await;
    until("the third is on every page", async || {
        let mut is_there = true;
        for limit in LIMITS {
            let (count, rows) = page(&other.store, limit).await;
            is_there &= count == 3 && rows[0].id == request_id(3);
        }
        is_there
    })
    .await;
    must_be_clean(&other, &keyspace).await;
    dying.store.close().await.unwrap();
    other.store.close().await.unwrap();
}

/// How far the writers have got.
#[derive(Default)]
struct Progress {
    begun: AtomicU64,
    answered: AtomicU64,
}

/// Two processes write, and both read at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_agrees_with_its_count_while_two_processes_write() {
    let keyspace = Keyspace::empty().await.unwrap();
    let processes = [Process::on(&keyspace).await, Process::on(&keyspace).await];
    let progress = Arc::new(Progress::default());
    let writers: Vec<_> = (0..2u64)
        .zip(&processes)
        .map(|(writer, process)| {
            let (store, progress) = (process.store.clone(), Arc::clone(&progress));
            tokio::spawn(async move {
                for n in 1..=EACH {
                    let id = writer * EACH + n;
                    progress.begun.fetch_add(1, Ordering::SeqCst);
                    let made = store.create_request(draft(id, id % 5).unwrap(), at(100));
                    made.await.unwrap();
                    progress.answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let looking = async {
        let mut looks = 0u32;
        while progress.answered.load(Ordering::SeqCst) < 2 * EACH {
            for (process, limit) in processes.iter().cycle().zip(LIMITS) {
                let before = progress.answered.load(Ordering::SeqCst);
                let (count, rows) = page(&process.store, limit).await;
                let after = progress.begun.load(Ordering::SeqCst);
                let told = format!("{count} when {before} were answered, {after} begun");
                assert!((before..=after).contains(&count), "{told}");
                assert_eq!(rows.len() as u64, count.min(u64::from(limit)), "{told}");
            }
            looks += 1;
        }
        looks
    };
    let looks = timeout(PATIENCE, looking)
        .await
        .expect("the writers stand still");
    assert!(looks > 1, "nobody looked while they wrote");
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(page(&processes[0].store, 1).await.0, 2 * EACH);
    must_be_clean(&processes[0], &keyspace).await;
    for process in &processes {
        process.store.close().await.unwrap();
    }
}

/// Two processes with a client each: neither is so much faster that the other is never served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_neither_keeps_an_account_for_itself() {
    let keyspace = Keyspace::empty().await.unwrap();
    let processes = [Process::on(&keyspace).await, Process::on(&keyspace).await];
    let served: [Arc<AtomicU64>; 2] = [Arc::default(), Arc::default()];
    let writers: Vec<_> = (0..2u64)
        .map(|writer| {
            let at_it = usize::try_from(writer).unwrap();
            let store = processes[at_it].store.clone();
            let served = served.clone();
            tokio::spawn(async move {
                let mut made = 0u64;
                // Until both have had their share; then nobody is kept waiting for ever.
                while served.iter().any(|of| of.load(Ordering::SeqCst) < EACH / 2) {
                    made += 1;
                    let id = writer * 1_000_000 + made;
                    let made = store.create_request(draft(id, id % 5).unwrap(), at(100));
                    made.await.unwrap();
                    served[at_it].fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let both = async {
        for writer in writers {
            writer.await.unwrap();
        }
    };
    let came = timeout(PATIENCE, both).await;
    let [one, other] = [0, 1].map(|n: usize| served[n].load(Ordering::SeqCst));
    assert!(
        came.is_ok(),
        "one was served {one} times, the other {other}"
    );
    must_be_clean(&processes[0], &keyspace).await;
    for process in &processes {
        process.store.close().await.unwrap();
    }
}

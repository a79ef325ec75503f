//! Policies replaced while calls are answered: none of them fails for it.

use crate::policies::shipped;
use crate::support::host::{Host, Options};
use holdfast_model::Role;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// How often the policies are replaced.
const ROUNDS: usize = 12;

/// Those who call meanwhile.
const CALLERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_fails_while_policies_are_replaced() {
    let dir = shipped();
    let host = Arc::new(
        Host::start_with(Options {
            policies: Some(dir.path().into()),
            ..Options::default()
        })
        .await,
    );
    let key = host.key("acme/web", &[Role::TenantUser]).await;
    let (over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (host, key) = (Arc::clone(&host), key.clone());
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    host.get("/psa/pins", &key).await.with(200);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut revisions = vec![host.app.gate.revision()];
    for round in 0..ROUNDS {
        let policy = format!(
            "@id(\"round\") forbid (principal, action == Action::\"readAudit\", resource) \
             when {{ principal.proof == \"{round}\" }};"
        );
        // Every third is no good, and what was in force stays.
        let text = if round % 3 == 2 {
            "permit (".to_owned()
        } else {
            policy
        };
        fs::write(dir.path().join("round.cedar"), text).unwrap();
        let gate = Arc::clone(&host.app.gate);
        let reloaded = tokio::task::spawn_blocking(move || gate.reload())
            .await
            .unwrap();
        assert_eq!(reloaded.is_err(), round % 3 == 2);
        revisions.extend(reloaded);
    }
    let at_least = answered.load(Ordering::Relaxed) + 1;
    while answered.load(Ordering::Relaxed) < at_least {
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1 + ROUNDS * 2 / 3);
}

//! What a command changes in a store by itself, in the audit log: with no host between, nobody
//! else puts it down.

use super::{Failure, terminal};
use crate::clock::Clock;
use crate::ops::audit::{Event, Kind, Outcome, enter};
use anyhow::Context as _;
use holdfast_model::action::Resource;
use holdfast_model::{Action, Principal};
use holdfast_policy::system_principal;
use holdfast_store::Store;
use std::fs;
use std::sync::Arc;

/// Where the system tells its users' names.
const USERS: &str = "/etc/passwd";

/// A change of pins that is under way.
struct Change<'a> {
    store: &'a Store,
    name: u128,
    what: String,
    who: Arc<Principal>,
}

/// Does what changes pins of a store. What it is about to do stands in the host's chain before, or
/// nothing is done; how it ended, by `told`, after.
pub(super) async fn recorded<T>(
    store: &Store,
    what: String,
    work: impl AsyncFnOnce() -> Result<T, Failure>,
    told: impl FnOnce(&T) -> String,
) -> Result<T, Failure> {
    let change = Change {
        store,
        name: rand::random(),
        what: format!("by {}: {what}", user()),
        who: system_principal("state"),
    };
    let begun = change.enter(Kind::Intent(change.name), Outcome::Begun, "");
    begun
        .await
        .context("nothing was changed, because the audit log does not take it")?;
    let done = work().await;
    let (outcome, how) = match &done {
        Ok(done) => (Outcome::Allow, told(done)),
        Err(failure) => (Outcome::Error, format!("{failure:#}")),
    };
    let ended = change.enter(Kind::Outcome(change.name), outcome, &how);
    match (done, ended.await) {
        (done, Ok(())) => done,
        (Ok(_), Err(error)) => Err(error.context(
            "it is done, but the audit log has only that it was begun, and does not take how it ended",
        )),
        (Err(failure), Err(error)) => {
            terminal::complain(&format!("the audit log does not take how it ended: {error:#}"));
            Err(failure)
        }
    }
}

/// Puts down something that was done to a store as a whole.
pub(super) async fn record_deed(store: &Store, what: &str) -> Result<(), Failure> {
    let now = Clock::System.now();
    let event = Event {
        principal: Some(system_principal("schema")),
        ..Event::of_host(now, Outcome::Allow, format!("by {}: {what}", user()))
    };
    Ok(enter(store, &event).await?)
}

impl Change<'_> {
    async fn enter(&self, kind: Kind, outcome: Outcome, how: &str) -> Result<(), Failure> {
        let what = &self.what;
        let note = match how {
            "" => what.clone(),
            // What a line has no room for is cut off at its end.
            how => format!("{how}; {what}"),
        };
        let event = Event {
            kind,
            principal: Some(Arc::clone(&self.who)),
            action: Some(Action::WritePins),
            resource: Some(Resource::Host),
            ..Event::of_host(Clock::System.now(), outcome, note)
        };
        Ok(enter(self.store, &event).await?)
    }
}

/// Who runs the command, as the system knows them.
fn user() -> String {
    let id = rustix::process::getuid().as_raw();
    let users = fs::read_to_string(USERS).unwrap_or_default();
    match named(&users, id) {
        Some(name) => format!("{name} (uid {id})"),
        None => format!("uid {id}"),
    }
}

/// The name of a user in the system's list: `name:password:uid:…`.
fn named(users: &str, id: u32) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_numbers() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\npins:x:1000:1000::/:/bin/sh\n";
        assert_eq!(named(users, 0), Some("root"));
        assert_eq!(named(users, 1_000), Some("pins"));
        assert_eq!(named(users, 7), None);
    }

    /// A store that takes no entry gets no change either.
    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_begun() {
        let store = Store::memory();
        store.close().await.unwrap();
        let mut is_begun = false;
        let work = async || {
            is_begun = true;
            Ok::<(), Failure>(())
        };
        let refused = recorded(&store, String::new(), work, |()| String::new()).await;
        let refused = format!("{:#}", refused.unwrap_err());
        assert!(refused.contains("nothing was changed"), "{refused}");
        assert!(!is_begun);
    }
}

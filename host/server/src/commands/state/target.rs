//! Pins into a place.

use super::place::{Opened, Place, Reach};
use crate::api::EntryMessage;
use crate::commands::Failure;
use crate::pins::state::{self, Entry, Step};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use futures_util::TryStreamExt;
use holdfast_model::pin::export::parse_line;
use holdfast_model::{Cid, Invalid, Pin};
use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use prost::Message;
use serde::Deserialize;
use std::pin::pin;
use std::time::Duration;

/// Entries of a batch over HTTP: half of what a host takes.
const BATCH_ENTRIES: usize = 5_000;

/// Bytes of a batch, likewise, unless a single pin has more: that fits too.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Attempts at what may pass: a host that is restarted is back within this.
const ATTEMPTS_MAX: u32 = 10;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// CIDs of a call that reads: as many as a host takes.
const READ_CIDS: usize = 1_000;

/// Bytes of an answer: to a batch in which everything failed, or pins after which one ends early.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Where pins go.
pub(super) enum Target<'a> {
    Store(&'a Opened),
    Host {
        place: &'a Place,
        reach: &'a Reach,
    },
    /// Nowhere: a dry run.
    Nothing,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    Applied,
    /// Its condition does not hold: somebody else's pin is there.
    Kept,
    /// It cannot be stored at all.
    Refused(String),
}

/// What a host answers to a batch.
#[derive(Deserialize)]
struct Outcome {
    failed: Vec<Failed>,
}

/// A line of pins that were asked for: one that is there has a version.
#[derive(Deserialize)]
struct Told {
    version: Option<u64>,
}

#[derive(Deserialize)]
struct Failed {
    index: usize,
    status: u16,
    detail: String,
}

impl<'a> Target<'a> {
    /// The target that a place is.
    pub(super) fn of(
        place: &'a Place,
        reach: &'a Reach,
        opened: Option<&'a Opened>,
    ) -> Result<Self, Failure> {
        match (place, opened) {
            (Place::Store, Some(opened)) => Ok(Self::Store(opened)),
            (Place::Host(_), _) => Ok(Self::Host { place, reach }),
            _ => bail!("pins can go into `store` or a running host's URL, not into {place}"),
        }
    }

    /// Reads pins, and answers which of them are such, each with its version.
    pub(super) async fn find(
        &self,
        cids: Vec<Cid>,
        is_such: impl Fn(&Pin) -> bool,
    ) -> Result<Vec<(Cid, u64)>, Failure> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Store(opened) => {
                let mut found = Vec::new();
                let read = state::get_each(&opened.store, &opened.may_read, cids);
                let mut read = pin!(read);
                while let Some((cid, stored)) = read.try_next().await? {
                    let stored = stored.filter(|stored| is_such(&stored.pin));
                    found.extend(stored.map(|stored| (cid, stored.version)));
                }
                Ok(found)
            }
            Self::Host { place, reach } => of_host(place, reach, &cids, is_such).await,
        }
    }

    /// Writes entries; all that is answered `Applied` is durable.
    pub(super) async fn write(&self, entries: Vec<Entry>) -> Result<Vec<Done>, Failure> {
        match self {
            Self::Nothing => Ok(entries.iter().map(tried).collect()),
            Self::Store(opened) => {
                let answers = state::commit(&opened.store, &opened.may_write, entries).await;
                answers.into_iter().map(done).collect()
            }
            Self::Host { place, reach } => to_host(place, reach, entries).await,
        }
    }
}

/// What would become of an entry where nothing stands in its way.
fn tried(entry: &Entry) -> Done {
    refusal(entry).map_or(Done::Applied, |why| Done::Refused(why.to_string()))
}

fn done(answer: Result<Option<u64>, holdfast_store::StoreError>) -> Result<Done, Failure> {
    use holdfast_store::StoreError::{Conflict, Invalid};
    match answer {
        Ok(_) => Ok(Done::Applied),
        Err(Conflict(_)) => Ok(Done::Kept),
        Err(Invalid(invalid)) => Ok(Done::Refused(invalid.to_string())),
        // The store itself: nothing after this would fare better.
        Err(error) => Err(error.into()),
    }
}

/// Why an entry can be stored nowhere, if so.
pub(super) fn refusal(entry: &Entry) -> Option<Invalid> {
    match &entry.step {
        Step::Put(pin) => pin.clone().into_stored_form().err(),
        Step::Delete(_) => None,
    }
}

/// Asks for pins until all have been told: an answer that grows large ends early.
async fn of_host(
    place: &Place,
    reach: &Reach,
    mut cids: &[Cid],
    is_such: impl Fn(&Pin) -> bool,
) -> Result<Vec<(Cid, u64)>, Failure> {
    let mut found = Vec::new();
    while !cids.is_empty() {
        let (some, _) = cids.split_at(cids.len().min(READ_CIDS));
        let asked: String = some.iter().map(|cid| format!("\"{cid}\"\n")).collect();
        let call = (Method::POST, "/v1/state/read");
        let kind = "application/x-ndjson";
        let sent = async || once(place, reach, call.clone(), (kind, asked.as_bytes())).await;
        let (status, answer) = patiently(sent).await?;
        if status != StatusCode::OK {
            let said = String::from_utf8_lossy(&answer);
            bail!("{place} answered {status}: {said}");
        }
        let lines = answer.split(|byte| *byte == b'\n');
        let mut told = 0;
        for line in lines.filter(|line| !line.is_empty()) {
            told += 1;
            let one: Told = serde_json::from_slice(line)
                .with_context(|| format!("{place} did not answer as a host does"))?;
            if let Some(version) = one.version {
                let (pin, _) = parse_line(line).map_err(|why| anyhow!("{place}: {why}"))?;
                found.extend(is_such(&pin).then_some((pin.cid, version)));
            }
        }
        cids = match cids.get(told..) {
            Some(rest) if told > 0 => rest,
            _ => bail!("{place} told of {told} pins and not of those that it was asked for"),
        };
    }
    Ok(found)
}

/// Sends entries in batches. As protobuf a pin that can be stored fits into one; as JSON it might
/// not, with all its escapes.
async fn to_host(place: &Place, reach: &Reach, entries: Vec<Entry>) -> Result<Vec<Done>, Failure> {
    let mut all = Vec::with_capacity(entries.len());
    let mut batch = Batch::default();
    for entry in entries {
        let (message, done) = match message(entry) {
            Ok(message) => (message, Done::Applied),
            Err(invalid) => (Vec::new(), Done::Refused(invalid.to_string())),
        };
        if !batch.has_room_for(&message) {
            batch.send(place, reach, &mut all).await?;
        }
        if done == Done::Applied {
            batch.body.extend_from_slice(&message);
            batch.places.push(all.len());
        }
        all.push(done);
    }
    batch.send(place, reach, &mut all).await?;
    Ok(all)
}

/// Entries that are sent together.
#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    /// Which entries they are.
    places: Vec<usize>,
}

impl Batch {
    fn has_room_for(&self, message: &[u8]) -> bool {
        let has_bytes = self.body.len() + message.len() <= BATCH_BYTES;
        self.places.is_empty() || has_bytes && self.places.len() < BATCH_ENTRIES
    }

    /// Sends what there is and begins anew.
    async fn send(
        &mut self,
        place: &Place,
        reach: &Reach,
        all: &mut [Done],
    ) -> Result<(), Failure> {
        let Self { body, places } = std::mem::take(self);
        if places.is_empty() {
            return Ok(());
        }
        let count = places.len();
        let sent = async || send(place, reach, count, &body).await;
        let answers = patiently(sent).await?;
        for (index, answer) in places.into_iter().zip(answers) {
            if let Some(done) = all.get_mut(index) {
                *done = answer;
            }
        }
        Ok(())
    }
}

/// One entry with its length ahead.
fn message(entry: Entry) -> Result<Vec<u8>, Invalid> {
    Ok(EntryMessage::of(entry)?.encode_length_delimited_to_vec())
}

/// Calls until nothing is left that may pass, which is the inner error. Sending a batch again of
/// which some was applied changes nothing, but for `if_absent`, which then finds its own pin and
/// counts it as kept.
async fn patiently<T>(
    call: impl AsyncFn() -> Result<Result<T, Failure>, Failure>,
) -> Result<T, Failure> {
    let mut attempt = 1;
    loop {
        let error = match call().await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(passing)) => passing,
            Err(error) => return Err(error),
        };
        if attempt >= ATTEMPTS_MAX {
            return Err(error);
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Calls a host once; the inner error may pass.
async fn once(
    place: &Place,
    reach: &Reach,
    call: (Method, &str),
    (kind, body): (&str, &[u8]),
) -> Result<Result<(StatusCode, Bytes), Failure>, Failure> {
    let response = match reach.call(place, call, (kind, body.to_vec())).await {
        Ok(response) => response,
        Err(error) => return Ok(Err(error)),
    };
    let status = response.status();
    let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    let answer = match answer.await {
        Ok(answer) => answer.to_bytes(),
        Err(error) => return Ok(Err(anyhow!("{place} broke its answer off: {error}"))),
    };
    if status.is_server_error() {
        let said = String::from_utf8_lossy(&answer);
        return Ok(Err(anyhow!("{place} answered {status}: {said}")));
    }
    Ok(Ok((status, answer)))
}

/// Sends a batch once.
async fn send(
    place: &Place,
    reach: &Reach,
    count: usize,
    body: &[u8],
) -> Result<Result<Vec<Done>, Failure>, Failure> {
    let call = (Method::POST, "/v1/state/batch");
    let answered = once(place, reach, call, ("application/x-protobuf", body)).await?;
    let (status, answer) = match answered {
        Ok(answered) => answered,
        Err(passing) => return Ok(Err(passing)),
    };
    if status == StatusCode::PAYLOAD_TOO_LARGE && count == 1 {
        // Of this pin: those after it may fare better. It may be no host's bound, but a proxy's.
        let said = String::from_utf8_lossy(&answer);
        let why = format!("is too large for {place}, which answered {status}: {said}");
        return Ok(Ok(vec![Done::Refused(why)]));
    }
    if status != StatusCode::OK {
        let said = String::from_utf8_lossy(&answer);
        bail!("{place} answered {status}: {said}");
    }
    let outcome: Outcome = serde_json::from_slice(&answer)
        .with_context(|| format!("{place} did not answer as a host does"))?;
    let mut all = vec![Done::Applied; count];
    for failed in outcome.failed {
        let what = match failed.status {
            412 => Done::Kept,
            500.. => return Ok(Err(anyhow!("{place}: {}", failed.detail))),
            _ => Done::Refused(failed.detail),
        };
        if let Some(done) = all.get_mut(failed.index) {
            *done = what;
        }
    }
    Ok(Ok(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::UnixMillis;
    use holdfast_store::{Expect, Store};

    /// Between the look at a pin and its removal somebody may write it: then it is theirs.
    #[tokio::test]
    async fn what_is_written_after_it_was_found_is_not_removed() {
        let store = Store::memory();
        let opened = Opened::of(store.clone()).unwrap();
        let target = Target::Store(&opened);
        let pin = |n: u8| {
            let cid = Cid::from_bytes(&[1, 0x55, 0, 1, n]).unwrap();
            Pin::recursive(cid, UnixMillis::from_seconds(1))
        };
        let put = async |pin: Pin| {
            let put = Entry {
                step: Step::Put(Box::new(pin)),
                expect: Expect::Any,
            };
            assert_eq!(target.write(vec![put]).await.unwrap(), [Done::Applied]);
        };
        for n in 1..=3 {
            put(pin(n)).await;
        }
        let cids = [4, 3, 2, 1].map(|n| pin(n).cid).to_vec();
        let found = target.find(cids, |found| *found != pin(3)).await.unwrap();
        let which: Vec<_> = found.iter().map(|(cid, _)| *cid).collect();
        assert_eq!(which, [pin(2).cid, pin(1).cid]);
        let mut theirs = pin(1);
        theirs.options.name = "theirs".to_owned();
        put(theirs.clone()).await;
        let removals = found.into_iter().map(|(cid, version)| Entry {
            step: Step::Delete(cid),
            expect: Expect::Version(version),
        });
        let done = target.write(removals.collect()).await.unwrap();
        assert_eq!(done, [Done::Applied, Done::Kept]);
        assert_eq!(store.pin(&pin(1).cid).await.unwrap().unwrap().pin, theirs);
        assert_eq!(store.pin(&pin(2).cid).await.unwrap(), None);
    }
}

//! Pins into a place.

use super::place::{Opened, Place, Reach};
use crate::api::EntryMessage;
use crate::commands::Failure;
use crate::pins::state::{self, Entry, Step};
use anyhow::{Context, anyhow, bail};
use holdfast_model::Invalid;
use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use prost::Message;
use serde::Deserialize;
use std::time::Duration;

/// Entries of a batch over HTTP: half of what a host takes.
const BATCH_ENTRIES: usize = 5_000;

/// Bytes of a batch, likewise, unless a single pin has more: that fits too.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Attempts at what may pass: a host that is restarted is back within this.
const ATTEMPTS_MAX: u32 = 10;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes of the answer to a batch in which everything failed.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

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
        let answers = patiently(place, reach, places.len(), &body).await?;
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

/// Sends a batch until nothing of it is left that may pass. Sending again what was applied changes
/// nothing, but for `if_absent`, which then finds its own pin and counts it as kept.
async fn patiently(
    place: &Place,
    reach: &Reach,
    count: usize,
    body: &[u8],
) -> Result<Vec<Done>, Failure> {
    let mut attempt = 1;
    loop {
        let error = match once(place, reach, count, body).await {
            Ok(Ok(all)) => return Ok(all),
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

/// Sends a batch once; the inner error may pass.
async fn once(
    place: &Place,
    reach: &Reach,
    count: usize,
    body: &[u8],
) -> Result<Result<Vec<Done>, Failure>, Failure> {
    let call = (Method::POST, "/v1/state/batch");
    let kind = "application/x-protobuf";
    let response = match reach.call(place, call, (kind, body.to_vec())).await {
        Ok(response) => response,
        Err(error) => return Ok(Err(error)),
    };
    let status = response.status();
    let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let answer = match answer {
        Ok(answer) => answer.to_bytes(),
        Err(error) => return Ok(Err(anyhow!("{place} broke its answer off: {error}"))),
    };
    if status == StatusCode::PAYLOAD_TOO_LARGE && count == 1 {
        // Of this pin: those after it may fare better. It may be no host's bound, but a proxy's.
        let said = String::from_utf8_lossy(&answer);
        let why = format!("is too large for {place}, which answered {status}: {said}");
        return Ok(Ok(vec![Done::Refused(why)]));
    }
    if status != StatusCode::OK {
        let said = String::from_utf8_lossy(&answer);
        let error = anyhow!("{place} answered {status}: {said}");
        return if status.is_server_error() {
            Ok(Err(error))
        } else {
            Err(error)
        };
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

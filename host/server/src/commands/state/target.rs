//! Pins into a place.

use super::place::{Opened, Place, Reach};
use crate::commands::Failure;
use crate::pins::state::{self, Entry, Step};
use anyhow::{Context, anyhow, bail};
use holdfast_model::{Cid, Pin};
use holdfast_store::Expect;
use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Entries of a batch over HTTP: half of what a host takes.
const BATCH_ENTRIES: usize = 5_000;

/// Bytes of a batch, likewise.
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
            Self::Nothing => Ok(vec![Done::Applied; entries.len()]),
            Self::Store(opened) => {
                let answers = state::commit(&opened.store, &opened.may_write, entries).await;
                answers.into_iter().map(done).collect()
            }
            Self::Host { place, reach } => to_host(place, reach, &entries).await,
        }
    }
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

async fn to_host(place: &Place, reach: &Reach, entries: &[Entry]) -> Result<Vec<Done>, Failure> {
    let mut all = Vec::with_capacity(entries.len());
    let mut rest = entries;
    while !rest.is_empty() {
        let mut body = Vec::new();
        let mut count = 0;
        for entry in rest.iter().take(BATCH_ENTRIES) {
            if count > 0 && body.len() > BATCH_BYTES {
                break;
            }
            serde_json::to_writer(&mut body, &line(entry))?;
            body.push(b'\n');
            count += 1;
        }
        let (batch, beyond) = rest.split_at(count);
        all.extend(patiently(place, reach, batch.len(), &body).await?);
        rest = beyond;
    }
    Ok(all)
}

/// One entry, as a batch has it.
#[derive(Default, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    put: Option<&'a Pin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete: Option<&'a Cid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_absent: Option<bool>,
}

fn line(entry: &Entry) -> Line<'_> {
    let mut line = Line::default();
    match &entry.step {
        Step::Put(pin) => line.put = Some(pin),
        Step::Delete(cid) => line.delete = Some(cid),
    }
    match entry.expect {
        Expect::Any => {}
        Expect::Absent => line.if_absent = Some(true),
        Expect::Version(version) => line.if_version = Some(version),
    }
    line
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
    let kind = "application/x-ndjson";
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

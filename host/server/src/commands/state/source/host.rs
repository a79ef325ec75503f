//! Pins out of a running host or a running IPFS Cluster: a stream of lines over HTTP.
//!
//! A host's stream has marks: what came after the last one is handed on only when the next one, or
//! the end, is there, so a stream that broke off goes on where it was, and no pin comes twice. A
//! cluster's stream has none: one that breaks off is an error, and whoever reads it begins anew.

use super::{Mark, Piece, Sender};
use crate::commands::Failure;
use crate::commands::state::place::{Place, Reach};
use anyhow::{anyhow, bail};
use holdfast_model::pin::PinReader;
use holdfast_model::pin::export::LINE_BYTES_MAX;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Times that a host's stream may break off without having come any further.
const BREAKS_MAX: u32 = 10;

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// The trailer in which IPFS Cluster says that a stream is not whole.
const STREAM_ERROR: &str = "x-stream-error";

/// Reads all pins, or those behind a mark of a host.
pub(super) async fn read(
    place: &Place,
    reach: &Reach,
    mut mark: Option<String>,
    send: &Sender,
) -> Result<(), Failure> {
    if let Place::Cluster(_) = place {
        return of_cluster(place, reach, send).await;
    }
    let mut breaks = 0;
    loop {
        let before = mark.clone();
        match of_host(place, reach, &mut mark, send).await {
            Ok(()) => return Ok(()),
            Err(Broken::For(error)) => return Err(error),
            Err(Broken::Off(error)) if breaks >= BREAKS_MAX => return Err(error),
            Err(Broken::Off(_)) => {}
        }
        breaks = if before == mark { breaks + 1 } else { 0 };
        tokio::time::sleep(PAUSE).await;
    }
}

/// How a stream came to no good.
enum Broken {
    /// It may go on.
    Off(Failure),
    /// It would end so again.
    For(Failure),
}

async fn of_host(
    place: &Place,
    reach: &Reach,
    mark: &mut Option<String>,
    send: &Sender,
) -> Result<(), Broken> {
    let path = match mark {
        Some(mark) => format!("/v1/state/pins?from={mark}"),
        None => "/v1/state/pins".to_owned(),
    };
    let response = reach.call(place, (Method::GET, &path), ("text/plain", Vec::new()));
    let response = response.await.map_err(Broken::Off)?;
    if response.status() != StatusCode::OK {
        return Err(refused(place, response).await);
    }
    let mut lines = Lines::of(response);
    let (mut piece, mut reader) = (Piece::default(), PinReader::default());
    let mut since_mark = Vec::new();
    while let Some(line) = lines.next().await.map_err(Broken::Off)? {
        let control = match line.get(..9) {
            Some(b"{\"mark\":\"" | b"{\"error\":") => true,
            _ => line.starts_with(b"{\"end\":"),
        };
        if !control {
            piece.take_line(&line, &mut reader);
            if piece.is_full() {
                since_mark.push(piece.cut());
            }
            continue;
        }
        let control: Value = serde_json::from_slice(&line)
            .map_err(|e| Broken::Off(anyhow!("{place} wrote a line that is no JSON: {e}")))?;
        if let Some(error) = control.get("error") {
            let detail = error.get("detail").and_then(Value::as_str);
            let detail = detail.unwrap_or("no reason").to_owned();
            return Err(Broken::Off(anyhow!("{place} broke its list off: {detail}")));
        }
        let done = control.get("done_millionths").and_then(Value::as_u64);
        if let Some(done) = done.and_then(|done| u32::try_from(done).ok()) {
            piece.done_millionths = done;
        }
        let told = control.get("mark").and_then(Value::as_str);
        piece.mark = told.map(|told| Mark::Host(told.to_owned()));
        since_mark.push(piece.cut());
        for whole in since_mark.drain(..) {
            if send.send(Ok(whole)).await.is_err() {
                return Ok(());
            }
        }
        match told {
            Some(told) => *mark = Some(told.to_owned()),
            None => return Ok(()),
        }
    }
    Err(Broken::Off(anyhow!(
        "{place} ended its list without an end"
    )))
}

async fn of_cluster(place: &Place, reach: &Reach, send: &Sender) -> Result<(), Failure> {
    let call = (Method::GET, "/allocations?filter=all");
    let response = reach
        .call(place, call, ("application/json", Vec::new()))
        .await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NO_CONTENT => return Ok(()),
        _ => match refused(place, response).await {
            Broken::Off(error) | Broken::For(error) => return Err(error),
        },
    }
    let mut lines = Lines::of(response);
    let (mut piece, mut reader) = (Piece::default(), PinReader::default());
    while let Some(line) = lines.next().await? {
        piece.take_line(&line, &mut reader);
        if piece.is_full() && send.send(Ok(piece.cut())).await.is_err() {
            return Ok(());
        }
    }
    if let Some(error) = lines.stream_error {
        bail!("{place} broke its list off: {error}");
    }
    // Nobody takes it: then nobody wants it.
    let _ = send.send(Ok(piece)).await;
    Ok(())
}

/// What a host or a cluster says that does not list.
async fn refused(place: &Place, response: Response<Incoming>) -> Broken {
    let status = response.status();
    let body = Limited::new(response.into_body(), REFUSAL_BYTES_MAX)
        .collect()
        .await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let words = ["detail", "message"]
        .iter()
        .find_map(|key| said.get(key)?.as_str());
    let error = anyhow!(
        "{place} answered {status}: {}",
        words.unwrap_or("no reason")
    );
    match status.is_server_error() {
        true => Broken::Off(error),
        false => Broken::For(error),
    }
}

/// A body, line by line.
struct Lines {
    body: Incoming,
    held: Vec<u8>,
    /// How far `held` has been given away.
    taken: usize,
    is_over: bool,
    /// What the trailer says.
    stream_error: Option<String>,
}

impl Lines {
    fn of(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            held: Vec::new(),
            taken: 0,
            is_over: false,
            stream_error: None,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut seen = self.taken;
        loop {
            let rest = self.held.get(seen..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.held.get(self.taken..seen + end).unwrap_or_default();
                let line = line.to_vec();
                self.taken = seen + end + 1;
                return Ok(Some(line));
            }
            if self.is_over {
                let last = self.held.get(self.taken..).unwrap_or_default().to_vec();
                self.taken = self.held.len();
                return Ok((!last.is_empty()).then_some(last));
            }
            self.held.drain(..self.taken);
            self.taken = 0;
            seen = self.held.len();
            if seen > LINE_BYTES_MAX {
                bail!("a line is longer than {LINE_BYTES_MAX} bytes");
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<(), Failure> {
        let Some(frame) = self.body.frame().await else {
            self.is_over = true;
            return Ok(());
        };
        let frame = frame.map_err(|e| anyhow!("the list broke off: {e}"))?;
        match frame.into_data() {
            Ok(bytes) => self.held.extend_from_slice(&bytes),
            Err(frame) => {
                let trailer = frame.trailers_ref().and_then(|all| all.get(STREAM_ERROR));
                let said = trailer.and_then(|value| value.to_str().ok());
                self.stream_error = said.filter(|said| !said.is_empty()).map(str::to_owned);
            }
        }
        Ok(())
    }
}

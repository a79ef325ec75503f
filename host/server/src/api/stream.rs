//! Answers that come into being while they are sent, for as long as it takes.
//!
//! A task of its own writes into an [`Outlet`]; the body hands on what it has written. Between them
//! stand a few pieces of [`PIECE_BYTES`], so a stream takes the same memory whatever its length. It
//! ends cleanly only if its writer has said so: a body whose writer fails, panics or is cut off
//! ends in an error, and no client takes what it got for all there was.
//!
//! A stream holds a place among [`STREAMS_MAX`] instead of one among the calls in flight, and is
//! not under the deadline of a call. What bounds it is its reader: one that takes nothing for
//! `Settings::reader_patience` is cut off (and so is its connection, by the listener). When the
//! host stops, [`Outlet::stopped`] tells the writer.

use crate::api::context::Edge;
use crate::api::metrics::StateMetrics;
use crate::api::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

/// Streams at once. Each holds up to half a MiB and, while it lists, one page of pins.
pub(crate) const STREAMS_MAX: usize = 256;

/// Bytes that are handed on at once: some 200 pins. Smaller pieces cost a system call each.
const PIECE_BYTES: usize = 64 * 1024;

/// Pieces that wait for the reader.
const PIECES_WAITING: usize = 4;

enum Piece {
    Bytes(Bytes),
    /// The writer is through; what stands behind the body.
    End(HeaderMap),
}

/// Where the writer of a stream writes.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// What is not handed on yet. Writers append to it and call [`Self::pace`] now and then.
    pub(crate) buffer: Vec<u8>,
    pieces: mpsc::Sender<Piece>,
    stop: CancellationToken,
    patience: Duration,
    metrics: StateMetrics,
    _place: OwnedSemaphorePermit,
}

/// The reader has gone, or takes nothing any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// A stream that begins: its body, and where to write.
pub(crate) fn open(edge: &Edge) -> Result<(Body, Outlet), Problem> {
    let place = Arc::clone(&edge.streams).try_acquire_owned();
    let place = place.map_err(|_| Problem::too_many_streams(STREAMS_MAX))?;
    let (pieces, waiting) = mpsc::channel(PIECES_WAITING);
    let metrics = edge.metrics.state.clone();
    metrics.opened();
    let outlet = Outlet {
        buffer: Vec::with_capacity(PIECE_BYTES * 2),
        pieces,
        stop: edge.settings.stop.clone(),
        patience: edge.settings.reader_patience,
        metrics,
        _place: place,
    };
    let body = stream::unfold(Some(waiting), |waiting| async {
        let mut waiting = waiting?;
        match waiting.recv().await {
            Some(Piece::Bytes(bytes)) => Some((Ok(Frame::data(bytes)), Some(waiting))),
            Some(Piece::End(trailers)) if trailers.is_empty() => None,
            Some(Piece::End(trailers)) => Some((Ok(Frame::trailers(trailers)), None)),
            None => Some((Err(io::Error::other("the stream broke off")), None)),
        }
    });
    Ok((Body::new(StreamBody::new(body)), outlet))
}

impl Outlet {
    /// Hands on what has gathered if it is a piece.
    pub(crate) async fn pace(&mut self) -> Result<(), Gone> {
        match self.buffer.len() {
            PIECE_BYTES.. => self.flush().await,
            _ => Ok(()),
        }
    }

    /// Hands on what has gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let room = tokio::time::timeout(self.patience, self.pieces.reserve());
        match room.await {
            Ok(Ok(room)) => {
                let fresh = Vec::with_capacity(PIECE_BYTES * 2);
                let full = std::mem::replace(&mut self.buffer, fresh);
                room.send(Piece::Bytes(full.into()));
                Ok(())
            }
            Ok(Err(_hung_up)) => Err(Gone),
            Err(_elapsed) => {
                self.metrics.stalled();
                Err(Gone)
            }
        }
    }

    /// Hands on the rest and ends the stream as one that is whole.
    pub(crate) async fn end(self) -> Result<(), Gone> {
        self.end_with(HeaderMap::new()).await
    }

    /// The same, with trailers behind the body. Over HTTP/1.1 only a reader gets them who says
    /// `TE: trailers`.
    pub(crate) async fn end_with(mut self, trailers: HeaderMap) -> Result<(), Gone> {
        self.flush().await?;
        let end = Piece::End(trailers);
        self.pieces.send(end).await.map_err(|_| Gone)
    }

    /// Waits until the host stops.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stop.clone().cancelled_owned()
    }

    /// Whether the host stops.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until the reader has hung up.
    pub(crate) fn hung_up(&self) -> impl Future<Output = ()> + Send + 'static {
        let pieces = self.pieces.clone();
        async move { pieces.closed().await }
    }

    /// What the stream is counted by.
    pub(crate) const fn metrics(&self) -> &StateMetrics {
        &self.metrics
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.metrics.closed();
    }
}

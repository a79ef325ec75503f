//! Trailers for clients that read them and do not say so.
//!
//! RFC 9110 (section 6.5.1) lets a client say `TE: trailers`, and hyper sends none to who does not.
//! Go's client reads trailers and never says so, and IPFS Cluster's clients look for one at the end
//! of every stream. So on its listener that line is written into the head of each request, behind
//! the request line, before hyper reads it.
//!
//! Where a head begins is known without reading what is between: a client that sends one request
//! after another begins the next when it has the whole answer to the last. Whoever sends several at
//! once gets no trailers with those that were read together with others, and loses nothing else: a
//! line is written only where a request's method stands at the very beginning of what arrives while
//! nothing is being answered.

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is written.
const LINE: &[u8] = b"TE: trailers\r\n";

/// How a request begins.
const BEGINNINGS: [&[u8]; 3] = [b"GET /", b"POST /", b"DELETE /"];

/// Bytes that are read at once where a head is awaited: most fit.
const READ_BYTES: usize = 4 * 1024;

/// Whose turn it is on a connection: true while nothing is being answered.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<AtomicBool>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Turns {
    /// A request is being answered.
    pub(super) fn begin(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_clients(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The body of an answer, with whose end it is the client's turn again.
    pub(super) fn ending_with(self, body: Body) -> Body {
        Body::new(Ending { body, turns: self })
    }
}

/// A body that says when it is over.
struct Ending {
    body: Body,
    turns: Turns,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.turns.end();
    }
}

impl hyper::body::Body for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection on which the line is written.
pub(super) struct Announcing<S> {
    stream: S,
    /// Nothing where the line is not written.
    turns: Option<Turns>,
    /// Read and not handed on yet.
    waiting: BytesMut,
}

impl<S> Announcing<S> {
    pub(super) fn new(stream: S, turns: Option<Turns>) -> Self {
        Self {
            stream,
            turns,
            waiting: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Announcing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.waiting.is_empty() {
            let Some(turns) = this.turns.as_ref().filter(|turns| turns.is_clients()) else {
                return Pin::new(&mut this.stream).poll_read(context, into);
            };
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            // What follows before the answer is a head's rest, or a body: hyper tells which.
            turns.begin();
            this.waiting = announced(read.filled());
        }
        let now = this.waiting.len().min(into.remaining());
        into.put_slice(this.waiting.get(..now).unwrap_or_default());
        this.waiting.advance(now);
        Poll::Ready(Ok(()))
    }
}

/// What was read, with the line behind the request line if there is one.
fn announced(read: &[u8]) -> BytesMut {
    let begins = BEGINNINGS
        .iter()
        .any(|beginning| read.starts_with(beginning));
    let end = read.windows(2).position(|pair| pair == b"\r\n");
    let mut bytes = BytesMut::with_capacity(read.len() + LINE.len());
    match end.and_then(|at| read.split_at_checked(at + 2)) {
        Some((line, rest)) if begins => {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(LINE);
            bytes.extend_from_slice(rest);
        }
        _ => bytes.extend_from_slice(read),
    }
    bytes
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Announcing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stands_behind_the_request_line_and_nowhere_else() {
        let head = b"GET /pins HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(
            announced(head),
            "GET /pins HTTP/1.1\r\nTE: trailers\r\nHost: x\r\n\r\n"
        );
        for other in [
            "\r\n",
            "Host: x\r\n\r\n",
            "GET /pins HT",
            "PRI * HTTP/2.0\r\n\r\n",
            "",
        ] {
            assert_eq!(announced(other.as_bytes()), other);
        }
    }

    #[test]
    fn it_is_the_clients_turn_when_the_answer_is_over() {
        let turns = Turns::default();
        assert!(turns.is_clients());
        turns.begin();
        let body = turns.clone().ending_with(Body::empty());
        assert!(!turns.is_clients());
        drop(body);
        assert!(turns.is_clients());
    }
}

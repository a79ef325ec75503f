//! Bodies, counted and timed while they flow.

use super::error::EgressError;
use super::guard::Allowance;
use super::pace::Stride;
use super::voice::Ending;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prometheus::IntCounter;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep_until};

/// What a plugin sends.
pub(crate) type Outbound = UnsyncBoxBody<Bytes, EgressError>;

/// A request's body. What is over the allowance breaks the request off.
pub(crate) struct Counted {
    inner: Outbound,
    allowance: Arc<Allowance>,
    stride: Stride,
    bytes: IntCounter,
}

impl Counted {
    /// Counts a body.
    pub(super) const fn new(
        inner: Outbound,
        allowance: Arc<Allowance>,
        stride: Stride,
        bytes: IntCounter,
    ) -> Self {
        Self {
            inner,
            allowance,
            stride,
            bytes,
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        ready!(self.stride.poll_ready(cx));
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        if let Some(data) = frame.data_ref() {
            self.allowance.take_bytes(data.len())?;
            self.stride.carried(data.len());
            self.bytes.inc_by(data.len() as u64);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body. It ends with an error once it is over the allowance or stalls; its trailers
/// are left out, because nothing looks for secrets in them.
pub(crate) struct Received {
    inner: Incoming,
    ending: Ending,
    stride: Stride,
    stall: Duration,
    alarm: Pin<Box<Sleep>>,
    is_over: bool,
}

impl Received {
    /// Watches a body.
    pub(super) fn new(inner: Incoming, ending: Ending, stride: Stride, stall: Duration) -> Self {
        Self {
            inner,
            ending,
            // Who waits for the pace is not stalled.
            alarm: Box::pin(sleep_until(stride.ready_at() + stall)),
            stride,
            stall,
            is_over: false,
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, EgressError>>> {
        ready!(self.stride.poll_ready(cx));
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) else {
                ready!(self.alarm.as_mut().poll(cx));
                return Poll::Ready(Some(Err(EgressError::Timeout(format!(
                    "no byte of the response came for {} ms",
                    self.stall.as_millis()
                )))));
            };
            let frame = match frame {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    let why = format!("the response broke off ({error})");
                    return Poll::Ready(Some(Err(EgressError::Broken(why))));
                }
            };
            if let Ok(data) = frame.into_data() {
                if let Err(over) = self.ending.receive(data.len()) {
                    return Poll::Ready(Some(Err(over)));
                }
                self.stride.carried(data.len());
                let until = self.stride.ready_at() + self.stall;
                self.alarm.as_mut().reset(until);
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let data = ready!(self.poll_data(cx));
        self.is_over = !matches!(data, Some(Ok(_)));
        if let Some(Err(error)) = &data {
            self.ending.failed(error);
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

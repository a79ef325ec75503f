//! How a guest's request over `wasi:http` leaves: through the egress guard, or not at all.

use super::replay::{Replay, Tape};
use crate::egress::{Allowance, EgressError, Guard, Outbound, Waits};
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{Request, Response};
use std::sync::Arc;
use tracing::Instrument;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Bytes that a guest hands over at once for a request's body.
const BODY_CHUNK_BYTES_MAX: usize = 64 * 1024;

/// A response on its way to the guest.
pub(crate) type Inbound = UnsyncBoxBody<Bytes, EgressError>;

/// Where requests go.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Nowhere: not during `describe`, `init` and `needs`.
    Shut,
    /// Out, as far as the guard lets them.
    Out(Arc<Guard>),
    /// To what was answered once.
    Replay(Arc<Replay>),
    /// Out likewise, and written down.
    Tape(Arc<Tape>),
}

/// The hooks of one job.
#[derive(Debug)]
pub(crate) struct Hooks {
    way: Way,
    allowance: Arc<Allowance>,
}

impl Hooks {
    /// Nothing goes out yet.
    pub(crate) fn shut() -> Self {
        Self {
            way: Way::Shut,
            allowance: Arc::new(Allowance::new(0, 0)),
        }
    }

    /// Opens the way for a call.
    pub(crate) fn open(&mut self, way: Way, allowance: Allowance) {
        self.way = way;
        self.allowance = Arc::new(allowance);
    }
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let way = self.way.clone();
        let allowance = Arc::clone(&self.allowance);
        let options = options.unwrap_or_default();
        let waits = Waits::asked(
            options.connect_timeout,
            options.first_byte_timeout,
            options.between_bytes_timeout,
        );
        let request = request.map(|body| -> Outbound {
            body.map_err(|e| EgressError::Broken(format!("the request broke off ({e})")))
                .boxed_unsync()
        });
        let sent = async move {
            let sent: Sent = match way {
                Way::Shut => Err(Error::HttpRequestDenied),
                Way::Replay(replay) => {
                    let response = replay.answer(request).await.map_err(|e| told(&e))?;
                    let driver = Box::new(async { Ok(()) });
                    Ok((response.map(inbound), driver as Box<_>))
                }
                Way::Tape(tape) => {
                    let response = tape.send(request, waits, allowance).await;
                    let response = response.map_err(|e| told(&e))?;
                    let driver = Box::new(async { Ok(()) });
                    Ok((response.map(inbound), driver as Box<_>))
                }
                Way::Out(guard) => {
                    let sent = guard.send(request, waits, allowance).await;
                    let (response, driver) = sent.map_err(|e| told(&e))?;
                    let response = response.map(|body| inbound(body.boxed_unsync()));
                    let driver = Box::new(async move {
                        driver.await;
                        Ok(())
                    });
                    Ok((response, driver as Box<_>))
                }
            };
            sent
        };
        // It runs as a task of its own, and what is said there is about this call.
        Box::new(sent.in_current_span())
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES_MAX
    }
}

fn inbound(body: Inbound) -> WasiBody {
    body.map_err(|e| told(&e)).boxed_unsync()
}

/// What the guest is told: the kind of the failure, and nothing of what the operator wrote.
fn told(error: &EgressError) -> Error {
    match error {
        EgressError::Denied(_) => Error::HttpRequestDenied,
        EgressError::Closed(_) => Error::DestinationIpProhibited,
        EgressError::Lookup(_) => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        EgressError::Connect(_) => Error::ConnectionRefused,
        EgressError::Tls(_) => Error::TlsProtocolError,
        EgressError::Timeout(_) => Error::HttpResponseTimeout,
        EgressError::TooLarge(_) => Error::HttpResponseBodySize(None),
        EgressError::Exhausted(_) => Error::ConnectionLimitReached,
        EgressError::Broken(_) => Error::HttpProtocolError,
        EgressError::Secret(_) => Error::ConfigurationError,
    }
}

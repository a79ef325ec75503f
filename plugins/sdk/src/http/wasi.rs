//! The way out: `wasi:http/outgoing-handler`.

use super::{HttpError, Request, Response};
use crate::bindings::http::wasi::http::outgoing_handler::handle;
use crate::bindings::http::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use crate::bindings::http::wasi::io::streams::StreamError;

/// Bytes that a stream takes in one blocking write: the contract of `wasi:io` has no more.
const WRITE_BYTES: usize = 4_096;

/// Bytes to ask of a stream at once.
const READ_BYTES: u64 = 16_384;

/// Sends a request and reads its answer.
pub(super) fn send(request: &Request) -> Result<Response, HttpError> {
    let outgoing = outgoing(request)?;
    let body = outgoing.body().map_err(|()| odd("it has no body"))?;
    let future = handle(outgoing, Some(options(request)?)).map_err(why)?;
    write(body, &request.body)?;
    future.subscribe().block();
    let answer = future
        .get()
        .and_then(Result::ok)
        .ok_or_else(|| odd("the answer is not there"))?;
    read(&answer.map_err(why)?, request.response_bytes_max)
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, HttpError> {
    let headers: Vec<(String, Vec<u8>)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into_bytes()))
        .collect();
    let headers =
        Fields::from_list(&headers).map_err(|e| odd(&format!("a header is wrong: {e:?}")))?;
    let outgoing = OutgoingRequest::new(headers);
    let method = match request.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.into()),
    };
    let scheme = match request.url.scheme() {
        "http" => Scheme::Http,
        _ => Scheme::Https,
    };
    let wrong = |what: &str| odd(&format!("the {what} is not one of HTTP"));
    outgoing.set_method(&method).map_err(|()| wrong("method"))?;
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(|()| wrong("scheme"))?;
    outgoing
        .set_authority(Some(&request.url.authority()))
        .map_err(|()| wrong("host"))?;
    outgoing
        .set_path_with_query(Some(request.url.path_and_query()))
        .map_err(|()| wrong("path"))?;
    Ok(outgoing)
}

fn options(request: &Request) -> Result<RequestOptions, HttpError> {
    let nanos = u64::try_from(request.timeout.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    let wrong = |()| odd("the host takes no timeouts");
    options.set_connect_timeout(Some(nanos)).map_err(wrong)?;
    options.set_first_byte_timeout(Some(nanos)).map_err(wrong)?;
    options
        .set_between_bytes_timeout(Some(nanos))
        .map_err(wrong)?;
    Ok(options)
}

/// Writes the body. One that is not taken is no error yet: the answer says why, if there is one.
fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), HttpError> {
    if !bytes.is_empty() {
        let stream = body.write().map_err(|()| odd("the body is taken"))?;
        for part in bytes.chunks(WRITE_BYTES) {
            if stream.blocking_write_and_flush(part).is_err() {
                break;
            }
        }
    }
    match OutgoingBody::finish(body, None) {
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read(incoming: &IncomingResponse, bytes_max: usize) -> Result<Response, HttpError> {
    let mut response = Response {
        status: incoming.status(),
        headers: incoming
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(&value).into_owned();
                (name.to_ascii_lowercase(), value)
            })
            .collect(),
        body: Vec::new(),
    };
    let body = incoming.consume().map_err(|()| odd("the body is taken"))?;
    let stream = body.stream().map_err(|()| odd("the body is taken"))?;
    loop {
        match stream.blocking_read(READ_BYTES) {
            Ok(part) => {
                if response.body.len().saturating_add(part.len()) > bytes_max {
                    return Err(HttpError::TooLarge);
                }
                response.body.extend(part);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(odd(&format!(
                    "the body broke off: {}",
                    error.to_debug_string()
                )));
            }
        }
    }
    drop(stream);
    drop(IncomingBody::finish(body));
    Ok(response)
}

fn why(error: ErrorCode) -> HttpError {
    match error {
        ErrorCode::HttpRequestDenied => HttpError::Denied("it is not granted".into()),
        ErrorCode::DestinationIpProhibited => {
            HttpError::Denied("the address is a private one".into())
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::DnsTimeout
        | ErrorCode::HttpResponseTimeout => HttpError::Timeout,
        ErrorCode::HttpResponseBodySize(_) => HttpError::TooLarge,
        ErrorCode::InternalError(Some(what)) => HttpError::Failed(what),
        other => HttpError::Failed(format!("{other:?}")),
    }
}

fn odd(what: &str) -> HttpError {
    HttpError::Failed(what.into())
}

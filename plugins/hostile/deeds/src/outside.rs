//! Calls to an address that the settings name: what lies there is as hostile as the guest is, and
//! the guest follows wherever it is sent.

use holdfast_plugin::http::{Client, Request, Response, Url};
use std::time::Duration;

/// How long it waits for anything, so that whoever keeps it waiting is left soon.
const PATIENCE: Duration = Duration::from_millis(300);

/// Redirects in a row that it follows.
const HOPS_MAX: usize = 4;

/// What every gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Calls an address as a deed says; `None` if the deed is none of these. The error is what the
/// guest was told.
#[must_use]
pub fn call_out(deed: &str, url: &str, http: &dyn Client) -> Option<Result<(), String>> {
    Some(match deed {
        "fetch" => fetch(url, http).and_then(|answer| good(&answer)),
        "fetch-twice" => fetch_twice(url, http),
        "follow" => follow(url, http),
        "weigh" => fetch(url, http).and_then(|answer| weigh(&answer)),
        _ => return None,
    })
}

/// Fetches an address and reads all that comes.
fn fetch(url: &str, http: &dyn Client) -> Result<Response, String> {
    let mut request = Request::new("GET", Url::parse(url)?);
    request.timeout = PATIENCE;
    request.response_bytes_max = usize::MAX;
    http.send(&request).map_err(|error| error.to_string())
}

/// The second time the name may lead elsewhere.
fn fetch_twice(url: &str, http: &dyn Client) -> Result<(), String> {
    let first = fetch(url, http).and_then(|answer| good(&answer));
    first.map_err(|why| format!("the first time: {why}"))?;
    let second = fetch(url, http).and_then(|answer| good(&answer));
    second.map_err(|why| format!("the second time: {why}"))
}

/// Goes where it is sent.
fn follow(url: &str, http: &dyn Client) -> Result<(), String> {
    let mut url = url.to_owned();
    for _ in 0..HOPS_MAX {
        let answer = fetch(&url, http)?;
        match answer.header("location") {
            Some(next) => next.clone_into(&mut url),
            None => return good(&answer),
        }
    }
    Err("it was sent on and on".into())
}

/// A bomb must come as it was sent: still packed, said to be so, and as many bytes as were said.
fn weigh(answer: &Response) -> Result<(), String> {
    good(answer)?;
    let bytes = answer.body.len();
    let is_whole = answer.header("content-length") == Some(bytes.to_string().as_str());
    match answer.header("content-encoding") {
        Some("gzip") if is_whole && answer.body.starts_with(&GZIP) => Ok(()),
        encoding => Err(format!("{bytes} bytes came, encoded as {encoding:?}")),
    }
}

fn good(answer: &Response) -> Result<(), String> {
    match answer.status {
        200 => Ok(()),
        status => Err(format!("the answer is {status}")),
    }
}

//! Reads over HTTP beside a bare hyper server that answers as many bytes.

use super::{Plan, ROUNDS};
use crate::bare::Bare;
use crate::client::{self, Load, Requests};
use crate::host::Host;
use crate::table::Row;
use anyhow::{Context, Result, ensure};

/// Connections of a reading load.
const CONNECTIONS: usize = 64;

/// Requests in the store while a page is listed.
const LISTED_REQUESTS: usize = 1_000;

/// GET of one pin request: key, policy, store hit.
pub(super) fn get_pin(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let id = make_request(&host, 0)?;
    beside_bare_hyper(plan, &host, "get_pin", ">= 0.5", &format!("/psa/pins/{id}"))
}

/// GET of the newest page of an account's requests.
pub(super) fn list_first_page(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    for n in 0..LISTED_REQUESTS {
        make_request(&host, n)?;
    }
    beside_bare_hyper(plan, &host, "list_first_page", "-", "/psa/pins")
}

fn beside_bare_hyper(
    plan: &Plan,
    host: &Host,
    name: &'static str,
    goal: &'static str,
    path: &str,
) -> Result<Row> {
    let requests = client::get(path, &host.key);
    let Requests::Same(bytes) = &requests else {
        unreachable!("a GET is always the same")
    };
    let (status, body) = client::call(host.addr, bytes)?;
    ensure!(
        status == 200,
        "{path} answers {status}: {}",
        String::from_utf8_lossy(&body)
    );
    let bare = Bare::start(body.len())?;
    let load = |addr| Load {
        addr,
        requests: requests.clone(),
        connections: CONNECTIONS,
        duration: plan.stretch,
        status: 200,
    };
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let ours = client::run(load(host.addr))?;
        let theirs = client::run(load(bare.addr))?;
        ensure!(
            ours.failed == 0,
            "{} answers of {path} were not 200",
            ours.failed
        );
        pairs.push((ours.per_second, theirs.per_second));
    }
    Ok(Row::from_pairs(
        name,
        "req/s",
        "bare hyper, as many bytes",
        goal,
        &pairs,
    ))
}

/// Makes the `n`-th pin request and gives back its id.
pub(super) fn make_request(host: &Host, n: usize) -> Result<String> {
    let body = format!(
        "{{\"cid\":\"{}\",\"name\":\"load-{n}\"}}",
        super::store::cid(n as u64)
    );
    let (status, answer) = client::call(host.addr, &client::post("/psa/pins", &host.key, &body))?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(status == 202, "POST /psa/pins answers {status}: {text}");
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let id = answer.get("requestid").and_then(|id| id.as_str());
    Ok(id.context("the answer has no requestid")?.to_owned())
}

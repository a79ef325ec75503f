//! A decision over HTTP beside Open Policy Agent, which has the same rules in Rego.
//!
//! On our side it is a whole call: a key is looked up, the policies are asked, the denial is
//! written to the audit log, and the problem is answered. On theirs it is a question to their data
//! API.

use super::{Plan, ROUNDS};
use crate::client::{self, Load, Requests};
use crate::host::{Host, free_addr, repository};
use crate::table::Row;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections of a load.
const CONNECTIONS: usize = 64;

/// How long their server may take until it answers.
const READY_MAX: Duration = Duration::from_secs(30);

/// Where their rule is.
const RULE: &str = "/v1/data/holdfast/allow";

/// A denied call beside a denied question.
pub(super) fn decide_opa(plan: &Plan) -> Result<Row> {
    let host = Host::start(&plan.binary)?;
    let key = user_key(&host)?;
    let opa = Opa::start()?;
    // They must say what we say, and not to everything.
    ensure!(opa.allows("operator")?, "their rules deny what ours allow");
    ensure!(
        !opa.allows("tenant-user")?,
        "their rules allow what ours deny"
    );
    let question = question("tenant-user").to_string();
    let ours = Load {
        addr: host.addr,
        requests: client::get("/v1/plugins", &key),
        connections: CONNECTIONS,
        duration: plan.stretch,
        status: 403,
    };
    let theirs = Load {
        addr: opa.addr,
        requests: Requests::Same(Arc::from(client::post(RULE, "none", &question))),
        status: 200,
        ..ours.clone()
    };
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let (ours, theirs) = (client::run(ours.clone())?, client::run(theirs.clone())?);
        ensure!(
            ours.failed == 0 && theirs.failed == 0,
            "{} of our answers were not 403, {} of theirs not 200",
            ours.failed,
            theirs.failed
        );
        pairs.push((ours.per_second, theirs.per_second));
    }
    Ok(Row::from_pairs(
        "decide_opa",
        "req/s",
        "OPA, the same rules in Rego",
        "> 1",
        &pairs,
    ))
}

/// The key of somebody who may not list plugins.
fn user_key(host: &Host) -> Result<String> {
    let body = json!({ "roles": ["tenant-user"] }).to_string();
    let (status, answer) = client::call(host.addr, &client::post("/v1/keys", &host.key, &body))?;
    ensure!(status == 201, "POST /v1/keys answers {status}");
    let answer: Value = serde_json::from_slice(&answer)?;
    let secret = answer.get("secret").and_then(Value::as_str);
    Ok(secret.context("the answer has no secret")?.to_owned())
}

/// May somebody of this role list the plugins?
fn question(role: &str) -> Value {
    json!({ "input": {
        "principal": {
            "id": "key:load", "tenant": "acme", "account": "acme/web",
            "roles": [role], "proof": "key",
        },
        "action": "listPlugins",
        "resource": { "type": "Host", "id": "host" },
    }})
}

/// Their server; ends with this value.
struct Opa {
    child: Child,
    addr: SocketAddr,
}

impl Opa {
    fn start() -> Result<Self> {
        let addr = free_addr()?;
        let child = Command::new(installed()?)
            .args(["run", "--server", "--log-level", "error"])
            .args(["--disable-telemetry", "--addr", &addr.to_string()])
            .arg(repository().join("benches/opa/holdfast.rego"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("opa does not start")?;
        let opa = Self { child, addr };
        let begin = Instant::now();
        while begin.elapsed() < READY_MAX {
            let health = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
            if let Ok((200, _)) = client::call(addr, health) {
                return Ok(opa);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("opa is not ready after {READY_MAX:?}")
    }

    fn allows(&self, role: &str) -> Result<bool> {
        let question = question(role).to_string();
        let (status, answer) = client::call(self.addr, &client::post(RULE, "none", &question))?;
        ensure!(status == 200, "opa answers {status}");
        let answer: Value = serde_json::from_slice(&answer)?;
        let allowed = answer.get("result").and_then(Value::as_bool);
        allowed.context("opa's answer has no result")
    }
}

impl Drop for Opa {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The program, built if it is not there yet.
fn installed() -> Result<String> {
    let installer = repository().join(".ci/tools/install");
    let said = Command::new(installer).arg("opa").output()?;
    let text = String::from_utf8(said.stdout)?;
    ensure!(said.status.success(), "opa cannot be installed");
    let path = text.trim().strip_prefix("opa ");
    Ok(path.context("the installer names no path")?.to_owned())
}

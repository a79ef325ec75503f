//! The program: `holdfast audit …` beside a host that is killed.

use crate::support::kubo::KuboNode;
use crate::support::process::{Holdfast, Plan, until};
use holdfast_model::Cid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;

/// Nobody answers there.
const NO_KUBO: &str = "http://127.0.0.1:9";

fn holdfast(host: &Holdfast, arguments: &[&str]) -> (i32, String, String) {
    host.run(&[&["audit"], arguments].concat())
}

fn signer(host: &Holdfast) -> String {
    let log = host.log();
    let at = log.find("ed25519:").unwrap();
    log[at..at + "ed25519:".len() + 64].to_owned()
}

fn start() -> Holdfast {
    Holdfast::start_with(Plan {
        kubo_api: NO_KUBO.to_owned(),
        ..Plan::default()
    })
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Four callers make changes until the host dies under them, each by what `change` says of caller
/// and number: method, path, body, and what a good answer is. Answers the bodies that were
/// acknowledged.
fn storm(
    host: &mut Holdfast,
    change: impl Fn(u32, u32) -> (&'static str, String, Value, u16) + Sync,
) -> Vec<Value> {
    let (addr, key) = (host.addr, host.key.clone());
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for caller in 0..4 {
            let (key, acknowledged, change) = (&key, &acknowledged, &change);
            scope.spawn(move || {
                for number in 0_u32.. {
                    let (method, path, body, good) = change(caller, number);
                    match crate::support::process::try_ask(addr, method, &path, key, Some(&body)) {
                        Ok((status, _)) if status == good => {
                            acknowledged.lock().unwrap().push(body);
                        }
                        _ => return,
                    };
                }
            });
        }
        until(
            "some changes",
            || acknowledged.lock().unwrap().len(),
            |count| *count > 25,
        );
        host.kill();
    });
    acknowledged.into_inner().unwrap()
}

fn set_tenant(caller: u32, number: u32) -> (&'static str, String, Value, u16) {
    let path = format!("/v1/tenants/t{caller}-{number}");
    ("PUT", path, json!({"attributes": {}}), 200)
}

fn make_request(caller: u32, number: u32) -> (&'static str, String, Value, u16) {
    let mut bytes = vec![1, 0x55, 0, 8];
    bytes.extend(caller.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    let cid = Cid::from_bytes(&bytes).unwrap().to_string();
    let body = json!({"cid": cid});
    ("POST", "/psa/pins".to_owned(), body, 202)
}

/// What an account does with its pins is in the file before it is answered: no kill takes the line
/// and leaves the pin.
#[test]
fn a_killed_host_has_written_down_what_it_acknowledged() {
    let mut host = start();
    for _ in 0..3 {
        let acknowledged = storm(&mut host, make_request);
        let log = lines(&host.dir().join("data/audit.jsonl"));
        let told: BTreeSet<String> = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["action"] == "createRequest" && line["outcome"] == "allow")
            .map(|line| line["cid"].to_string())
            .collect();
        for body in acknowledged {
            assert!(
                told.contains(&body["cid"].to_string()),
                "nothing tells of {body}"
            );
        }
        host.again();
    }
}

/// Killed again and again in the middle of changes: every one that was acknowledged is in the
/// chains, as intent and as outcome, once; and what was under way is told of.
#[test]
fn a_killed_host_loses_nothing_and_enters_nothing_twice() {
    let mut host = start();
    let mut acknowledged = 0;
    for _ in 0..2 {
        acknowledged += storm(&mut host, set_tenant).len();
        host.again();
    }
    let told = until(
        "all to be in the chains",
        || {
            let (code, out, err) = holdfast(&host, &["export", "--all"]);
            assert_eq!(code, 0, "{err}");
            let events: Vec<Value> = out
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let of = |kind: &'static str| {
                events
                    .iter()
                    .filter(move |event| event["data"]["kind"] == kind)
            };
            let names = |kind| {
                of(kind)
                    .map(|event| event["data"]["intent"].to_string())
                    .collect::<BTreeSet<_>>()
            };
            let ids: BTreeSet<String> =
                events.iter().map(|event| event["id"].to_string()).collect();
            assert_eq!(ids.len(), events.len(), "an event is entered twice");
            let allowed = of("outcome")
                .filter(|event| event["outcome"] == "allow")
                .count();
            (
                names("intent") == names("outcome"),
                allowed,
                of("outcome").count(),
            )
        },
        |(is_closed, allowed, _)| *is_closed && *allowed >= acknowledged,
    );
    assert!(told.2 >= told.1);
    let (code, out, err) = holdfast(&host, &["verify", "--signer", &signer(&host)]);
    assert_eq!(code, 0, "{out}{err}");
}

/// A change that waits for the rest of its body: it is put down as begun by then.
fn begin_change(host: &Holdfast, path: &str, body: &str) -> TcpStream {
    let mut change = TcpStream::connect(host.addr).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        host.key,
        body.len()
    );
    change.write_all(head.as_bytes()).unwrap();
    change
}

/// The second one is turned away before it reads the log: it would close what the first has under
/// way as a change that nobody saw the end of.
#[test]
fn a_second_host_on_the_same_data_leaves_the_log_alone() {
    let mut host = start();
    let log = host.dir().join("data/audit.jsonl");
    let body = json!({"attributes": {}}).to_string();
    let mut change = begin_change(&host, "/v1/tenants/acme", &body);
    let has = |lines: &[String], words: &str| lines.iter().any(|line| line.contains(words));
    let before = until(
        "the change to be begun",
        || lines(&log),
        |lines| has(lines, "/v1/tenants") && has(lines, "the host started"),
    );
    let (code, said) = host.beside();
    assert_eq!(code, Some(1), "{said}");
    for words in ["audit.jsonl.lock", "in use by another process", "stop that"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    assert_eq!(lines(&log), before);
    change.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    change.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Nor does the next start find anything to close.
    assert_eq!(host.stop(), Some(0), "{}", host.log());
    host.again();
    let all = lines(&log);
    let of_change = all.iter().filter(|line| line.contains("/v1/tenants"));
    let told: Vec<_> = of_change
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| (line["kind"].clone(), line["outcome"].clone()))
        .collect();
    let expected = [("intent", "begun"), ("outcome", "allow")];
    assert_eq!(told, expected.map(|(kind, how)| (json!(kind), json!(how))));
}

/// A host whose chain `acme` has something in it, and is signed; the key, the note, an export.
struct Signed {
    host: Holdfast,
    signer: String,
    note: String,
    file: String,
    lines: Vec<String>,
}

impl Signed {
    fn start() -> Self {
        let host = start();
        for _ in 0..20 {
            let key = json!({"account": "acme/web"});
            assert_eq!(host.ask(&host.key, "POST", "/v1/keys", Some(&key)).0, 201);
        }
        until(
            "the keys to be in the chain",
            || holdfast(&host, &["list", "--tenant", "acme", "--json"]).1,
            |out| out.matches("\"createKey\"").count() >= 20,
        );
        let [note, file] = ["note", "acme.jsonl"].map(|name| {
            let path = host.dir().join(name);
            path.to_str().unwrap().to_owned()
        });
        let signing = ["checkpoint", "--tenant", "acme", "--output", &note];
        let (code, out, err) = holdfast(&host, &signing);
        assert_eq!(code, 0, "{err}");
        assert!(out.starts_with("holdfast/audit/acme/0\n"), "{out}");
        let exporting = ["export", "--tenant", "acme", "--output", &file];
        assert_eq!(holdfast(&host, &exporting).0, 0);
        Self {
            signer: signer(&host),
            lines: lines(Path::new(&file)),
            host,
            note,
            file,
        }
    }

    /// What the verifier says to other lines in the export's place: where the first fault is, and
    /// which.
    fn fault(&self, lines: &[String], more: &[&str]) -> Option<(u64, String)> {
        std::fs::write(&self.file, lines.join("\n")).unwrap();
        let mut arguments = vec!["verify", "--json", "--file", &self.file];
        arguments.extend(more);
        let (code, out, err) = holdfast(&self.host, &arguments);
        let report: Value =
            serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        assert_eq!(code == 0, report["ok"] == true, "{out}");
        let fault = &report["faults"][0];
        let seq = fault["seq"].as_u64()?;
        assert_eq!(fault["tenant"], "acme");
        Some((seq, fault["why"].to_string()))
    }
}

#[test]
fn what_was_done_to_an_export_is_found_and_named() {
    let mut signed = Signed::start();
    // The first line is the checkpoint; entry 1 is the second.
    let good = signed.lines.clone();
    assert_eq!(signed.fault(&good, &["--signer", &signed.signer]), None);
    let mut edited = good.clone();
    edited[5] = edited[5].replacen("\"status\":201", "\"status\":403", 1);
    assert_ne!(edited[5], good[5], "{}", good[5]);
    let mut gap = good.clone();
    gap.remove(7);
    let mut moved = good.clone();
    moved.swap(9, 12);
    // Cut off: the checkpoint in the file tells.
    let cut = good[..10].to_vec();
    for (lines, seq, word) in [
        (edited, 5, "edited"),
        (gap, 7, "missing"),
        (moved, 9, "out of order"),
        (cut, 10, "cut off"),
    ] {
        let (at, why) = signed.fault(&lines, &[]).unwrap();
        assert!(at == seq && why.contains(word), "{at}: {why}");
    }
    // Cut off with its checkpoint: one that was kept elsewhere tells.
    let cut = &good[1..10];
    assert_eq!(signed.fault(cut, &[]), None, "nothing shows it by itself");
    let (at, why) = signed.fault(cut, &["--checkpoint", &signed.note]).unwrap();
    assert!(at == 10 && why.contains("cut off"), "{at}: {why}");
    // Another's key.
    let other = format!("ed25519:{}", "0".repeat(64));
    let (_, why) = signed.fault(&good, &["--signer", &other]).unwrap();
    assert!(why.contains("not signed by a key"), "{why}");
    // The host itself, and its store once it is down.
    let key = ["--signer", &signed.signer, "--checkpoint", &signed.note];
    for place in ["--json", "--store"] {
        let mut verify = vec!["verify", place];
        verify.extend(key);
        let (code, out, err) = holdfast(&signed.host, &verify);
        assert!(code == 0 && out.contains("acme"), "{out}{err}");
        if place == "--json" {
            assert_eq!(signed.host.stop(), Some(0));
        }
    }
}

/// More policies that determine one decision than a line names.
fn no_usage() -> String {
    let forbid = |n| {
        let id = format!("@id(\"no-usage-{n:02}\")");
        format!("{id} forbid (principal, action == Action::\"readUsage\", resource);\n")
    };
    (0..40).map(forbid).collect()
}

/// Every decision comes out again as it did, by the policies that made it; and a record that was
/// tampered with does not.
#[test]
fn decisions_are_replayed_from_their_records() {
    let mut host = start();
    let key = json!({"account": "acme/web", "roles": ["tenant-admin"]});
    let (status, made) = host.ask(&host.key, "POST", "/v1/keys", Some(&key));
    assert_eq!(status, 201, "{made}");
    let acme = made["secret"].as_str().unwrap().to_owned();
    let (status, denied) = host.ask(&acme, "GET", "/v1/plugins", None);
    assert_eq!(status, 403);
    let own = json!({"tenant": "acme", "policies": no_usage()});
    assert_eq!(host.ask(&acme, "PUT", "/v1/policies", Some(&own)).0, 200);
    let usage = || host.ask(&acme, "GET", "/v1/usage", None).0;
    until("the tenant's own policies to hold", usage, |status| {
        *status == 403
    });
    let file = host.dir().join("all.jsonl");
    let path = file.to_str().unwrap();
    let export = || {
        assert_eq!(holdfast(&host, &["export", "--all", "--output", path]).0, 0);
        std::fs::read_to_string(&file).unwrap()
    };
    let exported = until("the denial to be in a chain", export, |out| {
        out.contains("no-usage-00")
    });
    let named = exported.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["data"]["determined_by"].as_array().map(Vec::len)
    });
    assert_eq!(named.max(), Some(32), "{exported}");
    let replay = |more: &[&str]| {
        let mut arguments = vec!["replay", "--json", "--file", path];
        arguments.extend(more);
        let (code, out, err) = holdfast(&host, &arguments);
        let report: Value =
            serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        (code, report)
    };
    let (code, report) = replay(&["--all"]);
    assert_eq!((code, &report["decisions"]), (0, &json!([])), "{report}");
    assert!(report["same"].as_u64().unwrap() >= 4, "{report}");
    let id = denied["decision_id"].as_str().unwrap();
    let (code, report) = replay(&[id]);
    let one = &report["decisions"][0];
    assert_eq!(
        (code, &one["result"], &one["is"]),
        (0, &json!("same"), &json!("deny"))
    );
    // Without the policies nothing can be said.
    let (code, report) = replay(&["--all", "--policies", "nowhere"]);
    assert_eq!(
        (code, &report["decisions"][0]["result"]),
        (1, &json!("unknown")),
        "{report}"
    );
    // Somebody makes a denial out of what was allowed.
    let text = std::fs::read_to_string(&file).unwrap();
    let forged = text.replacen("\"decided\":\"allow\"", "\"decided\":\"deny\"", 1);
    std::fs::write(&file, forged).unwrap();
    let (code, report) = replay(&["--all"]);
    assert_eq!(
        (code, &report["decisions"][0]["result"]),
        (1, &json!("different")),
        "{report}"
    );
    assert_eq!(
        holdfast(&host, &["replay", "0", "--file", path]).0,
        1,
        "there is no such decision"
    );
    assert_eq!(host.stop(), Some(0));
}

/// A note on a real node: pinned there, and enough to find out that a chain was cut off.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_pinned_to_ipfs() {
    let kubo = KuboNode::start().await;
    let mut host = Holdfast::start(&kubo.api());
    let (code, out, err) = until(
        "something to sign",
        || {
            holdfast(
                &host,
                &["checkpoint", "--tenant", "@host", "--pin", "--json"],
            )
        },
        |(code, ..)| *code == 0,
    );
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let cid = made["cid"].as_str().unwrap();
    assert_eq!(
        kubo.ipfs_bytes(&["block", "get", cid]),
        made["note"].as_str().unwrap().as_bytes()
    );
    assert!(kubo.has(&holdfast_model::Cid::parse(cid).unwrap(), "recursive"));
    let pins = host.page("/metrics").1;
    assert!(pins.contains("holdfast_audit_checkpoints_total"), "{pins}");
    let put = r#"holdfast_kubo_call_seconds_count{call="block/put",outcome="ok"} 1"#;
    assert!(pins.contains(put), "{pins}");
    let verify = [
        "verify",
        "--tenant",
        "@host",
        "--checkpoint",
        cid,
        "--kubo",
        &kubo.api(),
    ];
    let (code, out, err) = holdfast(&host, &verify);
    assert_eq!(code, 0, "{out}{err}");
    // An older export of the same chain has too little.
    let file = host.dir().join("short.jsonl");
    std::fs::write(&file, "").unwrap();
    let mut short = verify.to_vec();
    short.extend(["--file", file.to_str().unwrap()]);
    let (code, _, err) = holdfast(&host, &short);
    assert!(code == 1 && err.contains("cut off"), "{code} {err}");
    assert_eq!(host.stop(), Some(0));
}

//! Checking, testing, recording and inspecting a component that somebody built.

use super::{ended, plugin, put};
use crate::support::process::component;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::tempdir;

/// A vector for `pricing-tiered` as it comes: a pin costs 100 millionths.
fn pins(count: u64, micros: u64) -> Value {
    let amount = json!({"micros": micros, "currency": "EUR"});
    json!({
        "name": format!("{count} pins"),
        "input": {"account": "acme/web", "meters": [{"measure": "pin", "quantity": count.to_string()}]},
        "output": {"ok": {
            "lines": [{
                "kind": "charge", "item": "pin requests", "unit": "operation",
                "explanation": format!("{count} at 0.000100 EUR each"),
                "quantity": count.to_string(), "amount": amount,
            }],
            "total": amount,
        }},
    })
}

fn vectors(of: &[Value]) -> String {
    json!({"kind": "pricing", "vectors": of}).to_string()
}

#[test]
fn a_good_component_is_told_to_be_good_in_every_respect() {
    let dir = tempdir().unwrap();
    put(dir.path(), "pricing-tiered", "p");
    fs::write(
        dir.path().join("p.toml"),
        "[settings]\nfree_gb_months = 0\n",
    )
    .unwrap();
    fs::write(dir.path().join("p.vectors.json"), vectors(&[pins(3, 300)])).unwrap();
    let checked = plugin(dir.path(), &["check", "p.wasm", "--json"]);
    let report = checked.json();
    assert_eq!(
        (checked.code, &report["good"]),
        (0, &json!(true)),
        "{report}"
    );
    let outcome = |check: &str| {
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["check"] == check);
        found.unwrap_or_else(|| panic!("{check} of {report}"))["outcome"].clone()
    };
    for check in [
        "manifest",
        "component",
        "start",
        "imports",
        "vectors",
        "determinism",
    ] {
        assert_eq!(outcome(check), "good", "{check}: {report}");
    }
    assert_eq!(outcome("signature"), "note");
    let shown = plugin(dir.path(), &["check", "p.wasm"]).good();
    assert!(
        shown.contains("pricing plugin, ") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let inspected = plugin(dir.path(), &["inspect", "p.wasm", "--json"]).json();
    assert_eq!(inspected["kind"], "pricing");
    assert_eq!(inspected["name"], "pricing-tiered");
    assert_eq!(inspected["imports"][0], "holdfast:plugin/types@1.0.0");
    assert!(inspected["init_fuel"].as_u64().unwrap() > 0, "{inspected}");
}

#[test]
fn what_is_wrong_is_named_with_its_mend() {
    let dir = tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    file("script.wasm", b"#!/bin/sh");
    let told = plugin(dir.path(), &["check", "script.wasm"]).failed();
    assert!(told.contains("build for wasm32-wasip2"), "{told}");
    put(dir.path(), "pricing-tiered", "p");
    file("p.toml", b"[setings]");
    let told = plugin(dir.path(), &["check", "p.wasm"]).failed();
    assert!(
        told.contains("p.toml") && told.contains("setings"),
        "{told}"
    );
    file("p.toml", b"[settings]\ncurrency = 'euro'");
    let told = plugin(dir.path(), &["check", "p.wasm"]).failed();
    assert!(told.contains("init: ") && told.contains("EUR"), "{told}");
    file("p.toml", b"[limits]\nwasm_bytes = 1000");
    let told = plugin(dir.path(), &["check", "p.wasm"]).failed();
    assert!(told.contains("may have 1000; build it"), "{told}");
    file("many.wasm", &with_modules(256));
    let told = plugin(dir.path(), &["check", "many.wasm"]).failed();
    assert!(
        told.contains("more than 256 modules and components"),
        "{told}"
    );
    file("p.toml", b"[settings]\ncurrency = 'euro'");
    let told = plugin(dir.path(), &["test", "p.wasm"]).failed();
    assert!(told.contains("plugin record"), "{told}");
    let told = plugin(dir.path(), &["test", "p.toml"]).failed();
    assert!(told.contains("NAME.wasm"), "{told}");
    assert_eq!(plugin(dir.path(), &["tset"]).code, 2);
}

/// A good component with so many empty modules behind it: more than a host compiles.
fn with_modules(count: usize) -> Vec<u8> {
    let mut wasm = fs::read(component("pricing-tiered.wasm")).unwrap();
    let (core_module, bytes) = (1, 8);
    for _ in 0..count {
        wasm.extend([core_module, bytes]);
        wasm.extend(b"\0asm\x01\0\0\0");
    }
    wasm
}

/// Its first answer is always the same; the second one tells what the first has left behind.
#[test]
fn what_remembers_a_call_is_found_out() {
    let dir = tempdir().unwrap();
    put(dir.path(), "hostile-pricing", "p");
    let mut vector = pins(3, 300);
    vector["settings"] = json!({"do": "secret"});
    fs::write(dir.path().join("p.vectors.json"), vectors(&[vector])).unwrap();
    plugin(dir.path(), &["test", "p.wasm", "--write"]).good();
    plugin(dir.path(), &["test", "p.wasm"]).good();
    let told = plugin(dir.path(), &["check", "p.wasm"]).failed();
    assert!(
        told.contains("keep nothing of one call for the next"),
        "{told}"
    );
}

#[test]
fn a_vector_that_does_not_hold_is_told_by_its_place_and_can_be_written_anew() {
    let dir = tempdir().unwrap();
    put(dir.path(), "pricing-tiered", "p");
    let file = dir.path().join("p.vectors.json");
    fs::write(&file, vectors(&[pins(3, 300), pins(4, 500)])).unwrap();
    let told = plugin(dir.path(), &["test", "p.wasm"]).failed();
    assert!(
        told.contains("4 pins: lines[0].amount.micros is 400, and must be 500"),
        "{told}"
    );
    assert!(told.contains("2 vectors, 1 failed"), "{told}");
    let told = plugin(dir.path(), &["check", "p.wasm"]).failed();
    assert!(told.contains("1 of 2 fail"), "{told}");
    let told = plugin(dir.path(), &["test", "p.wasm", "--write"]).good();
    assert!(told.contains("1 of 2 answers"), "{told}");
    let report = plugin(dir.path(), &["test", "p.wasm", "--json"]).json();
    assert_eq!(report["failed"], 0, "{report}");
    assert!(
        report["vectors"][0]["fuel"].as_u64().unwrap() > 0,
        "{report}"
    );
}

#[test]
fn what_an_authorizer_asked_is_recorded_and_replayed() {
    let dir = tempdir().unwrap();
    put(dir.path(), "authorizer-quota", "q");
    let input = json!({
        "action": "create_request", "account": "acme/web", "roles": ["tenant-user"],
        "attributes": {"quota_bytes": "100", "plan": "gold"}, "meta": {"app": "blog"},
        "pinned_bytes": "99", "dag_size": 2, "request_count": 3, "time": 4,
    });
    fs::write(dir.path().join("in.json"), input.to_string()).unwrap();
    let record = |name: &str| {
        let append = [
            "--input",
            "in.json",
            "--name",
            name,
            "--append",
            "q.vectors.json",
        ];
        plugin(dir.path(), &[&["record", "q.wasm"][..], &append].concat())
    };
    record("over the quota").good();
    let written = fs::read_to_string(dir.path().join("q.vectors.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    let vector = &written["vectors"][0];
    assert_eq!(
        vector["output"]["ok"]["deny"]["cause"], "exhausted",
        "{vector}"
    );
    // What it never asked for is not there: nobody need wonder whether it matters.
    assert_eq!(vector["input"]["attributes"], json!({"quota_bytes": "100"}));
    assert!(vector["input"].get("meta").is_none() && vector["input"].get("time").is_none());
    plugin(dir.path(), &["test", "q.wasm"]).good();
    assert!(record("over the quota").failed().contains("already"));
    let unknown = input.to_string().replace("dag_size", "dagsize");
    fs::write(dir.path().join("in.json"), unknown).unwrap();
    assert!(record("another").failed().contains("dagsize"));
}

#[test]
fn what_misbehaves_ends_and_is_told() {
    let dir = tempdir().unwrap();
    put(dir.path(), "hostile-pricing", "h");
    for (deed, said) in [
        ("loop", "used up its fuel"),
        ("trap", "trapped"),
        ("stack", "overflowed its stack"),
        ("memory", "memory_bytes"),
        ("wrong-sum", "the lines sum up to"),
    ] {
        let vector = json!({
            "name": deed, "settings": {"do": deed}, "output": {"error": {"other": ""}},
            "input": {"account": "acme/web", "meters": []},
        });
        fs::write(dir.path().join("h.vectors.json"), vectors(&[vector])).unwrap();
        let told = plugin(dir.path(), &["test", "h.wasm"]).failed();
        assert!(told.contains(said), "{deed}: {told}");
    }
}

#[test]
fn what_a_job_sends_is_answered_by_what_was_recorded() {
    let dir = tempdir().unwrap();
    for name in ["payment-webhook", "config-env-overlay", "config-guard"] {
        put(dir.path(), name, name);
        let vectors = format!("{name}.vectors.json");
        fs::copy(
            crate::support::plugins::dist().join(&vectors),
            dir.path().join(&vectors),
        )
        .unwrap();
        let report = plugin(dir.path(), &["test", &format!("{name}.wasm"), "--json"]).json();
        let proofs = report["vectors"].as_array().unwrap();
        assert!(report["failed"] == 0 && proofs.len() > 1, "{report}");
        assert!(
            proofs.iter().any(|proof| proof["fuel"].as_u64() > Some(0)),
            "{report}"
        );
        let checked = plugin(dir.path(), &["check", &format!("{name}.wasm"), "--json"]).json();
        let checks = checked["checks"].as_array().unwrap();
        let determinism = checks.iter().find(|one| one["check"] == "determinism");
        assert_eq!(determinism.unwrap()["outcome"], "good", "{checked}");
    }
    let file = dir.path().join("payment-webhook.vectors.json");
    let good = fs::read_to_string(&file).unwrap();
    for (from, to, said) in [
        ("\"status\": 200", "\"status\": 402", "must be"),
        (
            "\"method\": \"POST\"",
            "\"method\": \"PUT\"",
            "was recorded",
        ),
    ] {
        fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let told = plugin(dir.path(), &["test", "payment-webhook.wasm"]).failed();
        assert!(told.contains(said), "{told}");
    }
}

/// Somebody who collects one invoice: the port, and what was asked there.
fn pays_once() -> (u16, Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, asked) = channel();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut bytes = [0; 4_096];
        // The body is JSON, sent whole: it ends with a brace.
        while !asked.ends_with(b"}") && !asked.ends_with(b"0\r\n\r\n") {
            let read = stream.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "the request broke off");
            asked.extend(&bytes[..read]);
        }
        let body = r#"{"reference": "r-9"}"#;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        told.send(String::from_utf8(asked).unwrap()).unwrap();
    });
    (port, asked)
}

#[test]
fn what_a_job_hears_is_recorded_and_answers_again() {
    let dir = tempdir().unwrap();
    let vectors =
        fs::read_to_string(crate::support::plugins::dist().join("payment-webhook.vectors.json"));
    let vectors: Value = serde_json::from_str(&vectors.unwrap()).unwrap();
    put(dir.path(), "payment-webhook", "pay");
    let (port, asked) = pays_once();
    let manifest = format!(
        "[settings]\nurl = \"http://127.0.0.1:{port}/pay\"\n[[egress]]\nscheme = \"http\"\n\
         host = \"127.0.0.1\"\nport = {port}\nmethods = [\"POST\"]\npath_prefix = \"/pay\"\n\
         allow_private = [\"127.0.0.1\"]\nsecrets = {{ authorization = \"Bearer {{env:PAY_KEY}}\" }}\n"
    );
    fs::write(dir.path().join("pay.toml"), manifest).unwrap();
    let input = vectors["vectors"].as_array().unwrap().iter();
    let input = input
        .map(|vector| &vector["input"])
        .find(|input| input.is_object())
        .unwrap();
    fs::write(dir.path().join("in.json"), input.to_string()).unwrap();
    let recorded = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .current_dir(dir.path())
        .env_clear()
        .env("PAY_KEY", "s3cret-key")
        .args([
            "plugin", "record", "pay.wasm", "--input", "in.json", "--name", "paid",
        ])
        .args(["--append", "pay.vectors.json"])
        .output();
    let shown = ended(recorded.unwrap()).good();
    let asked = asked.recv_timeout(Duration::from_secs(60));
    let asked = asked.unwrap_or_else(|_| panic!("nobody was called: {shown}"));
    let asked = asked.to_ascii_lowercase();
    assert!(
        asked.contains("authorization: bearer s3cret-key"),
        "{asked}"
    );
    let written = fs::read_to_string(dir.path().join("pay.vectors.json")).unwrap();
    // The secret went out, and is not written down.
    assert!(
        !written.to_ascii_lowercase().contains("bearer"),
        "{written}"
    );
    let written: Value = serde_json::from_str(&written).unwrap();
    let vector = &written["vectors"][0];
    assert_eq!(
        vector["output"]["ok"]["collected"]["reference"], "r-9",
        "{vector}"
    );
    assert_eq!(
        vector["exchanges"][0]["request"]["method"], "POST",
        "{vector}"
    );
    // Nobody listens any more: what was recorded answers.
    plugin(dir.path(), &["test", "pay.wasm"]).good();
}

#[test]
fn calls_are_timed_on_the_serving_path() {
    let dir = tempdir().unwrap();
    put(dir.path(), "pricing-tiered", "p");
    fs::write(dir.path().join("p.vectors.json"), vectors(&[pins(3, 300)])).unwrap();
    let bench = ["bench", "p.wasm", "--calls", "200"];
    let report = plugin(dir.path(), &[&bench[..], &["--json"]].concat()).json();
    let input = &report["inputs"][0];
    let quantile = |name: &str| input["nanos"][name].as_u64().unwrap();
    assert!(
        quantile("p50") > 0 && quantile("p50") <= quantile("p99"),
        "{report}"
    );
    assert!(quantile("p99") <= quantile("max"), "{report}");
    let histogram = input["histogram"].as_object().unwrap();
    let calls: u64 = histogram
        .values()
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!((calls, &input["name"]), (200, &json!("3 pins")));
    assert!(input["fuel"].as_u64().unwrap() > 0, "{report}");
    let shown = plugin(dir.path(), &bench).good();
    assert!(shown.contains("P99.9") && shown.contains('#'), "{shown}");
    put(dir.path(), "authorizer-quota", "q");
    let vector = json!({"kind": "authorizer", "vectors": [{
        "name": "reads", "input": {"action": "list_requests"}, "output": {"ok": "allow"},
    }]});
    fs::write(dir.path().join("q.vectors.json"), vector.to_string()).unwrap();
    plugin(dir.path(), &["bench", "q.wasm", "--calls", "10"]).good();
}

#[test]
fn jobs_are_timed_with_what_was_recorded() {
    let dir = tempdir().unwrap();
    for (component, name) in [
        ("payment-webhook", "pay"),
        ("config-env-overlay", "overlay"),
    ] {
        put(dir.path(), component, name);
        let shipped = crate::support::plugins::dist().join(format!("{component}.vectors.json"));
        let vectors = format!("{name}.vectors.json");
        fs::copy(shipped, dir.path().join(&vectors)).unwrap();
        let bench = ["bench", &format!("{name}.wasm"), "--calls", "5"];
        let report = plugin(dir.path(), &[&bench[..], &["--json"]].concat()).json();
        let inputs = report["inputs"].as_array().unwrap();
        assert!(!inputs.is_empty(), "{report}");
        for input in inputs {
            let is_whole = input["fuel"].as_u64() > Some(0)
                && input["nanos"]["p50"].as_u64() > Some(0)
                && input["nanos"]["p50"].as_u64() <= input["nanos"]["max"].as_u64();
            assert!(is_whole, "{input}");
        }
        // Those that end in an error are no calls that anybody waits for.
        let text = fs::read_to_string(dir.path().join(&vectors)).unwrap();
        let mut written: Value = serde_json::from_str(&text).unwrap();
        let all = written["vectors"].as_array_mut().unwrap();
        let good = all
            .iter()
            .filter(|vector| vector["output"]["ok"] != Value::Null);
        assert_eq!(inputs.len(), good.count());
        // One that does not hold is no measurement of anything.
        let called = all
            .iter_mut()
            .find(|vector| vector["output"]["ok"] != Value::Null)
            .unwrap();
        called["output"] = json!({"ok": "never"});
        fs::write(dir.path().join(&vectors), written.to_string()).unwrap();
        let told = plugin(dir.path(), &bench).failed();
        assert!(told.contains("`holdfast plugin test"), "{told}");
    }
}

#[test]
fn a_plugin_is_put_into_a_folder_whole() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    put(from.path(), "pricing-tiered", "p");
    fs::write(from.path().join("p.vectors.json"), vectors(&[pins(3, 300)])).unwrap();
    let folder = to.path().to_str().unwrap();
    fs::write(to.path().join("price.toml"), "[settings]\n").unwrap();
    fs::write(to.path().join("price.sig"), "of the one before").unwrap();
    let install = ["install", "p.wasm", "--name", "price", "--dir", folder];
    plugin(from.path(), &install).good();
    let mut names: Vec<_> = fs::read_dir(to.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // The operator's settings stay; what spoke of the component before is gone.
    assert_eq!(names, ["price.toml", "price.vectors.json", "price.wasm"]);
    fs::write(from.path().join("p.wasm"), "no component").unwrap();
    plugin(from.path(), &install).failed();
    let told = plugin(from.path(), &["install", "p.wasm", "--dir", "nowhere"]).failed();
    assert!(told.contains("plugins.dir"), "{told}");
}

#[test]
fn the_hostile_kit_is_held() {
    let dir = tempdir().unwrap();
    let kit = crate::support::plugins::dist().to_str().unwrap();
    let attack = ["attack", "--kit", kit, "--only", "a trap in"];
    let report = plugin(dir.path(), &[&attack[..], &["--json"]].concat()).json();
    assert_eq!(report["broken"], 0, "{report}");
    assert!(report["attacks"].as_array().unwrap().len() > 1, "{report}");
    let told = plugin(
        dir.path(),
        &["attack", "--kit", kit, "--only", "no such case"],
    )
    .failed();
    assert!(told.contains("no such case"), "{told}");
    let told = plugin(dir.path(), &["attack", "--kit", "nowhere"]).failed();
    assert!(told.contains("plugins/build"), "{told}");
}

//! The program as people run it.

use super::host::settings;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const KEY: &str = "0123456789abcdefghijklmnopqrstuv";

/// The program with a clean environment, in a folder of its own.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command
        .current_dir(dir)
        .env_clear()
        .env("RUST_BACKTRACE", "0");
    command
}

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = program(dir).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn exit_codes_tell_good_from_bad_from_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = run(dir.path(), &["config", "check"]);
    assert_eq!((code, out.trim()), (0, "the configuration is good"));
    std::fs::write(
        dir.path().join("holdfast.toml"),
        "[server]\nlisten = 1\nbody = 2\n",
    )
    .unwrap();
    let (code, out, _) = run(dir.path(), &["config", "check"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("holdfast.toml:2  server.listen  1 is no address"),
        "{out}"
    );
    let (code, out, _) = run(dir.path(), &["config", "check", "--json"]);
    let problems: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, problems["problems"].as_array().unwrap().len()),
        (1, 2)
    );
    assert_eq!(problems["problems"][0]["origin"]["line"], 2);
    let (code, _, err) = run(dir.path(), &["serve"]);
    assert_eq!(code, 1);
    assert!(err.contains("server.listen"), "{err}");
    assert_eq!(run(dir.path(), &["config", "chekc"]).0, 2);
    assert_eq!(run(dir.path(), &["key", "list"]).0, 1);
}

/// Certificates and keys of the cluster are read before anybody is connected to.
#[test]
fn files_for_the_cluster_that_are_none_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "no certificate").unwrap();
    let text = "[store]\nkind = 'cql'\n[store.cql]\ncontact_points = ['127.0.0.1']\n\
                local_datacenter = 'dc1'\nreplication = 'dc1:1'\n[store.cql.tls]\n\
                ca = 'text'\ncert = 'nowhere.pem'\nkey = 'nowhere.key'\n";
    std::fs::write(dir.path().join("holdfast.toml"), text).unwrap();
    let (code, out, _) = run(dir.path(), &["config", "check", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    let keys = ["ca", "cert", "key"].map(|key| format!("store.cql.tls.{key}"));
    let problems = told["problems"].as_array().unwrap().iter();
    let named: Vec<_> = problems.map(|one| one["key"].as_str().unwrap()).collect();
    assert_eq!(
        (code, named),
        (1, keys.iter().map(String::as_str).collect())
    );
    assert!(out.contains("nowhere.key"), "{out}");
}

#[test]
fn completions_and_the_reference_are_written() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        run(dir.path(), &["completions", "bash"])
            .1
            .contains("_holdfast")
    );
    assert!(
        run(dir.path(), &["config", "reference"])
            .1
            .contains("[server]")
    );
}

/// A host in a process of its own, ended with the test.
struct Served {
    child: Child,
    url: String,
    lines: BufReader<std::process::ChildStderr>,
}

impl Served {
    fn new(dir: &Path) -> Self {
        let file = settings(dir);
        let text = std::fs::read_to_string(&file).unwrap() + "[log]\nformat = 'json'\n";
        std::fs::write(&file, text).unwrap();
        let mut child = program(dir)
            .arg("serve")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let ready = next(&mut lines, "ready");
        let url = format!("http://{}", ready["listen"].as_str().unwrap());
        Self { child, url, lines }
    }

    fn call(&self, dir: &Path, arguments: &[&str]) -> (i32, String, String) {
        self.call_with(dir, arguments, "")
    }

    /// A call with something at standard input.
    fn call_with(&self, dir: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
        let mut child = program(dir)
            .env("HOLDFAST_URL", &self.url)
            .env("HOLDFAST_KEY", KEY)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who reads nothing may have ended before.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already, which is just as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The next log line with this message. Ends with the log.
fn next(lines: &mut impl BufRead, message: &str) -> Value {
    let mut seen = String::new();
    for line in lines.lines() {
        let line = line.unwrap();
        if let Ok(value) = serde_json::from_str::<Value>(&line)
            && value["message"] == message
        {
            return value;
        }
        seen = seen + &line + "\n";
    }
    panic!("the log ended without {message:?}:\n{seen}");
}

#[test]
fn keys_tenants_and_usage_are_handled_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(dir.path());
    let call = |arguments: &[&str]| {
        let (code, out, err) = served.call(dir.path(), arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        out
    };
    let made = call(&["key", "create", "--label", "ci", "--json"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["key"]["id"].as_str().unwrap();
    assert!(
        made["secret"]
            .as_str()
            .unwrap()
            .starts_with(&format!("hf_{id}_"))
    );
    let listed = call(&["key", "list"]);
    assert!(
        listed.contains(id) && listed.contains("bootstrap"),
        "{listed}"
    );
    assert!(call(&["key", "revoke", id]).contains("revoked"));
    let set = call(&["tenant", "set", "acme", "plan=pro", "quota_bytes=10"]);
    assert!(set.contains("plan") && set.contains("pro"), "{set}");
    call(&["tenant", "set", "acme", "plan="]);
    let shown = call(&["tenant", "show", "acme"]);
    assert!(
        shown.contains("quota_bytes") && !shown.contains("plan"),
        "{shown}"
    );
    assert!(call(&["usage"]).contains("byte-seconds"));
    assert!(call(&["plugin", "list"]).contains("KIND"));
    let (code, _, err) = served.call(dir.path(), &["quote"]);
    assert_eq!(code, 1, "no pricing component is there");
    assert!(err.contains("pricing"), "{err}");
    let (code, _, err) = served.call(dir.path(), &["key", "revoke", "absent"]);
    assert!(code == 1 && !err.is_empty());
}

#[test]
fn a_key_is_rotated_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(dir.path());
    let json = |arguments: &[&str]| -> Value {
        let (code, out, err) = served.call(dir.path(), arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap()
    };
    let old = json(&[
        "key", "create", "--label", "ci", "--scope", "pinning", "--json",
    ]);
    let id = old["key"]["id"].as_str().unwrap();
    let new = json(&["key", "rotate", id, "--overlap", "2", "--json"]);
    assert_ne!(new["secret"], old["secret"]);
    assert_eq!(new["key"]["scopes"], old["key"]["scopes"]);
    let listed = json(&["key", "list", "--json"]);
    let row = |of: &Value| {
        let rows = listed.as_array().unwrap();
        rows.iter()
            .find(|row| row["id"] == of["key"]["id"])
            .unwrap()
            .clone()
    };
    assert_eq!(row(&old)["successor"], new["key"]["id"]);
    assert!(row(&old)["expires"].as_str().unwrap() < row(&new)["expires"].as_str().unwrap());
    let fails = |arguments: &[&str], words: &str| {
        let (code, out, err) = served.call(dir.path(), arguments);
        assert!(
            code == 1 && err.contains(words),
            "{arguments:?}: {out}{err}"
        );
    };
    let next = new["key"]["id"].as_str().unwrap();
    fails(&["key", "rotate", id], next);
    fails(&["key", "rotate", next, "--overlap", "721"], "overlap");
    let (code, out, _) = served.call(dir.path(), &["key", "rotate", next]);
    assert!(code == 0 && out.contains("shown this once"), "{out}");
}

#[test]
fn users_are_looked_after_from_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::new(dir.path());
    let told = |arguments: &[&str], input: &str, wanted: i32| {
        let (code, out, err) = served.call_with(dir.path(), arguments, input);
        assert_eq!(code, wanted, "{arguments:?}: {out}{err}");
        out + &err
    };
    let call = |arguments: &[&str], input: &str| told(arguments, input, 0);
    let add = ["user", "add", "alice", "--role", "tenant-admin"];
    assert!(told(&add, "", 1).contains("standard input"));
    assert!(told(&add, "short\n", 1).contains("password"));
    assert!(call(&add, "correct horse battery\n").contains("alice is made"));
    assert!(told(&add, "correct horse battery\n", 1).contains("alice"));
    let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    call(
        &["user", "add", "robot", "--no-password", "--login", did],
        "",
    );
    let listed = call(&["user", "list"], "");
    assert!(
        listed.contains("default/alice") && listed.contains(did),
        "{listed}"
    );
    assert!(call(&["user", "disable", "alice"], "").contains("kept out"));
    let row = |name: &str| {
        let all: Value = serde_json::from_str(&call(&["user", "list", "--json"], "")).unwrap();
        let rows = all.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).cloned()
    };
    assert_eq!(row("alice").unwrap()["disabled"], true);
    assert!(call(&["user", "enable", "alice"], "").contains("may log in"));
    assert_eq!(row("alice").unwrap()["disabled"], false);
    assert!(call(&["user", "password", "alice"], "another long one\r\n").contains("sessions end"));
    assert!(call(&["user", "unlock", "alice"], "").contains("at once"));
    assert!(call(&["user", "delete", "robot"], "").contains("is gone"));
    assert_eq!(row("robot"), None);
    assert!(told(&["user", "unlock", "nobody"], "", 1).contains("not"));
}

#[test]
fn signals_reload_and_stop() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::new(dir.path());
    served.signal("-HUP");
    next(&mut served.lines, "configuration read again");
    served.signal("-TERM");
    next(&mut served.lines, "stopping");
    assert!(served.child.wait().unwrap().success());
}

//! What is secret stands in no log, no error, no metric and no audit line.

use crate::support::process::{Holdfast, Plan};
use serde_json::{Value, json};

const PASSWORD: &str = "swordfish-and-nothing-else";
const SECRET: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";
const WRONG: &str = "hf_000000000000_wrongwrongwrongwrongwrongwrongwrongwrongwrongAAAA";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V2aWwifQ.c2lnbmF0dXJl";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_told_anywhere() {
    let host = Holdfast::start_with(Plan {
        // Nobody is there; nothing is pinned here.
        kubo_api: "http://127.0.0.1:9".to_owned(),
        variables: vec![
            ("HOLDFAST_LOG__LEVEL".to_owned(), "trace".to_owned()),
            ("HOLDFAST_AUTH__SECRET".to_owned(), SECRET.to_owned()),
        ],
        ..Plan::default()
    });
    let admin = host.key.clone();
    let mut told = String::new();
    let mut ask = |key: &str, method: &str, path: &str, body: Option<Value>| {
        let (status, answer) = host.ask(key, method, path, body.as_ref());
        // What a key or a session is answered with is meant for its holder.
        if status != 201 {
            told += &answer.to_string();
        }
        (status, answer)
    };
    let user = json!({ "name": "alice", "password": PASSWORD });
    assert_eq!(ask(&admin, "POST", "/v1/users", Some(user)).0, 201);
    let (status, made) = ask(&admin, "POST", "/v1/keys", Some(json!({})));
    assert_eq!(status, 201, "{made}");
    let key = made["secret"].as_str().unwrap().to_owned();
    let login = json!({ "user": "default/alice", "password": PASSWORD });
    let (status, session) = ask("", "POST", "/v1/login", Some(login));
    assert_eq!(status, 201, "{session}");
    let session = session["token"].as_str().unwrap().to_owned();
    let guess = json!({ "user": "default/alice", "password": format!("{PASSWORD}!") });
    assert_eq!(ask("", "POST", "/v1/login", Some(guess)).0, 401);
    let short = json!({ "name": "bob", "password": "sword-fish" });
    assert_eq!(ask(&admin, "POST", "/v1/users", Some(short)).0, 400);
    for token in [key.as_str(), &session] {
        assert_eq!(ask(token, "GET", "/v1/whoami", None).0, 200);
    }
    let cut = &session[..session.len() - 3];
    for token in [WRONG, TOKEN, cut, "purposefully-invalid-token"] {
        assert_eq!(ask(token, "GET", "/v1/whoami", None).0, 401);
    }
    let (_, metrics) = host.page("/metrics");
    let audit = std::fs::read_to_string(host.dir().join("data/audit.jsonl")).unwrap();
    let places = [
        ("an answer", told),
        ("the log", host.log()),
        ("the audit log", audit),
        ("the metrics", metrics),
    ];
    let secrets = [
        PASSWORD,
        SECRET,
        &key[16..],
        cut,
        &WRONG[16..],
        TOKEN,
        &admin,
        "sword-fish",
    ];
    for (place, text) in &places {
        assert!(!text.is_empty(), "{place} is empty");
        for secret in secrets {
            assert!(!text.contains(secret), "{secret:.12}… stands in {place}");
        }
        assert!(
            !text.contains("argon2id"),
            "a password's hash stands in {place}"
        );
    }
}

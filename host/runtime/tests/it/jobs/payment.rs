//! The shipped webhook, collecting from somebody who does not always play along.

use super::collector::{Answer, Collector};
use super::{Leads, Yard, refusal, vectors};
use crate::house::invoice;
use holdfast_runtime::{CollectError, Progress, Step};
use std::fs;
use std::time::{Duration, Instant};

pub(super) const WEBHOOK: &str = "payment-webhook";

fn progress(attempt: u32, memo: &str) -> Progress {
    Progress {
        attempt,
        memo: memo.into(),
        ..crate::house::progress()
    }
}

/// A manifest that sends invoices to a host, and grants just that.
pub(super) fn manifest(host: &str, port: u16, more: &str) -> String {
    format!(
        "[settings]\nurl = \"http://{host}:{port}/pay\"\ntimeout_ms = 400\n{more}\n\
         [[egress]]\nscheme = \"http\"\nhost = \"{host}\"\nport = {port}\nmethods = [\"POST\"]\n\
         path_prefix = \"/pay\"\nallow_private = [\"127.0.0.1\"]\n\
         secrets = {{ authorization = \"Bearer {{env:PAY_KEY}}\" }}\n"
    )
}

pub(super) const KEY: &[(&str, &str)] = &[("PAY_KEY", "s3cret-key")];

pub(super) fn webhook(collector: &Collector) -> Yard {
    let yard = Yard::new(KEY);
    let info = yard.install(WEBHOOK, &manifest("127.0.0.1", collector.port, ""));
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    yard
}

pub(super) async fn collect(yard: &Yard) -> Result<Step, CollectError> {
    yard.plugins
        .collect(WEBHOOK, &invoice(), &progress(1, ""))
        .await
}

#[tokio::test]
async fn an_invoice_is_collected_with_a_secret_that_the_plugin_never_sees() {
    let paid = Answer::Status("200 OK", "", r#"{"reference": "r-17"}"#);
    let collector = Collector::new(&[paid]);
    let yard = webhook(&collector);
    assert_eq!(yard.plugins.collectors(), [WEBHOOK]);
    let Step::Collected(receipt) = collect(&yard).await.unwrap() else {
        panic!("not collected");
    };
    assert_eq!(
        (receipt.reference.as_str(), receipt.amount),
        ("r-17", invoice().total)
    );
    let (head, body) = collector.asked().remove(0);
    assert!(head.starts_with("post /pay http/1.1\r\n"), "{head}");
    assert!(
        head.contains("authorization: bearer s3cret-key\r\n"),
        "{head}"
    );
    assert!(
        head.contains("idempotency-key: key-2026-01-acme\r\n"),
        "{head}"
    );
    assert!(
        body.contains("2026-01-acme") && body.contains("12500000"),
        "{body}"
    );
}

#[tokio::test]
async fn each_answer_is_a_step_or_an_error() {
    let collector = Collector::new(&[
        Answer::Status(
            "202 Accepted",
            "",
            r#"{"memo": "m-1", "again_after_ms": 5000, "message": "soon"}"#,
        ),
        Answer::Status("200 OK", "", "{}"),
        Answer::Status("402 Payment Required", "", r#"{"message": "no card"}"#),
        Answer::Status("429 Too Many Requests", "retry-after: 7\r\n", ""),
        Answer::Status("503 Service Unavailable", "", ""),
        Answer::Status("422 Unprocessable", "", r#"{"message": "no customer"}"#),
        Answer::Status("401 Unauthorized", "", ""),
        Answer::Status(
            "302 Found",
            "location: http://169.254.169.254/latest\r\n",
            "",
        ),
    ]);
    let yard = webhook(&collector);
    let Step::Pending {
        memo,
        again_after,
        message,
    } = collect(&yard).await.unwrap()
    else {
        panic!("not pending");
    };
    assert_eq!((memo.as_str(), message.as_str()), ("m-1", "soon"));
    assert_eq!(again_after, Duration::from_secs(5));
    // What it remembered comes along the next time, in another instance.
    let second = yard
        .plugins
        .collect(WEBHOOK, &invoice(), &progress(2, "m-1"))
        .await;
    assert!(matches!(second, Ok(Step::Collected(_))), "{second:?}");
    assert!(collector.asked()[1].1.contains("m-1"));
    assert_eq!(
        collect(&yard).await.unwrap(),
        Step::Declined("no card".into())
    );
    let answer = collect(&yard).await.unwrap_err();
    let seven = Some(Duration::from_secs(7));
    assert!(
        matches!(answer, CollectError::Unavailable { retry_after } if retry_after == seven),
        "{answer:?}"
    );
    let answer = collect(&yard).await.unwrap_err();
    assert!(
        matches!(answer, CollectError::Unavailable { retry_after: None }),
        "{answer:?}"
    );
    let answer = collect(&yard).await.unwrap_err();
    assert!(matches!(&answer, CollectError::InvalidInvoice(why) if why.contains("no customer")));
    for _ in ["turned down", "sent elsewhere"] {
        let answer = collect(&yard).await.unwrap_err();
        assert!(matches!(answer, CollectError::Refused(_)), "{answer:?}");
    }
    assert_eq!(collector.asked().len(), 8, "a redirect was followed");
}

#[tokio::test]
async fn a_collector_that_does_not_play_along_costs_one_attempt() {
    for answer in [Answer::Silence, Answer::Endless] {
        let good = Answer::Status("200 OK", "", "{}");
        let collector = Collector::new(&[answer, good]);
        let yard = webhook(&collector);
        let start = Instant::now();
        let failed = collect(&yard).await.unwrap_err();
        assert!(!matches!(failed, CollectError::Plugin(_)), "{failed:?}");
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "{:?}",
            start.elapsed()
        );
        assert!(matches!(collect(&yard).await, Ok(Step::Collected(_))));
    }
}

#[tokio::test]
async fn an_answer_that_trickles_ends_with_the_time_of_the_job() {
    let collector = Collector::new(&[Answer::Slow]);
    let yard = Yard::new(KEY);
    let limits = "[limits]\nwall_ms = 900\n";
    let manifest = format!("{}{limits}", manifest("127.0.0.1", collector.port, ""));
    assert_eq!(yard.install(WEBHOOK, &manifest).state, "live");
    let failed = collect(&yard).await.unwrap_err();
    assert!(matches!(&failed, CollectError::Plugin(_)), "{failed:?}");
    assert!(failed.to_string().contains("wall_ms"), "{failed}");
}

#[tokio::test]
async fn a_job_has_only_so_much_processor_time_and_memory() {
    let collector = Collector::new(&[Answer::Status("200 OK", "", "{}")]);
    let mut long = invoice();
    let line = long.lines[0].clone();
    long.lines = vec![line; 20_000];
    long.total.micros *= 20_000;
    for (limit, named) in [
        ("cpu_ms = 1", "cpu_ms"),
        ("memory_bytes = 4000000", "memory_bytes"),
    ] {
        let yard = Yard::new(KEY);
        let manifest = manifest("127.0.0.1", collector.port, "");
        let info = yard.install(WEBHOOK, &format!("{manifest}[limits]\n{limit}\n"));
        assert_eq!((info.state.as_str(), info.error), ("live", None));
        let failed = yard
            .plugins
            .collect(WEBHOOK, &long, &progress(1, ""))
            .await
            .unwrap_err();
        assert!(failed.to_string().contains(named), "{failed}");
    }
    assert!(collector.asked().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_called() {
    let collector = Collector::new(&[Answer::Status("200 OK", "", "{}")]);
    for inside in ["169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"] {
        let yard = Yard::resolving(KEY, Some(Leads::to(&[inside])));
        yard.install(WEBHOOK, &manifest("pay.example", collector.port, ""));
        assert!(collect(&yard).await.is_err(), "{inside}");
    }
    assert!(collector.asked().is_empty());
    // The same name, leading where the rule lets it.
    let yard = Yard::resolving(KEY, Some(Leads::to(&["10.0.0.1", "127.0.0.1"])));
    yard.install(WEBHOOK, &manifest("pay.example", collector.port, ""));
    assert!(matches!(collect(&yard).await, Ok(Step::Collected(_))));
}

#[test]
fn what_is_needed_and_not_granted_keeps_it_out() {
    let yard = Yard::new(KEY);
    // Of an address in one's own network no lines are told that would open it.
    let inside = "[settings]\nurl = \"http://127.0.0.1:9/pay\"\n";
    let why = refusal(yard.install(WEBHOOK, inside));
    assert!(why.contains("127.0.0.1 (loopback)"), "{why}");
    assert!(!why.contains("[[egress]]"), "{why}");
    let settings = "[settings]\nurl = \"http://pay.example:9/pay\"\n";
    let why = refusal(yard.install(WEBHOOK, settings));
    for line in [
        "payment-webhook.toml",
        "[[egress]]",
        "scheme = \"http\"",
        "host = \"pay.example\"",
        "port = 9",
        "methods = [\"POST\"]",
        "path_prefix = \"/pay\"",
        "secrets = { \"authorization\" = \"{env:NAME}\" }",
    ] {
        assert!(why.contains(line), "{line} is not in\n{why}");
    }
    // The lines that it tells let it in, once the secret has a name.
    let (_, lines) = why.split_once(":\n").unwrap();
    let granted = format!("{settings}{}", lines.replace("NAME", "PAY_KEY"));
    assert_eq!(yard.install(WEBHOOK, &granted).state, "live");
}

#[test]
fn recorded_exchanges_answer_for_its_vectors() {
    let good = vectors(WEBHOOK);
    for (text, state) in [
        (good.clone(), "live"),
        (
            good.replacen("\"status\": 200", "\"status\": 402", 1),
            "refused",
        ),
        (
            good.replacen("\"method\": \"POST\"", "\"method\": \"PUT\"", 1),
            "refused",
        ),
    ] {
        let yard = Yard::new(KEY);
        fs::write(yard.dir.path().join("payment-webhook.vectors.json"), text).unwrap();
        let info = yard.install(WEBHOOK, &manifest("127.0.0.1", 9, ""));
        assert_eq!(info.state, state, "{:?}", info.error);
    }
}

#[test]
fn a_secret_that_is_not_there_keeps_it_out() {
    let yard = Yard::new(&[]);
    let why = refusal(yard.install(WEBHOOK, &manifest("127.0.0.1", 9, "")));
    assert!(why.contains("PAY_KEY"), "{why}");
}

#[test]
fn settings_and_grants_that_are_wrong_are_named() {
    let yard = Yard::new(KEY);
    for (manifest, named) in [
        (manifest("127.0.0.1", 9, "surprise = 1"), "surprise"),
        (
            manifest("127.0.0.1", 9, "").replace("/pay\"\nallow", "pay\"\nallow"),
            "path_prefix",
        ),
        (
            manifest("127.0.0.1", 9, "").replace("127.0.0.1\"]", "8.8.8.8\"]"),
            "allow_private",
        ),
        (
            manifest("127.0.0.1", 9, "").replace("scheme = \"http\"", "shceme = 1"),
            "shceme",
        ),
        (
            format!(
                "{}[environment]\nallow = [\"X\"]\n",
                manifest("127.0.0.1", 9, "")
            ),
            "environment",
        ),
    ] {
        let why = refusal(yard.install(WEBHOOK, &manifest));
        assert!(why.contains(named), "{named}: {why}");
    }
}

#[tokio::test]
async fn an_invoice_that_does_not_add_up_is_not_handed_on() {
    let collector = Collector::new(&[Answer::Status("200 OK", "", "{}")]);
    let yard = webhook(&collector);
    let mut wrong = invoice();
    wrong.lines.clear();
    let refused = yard
        .plugins
        .collect(WEBHOOK, &wrong, &progress(1, ""))
        .await;
    assert!(
        matches!(refused, Err(CollectError::InvalidInvoice(_))),
        "{refused:?}"
    );
    let absent = yard
        .plugins
        .collect("nobody", &invoice(), &progress(1, ""))
        .await;
    assert!(matches!(absent, Err(CollectError::Plugin(_))), "{absent:?}");
    assert!(collector.asked().is_empty());
}

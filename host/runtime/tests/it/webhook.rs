//! The shipped payment plugin against a server: what goes out, what comes back, and what it makes
//! of it.

use crate::house::{House, account, usage};
use holdfast_model::usage::Operations;
use holdfast_model::{Currency, Money, UnixMillis};
use holdfast_runtime::{CollectError, Invoice, Progress, QuoteLine, Step};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A server that answers each connection once, in this order, and tells what it was asked.
fn serve(answers: &[&str]) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let thread = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        };
        answers.into_iter().map(answer).collect()
    });
    (port, thread)
}

/// A request to its end, its body of chunks or of the length it tells.
fn request(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map(|length| length.parse::<usize>().unwrap());
            let is_whole = match length {
                Some(length) => body.len() >= length,
                None => body.ends_with("0\r\n\r\n"),
            };
            if is_whole {
                return text;
            }
        }
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the request broke off: {text}");
        bytes.extend(buffer.iter().take(read));
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// The plugin, granted its way to a port of this machine.
fn house(port: u16) -> House {
    let manifest = format!(
        r#"
        [settings]
        url = "http://127.0.0.1:{port}/in"

        [[egress]]
        scheme = "http"
        host = "127.0.0.1"
        port = {port}
        methods = ["POST"]
        path_prefix = "/in"
        allow_private = ["127.0.0.0/8"]
        secrets = {{ authorization = "Bearer {{env:TOKEN}}" }}
        "#
    );
    let house = House::in_environment(&[("TOKEN", "hush-hush")]);
    let info = house.install("payment-webhook", "webhook", &manifest);
    assert_eq!((info.state.as_str(), info.error), ("live", None));
    house
}

/// An invoice whose JSON is longer than what one write takes.
fn invoice() -> Invoice {
    let money = |micros| Money {
        micros,
        currency: Currency::parse("EUR").unwrap(),
    };
    let line = |number: i64| QuoteLine {
        item: format!("storage {number}"),
        explanation: "as it was agreed ".repeat(20),
        quantity: u128::MAX,
        unit: "byte-second".into(),
        amount: money(number),
    };
    Invoice {
        id: "inv-1".into(),
        account: account(),
        attributes: BTreeMap::from([("customer".to_owned(), "C-17".to_owned())]),
        period: usage(0, Operations::default()).period,
        lines: (1..=100).map(line).collect(),
        total: money(5_050),
        due: UnixMillis::new(3),
    }
}

fn collect(house: &House, attempt: u32, memo: &str) -> Result<Step, CollectError> {
    let progress = Progress {
        attempt,
        idempotency_key: "inv-1-key".into(),
        memo: memo.into(),
        time: UnixMillis::new(2),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(house.plugins.collect("webhook", &invoice(), &progress))
}

#[test]
fn an_invoice_is_posted_until_it_is_paid() {
    let pending = answer(
        "202 Accepted",
        "",
        r#"{"memo": "sepa-7", "again_after_ms": 5000, "message": "at the bank"}"#,
    );
    let paid = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
                e\r\n{\"reference\": \r\n7\r\n\"ch-1\"}\r\n0\r\n\r\n";
    let (port, server) = serve(&[&pending, paid]);
    let house = house(port);
    let Step::Pending {
        memo,
        again_after,
        message,
    } = collect(&house, 1, "").unwrap()
    else {
        panic!("not pending");
    };
    assert_eq!((memo.as_str(), again_after.as_secs()), ("sepa-7", 5));
    assert_eq!(message, "at the bank");
    let Step::Collected(receipt) = collect(&house, 2, &memo).unwrap() else {
        panic!("not collected");
    };
    assert_eq!(
        (receipt.reference.as_str(), receipt.amount),
        ("ch-1", invoice().total)
    );
    let asked = server.join().unwrap();
    for request in &asked {
        assert!(request.starts_with("POST /in HTTP/1.1\r\n"), "{request}");
        for part in [
            "idempotency-key: inv-1-key\r\n",
            "authorization: Bearer hush-hush\r\n",
            "content-type: application/json\r\n",
            "\"customer\":\"C-17\"",
            "storage 100",
            "340282366920938463463374607431768211455",
        ] {
            assert!(request.contains(part), "{part} is not in {request}");
        }
    }
    assert!(asked[1].contains("\"memo\":\"sepa-7\"") && asked[1].contains("\"attempt\":2"));
}

#[test]
fn what_the_server_refuses_is_told_apart() {
    let busy = answer("429 Too Many Requests", "retry-after: 7\r\n", "");
    let declined = answer(
        "402 Payment Required",
        "",
        r#"{"message": "the card has expired"}"#,
    );
    let moved = answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
    let flood = answer("200 OK", "", &"x".repeat(300 * 1_024));
    let (port, server) = serve(&[&busy, &declined, &moved, &flood]);
    let house = house(port);
    match collect(&house, 1, "") {
        Err(CollectError::Unavailable { retry_after }) => {
            assert_eq!(retry_after.unwrap().as_secs(), 7);
        }
        other => panic!("{other:?}"),
    }
    match collect(&house, 2, "") {
        Ok(Step::Declined(why)) => assert_eq!(why, "the card has expired"),
        other => panic!("{other:?}"),
    }
    match collect(&house, 3, "") {
        Err(CollectError::Refused(why)) => assert!(why.contains("302"), "{why}"),
        other => panic!("{other:?}"),
    }
    match collect(&house, 4, "") {
        Err(CollectError::Other(why)) => assert!(why.contains("too large"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(server.join().unwrap().len(), 4);
    // Nobody is there any more.
    match collect(&house, 5, "") {
        Err(CollectError::Unavailable { retry_after: None }) => {}
        other => panic!("{other:?}"),
    }
}

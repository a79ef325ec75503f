//! One pin at a time, under conditions.

use super::{Node, cid, named, path, pin, version};
use holdfast_model::Pin;
use serde_json::{Value, json};

#[tokio::test]
async fn conditions_hold_on_each_store() {
    for node in Node::each().await {
        conditions_hold(&node).await;
    }
}

/// Reads, puts and deletes, and what each condition makes of them.
pub(super) async fn conditions_hold(node: &Node) {
    let at = path(&cid(1));
    let missing = node.call("GET", &at, &[], "").await;
    assert_eq!(missing.with(404)["code"], "NOT_FOUND");
    assert_eq!(node.call("HEAD", &at, &[], "").await.status, 404);
    let first = node
        .put_if(&named(1, "first"), &[("if-none-match", "*")])
        .await;
    assert_eq!(first.status, 204);
    let first = format!("\"{}\"", version(&first));
    let again = node
        .put_if(&named(1, "again"), &[("if-none-match", "*")])
        .await;
    assert_eq!(again.with(412)["code"], "VERSION_CHANGED");
    let second = node
        .put_if(&named(1, "second"), &[("if-match", &first)])
        .await;
    assert_eq!(second.status, 204);
    let lost = node
        .put_if(&named(1, "lost"), &[("if-match", &first)])
        .await;
    assert_eq!(lost.with(412)["status"], 412);

    let read = node.call("GET", &at, &[], "").await;
    assert_eq!(version(&read), version(&second));
    let body = read.with(200);
    assert_eq!(body["version"], version(&second));
    let told: Pin = serde_json::from_value(body).unwrap();
    assert_eq!(told, named(1, "second"));
    let tag = read.headers["etag"].to_str().unwrap();
    let known = node.call("GET", &at, &[("if-none-match", tag)], "").await;
    assert_eq!((known.status.as_u16(), known.body.len()), (304, 0));
    let head = node.call("HEAD", &at, &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));

    let early = node.call("DELETE", &at, &[("if-match", &first)], "").await;
    early.with(412);
    let gone = node.call("DELETE", &at, &[("if-match", tag)], "").await;
    assert_eq!(gone.status, 204);
    node.call("GET", &at, &[], "").await.with(404);
    assert_eq!(node.call("DELETE", &at, &[], "").await.status, 204);
    // A version does not come back with a pin that does.
    assert!(node.put(&pin(1)).await > version(&second));
}

#[tokio::test]
async fn protobuf_goes_in_and_comes_out_byte_for_byte() {
    let node = Node::start().await;
    let bytes = named(7, "bytes").to_proto();
    let headers = [("content-type", "application/x-protobuf")];
    let put = node
        .call("PUT", &path(&cid(7)), &headers, bytes.clone())
        .await;
    assert_eq!(put.status, 204);
    let headers = [("accept", "application/x-protobuf")];
    let got = node.call("GET", &path(&cid(7)), &headers, "").await;
    assert_eq!(got.headers["content-type"], "application/x-protobuf");
    assert_eq!(got.body, bytes);
}

#[tokio::test]
async fn what_cannot_be_put_is_refused_by_name() {
    let node = Node::start().await;
    let at = path(&cid(1));
    let good = serde_json::to_value(pin(1)).unwrap();
    let with = |key: &str, value: Value| {
        let mut pin = good.clone();
        pin[key] = value;
        pin.to_string()
    };
    let json = ("content-type", "application/json");
    let cases = [
        (with("cid", json!(cid(2).to_string())), "path names"),
        (with("type", json!("zebra")), "zebra"),
        (with("mode", json!("sideways")), "sideways"),
        (with("max_depth", json!("deep")), "max_depth"),
        (with("allocations", json!(["nobody"])), "peer"),
        (with("metadata", json!({"a": 1})), "string"),
        ("{".to_owned(), "EOF"),
    ];
    for (body, word) in cases {
        let shown = body.clone();
        let refused = node.call("PUT", &at, &[json], body).await.with(400);
        let detail = refused["detail"].as_str().unwrap();
        let where_it_is = detail.contains(word) || detail.contains("invalid type");
        assert!(where_it_is, "{shown}: {detail}");
    }
    for header in [
        ("if-match", "12"),
        ("if-match", "*"),
        ("if-none-match", "\"1\""),
    ] {
        node.call("PUT", &at, &[json, header], good.to_string())
            .await
            .with(400);
    }
    let plain = ("content-type", "text/plain");
    node.call("PUT", &at, &[plain], good.to_string())
        .await
        .with(415);
    let other = ("accept", "text/html");
    node.put(&pin(1)).await;
    node.call("GET", &at, &[other], "").await.with(406);
    node.call("GET", "/v1/state/pins/nonsense", &[], "")
        .await
        .with(400);
}

/// A pin of ten MiB is as large as there may be; what is larger is refused, and read no further
/// than it must be.
#[tokio::test]
async fn ten_mebibytes_of_metadata_are_the_bound() {
    const MIB: usize = 1024 * 1024;
    let node = Node::start().await;
    let of = |bytes: usize| {
        let mut pin = pin(1);
        pin.options
            .metadata
            .insert("blob".to_owned(), "x".repeat(bytes));
        pin
    };
    let fits = of(10 * MIB - 1_024);
    let put = node.put(&fits).await;
    let read = node.call("GET", &path(&cid(1)), &[], "").await;
    assert_eq!(version(&read), put);
    let large = node.put_if(&of(10 * MIB + 1), &[]).await.with(400);
    let detail = large["detail"].as_str().unwrap();
    assert!(detail.contains("10485760 at most"), "{detail}");
    let huge = node.put_if(&of(17 * MIB), &[]).await;
    assert_eq!(huge.with(413)["code"], "PAYLOAD_TOO_LARGE");
}

/// Sixteen writers, each adding its own key to what it has read: no update is lost.
#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_pin_lose_no_update() {
    const WRITERS: usize = 16;
    for node in Node::each().await {
        node.put(&pin(1)).await;
        let add = async |writer: usize| {
            loop {
                let read = node.call("GET", &path(&cid(1)), &[], "").await;
                let tag = format!("\"{}\"", version(&read));
                let mut pin: Pin = serde_json::from_value(read.with(200)).unwrap();
                pin.options
                    .metadata
                    .insert(format!("w{writer}"), String::new());
                match node
                    .put_if(&pin, &[("if-match", &tag)])
                    .await
                    .status
                    .as_u16()
                {
                    204 => return,
                    412 => {}
                    other => panic!("{other}"),
                }
            }
        };
        futures_util::future::join_all((0..WRITERS).map(add)).await;
        let read = node.call("GET", &path(&cid(1)), &[], "").await.with(200);
        assert_eq!(read["metadata"].as_object().unwrap().len(), WRITERS);
    }
}

/// What decides is the version that the store gives, not what time a node believes it to be.
#[tokio::test]
async fn clocks_an_hour_apart_change_nothing() {
    let node = Node::start().await;
    let at = |hours: u64, name: &str| {
        let mut pin = named(1, name);
        let millis = 1_700_000_000_000 + hours * 3_600_000;
        pin.timestamp = Some(holdfast_model::UnixMillis::new(millis));
        pin
    };
    let fast = node.put(&at(1, "fast")).await;
    let slow = node.put(&at(0, "slow")).await;
    assert!(slow > fast);
    let read = node.call("GET", &path(&cid(1)), &[], "").await.with(200);
    assert_eq!(read["name"], "slow");
    let tag = format!("\"{fast}\"");
    node.put_if(&at(2, "fast again"), &[("if-match", &tag)])
        .await
        .with(412);
}

//! What `POST /add` tells, and in which form.

use super::Raw;
use super::calls::Scene;
use holdfast_model::Cid;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Content of several blocks, so that there is progress to be told between.
const CONTENT_BYTES: usize = 3_000_000;

/// Uploads one file as a form of one part.
fn add(scene: &Scene, query: &str, content: &[u8]) -> Raw {
    let mut body = b"--frontier\r\ncontent-disposition: form-data; name=\"file\"; \
        filename=\"big.bin\"\r\ncontent-type: application/octet-stream\r\n\r\n"
        .to_vec();
    body.extend(content);
    body.extend(b"\r\n--frontier--\r\n");
    let head = format!(
        "POST /add?{query} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {}\r\ncontent-length: {}\r\n\
         content-type: multipart/form-data; boundary=frontier\r\n\r\n",
        scene.key,
        body.len()
    );
    let mut stream = TcpStream::connect(scene.cluster).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Raw::of(answer)
}

fn cid_of(step: &Value) -> Option<Cid> {
    step["cid"].as_str().map(|text| Cid::parse(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_where_it_is_asked_for() {
    let scene = Scene::start().await;
    let content = vec![7; CONTENT_BYTES];
    let quiet = add(&scene, "", &content);
    assert_eq!((quiet.status, quiet.lines().len()), (200, 1));
    assert_eq!(quiet.header("x-chunked-output"), Some("1"));

    let told = add(&scene, "progress=true", &content);
    assert_eq!(told.trailers, "x-stream-error:");
    let steps = told.lines();
    let (last, before) = steps.split_last().unwrap();
    assert_eq!(cid_of(last), cid_of(&quiet.lines()[0]));
    let bytes: Vec<u64> = before
        .iter()
        .map(|step| {
            assert_eq!((cid_of(step), &step["name"]), (None, &"big.bin".into()));
            step["bytes"].as_u64().unwrap()
        })
        .collect();
    assert!(bytes.len() > 1 && bytes.is_sorted(), "{bytes:?}");
    assert_eq!(bytes.last(), u64::try_from(CONTENT_BYTES).ok().as_ref());
    assert!(is_pinned(&scene, last));
}

/// The pin set has it; the node follows.
fn is_pinned(scene: &Scene, step: &Value) -> bool {
    let path = format!("/v1/state/pins/{}", cid_of(step).unwrap());
    scene.host.ask(&scene.key, "GET", &path, None).0 == 200
}

/// Without a stream the answer is one array once all is well, and an error with its status if not.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_stream_the_answer_is_one_array_or_an_error() {
    let scene = Scene::start().await;
    let content = vec![8; CONTENT_BYTES];
    let whole = add(&scene, "stream-channels=false", &content);
    assert_eq!(
        (whole.status, whole.header("x-chunked-output")),
        (200, None)
    );
    let steps = whole.json();
    let [step] = steps.as_array().unwrap().as_slice() else {
        panic!("{steps}");
    };
    let size = step["size"].as_u64().unwrap();
    assert!(size >= u64::try_from(CONTENT_BYTES).unwrap(), "{step}");
    assert!(is_pinned(&scene, step));
    let told = add(&scene, "stream-channels=false&progress=true", &content).json();
    let told = told.as_array().unwrap();
    assert!(told.len() > 2, "{told:?}");
    assert_eq!(cid_of(told.last().unwrap()), cid_of(step));

    let refused = add(&scene, "stream-channels=false&format=car", b"no archive");
    assert!(refused.status >= 400, "{refused:?}");
    refused.message();
    let broken = add(&scene, "format=car", b"no archive");
    assert_eq!(broken.status, 200, "the head was sent before");
    assert_ne!(broken.trailers, "x-stream-error:", "{broken:?}");
}

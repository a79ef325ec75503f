//! An identity provider that says what a test wants it to.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// A page: its status, a header line if there is one more, and its body.
type Page = (u16, &'static str, String);

/// The provider. It ends with the test.
pub(crate) struct Idp {
    /// Where it is, without a slash at the end.
    pub(crate) url: String,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Idp {
    /// One that has no page yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages: Arc<Mutex<BTreeMap<String, Page>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (served, noted) = (Arc::clone(&pages), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (pages, asked) = (Arc::clone(&served), Arc::clone(&noted));
                tokio::spawn(answer(stream, pages, asked));
            }
        });
        Self {
            url,
            pages,
            asked,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Puts a page.
    pub(crate) fn page(&self, path: &str, status: u16, header: &'static str, body: String) {
        let page = (status, header, body);
        self.pages.lock().insert(path.to_owned(), page);
    }

    /// Puts metadata for an issuer and its key set.
    pub(crate) fn publish(&self, issuer: &str, keys: &Value) {
        let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{}/jwks", self.url) });
        let path = "/.well-known/openid-configuration";
        self.page(path, 200, "", metadata.to_string());
        self.page("/jwks", 200, "cache-control: no-cache", keys.to_string());
    }

    /// How often its key set was asked for.
    pub(crate) fn fetches(&self) -> usize {
        let asked = self.asked.lock();
        asked.iter().filter(|path| *path == "/jwks").count()
    }
}

async fn answer(
    mut stream: TcpStream,
    pages: Arc<Mutex<BTreeMap<String, Page>>>,
    asked: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = pages.lock().get(&path).cloned();
    asked.lock().push(path);
    let (status, header, body) = page.unwrap_or((404, "", String::new()));
    let line = match header {
        "" => String::new(),
        header => format!("{header}\r\n"),
    };
    let text = format!(
        "HTTP/1.1 {status} Said\r\n{line}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

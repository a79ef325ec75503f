//! A way to a node that falls silent on demand: bytes go in and nothing comes back, as from a node
//! that is frozen.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Passes bytes between a client and a node until the client sends certain words.
pub(super) struct Stalling {
    address: SocketAddr,
    words: Arc<Mutex<Option<String>>>,
    _tasks: JoinSet<()>,
}

impl Stalling {
    pub(super) async fn before(node: &str) -> Self {
        let node = match node.contains(':') {
            true => node.to_owned(),
            false => format!("{node}:9042"),
        };
        // On the node's own address: to a node itself the driver connects at the address that the
        // node says it has, with the port of the contact point.
        let node: SocketAddr = node.parse().unwrap();
        let listener = TcpListener::bind((node.ip(), 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let words = Arc::new(Mutex::new(None));
        let mut tasks = JoinSet::new();
        let of_task = Arc::clone(&words);
        tasks.spawn(async move {
            let mut passed = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(node).await.unwrap();
                passed.spawn(pass(client, server, Arc::clone(&of_task)));
            }
        });
        Self {
            address,
            words,
            _tasks: tasks,
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From when the client next sends these words on, its connection gets no answers.
    pub(super) fn stall_on(&self, words: &str) {
        *self.words.lock().unwrap() = Some(words.to_owned());
    }
}

async fn pass(client: TcpStream, server: TcpStream, words: Arc<Mutex<Option<String>>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let answers = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
        // Kept open: a closed connection would be an answer.
        std::future::pending::<()>().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
        let sent = String::from_utf8_lossy(&buffer[..read]).into_owned();
        let stall = words.lock().unwrap().clone();
        if stall.is_some_and(|words| sent.contains(&words)) {
            std::future::pending::<()>().await;
        }
        if to_server.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    answers.abort();
}

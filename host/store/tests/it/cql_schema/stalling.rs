//! A way to a node that fails on demand: it falls silent, as a node does that is frozen, or loses
//! the answer to one request, which the node has carried out.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A frame's header: native protocol v4, section 2.
const HEADER: usize = 9;

/// Passes frames between a client and a node until the client sends certain words.
pub(super) struct Stalling {
    address: SocketAddr,
    does: Arc<Mutex<Does>>,
    _tasks: JoinSet<()>,
}

/// What is done about requests with certain words.
#[derive(Debug, Clone, Default)]
enum Does {
    #[default]
    Nothing,
    /// They are not passed, nor anything after them on their connection.
    Stall(String),
    /// They are passed, and the first answer is not. How often they were sent.
    Lose(String, usize),
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
        let does = Arc::new(Mutex::new(Does::default()));
        let mut tasks = JoinSet::new();
        let of_task = Arc::clone(&does);
        tasks.spawn(async move {
            let mut passed = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(node).await.unwrap();
                passed.spawn(pass(client, server, Arc::clone(&of_task)));
            }
        });
        Self {
            address,
            does,
            _tasks: tasks,
        }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// From when the client next sends these words on, its connection gets no answers.
    pub(super) fn stall_on(&self, words: &str) {
        *self.does.lock().unwrap() = Does::Stall(words.to_owned());
    }

    /// The answer to the first request with these words is lost.
    pub(super) fn lose_answer_to(&self, words: &str) {
        *self.does.lock().unwrap() = Does::Lose(words.to_owned(), 0);
    }

    /// How often a request was sent whose answer was to be lost.
    pub(super) fn lost(&self) -> usize {
        match *self.does.lock().unwrap() {
            Does::Lose(_, sent) => sent,
            _ => 0,
        }
    }
}

async fn pass(client: TcpStream, server: TcpStream, does: Arc<Mutex<Does>>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let lost = Arc::new(Mutex::new(None));
    let answers = tokio::spawn(answer(from_server, to_client, Arc::clone(&lost)));
    while let Some(frame) = next(&mut from_client).await {
        let sent = String::from_utf8_lossy(&frame).into_owned();
        let is_stalled = match &mut *does.lock().unwrap() {
            Does::Stall(words) => sent.contains(words.as_str()),
            Does::Lose(words, times) if sent.contains(words.as_str()) => {
                if *times == 0 {
                    *lost.lock().unwrap() = Some([frame[2], frame[3]]);
                }
                *times += 1;
                false
            }
            Does::Lose(..) | Does::Nothing => false,
        };
        if is_stalled {
            std::future::pending::<()>().await;
        }
        if to_server.write_all(&frame).await.is_err() {
            break;
        }
    }
    answers.abort();
}

/// Passes answers, but for the next one on a stream that was told.
async fn answer(
    mut from_server: OwnedReadHalf,
    mut to_client: OwnedWriteHalf,
    lost: Arc<Mutex<Option<[u8; 2]>>>,
) {
    while let Some(frame) = next(&mut from_server).await {
        let is_lost = lost
            .lock()
            .unwrap()
            .take_if(|stream| frame[2..4] == *stream);
        if is_lost.is_none() && to_client.write_all(&frame).await.is_err() {
            break;
        }
    }
    // Kept open: a closed connection would be an answer.
    std::future::pending::<()>().await;
}

/// The next frame; none when the connection ends.
async fn next(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; HEADER];
    from.read_exact(&mut frame).await.ok()?;
    let length = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    frame.resize(HEADER + length as usize, 0);
    from.read_exact(&mut frame[HEADER..]).await.ok()?;
    Some(frame)
}

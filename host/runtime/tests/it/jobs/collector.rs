//! Somebody who collects invoices over HTTP, as a test tells.

use parking_lot::{Condvar, Mutex};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// What is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// A status line's end, headers and a body.
    Status(&'static str, &'static str, &'static str),
    /// A status line's end, headers and bytes.
    Bytes(&'static str, &'static str, Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// A head, and then a body without end.
    Endless,
    /// A head, and then the body byte by byte, too slowly.
    Slow,
    /// Good, once the gate is open.
    Behind(Arc<Gate>),
}

/// Holds answers back until it is open.
#[derive(Default)]
pub(super) struct Gate {
    is_open: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    pub(super) fn set(&self, is_open: bool) {
        *self.is_open.lock() = is_open;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut is_open = self.is_open.lock();
        while !*is_open {
            self.moved.wait(&mut is_open);
        }
    }
}

/// A request: its head in lower case, and its body.
pub(super) type Asked = (String, String);

/// The collector.
pub(super) struct Collector {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Collector {
    /// Answers the first request by the first answer and so on; the last one stays.
    pub(super) fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answers) = (Arc::clone(&asked), answers.to_vec());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let answer = answers.get(number).or(answers.last()).cloned().unwrap();
                let seen = Arc::clone(&seen);
                // A client that goes away is no failure of the collector's.
                std::thread::spawn(move || serve(stream.unwrap(), &answer, &seen).ok());
            }
        });
        Self { port, asked }
    }

    /// What it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, seen: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let asked = read(&mut stream)?;
    seen.lock().push(asked);
    match answer {
        Answer::Status(status, headers, body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            )
        }
        Answer::Bytes(status, headers, body) => {
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n"
            )?;
            stream.write_all(body)
        }
        Answer::Behind(gate) => {
            gate.pass();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        }
        // The client goes away at last, and then there is nothing more to read.
        Answer::Silence => stream.read(&mut [0]).map(|_| ()),
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            // In pieces so large that to take them apart is not what takes the time.
            let piece = format!("400\r\n{}\r\n", "x".repeat(0x400));
            loop {
                stream.write_all(piece.as_bytes())?;
            }
        }
        Answer::Slow => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")?;
            loop {
                stream.write_all(b"{")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        bytes.extend(byte);
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let mut body = Vec::new();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    match length {
        Some(length) => {
            body.resize(length.trim().parse().unwrap(), 0);
            stream.read_exact(&mut body)?;
        }
        None if head.contains("transfer-encoding: chunked") => loop {
            let mut size = Vec::new();
            while !size.ends_with(b"\r\n") {
                stream.read_exact(&mut byte)?;
                size.extend(byte);
            }
            let size = String::from_utf8(size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk)?;
            chunk.truncate(size);
            body.extend(&chunk);
            if size == 0 {
                break;
            }
        },
        None => {}
    }
    Ok((head, String::from_utf8(body).unwrap()))
}

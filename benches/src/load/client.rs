//! A closed-loop HTTP/1.1 client that costs as little as it can, so that the server is what is
//! measured: requests are rendered beforehand, answers are only cut apart.

use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are read at once; answers here are far smaller.
const READ_BYTES: usize = 16 * 1024;

/// What is sent: the same bytes each time, or bytes made from a running number.
#[derive(Clone)]
pub(crate) enum Requests {
    Same(Arc<[u8]>),
    Numbered(Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>),
}

/// One load: whom, with what, over how many connections, for how long.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) addr: SocketAddr,
    pub(crate) requests: Requests,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    /// The status that every answer must have.
    pub(crate) status: u16,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) per_second: f64,
    pub(crate) failed: u32,
    /// What each answer took, right or wrong, in microseconds.
    pub(crate) micros: Vec<f64>,
}

/// Runs a load on its own thread's runtime.
pub(crate) fn run(load: Load) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(drive(load))
}

async fn drive(load: Load) -> Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let end = begin + load.duration;
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| tokio::spawn(connection(load.clone(), Arc::clone(&next), end)))
        .collect();
    let mut all = Outcome::default();
    for task in tasks {
        let (micros, failed) = task.await??;
        all.micros.extend(micros);
        all.failed += failed;
    }
    let answered = u32::try_from(all.micros.len())?;
    #[expect(clippy::float_arithmetic, reason = "a rate for people, no money")]
    let per_second = f64::from(answered) / begin.elapsed().as_secs_f64();
    Ok(Outcome { per_second, ..all })
}

/// Asks until the end: what each answer took, and how many were wrong.
async fn connection(load: Load, next: Arc<AtomicU64>, end: Instant) -> Result<(Vec<f64>, u32)> {
    let mut stream = connect(load.addr).await?;
    let mut buffer = Vec::with_capacity(READ_BYTES);
    let (mut micros, mut wrong) = (Vec::new(), 0);
    let mut asked = Instant::now();
    while asked < end {
        match &load.requests {
            Requests::Same(bytes) => stream.write_all(bytes).await?,
            Requests::Numbered(make) => {
                stream
                    .write_all(&make(next.fetch_add(1, Ordering::Relaxed)))
                    .await?;
            }
        }
        let answer = read_answer(&mut stream, &mut buffer).await?;
        let answered = Instant::now();
        micros.push(in_micros(answered - asked));
        asked = answered;
        if answer.status != load.status {
            wrong += 1;
        }
        if answer.closes {
            stream = connect(load.addr).await?;
            buffer.clear();
        }
    }
    Ok((micros, wrong))
}

fn in_micros(time: Duration) -> f64 {
    #[expect(clippy::float_arithmetic, reason = "a duration for people, no money")]
    let micros = time.as_secs_f64() * 1e6;
    micros
}

async fn connect(addr: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(addr)
        .await
        .with_context(|| format!("connecting to {addr}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Answer {
    status: u16,
    closes: bool,
}

/// Reads one answer and leaves in `buffer` what came after it.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Answer> {
    loop {
        if let Some((answer, length)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(answer);
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            bail!("the server closed the connection in the middle of an answer");
        }
    }
}

/// The answer at the beginning of `bytes` and how long it is, once it is there whole.
fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>> {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..head_end).unwrap_or_default();
    let status = std::str::from_utf8(head.get(9..12).unwrap_or_default())?.parse()?;
    let mut length = 0;
    let mut closes = false;
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = std::str::from_utf8(value.get(1..).unwrap_or_default())?.trim();
        if name.eq_ignore_ascii_case(b"content-length") {
            length = value.parse()?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            bail!("the server answers in chunks; this client measures plain answers");
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    let whole = head_end + 4 + length;
    Ok((bytes.len() >= whole).then_some((Answer { status, closes }, whole)))
}

/// One request without a body, as bytes.
pub(crate) fn get(path: &str, key: &str) -> Requests {
    let text = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {key}\r\naccept: */*\r\n\r\n"
    );
    Requests::Same(text.into_bytes().into())
}

/// One request with a JSON body, as bytes.
pub(crate) fn post(path: &str, key: &str, body: &str) -> Vec<u8> {
    with_body("POST", path, key, body)
}

/// One request of any method with a JSON body, as bytes.
pub(crate) fn with_body(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends one request and gives back status and body.
pub(crate) fn call(addr: SocketAddr, request: &[u8]) -> Result<(u16, Vec<u8>)> {
    Line::to(addr)?.call(request)
}

/// A connection for one request after the other, made anew when the server has closed it.
pub(crate) struct Line {
    addr: SocketAddr,
    stream: std::net::TcpStream,
    /// What came of the next answer.
    bytes: Vec<u8>,
    closes: bool,
}

impl Line {
    /// Connects.
    pub(crate) fn to(addr: SocketAddr) -> Result<Self> {
        let stream = std::net::TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            addr,
            stream,
            bytes: Vec::new(),
            closes: false,
        })
    }

    /// Sends one request and gives back status and body.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        use std::io::{Read, Write};
        if self.closes {
            *self = Self::to(self.addr)?;
        }
        self.stream.write_all(request)?;
        let mut chunk = [0; READ_BYTES];
        loop {
            if let Some((answer, length)) = parse(&self.bytes)? {
                self.closes = answer.closes;
                let answered: Vec<u8> = self.bytes.drain(..length).collect();
                let body = answered.windows(4).position(|four| four == b"\r\n\r\n");
                let body = answered.get(body.map_or(0, |n| n + 4)..);
                return Ok((answer.status, body.unwrap_or_default().to_vec()));
            }
            let n = self.stream.read(&mut chunk)?;
            if n == 0 {
                let addr = self.addr;
                bail!("{addr} closed the connection before its answer was whole");
            }
            self.bytes
                .extend_from_slice(chunk.get(..n).unwrap_or_default());
        }
    }
}

/// Sends the same request at an even pace over one connection: what each answer took, in
/// microseconds, from when its request was due, so that none hides another.
pub(crate) fn paced(
    addr: SocketAddr,
    request: &[u8],
    pace: Duration,
    stretch: Duration,
) -> Result<Vec<f64>> {
    let mut line = Line::to(addr)?;
    evenly(pace, stretch, || {
        let (status, _) = line.call(request)?;
        if status != 200 || line.closes {
            bail!("{addr} answers {status}, or closes the connection");
        }
        Ok(())
    })
}

/// Calls at an even pace and sleeps between: what each took, in microseconds, from when it was due.
pub(crate) fn evenly(
    pace: Duration,
    stretch: Duration,
    mut call: impl FnMut() -> Result<()>,
) -> Result<Vec<f64>> {
    let mut micros = Vec::new();
    let begin = Instant::now();
    let mut due = begin;
    while begin.elapsed() < stretch {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        call()?;
        micros.push(in_micros(due.elapsed()));
        due += pace;
    }
    Ok(micros)
}

//! Whom hostile plugins call: a server that answers as badly as it can, and a resolver whose names
//! lead astray. Both are this program's own; nothing leaves the machine.
//!
//! What the server does is in the path that it is asked for, and where a name leads is in the name:
//! `kit.json` has both in its addresses, where `{port}` stands for the server's port.

mod bomb;

use crate::egress::{Lookup, Resolve};
use crate::priority::step_back;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Where clouds tell a machine its credentials: no plugin may come here, whatever leads to it.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// For as long as nobody hangs up, a connection is kept open at most: longer than the host waits
/// for anything.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// Bytes of a request's head that are read.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Between two bytes of the slow body: no stall, and nothing that anybody could wait for.
const DRIP: Duration = Duration::from_millis(20);

/// What is sent without end, comes in pieces of so many bytes and with such pauses: a quarter of a
/// gigabit a second, as over a network. Without them one would measure how fast this machine talks
/// to itself.
const PIECE_BYTES: usize = 64 * 1024;
const BREATH: Duration = Duration::from_millis(2);

/// The server and the resolver. The server ends with this.
#[derive(Debug)]
pub struct Outside {
    port: u16,
    names: Arc<Names>,
    is_over: Arc<AtomicBool>,
    door: Option<JoinHandle<()>>,
}

impl Outside {
    /// Starts the server.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn open() -> io::Result<Self> {
        let listener = TcpListener::bind((LOCAL, 0))?;
        let port = listener.local_addr()?.port();
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let door = thread::Builder::new()
            .name("attack-outside".into())
            .spawn(move || let_in(&listener, port, &seen))?;
        Ok(Self {
            port,
            names: Arc::default(),
            is_over,
            door: Some(door),
        })
    }

    /// The port that stands for `{port}` in addresses.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Who looks names up.
    pub(super) fn resolver(&self) -> Arc<dyn Resolve> {
        Arc::clone(&self.names) as Arc<dyn Resolve>
    }

    /// Before a hostile plugin is called: names that change begin anew.
    pub(super) fn begin(&self) {
        self.names.lookups.store(0, Ordering::SeqCst);
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // A last guest, so that the door looks up. Without one it ends with the program.
        let address = SocketAddr::new(LOCAL, self.port);
        if TcpStream::connect(address).is_ok()
            && let Some(door) = self.door.take()
        {
            // A panic of its own has been told of already.
            drop(door.join());
        }
    }
}

/// Where names lead.
#[derive(Debug, Default)]
struct Names {
    lookups: AtomicU64,
}

impl Resolve for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> Lookup<'a> {
        let number = self.lookups.fetch_add(1, Ordering::SeqCst);
        let found = match name {
            "still.example" => Ok(vec![LOCAL]),
            "both.example" => Ok(vec![METADATA, LOCAL]),
            "metadata.example" => Ok(vec![METADATA]),
            "mapped.example" => match METADATA {
                IpAddr::V4(address) => Ok(vec![IpAddr::V6(address.to_ipv6_mapped())]),
                address @ IpAddr::V6(_) => Ok(vec![address]),
            },
            "changing.example" if number.is_multiple_of(2) => Ok(vec![LOCAL]),
            "changing.example" => Ok(vec![METADATA]),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        Box::pin(async move { found })
    }
}

fn let_in(listener: &TcpListener, port: u16, is_over: &Arc<AtomicBool>) {
    // It stands for machines elsewhere: those that are attacked are not to wait for its threads.
    step_back();
    for stream in listener.incoming() {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let is_over = Arc::clone(is_over);
        let served = thread::Builder::new().name("attack-answer".into());
        // Who cannot be served is hung up on, which is bad enough for an answer. And whoever hangs
        // up on the server ends it likewise.
        drop(served.spawn(move || drop(answer(&stream, port, &is_over))));
    }
}

/// Reads a request's head and does what its path says.
fn answer(stream: &TcpStream, port: u16, is_over: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(HOLD_MAX))?;
    stream.set_write_timeout(Some(HOLD_MAX))?;
    let mut head = BufReader::new(io::Read::take(stream, HEAD_BYTES_MAX));
    let mut line = String::new();
    head.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim_end() != "" {
        line.clear();
        head.read_line(&mut line)?;
    }
    let mut out = stream;
    match path.as_str() {
        "/silence" => hang(stream)?,
        "/stall" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nthis far")?;
            hang(stream)?;
        }
        "/drip" => drip(stream, is_over)?,
        "/endless-body" => {
            out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            repeat(stream, &chunk, is_over)?;
        }
        "/endless-head" => {
            out.write_all(b"HTTP/1.1 200 OK\r\n")?;
            repeat(stream, "x-more: and more\r\n", is_over)?;
        }
        "/bomb" => out.write_all(&bomb::answer())?,
        "/redirect" => out.write_all(redirect(&METADATA.to_string(), port).as_bytes())?,
        "/redirect-to-name" => out.write_all(redirect("metadata.example", port).as_bytes())?,
        _ => out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?,
    }
    stream.shutdown(Shutdown::Write)
}

fn redirect(host: &str, port: u16) -> String {
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{host}:{port}/latest/meta-data/\r\n\
         content-length: 0\r\n\r\n"
    )
}

/// Says nothing until the other side has gone.
fn hang(stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut io::Read::take(stream, HEAD_BYTES_MAX), &mut io::sink())?;
    Ok(())
}

/// A byte now and then, without end.
fn drip(mut stream: &TcpStream, is_over: &AtomicBool) -> io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let drops = HOLD_MAX.as_millis() / DRIP.as_millis();
    for _ in 0..drops {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        stream.write_all(b"1\r\nx\r\n")?;
        thread::sleep(DRIP);
    }
    Ok(())
}

/// The same again and again, until the other side has gone.
fn repeat(mut stream: &TcpStream, text: &str, is_over: &AtomicBool) -> io::Result<()> {
    let piece = text.repeat(PIECE_BYTES.div_ceil(text.len().max(1)));
    while !is_over.load(Ordering::SeqCst) {
        stream.write_all(piece.as_bytes())?;
        thread::sleep(BREATH);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{self, Allowance, EgressMetrics, Guard, Owner, Rule, Waits};
    use http_body_util::{BodyExt, Empty};
    use hyper::Request;
    use std::io::Read;

    fn asked(outside: &Outside, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect((LOCAL, outside.port())).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.take(64 * 1024).read_to_end(&mut answer).unwrap();
        answer
    }

    #[test]
    fn paths_say_what_is_answered() {
        let outside = Outside::open().unwrap();
        let text = |path: &str| String::from_utf8_lossy(&asked(&outside, path)).into_owned();
        assert!(text("/").ends_with("\r\n\r\nhello"));
        let to = format!(
            "location: http://169.254.169.254:{}/latest/",
            outside.port()
        );
        assert!(text("/redirect").contains(&to));
        assert_eq!(text("/endless-head").len(), 64 * 1024);
        assert_eq!(text("/endless-body").len(), 64 * 1024);
    }

    /// Asks for the bomb as a plugin would that may fetch so many bytes: what it gets, how that
    /// ends, and what was counted.
    async fn bombed(bytes_max: u64) -> (Vec<u8>, Option<String>, u64) {
        let outside = Outside::open().unwrap();
        let metrics = EgressMetrics::new().unwrap();
        let (resolver, environment) = (Some(outside.resolver()), Arc::default());
        let way = egress::Outside::new(resolver, None, environment, 1, metrics.clone()).unwrap();
        let owner = Owner {
            plugin: "pay".into(),
            generation: 1,
            ring: Arc::default(),
            connections: 1,
            bytes_per_second: 1_000_000,
        };
        let rule = format!(
            "scheme = 'http'\nhost = 'still.example'\nport = {}\nmethods = ['GET']\n\
             allow_private = ['127.0.0.1']",
            outside.port()
        );
        let rule = Rule::parse(&toml::from_str(&rule).unwrap()).unwrap();
        let guard = Guard::new(owner, vec![rule], Arc::new(way));
        let uri = format!("http://still.example:{}/bomb", outside.port());
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get(uri).body(empty).unwrap();
        let allowance = Arc::new(Allowance::new(1, bytes_max));
        let sent = guard.send(request, Waits::MAX, allowance).await;
        let (response, driver) = sent.unwrap();
        let driving = tokio::spawn(driver);
        assert_eq!(response.headers()["content-encoding"], "gzip");
        let (mut body, mut bytes, mut end) = (response.into_body(), Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes.extend(frame.into_data().unwrap()),
                Err(error) => end = Some(error.to_string()),
            }
        }
        driving.abort();
        (bytes, end, metrics.of("pay", 1).received.get())
    }

    #[tokio::test]
    async fn a_bomb_is_handed_on_as_it_came_and_counted_as_it_came() {
        let bomb = bomb::bomb();
        let whole = bomb.len() as u64;
        let (bytes, end, received) = bombed(whole).await;
        assert!(bytes == bomb, "{} bytes came", bytes.len());
        assert_eq!((end, received), (None, whole));
        // One byte less is too much: the plugin gets what came until then, and no more.
        let (bytes, end, received) = bombed(whole - 1).await;
        assert!(bytes.len() < bomb.len() && bomb.starts_with(&bytes));
        assert_eq!(received, bytes.len() as u64);
        let said = format!(
            "more than {} bytes in one call; send and fetch less or raise egress_bytes under \
             [limits]",
            whole - 1
        );
        assert_eq!(end, Some(said));
    }

    #[tokio::test]
    async fn a_name_that_changes_leads_elsewhere_each_time() {
        let outside = Outside::open().unwrap();
        let names = outside.resolver();
        for _ in 0..2 {
            assert_eq!(names.lookup("changing.example").await.unwrap(), [LOCAL]);
            assert_eq!(names.lookup("changing.example").await.unwrap(), [METADATA]);
            outside.begin();
        }
        assert!(names.lookup("elsewhere.example").await.is_err());
    }
}

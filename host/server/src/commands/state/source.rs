//! Pins out of a place, piece by piece.
//!
//! A task or thread of its own reads ahead; a few pieces wait between it and whoever takes them.

mod file;
mod host;

use super::place::{Opened, Place, Reach};
use crate::commands::Failure;
use crate::pins;
use anyhow::{anyhow, bail};
use holdfast_model::pin::PinReader;
use holdfast_model::pin::export::parse_line;
use holdfast_model::{Invalid, Pin};
use holdfast_store::ScanMark;
use serde_json::Value;
use tokio::sync::mpsc;

/// Pins of a piece: several groups of the embedded store's commits.
pub(super) const PIECE_PINS: usize = 4_096;

/// Bytes of a piece that end it sooner: two pins of 10 MiB, and not thousands, make one.
const PIECE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that are kept of what is no pin: enough to know it again, and not all of a line of 20 MiB.
const BAD_BYTES_MAX: usize = 16 * 1024;

/// Pieces that are read ahead.
const PIECES_AHEAD: usize = 2;

/// Some pins, and how far the source is read with them.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) pins: Vec<Pin>,
    /// The line of each pin, or its entry of a snapshot, counted from 1; none of a store's.
    pub(super) lines: Vec<u64>,
    pub(super) bad: Vec<Bad>,
    /// How many bytes they were there.
    bytes: usize,
    /// How many of the pins were of an old form.
    pub(super) old: u64,
    /// Where to go on in a file.
    pub(super) at: Position,
    /// Where to go on in a store or a host, if that can be done behind this piece.
    pub(super) mark: Option<Mark>,
    /// About how many millionths a store or a host has told, as far as it says.
    pub(super) done_millionths: u32,
}

/// Something that is no pin.
#[derive(Debug)]
pub(super) struct Bad {
    /// The line, or the entry of a snapshot, counted from 1.
    pub(super) line: u64,
    pub(super) why: Invalid,
    /// How it begins there.
    pub(super) text: Vec<u8>,
}

/// How far a source is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Position {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

/// How far a store or a host is read. What it has not read holds whatever becomes of it meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Mark {
    Store(ScanMark),
    /// As the host has told it.
    Host(String),
}

/// Where to begin to read a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    /// In a file.
    At(Position),
    Behind(Mark),
}

/// The pieces of a source, in their order. An error is the last.
pub(super) type Pieces = mpsc::Receiver<Result<Piece, Failure>>;

type Sender = mpsc::Sender<Result<Piece, Failure>>;

/// Begins to read a place; `opened` is the store, if it is that.
pub(super) fn open(
    place: &Place,
    reach: &Reach,
    opened: Option<&Opened>,
    start: Start,
) -> Result<Pieces, Failure> {
    let (send, pieces) = mpsc::channel(PIECES_AHEAD);
    match (place, start) {
        (Place::File(path), Start::Beginning) => file::open(path, Position::default(), send)?,
        (Place::File(path), Start::At(position)) => file::open(path, position, send)?,
        (Place::Host(_) | Place::Cluster(_), Start::Beginning) => call(place, reach, None, send),
        (Place::Host(_), Start::Behind(Mark::Host(mark))) => call(place, reach, Some(mark), send),
        (Place::Store, Start::Beginning) => scan(opened, None, send)?,
        (Place::Store, Start::Behind(Mark::Store(mark))) => scan(opened, Some(mark), send)?,
        (_, start) => bail!("{place} cannot be gone on with from {start:?}"),
    }
    Ok(pieces)
}

fn call(place: &Place, reach: &Reach, mark: Option<String>, send: Sender) {
    let (place, reach) = (place.clone(), reach.clone());
    tokio::spawn(async move {
        if let Err(error) = host::read(&place, &reach, mark, &send).await {
            // Whoever took the pieces may have gone.
            let _ = send.send(Err(error)).await;
        }
    });
}

fn scan(opened: Option<&Opened>, mark: Option<ScanMark>, send: Sender) -> Result<(), Failure> {
    let opened = opened.ok_or_else(|| anyhow!("the store is not open"))?;
    let mut scan = pins::state::scan(&opened.store, &opened.may_read, mark)?;
    tokio::spawn(async move {
        while let Some(page) = scan.next().await.transpose() {
            let piece = page.map(|page| Piece {
                pins: page.into_iter().map(|stored| stored.pin).collect(),
                mark: Some(Mark::Store(scan.mark())),
                done_millionths: scan.millionths().unwrap_or_default(),
                ..Piece::default()
            });
            let is_error = piece.is_err();
            let piece = piece.map_err(Failure::from);
            if send.send(piece).await.is_err() || is_error {
                return;
            }
        }
    });
    Ok(())
}

impl Piece {
    /// Takes a line in, whatever it is; `false` if it is empty.
    fn take_line(&mut self, line: &[u8], reader: &mut PinReader) {
        self.at.lines += 1;
        self.bytes += line.len();
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        match reader.line(line) {
            Ok((pin, is_old)) => {
                self.push(pin);
                self.old += u64::from(is_old);
            }
            Err(why) => match several(line) {
                Some(pins) => pins.into_iter().for_each(|pin| self.push(pin)),
                None => self.reject(why, line),
            },
        }
    }

    /// Takes in a pin of the line that was read last.
    fn push(&mut self, pin: Pin) {
        self.pins.push(pin);
        self.lines.push(self.at.lines);
    }

    fn reject(&mut self, why: Invalid, text: &[u8]) {
        let text = text.get(..BAD_BYTES_MAX).unwrap_or(text).to_vec();
        let line = self.at.lines;
        self.bad.push(Bad { line, why, text });
    }

    fn is_full(&self) -> bool {
        self.pins.len() + self.bad.len() >= PIECE_PINS || self.bytes >= PIECE_BYTES
    }

    /// Leaves out what comes after a line.
    pub(super) fn end_with(&mut self, line: u64) {
        let pins = self.lines.partition_point(|one| *one <= line);
        self.lines.truncate(pins);
        self.pins.truncate(pins);
        self.bad.retain(|bad| bad.line <= line);
    }

    /// Gives this piece away and begins the next where it ends.
    fn cut(&mut self) -> Self {
        let next = Self {
            at: self.at,
            done_millionths: self.done_millionths,
            ..Self::default()
        };
        std::mem::replace(self, next)
    }
}

/// Pins that stand on one line: IPFS Cluster's own reader asks for no ends of lines.
fn several(line: &[u8]) -> Option<Vec<Pin>> {
    let values = serde_json::Deserializer::from_slice(line).into_iter::<Value>();
    let read = |value: Result<Value, serde_json::Error>| {
        let line = serde_json::to_vec(&value.ok()?).ok()?;
        parse_line(&line).ok().map(|(pin, _)| pin)
    };
    let pins: Vec<Pin> = values.map(read).collect::<Option<_>>()?;
    (pins.len() > 1).then_some(pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = r#"{"cid":"bafkqaaa","type":"pin","max_depth":-1}"#;

    #[test]
    fn lines_are_counted_and_bad_ones_kept() {
        let (mut piece, mut reader) = (Piece::default(), PinReader::default());
        for line in [
            PIN,
            "",
            "{",
            &format!("{PIN} {PIN}"),
            r#"{"cid":"bafkqaaa","type":2}"#,
        ] {
            piece.take_line(line.as_bytes(), &mut reader);
        }
        assert_eq!(piece.lines, [1, 4, 4, 5]);
        assert_eq!(piece.pins.len(), 4);
        assert_eq!((piece.at.lines, piece.old), (5, 1));
        let bad: Vec<_> = piece
            .bad
            .iter()
            .map(|bad| (bad.line, bad.text.as_slice()))
            .collect();
        assert_eq!(bad, [(3, &b"{"[..])]);
    }

    #[test]
    fn a_piece_of_large_lines_is_full_early() {
        let (mut piece, mut reader) = (Piece::default(), PinReader::default());
        let line = vec![b'x'; PIECE_BYTES / 2];
        piece.take_line(&line, &mut reader);
        assert!(!piece.is_full());
        piece.take_line(&line, &mut reader);
        assert!(piece.is_full());
        assert!(piece.bad.iter().all(|bad| bad.text.len() == BAD_BYTES_MAX));
        piece.cut();
        assert!(!piece.is_full());
    }
}

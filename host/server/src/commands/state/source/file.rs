//! Pins out of a file or a pipe: lines, or a snapshot, whichever it is.

use super::{Piece, Position, Sender};
use crate::commands::Failure;
use anyhow::Context;
use holdfast_model::Invalid;
use holdfast_model::limits::PIN_BYTES_MAX;
use holdfast_model::pin::PinReader;
use holdfast_model::pin::export::{LINE_BYTES_MAX, SNAPSHOT_MARK, read_entry};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes that are read at once.
const READ_BYTES: usize = 1024 * 1024;

/// Begins to read a file from a position on, on a thread of its own.
pub(super) fn open(path: &Path, from: Position, send: Sender) -> Result<(), Failure> {
    let name = path.display().to_string();
    let mut input: Box<dyn Read + Send> = if path.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        let mut file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
        file.seek(SeekFrom::Start(from.bytes))
            .with_context(|| format!("{name} is no file that can be gone on in"))?;
        Box::new(file)
    };
    std::thread::spawn(move || {
        let read = read(&mut input, from, &send);
        if let Err(error) = read.with_context(|| format!("{name} cannot be read")) {
            // Whoever took the pieces may have gone.
            let _ = send.blocking_send(Err(error));
        }
    });
    Ok(())
}

fn read(input: &mut dyn Read, from: Position, send: &Sender) -> io::Result<()> {
    let mut input = BufReader::with_capacity(READ_BYTES, input);
    let piece = Piece {
        at: from,
        ..Piece::default()
    };
    // A snapshot begins with a byte that no line begins with, at each of its entries.
    match input.fill_buf()?.first() {
        Some(&SNAPSHOT_MARK) => snapshot(input, piece, send),
        _ => lines(input, piece, send),
    }
}

fn lines(mut input: impl BufRead, mut piece: Piece, send: &Sender) -> io::Result<()> {
    let (mut line, mut reader) = (Vec::new(), PinReader::default());
    loop {
        line.clear();
        // One byte more than fits: then it is known that there is more.
        let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
        let read = input.by_ref().take(most).read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        piece.at.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        let is_whole = line.last() == Some(&b'\n');
        if line.len() > LINE_BYTES_MAX && !is_whole {
            piece.at.lines += 1;
            let why = format!("is longer than {LINE_BYTES_MAX} bytes");
            piece.reject(Invalid::new("line", why), &[]);
            piece.at.bytes += skip_line(&mut input)?;
        } else {
            piece.take_line(&line, &mut reader);
        }
        if piece.is_full() && send.blocking_send(Ok(piece.cut())).is_err() {
            return Ok(());
        }
    }
    // Nobody takes it: then nobody wants it.
    let _ = send.blocking_send(Ok(piece));
    Ok(())
}

/// Passes over the rest of a line; answers how long it was.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let waiting = input.fill_buf()?;
        let end = waiting.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(waiting.len(), |end| end + 1);
        let is_over = end.is_some() || length == 0;
        input.consume(length);
        skipped += u64::try_from(length).unwrap_or(u64::MAX);
        if is_over {
            return Ok(skipped);
        }
    }
}

fn snapshot(mut input: impl Read, mut piece: Piece, send: &Sender) -> io::Result<()> {
    let mut held: Vec<u8> = Vec::new();
    let mut is_over = false;
    while !is_over {
        let before = held.len();
        let most = u64::try_from(READ_BYTES).unwrap_or(u64::MAX);
        input.by_ref().take(most).read_to_end(&mut held)?;
        is_over = held.len() == before;
        let mut taken = 0;
        loop {
            let rest = held.get(taken..).unwrap_or_default();
            let (entry, length) = match read_entry(rest) {
                Ok(Some(read)) => read,
                Ok(None) => break,
                // Nobody knows where the next entry begins.
                Err(why) => {
                    piece.at.lines += 1;
                    let why = Invalid::new(why.what, format!("{}; the rest is lost", why.why));
                    piece.reject(why, &[]);
                    let _ = send.blocking_send(Ok(piece));
                    return Ok(());
                }
            };
            piece.at.lines += 1;
            match entry {
                Ok(pin) => piece.push(pin),
                Err(why) => piece.reject(why, rest.get(..length).unwrap_or_default()),
            }
            taken += length;
            piece.bytes += length;
            piece.at.bytes += u64::try_from(length).unwrap_or(u64::MAX);
            if piece.is_full() && send.blocking_send(Ok(piece.cut())).is_err() {
                return Ok(());
            }
        }
        held.drain(..taken);
        debug_assert!(held.len() <= PIN_BYTES_MAX + READ_BYTES + 2_048);
    }
    if !held.is_empty() {
        piece.at.lines += 1;
        piece.reject(Invalid::new("entry", "breaks off with the file"), &held);
    }
    let _ = send.blocking_send(Ok(piece));
    Ok(())
}

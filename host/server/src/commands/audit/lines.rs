//! Lines, as they come: of a host's answer, or of a file.

use super::Line;
use crate::commands::Failure;
use anyhow::{Context, anyhow, bail};
use axum::body::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a line: the longest entry is a fraction of it.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are read of a file at once.
const PIECE_BYTES: usize = 64 * 1024;

enum Source {
    Body(Incoming),
    File(Box<dyn Read>),
}

/// Lines, as they come.
pub(super) struct Lines {
    source: Source,
    buffer: BytesMut,
    is_over: bool,
}

impl Lines {
    pub(super) fn of_body(body: Incoming) -> Self {
        Self::of(Source::Body(body))
    }

    /// Of a file, or of what comes through the pipe for `-`.
    pub(super) fn of_file(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::of(Source::File(Box::new(std::io::stdin().lock()))));
        }
        let file = File::open(path);
        let file = file.with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self::of(Source::File(Box::new(file))))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            is_over: false,
        }
    }

    /// The next line that is not empty, without its end.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line = self.buffer.split_to(end + 1);
                line.truncate(end);
                if !line.is_empty() {
                    return Ok(Some(line.freeze()));
                }
                continue;
            }
            if self.is_over {
                let rest = std::mem::take(&mut self.buffer).freeze();
                return Ok(Some(rest).filter(|rest| !rest.is_empty()));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                bail!("a line is longer than {LINE_BYTES_MAX} bytes; this is no export");
            }
            match self.piece().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.is_over = true,
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.source {
            Source::Body(body) => match body.frame().await {
                None => Ok(None),
                Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
                Some(Err(e)) => Err(anyhow!("the stream broke off, so this is not all: {e}")),
            },
            Source::File(file) => {
                let mut piece = vec![0; PIECE_BYTES];
                let read = file.read(&mut piece)?;
                piece.truncate(read);
                Ok(Some(Bytes::from(piece)).filter(|piece| !piece.is_empty()))
            }
        }
    }
}

//! What is done with content: adding it, importing archives, resolving names, collecting garbage.

use super::answer::{Collecting, Filed, Importing, Linked, PutBlock, ResolvedDag, ResolvedName};
use super::call::{Bounds, Lines, Upload};
use super::{Kubo, KuboError};
use axum::body::Bytes;
use axum::http::HeaderValue;
use holdfast_model::Cid;
use http_body_util::{BodyExt, Full};
use std::time::Duration;

/// While content is uploaded the node may be silent for as long as its sender is; who sends bounds
/// that. Afterwards a large directory is written out for minutes.
const ADD: Bounds = Bounds::new(
    Duration::from_secs(10 * 60),
    Duration::from_secs(24 * 3_600),
);

/// A name is looked up in the network: Kubo itself gives up after a minute, callers after half.
const RESOLVE: Bounds = Bounds::new(Duration::from_secs(25), Duration::from_secs(25));

/// Garbage is collected silently until the first block goes, and a full repository takes hours.
const COLLECT: Bounds = Bounds::new(
    Duration::from_secs(30 * 60),
    Duration::from_secs(12 * 3_600),
);

/// Links of one block are read from a node that has it.
const LINKS: Bounds = Bounds::new(Duration::from_secs(20), Duration::from_secs(20));

/// One small block is written to the node's disk.
const BLOCK: Bounds = Bounds::new(Duration::from_secs(20), Duration::from_secs(20));

/// What stands between the parts of a form. A signed note has no line like it.
const BOUNDARY: &str = "holdfast-block-7c1f0d";

/// A step of adding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedFile {
    /// The file's path in what is added; empty for the directory around it all.
    pub name: String,
    /// Its CID, once it has been added.
    pub cid: Option<Cid>,
    /// Bytes taken in so far, on the way.
    pub bytes: u64,
    /// Bytes of its DAG, once it has been added.
    pub size: u64,
}

/// The steps of adding, as they come. Dropped, it ends the call.
#[derive(Debug)]
pub struct AddedFiles(Lines);

impl AddedFiles {
    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// As [`KuboError`] tells; so for every call below.
    pub async fn next(&mut self) -> Result<Option<AddedFile>, KuboError> {
        let Some(line) = self.0.progress::<Filed>().await? else {
            return Ok(None);
        };
        let named = |what: &str| KuboError::protocol("add", format!("{what} cannot be read"));
        let cid = match line.hash.as_deref().filter(|hash| !hash.is_empty()) {
            Some(hash) => Some(Cid::parse(hash).map_err(|_| named(hash))?),
            None => None,
        };
        let size = match line.size.as_deref().filter(|size| !size.is_empty()) {
            Some(size) => size.parse().map_err(|_| named("a size"))?,
            None => 0,
        };
        Ok(Some(AddedFile {
            name: line.name,
            cid,
            bytes: line.bytes,
            size,
        }))
    }
}

/// A step of importing an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// A root that the archive names; it is pinned now.
    Root(Cid),
    /// How much there was: bytes of all blocks.
    Blocks(u64),
}

/// A step of collecting garbage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Collected {
    /// A block that is gone.
    Block(String),
    /// What did not work.
    Failure(String),
}

/// Garbage being collected. Dropped, it ends the call.
#[derive(Debug)]
pub struct Collection(Lines);

impl Collection {
    /// The next step; `None` at the end.
    ///
    /// # Errors
    /// As [`KuboError`] tells.
    pub async fn next(&mut self) -> Result<Option<Collected>, KuboError> {
        let line: Option<Collecting> = self.0.progress().await?;
        Ok(line.map(|line| match (line.key, line.error) {
            (Some(key), None) => Collected::Block(key.cid),
            (_, error) => Collected::Failure(error.unwrap_or_default()),
        }))
    }
}

impl Kubo {
    /// Adds files without pinning them. `options` are those of Kubo's own `add`.
    ///
    /// # Errors
    /// As [`KuboError`] tells; so for every call below.
    pub async fn add(
        &self,
        options: &[(&str, &str)],
        upload: Upload,
    ) -> Result<AddedFiles, KuboError> {
        let mut query = vec![("pin", "false"), ("stream-channels", "true")];
        query.extend(options);
        let lines = self.caller.open("add", &query, ADD, Some(upload)).await?;
        Ok(AddedFiles(lines))
    }

    /// Puts one block of plain bytes and pins it.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub async fn put_block(&self, bytes: &[u8]) -> Result<Cid, KuboError> {
        let query = [
            ("cid-codec", "raw"),
            ("mhtype", "sha2-256"),
            ("pin", "true"),
        ];
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"data\"; filename=\"block\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let upload = Upload {
            content_type: HeaderValue::from_static(concat!(
                "multipart/form-data; boundary=",
                "holdfast-block-7c1f0d"
            )),
            body: Full::new(Bytes::from(body))
                .map_err(|never| match never {})
                .boxed_unsync(),
        };
        let work = async {
            let opened = self.caller.open("block/put", &query, BLOCK, Some(upload));
            let Some(put) = opened.await?.progress::<PutBlock>().await? else {
                return Err(KuboError::protocol("block/put", "the answer is empty"));
            };
            Cid::parse(&put.key).map_err(|e| KuboError::protocol("block/put", e.to_string()))
        };
        self.caller.timed("block/put", work).await
    }

    /// Imports a CAR archive and pins its roots.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub async fn import(&self, upload: Upload) -> Result<Vec<Imported>, KuboError> {
        let query = [("pin-roots", "true"), ("stats", "true")];
        let mut lines = self
            .caller
            .open("dag/import", &query, ADD, Some(upload))
            .await?;
        let mut steps = Vec::new();
        while let Some(line) = lines.progress::<Importing>().await? {
            if let Some(root) = line.root {
                if !root.pin_error_msg.is_empty() {
                    return Err(KuboError::refused("dag/import", &root.pin_error_msg));
                }
                let cid = Cid::parse(&root.cid.cid);
                steps.push(Imported::Root(
                    cid.map_err(|e| KuboError::protocol("dag/import", e.to_string()))?,
                ));
            }
            if let Some(stats) = line.stats {
                steps.push(Imported::Blocks(stats.block_bytes_count));
            }
        }
        Ok(steps)
    }

    /// The CID that a path such as `/ipfs/…/a/b` or `/ipns/…` leads to.
    ///
    /// # Errors
    /// See [`Self::add`]; also if the path ends within a block.
    pub async fn resolve(&self, path: &str) -> Result<Cid, KuboError> {
        let mut path = path.to_owned();
        if path.starts_with("/ipns/") {
            let query = [("arg", &*path), ("recursive", "true")];
            let found: ResolvedName = self.caller.one("resolve", &query, RESOLVE).await?;
            path = found.path;
        }
        let query = [("arg", &*path)];
        let found: ResolvedDag = self.caller.one("dag/resolve", &query, RESOLVE).await?;
        if !found.rem_path.is_empty() {
            let why = format!("{path} leads into a block; only whole blocks can be pinned");
            return Err(KuboError::refused("dag/resolve", &why));
        }
        Cid::parse(&found.cid.cid).map_err(|e| KuboError::protocol("dag/resolve", e.to_string()))
    }

    /// The blocks that a block links to.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub async fn links(&self, cid: &Cid) -> Result<Vec<Cid>, KuboError> {
        let cid = cid.to_string();
        let mut links = Vec::new();
        let each = |line: Linked| {
            links.extend(Cid::parse(&line.reference));
            true
        };
        self.caller
            .lines("refs", &[("arg", &cid)], LINKS, each)
            .await?;
        Ok(links)
    }

    /// Removes blocks that nothing keeps.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub async fn collect_garbage(&self) -> Result<Collection, KuboError> {
        let query = [("stream-errors", "true")];
        let lines = self.caller.open("repo/gc", &query, COLLECT, None).await?;
        Ok(Collection(lines))
    }
}

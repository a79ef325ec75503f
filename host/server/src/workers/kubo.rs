//! A client of Kubo's RPC API (`/api/v0`), with a bound on every wait and every size.
//!
//! What was seen of Kubo 0.39: every call is a POST; a refusal is a 500 with a JSON `Message`;
//! `pin/add?progress=true` writes a line twice a second whether or not a block has come, so that
//! only a growing `Progress` is progress; a stream that fails half-way ends in the trailer
//! `X-Stream-Error`; closing the connection cancels the work behind it.

mod answer;
mod call;
mod content;
mod error;
mod state;

pub use call::{Broken, Content, Upload};
pub use content::{AddedFile, AddedFiles, Collected, Collection, Imported};
pub use error::KuboError;
pub use state::{Bandwidth, Space};

use crate::workers::metrics::KuboMetrics;
use answer::{Added, DagStat, Held, Identity, Stat, Version};
use call::{Bounds, Caller};
use holdfast_model::{Cid, Invalid, Origin, PeerId};
use std::time::Duration;
use tokio::sync::watch;

/// Short calls (`id`, `version`, `pin/ls` of one CID): a node that is alive answers in a blink.
const SHORT: Bounds = Bounds::new(Duration::from_secs(10), Duration::from_secs(10));

/// `pin/rm` waits for Kubo's pin lock, which a garbage collection holds for long.
const REMOVE: Bounds = Bounds::new(Duration::from_secs(120), Duration::from_secs(120));

/// One origin is dialled for so long. Best effort: the content may come from elsewhere.
const CONNECT: Bounds = Bounds::new(Duration::from_secs(15), Duration::from_secs(15));

/// The list of all pins: a line at least this often, the whole within hours.
const LIST: Bounds = Bounds::new(Duration::from_secs(60), Duration::from_secs(4 * 3_600));

/// How deep a pin reaches, as Kubo tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The whole DAG.
    Recursive,
    /// The root block only.
    Direct,
}

impl Depth {
    const fn name(self) -> &'static str {
        match self {
            Self::Recursive => "recursive",
            Self::Direct => "direct",
        }
    }
}

/// How long to wait for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest time without a new block.
    pub stall: Duration,
    /// The longest time for one attempt, however well it goes.
    pub attempt: Duration,
    /// The longest time for walking a DAG that is there, to learn its size.
    pub stat: Duration,
}

/// Who a node says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeId {
    /// Its peer id.
    pub peer: PeerId,
    /// Where it can be reached, each ending in its `/p2p/…`; none while it is offline.
    pub addresses: Vec<Origin>,
    /// Its software, such as `kubo/0.39.0/`.
    pub agent: String,
}

/// One Kubo node's RPC API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kubo {
    caller: Caller,
}

impl Kubo {
    /// A client of the node at `api`: `http://HOST:PORT`, or the multiaddr that Kubo itself writes
    /// into its `api` file. Nothing is sent yet.
    ///
    /// # Errors
    /// An address that is neither.
    pub fn new(api: &str, metrics: KuboMetrics) -> Result<Self, Invalid> {
        Ok(Self {
            caller: Caller::new(api, metrics)?,
        })
    }

    /// Who the node is.
    ///
    /// # Errors
    /// As [`KuboError`] tells; so for every call below.
    pub async fn id(&self) -> Result<NodeId, KuboError> {
        let answer: Identity = self.caller.one("id", &[], SHORT).await?;
        let peer = PeerId::parse(&answer.id)
            .map_err(|e| KuboError::protocol("id", format!("the node's own id: {e}")))?;
        let addresses = answer
            .addresses
            .unwrap_or_default()
            .iter()
            .filter_map(|text| Origin::parse(text).ok())
            .collect();
        Ok(NodeId {
            peer,
            addresses,
            agent: answer.agent_version.unwrap_or_default(),
        })
    }

    /// The node's version, such as `0.39.0`.
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn version(&self) -> Result<String, KuboError> {
        let answer: Version = self.caller.one("version", &[], SHORT).await?;
        Ok(answer.version)
    }

    /// Pins content, fetching what the node does not have. The number of blocks so far goes to
    /// `progress`. Dropping the future cancels the work on the node.
    ///
    /// # Errors
    /// See [`Self::id`]; `Stalled` when no block came for `patience.stall`.
    pub async fn pin_add(
        &self,
        cid: &Cid,
        depth: Depth,
        patience: Patience,
        progress: &watch::Sender<u64>,
    ) -> Result<(), KuboError> {
        let cid = cid.to_string();
        let recursive = (depth == Depth::Recursive).to_string();
        let query = [
            ("arg", &*cid),
            ("recursive", &recursive),
            ("progress", "true"),
        ];
        let bounds = Bounds::new(patience.stall, patience.attempt);
        let mut blocks = 0;
        let mut done = false;
        let each = |line: Added| {
            done |= line.pins.is_some();
            let grew = line.progress > blocks;
            if grew {
                blocks = line.progress;
                progress.send_replace(blocks);
            }
            grew
        };
        self.caller.lines("pin/add", &query, bounds, each).await?;
        if done {
            Ok(())
        } else {
            Err(KuboError::protocol(
                "pin/add",
                "the answer ended before the pin was made",
            ))
        }
    }

    /// Unpins content. What is not pinned is fine.
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn pin_rm(&self, cid: &Cid) -> Result<(), KuboError> {
        let cid = cid.to_string();
        match self.caller.done("pin/rm", &[("arg", &cid)], REMOVE).await {
            // boxo's `pinner.ErrNotPinned`.
            Err(KuboError::Refused { message, .. }) if message.contains("not pinned") => Ok(()),
            other => other,
        }
    }

    /// Whether the node has just this pin (an indirect one does not count).
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn holds(&self, cid: &Cid, depth: Depth) -> Result<bool, KuboError> {
        let cid = cid.to_string();
        let query = [("arg", &*cid), ("type", depth.name())];
        match self.caller.done("pin/ls", &query, SHORT).await {
            Err(KuboError::Refused { message, .. }) if message.contains("is not pinned") => {
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }

    /// Hands every pin of this depth to `each`, in no order. Lines that name no CID that we could
    /// hold are passed over: such a pin is not ours.
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn pins(&self, depth: Depth, mut each: impl FnMut(Cid)) -> Result<(), KuboError> {
        let query = [("type", depth.name()), ("stream", "true")];
        let line = |held: Held| {
            if let Ok(cid) = Cid::parse(&held.cid) {
                each(cid);
            }
            true
        };
        self.caller.lines("pin/ls", &query, LIST, line).await
    }

    /// Bytes of a pin's blocks, each distinct one counted once.
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn size(
        &self,
        cid: &Cid,
        depth: Depth,
        patience: Patience,
    ) -> Result<u64, KuboError> {
        let cid = cid.to_string();
        // Kubo sends nothing, not even a head, before it has walked the DAG.
        let bounds = Bounds::new(patience.stat, patience.stat);
        if depth == Depth::Direct {
            let answer: Stat = self
                .caller
                .one("block/stat", &[("arg", &cid)], bounds)
                .await?;
            return Ok(answer.size);
        }
        let query = [("arg", &*cid), ("progress", "false")];
        match self.caller.one::<DagStat>("dag/stat", &query, bounds).await {
            Ok(answer) => Ok(answer.total_size),
            // For a DAG of no bytes Kubo divides zero by zero and cannot write the ratio.
            Err(KuboError::Refused { message, .. }) if message.contains("value: NaN") => Ok(0),
            Err(other) => Err(other),
        }
    }

    /// Dials a peer that is said to have the content.
    ///
    /// # Errors
    /// See [`Self::id`].
    pub async fn connect(&self, origin: &Origin) -> Result<(), KuboError> {
        let address = origin.to_string();
        self.caller
            .done("swarm/connect", &[("arg", &address)], CONNECT)
            .await
    }
}

//! What the State API's bodies look like, for the document. A test compares the names.

use utoipa::ToSchema;

/// A pin, as IPFS Cluster writes it (`api.Pin`), with its version.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the model writes")]
pub(crate) struct StatePin {
    /// Copies below which the cluster must mend; 0 the cluster's default, -1 on every peer.
    replication_factor_min: i32,
    /// Copies at most.
    replication_factor_max: i32,
    name: String,
    /// `recursive` or `direct`; derived from `max_depth`.
    mode: String,
    shard_size: u64,
    /// Never stored.
    user_allocations: Option<Vec<String>>,
    /// RFC 3339; `0001-01-01T00:00:00Z` is never.
    expire_at: String,
    metadata: Option<std::collections::BTreeMap<String, String>>,
    pin_update: Option<String>,
    origins: Option<Vec<String>>,
    cid: String,
    /// `pin`, `meta-pin`, `clusterdag-pin`, `shard-pin` or `bad-type`.
    #[schema(rename = "type")]
    pin_type: String,
    /// Peers that it is placed on; empty when it is on all.
    allocations: Option<Vec<String>>,
    /// -1 all the way down, 0 the root block only, 1 a shard.
    max_depth: i32,
    reference: Option<String>,
    timestamp: String,
    /// Grows at each change and never comes back; told, and passed over where it is sent.
    version: Option<u64>,
}

/// Messages of protobuf: `api.pb.Pin`, each with its length ahead where there are several.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes bytes")]
pub(crate) struct Protobuf(Vec<u8>);

/// One entry of a batch: a put or a delete.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a batch is read from")]
pub(crate) struct BatchEntry {
    put: Option<StatePin>,
    /// A CID.
    delete: Option<String>,
    /// Only if the pin has this version.
    if_version: Option<u64>,
    /// Only if there is no such pin.
    if_absent: Option<bool>,
}

/// What became of a batch.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a batch answers")]
pub(crate) struct BatchOutcome {
    /// Entries that are durable.
    applied: u64,
    /// The others, in their order.
    failed: Vec<BatchRefusal>,
    /// The feed's head, for who follows it.
    head: u64,
    /// Of each entry in its place, if asked for: the version of a put, 0 of what is no put or was
    /// not applied.
    versions: Option<Vec<u64>>,
}

/// Why an entry was not applied.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what a batch answers")]
pub(crate) struct BatchRefusal {
    /// Its place, counted from 0.
    index: u64,
    cid: Option<String>,
    /// 400 a bad entry, 412 a condition that does not hold, 503 to be tried again.
    status: u16,
    code: String,
    detail: String,
}

/// One change.
#[derive(ToSchema)]
#[schema(as = PinChange)]
#[expect(dead_code, reason = "describes what the feed tells")]
pub(crate) struct Change {
    cursor: u64,
    cid: String,
    /// Of the pin as it is now.
    version: Option<u64>,
    /// The pin as it is now; `null` if it is gone.
    pin: Option<StatePin>,
}

/// A page of changes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what the feed tells")]
pub(crate) struct ChangePage {
    changes: Vec<Change>,
    /// Where to go on.
    cursor: u64,
    /// The newest cursor.
    head: u64,
}

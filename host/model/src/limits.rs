//! Every bound on what a caller may send, each with its reason.

/// Characters of a request's name. The Pinning Service API says `maxLength: 255`.
pub const NAME_CHARS_MAX: usize = 255;

/// Origins of one request. The Pinning Service API says `maxItems: 20`.
pub const ORIGINS_MAX: usize = 20;

/// Pairs in a request's `meta`. The Pinning Service API says `maxProperties: 1000`.
pub const META_PAIRS_MAX: usize = 1_000;

/// Bytes of all keys and values of `meta` together: a row must stay far below what one group commit
/// and one CQL cell carry well.
pub const META_BYTES_MAX: usize = 64 * 1024;

/// Rows of one page. The Pinning Service API says `maximum: 1000`.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Rows of a page when the caller names no limit. The Pinning Service API says `default: 10`.
pub const PAGE_ROWS_DEFAULT: u32 = 10;

/// CIDs in one `cid=` filter. The Pinning Service API says `maxItems: 10`.
pub const FILTER_CIDS_MAX: usize = 10;

/// Characters of a CID's text. The longest we can hold (128 digest bytes, base2 aside) is below it.
pub const CID_CHARS_MAX: usize = 512;

/// Bytes of one multiaddr. libp2p's own hosts refuse longer ones.
pub const MULTIADDR_BYTES_MAX: usize = 1_024;

/// Bytes of a serialized pin. IPFS Cluster cuts its batches at 1 MB; ten such pins make one.
pub const PIN_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Characters of a tenant's or an account's name: it stands in keys, metrics and file names.
pub const ACCOUNT_NAME_CHARS_MAX: usize = 64;

/// Delegates shown with one request. The Pinning Service API says `maxItems: 20`.
pub const DELEGATES_MAX: usize = 20;

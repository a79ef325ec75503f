//! Every statement that the store sends, by name, with what kind of call it is.
//!
//! Tables are written either by conditions only or plainly with explicit timestamps, never both: a
//! conditional write is stamped by its coordinator, and a plain one stamped a little ahead of that
//! would hide it for ever.

use std::borrow::Cow;

/// What a statement does, which decides its consistency, its deadline, whether it may be sent
/// twice, and what an error of it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Reads what has been written.
    Read,
    /// Reads with serial consistency: finishes what a conditional write has begun.
    SerialRead,
    /// Writes plainly, with a timestamp that is bound: may be sent any number of times.
    Write,
    /// Writes if a condition holds: never sent twice without thought.
    Condition,
    /// One page of something long.
    Stream,
}

impl Class {
    /// Its name in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::SerialRead => "serial_read",
            Self::Write => "write",
            Self::Condition => "condition",
            Self::Stream => "stream",
        }
    }
}

macro_rules! statements {
    ($($name:ident $class:ident $label:literal $text:expr;)+) => {
        /// A statement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Statement { $(
            #[doc = $label]
            $name,
        )+ }

        impl Statement {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in metrics and logs.
            pub(crate) const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// What it does.
            pub(crate) const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }

            /// Its text, without the keyspace: the session is in it.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Whether it is sent however many calls there are: by it the others hear that this
            /// process lives, and it hears of them and of the cluster.
            pub(crate) const fn is_vital(self) -> bool {
                matches!(self, Self::WriterBeat | Self::WritersRead | Self::ParamAdd)
            }

            /// Its text for a database. Streams read what is not read again soon: on ScyllaDB they
            /// leave the cache of rows to the others.
            pub(crate) fn text_for(self, is_scylla: bool) -> Cow<'static, str> {
                match (self.class(), is_scylla) {
                    (Class::Stream, true) => format!("{} BYPASS CACHE", self.text()).into(),
                    _ => self.text().into(),
                }
            }
        }
    };
}

statements! {
    // Parameters -------------------------------------------------------------------------------
    //
    ParamRead SerialRead "param_read"
        "SELECT value FROM store_params WHERE name = ?";
    SchemaVersions Read "schema_versions"
        "SELECT version, state FROM schema_migrations WHERE component = ?";
    ParamAdd Condition "param_add"
        "INSERT INTO store_params (name, value) VALUES (?, ?) IF NOT EXISTS";
    //
    // Accounts, intents, requests, usage -------------------------------------------------------
    //
    HeadRead Read "head_read"
        "SELECT version, op, op_slot, queued, pinning, pinned, failed, newest, made, mark \
         FROM accounts WHERE account = ?";
    HeadReadSerial SerialRead "head_read_serial"
        "SELECT version, op, op_slot, queued, pinning, pinned, failed, newest, made, mark \
         FROM accounts WHERE account = ?";
    HeadBegin Condition "head_begin"
        "INSERT INTO accounts (version, op, op_slot, queued, pinning, pinned, failed, newest, \
         made, mark, account) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";
    HeadMove Condition "head_move"
        "UPDATE accounts SET version = ?, op = ?, op_slot = ?, queued = ?, pinning = ?, \
         pinned = ?, failed = ?, newest = ?, made = ?, mark = ? WHERE account = ? \
         IF version = ?";
    AccountsFirst Read "accounts_first"
        "SELECT account, made FROM accounts LIMIT ?";
    AccountsAfter Read "accounts_after"
        "SELECT account, made FROM accounts WHERE token(account) > token(?) LIMIT ?";
    IntentPut Write "intent_put"
        "INSERT INTO intents (slot, shard, op, account, version, body) \
         VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    IntentRead Read "intent_read"
        "SELECT account, version, body FROM intents WHERE slot = ? AND shard = ? AND op = ?";
    IntentsOfShard Read "intents_of_shard"
        "SELECT op, account, version FROM intents WHERE slot = ? AND shard = ? LIMIT ?";
    IntentRemove Write "intent_remove"
        "DELETE FROM intents USING TIMESTAMP ? WHERE slot = ? AND shard = ? AND op = ?";
    IntentSlotPut Write "intent_slot_put"
        "INSERT INTO intent_slots (zero, slot) VALUES (?, ?) USING TIMESTAMP ?";
    IntentSlotsUpto Read "intent_slots_upto"
        "SELECT slot FROM intent_slots WHERE zero = ? AND slot <= ? LIMIT ?";
    IntentSlotRemove Write "intent_slot_remove"
        "DELETE FROM intent_slots USING TIMESTAMP ? WHERE zero = ? AND slot = ?";
    RequestRead Read "request_read"
        "SELECT bucket, body FROM requests WHERE id = ?";
    RequestPut Write "request_put"
        "INSERT INTO requests (id, bucket, body) VALUES (?, ?, ?) USING TIMESTAMP ?";
    RequestRemove Write "request_remove"
        "DELETE FROM requests USING TIMESTAMP ? WHERE id = ?";
    ListingPut Write "listing_put"
        "INSERT INTO requests_by_account (account, bucket, created, id, status, cid, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    ListingRemove Write "listing_remove"
        "DELETE FROM requests_by_account USING TIMESTAMP ? \
         WHERE account = ? AND bucket = ? AND created = ?";
    ListingPage Read "listing_page"
        "SELECT created, id, status, body FROM requests_by_account \
         WHERE account = ? AND bucket = ? AND created < ? AND created > ? LIMIT ?";
    ListingKeys Read "listing_keys"
        "SELECT created, status FROM requests_by_account \
         WHERE account = ? AND bucket = ? AND created < ? AND created > ? LIMIT ?";
    BucketPut Write "bucket_put"
        "INSERT INTO request_buckets (account, first, bucket) VALUES (?, ?, ?) \
         USING TIMESTAMP ?";
    BucketsBefore Read "buckets_before"
        "SELECT first, bucket FROM request_buckets WHERE account = ? AND first < ? LIMIT ?";
    BucketRemove Write "bucket_remove"
        "DELETE FROM request_buckets USING TIMESTAMP ? WHERE account = ? AND first = ?";
    WishPut Write "wish_put"
        "INSERT INTO pin_requests (prefix, cid, account, id) VALUES (?, ?, ?, ?) \
         USING TIMESTAMP ?";
    WishRemove Write "wish_remove"
        "DELETE FROM pin_requests USING TIMESTAMP ? \
         WHERE prefix = ? AND cid = ? AND account = ? AND id = ?";
    WishesOfAccount Read "wishes_of_account"
        "SELECT id FROM pin_requests \
         WHERE prefix = ? AND cid = ? AND account = ? AND id > ? LIMIT ?";
    WishesOfPin Read "wishes_of_pin"
        "SELECT account, id FROM pin_requests \
         WHERE prefix = ? AND cid = ? AND (account, id) > (?, ?) LIMIT ?";
    MarkPut Write "mark_put"
        "INSERT INTO usage_marks (account, slot, at, mark) VALUES (?, ?, ?, ?) \
         USING TIMESTAMP ?";
    MarkBefore Read "mark_before"
        "SELECT mark FROM usage_marks WHERE account = ? AND slot = ? AND at < ? LIMIT 1";
    UsageSlotPut Write "usage_slot_put"
        "INSERT INTO usage_slots (account, slot) VALUES (?, ?) USING TIMESTAMP ?";
    UsageSlotsUpto Read "usage_slots_upto"
        "SELECT slot FROM usage_slots WHERE account = ? AND slot <= ? LIMIT 2";
    //
    // Pins and who wants them ------------------------------------------------------------------
    //
    PinRead Read "pin_read"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE prefix = ? AND cid = ?";
    PinReadForChange Read "pin_read_for_change"
        "SELECT version, op, requests, by_cluster, expires, body, trail FROM pins \
         WHERE prefix = ? AND cid = ?";
    PinReadSerial SerialRead "pin_read_serial"
        "SELECT version, op, requests, by_cluster, expires, body, trail FROM pins \
         WHERE prefix = ? AND cid = ?";
    PinMake Condition "pin_make"
        "UPDATE pins SET version = ?, op = ?, requests = ?, by_cluster = ?, expires = ?, \
         body = ?, trail = ? WHERE prefix = ? AND cid = ? IF version = null";
    PinRevive Condition "pin_revive"
        "UPDATE pins SET version = ?, op = ?, requests = ?, by_cluster = ?, expires = ?, \
         body = ?, trail = ? WHERE prefix = ? AND cid = ? IF version = ?";
    PinCount Condition "pin_count"
        "UPDATE pins SET version = ?, op = ?, requests = ?, trail = ? \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinPut Condition "pin_put"
        "UPDATE pins SET version = ?, op = ?, by_cluster = true, expires = ?, body = ?, \
         trail = ? WHERE prefix = ? AND cid = ? IF version = ?";
    PinUnput Condition "pin_unput"
        "UPDATE pins SET version = ?, op = ?, by_cluster = false, expires = null, \
         trail = ? WHERE prefix = ? AND cid = ? IF version = ?";
    PinAllocate Condition "pin_allocate"
        "UPDATE pins SET version = ?, op = ?, body = ?, trail = ? \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinRemove Condition "pin_remove"
        "UPDATE pins USING TTL ? SET version = ?, op = ?, requests = 0, by_cluster = false, \
         expires = -1, body = ?, trail = ? WHERE prefix = ? AND cid = ? IF version = ?";
    PinsFirst Read "pins_first"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE token(prefix) > ? LIMIT ?";
    PinsRest Read "pins_rest"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE prefix = ? AND cid > ? LIMIT ?";
    PinsBeyond Read "pins_beyond"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE token(prefix) > token(?) LIMIT ?";
    PinsRange Stream "pins_range"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE token(prefix) > ? AND token(prefix) <= ?";
    PinsRangeRest Stream "pins_range_rest"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE prefix = ? AND cid > ?";
    PinsRangeBeyond Stream "pins_range_beyond"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE token(prefix) > token(?) AND token(prefix) <= ?";
    Wanters Read "wanters"
        "SELECT id FROM pin_requests WHERE prefix = ? AND cid = ? LIMIT 1000";
    //
    // Expiry -----------------------------------------------------------------------------------
    //
    ExpiryPut Write "expiry_put"
        "INSERT INTO expiry (kind, slot, shard, at, key) VALUES (?, ?, ?, ?, ?) \
         USING TIMESTAMP ?";
    ExpiryRemove Write "expiry_remove"
        "DELETE FROM expiry USING TIMESTAMP ? \
         WHERE kind = ? AND slot = ? AND shard = ? AND at = ? AND key = ?";
    ExpiryUpto Read "expiry_upto"
        "SELECT at, key FROM expiry WHERE kind = ? AND slot = ? AND shard = ? \
         AND (at, key) > (?, ?) AND (at) <= (?) LIMIT ?";
    ExpirySlotPut Write "expiry_slot_put"
        "INSERT INTO expiry_slots (kind, slot) VALUES (?, ?) USING TIMESTAMP ?";
    ExpirySlotsUpto Read "expiry_slots_upto"
        "SELECT slot FROM expiry_slots WHERE kind = ? AND slot >= ? AND slot <= ? LIMIT ?";
    ExpirySlotRemove Write "expiry_slot_remove"
        "DELETE FROM expiry_slots USING TIMESTAMP ? WHERE kind = ? AND slot = ?";
    //
    // Placements -------------------------------------------------------------------------------
    //
    PlacementRead Read "placement_read"
        "SELECT version, op, body, trail FROM placements \
         WHERE prefix = ? AND cid = ? AND peer = ?";
    PlacementReadSerial SerialRead "placement_read_serial"
        "SELECT version, op, body, trail FROM placements \
         WHERE prefix = ? AND cid = ? AND peer = ?";
    PlacementsOfPin Read "placements_of_pin"
        "SELECT version, op, body FROM placements WHERE prefix = ? AND cid = ?";
    PlacementMake Condition "placement_make"
        "UPDATE placements SET version = ?, op = ?, body = ?, trail = ? \
         WHERE prefix = ? AND cid = ? AND peer = ? IF version = null";
    PlacementPut Condition "placement_put"
        "UPDATE placements SET version = ?, op = ?, body = ?, trail = ? \
         WHERE prefix = ? AND cid = ? AND peer = ? IF version = ?";
    PlacementBury Condition "placement_bury"
        "UPDATE placements USING TTL ? SET version = ?, op = ?, body = null, trail = ? \
         WHERE prefix = ? AND cid = ? AND peer = ? IF version = ?";
    OfPeer Read "of_peer"
        "SELECT body FROM placements_by_peer WHERE peer = ? AND bucket = ? AND cid > ? LIMIT ?";
    OfPeerPut Write "of_peer_put"
        "INSERT INTO placements_by_peer (peer, bucket, cid, body) VALUES (?, ?, ?, ?) \
         USING TIMESTAMP ?";
    OfPeerRemove Write "of_peer_remove"
        "DELETE FROM placements_by_peer USING TIMESTAMP ? \
         WHERE peer = ? AND bucket = ? AND cid = ?";
    Due Read "due"
        "SELECT due, cid, version FROM placements_due WHERE peer = ? AND slot = ? \
         AND (due, cid, version) > (?, ?, ?) AND (due) <= (?) LIMIT ?";
    DuePut Write "due_put"
        "INSERT INTO placements_due (peer, slot, due, cid, version) VALUES (?, ?, ?, ?, ?) \
         USING TIMESTAMP ?";
    DueRemove Write "due_remove"
        "DELETE FROM placements_due USING TIMESTAMP ? \
         WHERE peer = ? AND slot = ? AND due = ? AND cid = ? AND version = ?";
    DueSlots Read "due_slots"
        "SELECT slot FROM due_slots WHERE peer = ? AND slot > ? AND slot <= ? LIMIT ?";
    DueSlotPut Write "due_slot_put"
        "INSERT INTO due_slots (peer, slot) VALUES (?, ?) USING TIMESTAMP ?";
    DueSlotRemove Write "due_slot_remove"
        "DELETE FROM due_slots USING TIMESTAMP ? WHERE peer = ? AND slot = ?";
    //
    //
    // The feed ---------------------------------------------------------------------------------
    //
    FeedAdd Write "feed_add"
        "INSERT INTO change_feed (slot, shard, at, cid) VALUES (?, ?, ?, ?) USING TIMESTAMP ?";
    FeedTake Write "feed_take"
        "DELETE FROM change_feed USING TIMESTAMP ? WHERE slot = ? AND shard = ? AND at = ?";
    FeedPage Read "feed_page"
        "SELECT at, cid FROM change_feed \
         WHERE slot = ? AND shard = ? AND at > ? AND at < ? LIMIT ?";
    FeedGroup Read "feed_group"
        "SELECT at, cid FROM change_feed WHERE slot = ? AND shard = ? AND at = ?";
    FeedNewest Read "feed_newest"
        "SELECT at FROM change_feed WHERE slot = ? AND shard = ? AND at < ? \
         ORDER BY at DESC, cid DESC LIMIT 1";
    FeedTrimUpto Write "feed_trim_upto"
        "DELETE FROM change_feed USING TIMESTAMP ? WHERE slot = ? AND shard = ? AND at <= ?";
    FeedTrimSlot Write "feed_trim_slot"
        "DELETE FROM change_feed USING TIMESTAMP ? WHERE slot = ? AND shard = ?";
    FeedSlotAdd Write "feed_slot_add"
        "INSERT INTO feed_slots (zero, slot) VALUES (?, ?) USING TIMESTAMP ?";
    FeedSlotTake Write "feed_slot_take"
        "DELETE FROM feed_slots USING TIMESTAMP ? WHERE zero = ? AND slot = ?";
    FeedSlots Read "feed_slots"
        "SELECT slot FROM feed_slots WHERE zero = ? AND slot >= ? AND slot <= ? LIMIT ?";
    FeedSlotsNewest Read "feed_slots_newest"
        "SELECT slot FROM feed_slots WHERE zero = ? ORDER BY slot DESC LIMIT ?";
    WriterBeat Write "writer_beat"
        "INSERT INTO writers (zero, writer, low, reach, wrote, beat) VALUES (?, ?, ?, ?, ?, ?) \
         USING TIMESTAMP ?";
    WriterTake Write "writer_take"
        "DELETE FROM writers USING TIMESTAMP ? WHERE zero = ? AND writer = ?";
    WritersRead Read "writers_read"
        "SELECT writer, low, reach, wrote, beat, floor, reached FROM writers WHERE zero = ?";
    FloorRead Read "floor_read"
        "SELECT floor FROM writers WHERE zero = ? LIMIT 1";
    FloorWrite Write "floor_write"
        "UPDATE writers USING TIMESTAMP ? SET floor = ? WHERE zero = ?";
    ReachedWrite Write "reached_write"
        "UPDATE writers USING TIMESTAMP ? SET reached = ? WHERE zero = ?";
    FollowerRead Read "follower_read"
        "SELECT cursor FROM followers WHERE zero = ? AND name = ?";
    FollowerWrite Write "follower_write"
        "INSERT INTO followers (zero, name, cursor) VALUES (?, ?, ?) USING TIMESTAMP ?";
    //
    // Tenants and keys -------------------------------------------------------------------------
    //
    ParamReplace Condition "param_replace"
        "UPDATE store_params SET value = ? WHERE name = ? IF value = ?";
    HashRead Read "hash_read"
        "SELECT id, op FROM key_hashes WHERE hash = ?";
    HashReadSerial SerialRead "hash_read_serial"
        "SELECT id, op FROM key_hashes WHERE hash = ?";
    HashClaim Condition "hash_claim"
        "INSERT INTO key_hashes (hash, id, op) VALUES (?, ?, ?) IF NOT EXISTS";
    HashTakeOver Condition "hash_take_over"
        "UPDATE key_hashes SET id = ?, op = ? WHERE hash = ? IF op = ?";
    HashRelease Condition "hash_release"
        "DELETE FROM key_hashes WHERE hash = ? IF op = ?";
    KeyRead Read "key_read"
        "SELECT op, hash, body FROM keys WHERE id = ?";
    KeyReadSerial SerialRead "key_read_serial"
        "SELECT op, hash, body FROM keys WHERE id = ?";
    KeyMake Condition "key_make"
        "INSERT INTO keys (id, op, hash, body) VALUES (?, ?, ?, ?) IF NOT EXISTS";
    KeyReplace Condition "key_replace"
        "UPDATE keys SET op = ?, body = ? WHERE id = ? IF op = ?";
    KeyAny Read "key_any"
        "SELECT id FROM keys LIMIT 1";
    KeysOfTenant Read "keys_of_tenant"
        "SELECT id FROM keys_by_tenant WHERE tenant = ? AND id > ? LIMIT ?";
    KeyOfTenantPut Write "key_of_tenant_put"
        "INSERT INTO keys_by_tenant (tenant, id) VALUES (?, ?) USING TIMESTAMP ?";
    TenantRead Read "tenant_read"
        "SELECT body FROM tenants WHERE zero = ? AND id = ?";
    TenantReadSerial SerialRead "tenant_read_serial"
        "SELECT op, trail FROM tenants WHERE zero = ? AND id = ?";
    Tenants Read "tenants"
        "SELECT id, body FROM tenants WHERE zero = ? AND id > ? LIMIT ?";
    TenantMake Condition "tenant_make"
        "INSERT INTO tenants (zero, id, op, body, trail) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS";
    TenantReplace Condition "tenant_replace"
        "UPDATE tenants SET op = ?, body = ?, trail = ? WHERE zero = ? AND id = ? IF op = ?";
    //
    // Records ----------------------------------------------------------------------------------
    //
    RecordRead Read "record_read"
        "SELECT version, op, expires, body, trail FROM records \
         WHERE kind = ? AND owner = ? AND id = ?";
    RecordReadSerial SerialRead "record_read_serial"
        "SELECT version, op, expires, body, trail FROM records \
         WHERE kind = ? AND owner = ? AND id = ?";
    RecordsOfOwner Read "records_of_owner"
        "SELECT id, version, op, expires, body FROM records \
         WHERE kind = ? AND owner = ? AND id > ? LIMIT ?";
    RecordMake Condition "record_make"
        "UPDATE records USING TTL ? SET version = ?, op = ?, expires = ?, body = ?, trail = ? \
         WHERE kind = ? AND owner = ? AND id = ? IF version = null";
    RecordReplace Condition "record_replace"
        "UPDATE records USING TTL ? SET version = ?, op = ?, expires = ?, body = ?, trail = ? \
         WHERE kind = ? AND owner = ? AND id = ? IF version = ?";
    //
    // Audit chains -----------------------------------------------------------------------------
    //
    AuditSegmentNewest Read "audit_segment_newest"
        "SELECT segment FROM audit_segments WHERE tenant = ? LIMIT 1";
    AuditSegmentNewestSerial SerialRead "audit_segment_newest_serial"
        "SELECT segment FROM audit_segments WHERE tenant = ? LIMIT 1";
    AuditSegmentBegin Condition "audit_segment_begin"
        "INSERT INTO audit_segments (tenant, segment, op) VALUES (?, ?, ?) IF NOT EXISTS";
    AuditHead SerialRead "audit_head"
        "SELECT head, head_hash, TTL(head) FROM audit WHERE tenant = ? AND segment = ? LIMIT 1";
    AuditHash SerialRead "audit_hash"
        "SELECT hash FROM audit WHERE tenant = ? AND segment = ? AND seq = ?";
    AuditBegin Condition "audit_begin"
        "UPDATE audit SET head = ?, head_hash = ?, id = ?, at = ?, action = ?, outcome = ?, \
         actor = ?, resource = ?, hash = ?, body = ? WHERE tenant = ? AND segment = ? AND seq = ? \
         IF head = null";
    AuditGrow Condition "audit_grow"
        "UPDATE audit SET head = ?, head_hash = ?, id = ?, at = ?, action = ?, outcome = ?, \
         actor = ?, resource = ?, hash = ?, body = ? WHERE tenant = ? AND segment = ? AND seq = ? \
         IF head = ? AND head_hash = ?";
    AuditRenew Condition "audit_renew"
        "UPDATE audit SET head = ?, head_hash = ? WHERE tenant = ? AND segment = ? \
         IF head = ? AND head_hash = ?";
    AuditFrom Read "audit_from"
        "SELECT seq, id, at, action, outcome, actor, resource, hash, body FROM audit \
         WHERE tenant = ? AND segment = ? AND seq >= ? LIMIT ?";
    AuditBefore Read "audit_before"
        "SELECT seq, id, at, action, outcome, actor, resource, hash, body FROM audit \
         WHERE tenant = ? AND segment = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
    AuditCheckpointSerial SerialRead "audit_checkpoint_serial"
        "SELECT version, op FROM audit_segments WHERE tenant = ? AND segment = ?";
    AuditCheckpointMake Condition "audit_checkpoint_make"
        "UPDATE audit_segments SET version = ?, op = ?, first_at = ?, last_at = ?, last_seq = ?, \
         last_hash = ?, root = ?, signature = ?, anchor = ? WHERE tenant = ? AND segment = ? \
         IF version = null";
    AuditCheckpointReplace Condition "audit_checkpoint_replace"
        "UPDATE audit_segments SET version = ?, op = ?, first_at = ?, last_at = ?, last_seq = ?, \
         last_hash = ?, root = ?, signature = ?, anchor = ? WHERE tenant = ? AND segment = ? \
         IF version = ?";
    AuditCheckpoints Read "audit_checkpoints"
        "SELECT segment, version, first_at, last_at, last_seq, last_hash, root, signature, anchor \
         FROM audit_segments WHERE tenant = ? AND segment < ? LIMIT ?";
    AuditTenantMake Condition "audit_tenant_make"
        "INSERT INTO audit_tenants (zero, tenant, op) VALUES (?, ?, ?) IF NOT EXISTS";
    AuditTenants Read "audit_tenants"
        "SELECT tenant FROM audit_tenants WHERE zero = ? AND tenant > ? LIMIT ?";
    //
    // The consistency walk ---------------------------------------------------------------------
    //
    ScanAccounts Stream "scan_accounts"
        "SELECT account, queued, pinning, pinned, failed, newest, made, mark FROM accounts \
         WHERE token(account) > ? AND token(account) <= ?";
    ScanIntents Stream "scan_intents"
        "SELECT account, version FROM intents \
         WHERE token(slot, shard) > ? AND token(slot, shard) <= ?";
    ScanRequests Stream "scan_requests"
        "SELECT id, bucket, body FROM requests \
         WHERE token(id) > ? AND token(id) <= ?";
    ScanListing Stream "scan_listing"
        "SELECT account, bucket, created, id, status, cid, body FROM requests_by_account \
         WHERE token(account, bucket) > ? AND token(account, bucket) <= ?";
    ScanBuckets Stream "scan_buckets"
        "SELECT account, first, bucket FROM request_buckets \
         WHERE token(account) > ? AND token(account) <= ?";
    ScanWishes Stream "scan_wishes"
        "SELECT prefix, cid, account, id FROM pin_requests \
         WHERE token(prefix) > ? AND token(prefix) <= ?";
    ScanMarks Stream "scan_marks"
        "SELECT account, slot, at, mark FROM usage_marks \
         WHERE token(account, slot) > ? AND token(account, slot) <= ?";
    ScanUsageSlots Stream "scan_usage_slots"
        "SELECT account, slot FROM usage_slots \
         WHERE token(account) > ? AND token(account) <= ?";
    ScanPins Stream "scan_pins"
        "SELECT prefix, cid, requests, by_cluster, expires, body FROM pins \
         WHERE token(prefix) > ? AND token(prefix) <= ?";
    ScanExpiry Stream "scan_expiry"
        "SELECT kind, slot, at, key FROM expiry \
         WHERE token(kind, slot, shard) > ? AND token(kind, slot, shard) <= ?";
    ScanExpirySlots Stream "scan_expiry_slots"
        "SELECT kind, slot FROM expiry_slots \
         WHERE token(kind) > ? AND token(kind) <= ?";
    ScanPlacements Stream "scan_placements"
        "SELECT prefix, cid, peer, version, body FROM placements \
         WHERE token(prefix) > ? AND token(prefix) <= ?";
    ScanOfPeer Stream "scan_of_peer"
        "SELECT peer, cid, body FROM placements_by_peer \
         WHERE token(peer, bucket) > ? AND token(peer, bucket) <= ?";
    ScanDue Stream "scan_due"
        "SELECT peer, slot, due, cid, version FROM placements_due \
         WHERE token(peer, slot) > ? AND token(peer, slot) <= ?";
    ScanDueSlots Stream "scan_due_slots"
        "SELECT peer, slot FROM due_slots \
         WHERE token(peer) > ? AND token(peer) <= ?";
    ScanFeed Stream "scan_feed"
        "SELECT slot, at FROM change_feed \
         WHERE token(slot, shard) > ? AND token(slot, shard) <= ?";
    ScanKeys Stream "scan_keys"
        "SELECT id, hash, body FROM keys \
         WHERE token(id) > ? AND token(id) <= ?";
    ScanKeyHashes Stream "scan_key_hashes"
        "SELECT hash, id FROM key_hashes \
         WHERE token(hash) > ? AND token(hash) <= ?";
    ScanKeysOfTenants Stream "scan_keys_of_tenants"
        "SELECT tenant, id FROM keys_by_tenant \
         WHERE token(tenant) > ? AND token(tenant) <= ?";
    ScanTenants Stream "scan_tenants"
        "SELECT id FROM tenants \
         WHERE token(zero) > ? AND token(zero) <= ?";
    ScanRecords Stream "scan_records"
        "SELECT kind, owner, id, body FROM records \
         WHERE token(kind, owner) > ? AND token(kind, owner) <= ?";
    ScanAudit Stream "scan_audit"
        "SELECT DISTINCT tenant, segment FROM audit \
         WHERE token(tenant, segment) > ? AND token(tenant, segment) <= ?";
    ScanAuditSegments Stream "scan_audit_segments"
        "SELECT tenant, segment FROM audit_segments \
         WHERE token(tenant) > ? AND token(tenant) <= ?";
    //
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::path::Path;

    /// A statement that nobody sends is prepared at every start all the same.
    #[test]
    fn every_statement_is_sent_by_somebody() {
        let mut sources = String::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cql")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() {
                    // What tests send is sent by nobody.
                    folders.extend((name != "tests").then_some(path));
                } else if !["statement.rs", "tests.rs"].contains(&name) {
                    sources += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        let words = |c: char| !c.is_ascii_alphanumeric();
        let after = sources.split("Statement::").skip(1);
        let sent: HashSet<_> = after.filter_map(|rest| rest.split(words).next()).collect();
        for statement in Statement::ALL {
            let name = format!("{statement:?}");
            assert!(
                sent.contains(name.as_str()),
                "nobody sends {name}; take it out"
            );
        }
    }

    /// By the id of its operation a conditional write is known again, whatever was answered to it.
    /// Where the row's own content tells as much, there is none: a parameter's value, an entry's
    /// hash in the audit chain.
    #[test]
    fn every_condition_bears_the_id_of_its_operation_or_its_content() {
        let by_content = ["param_", "audit_begin", "audit_grow", "audit_renew"];
        for statement in Statement::ALL {
            if statement.class() != Class::Condition {
                continue;
            }
            let (label, text) = (statement.label(), statement.text());
            let is_by_content = by_content.iter().any(|start| label.starts_with(start));
            let is_known = match text.split_once(" IF ") {
                Some((_, condition)) if text.starts_with("DELETE") => condition == "op = ?",
                Some((write, _)) if text.starts_with("UPDATE") => write.contains(" op = ?"),
                Some((write, _)) => write.contains(", op,") || write.contains(", op)"),
                None => panic!("{label} has no condition"),
            };
            assert!(is_known != is_by_content, "{label}: {text}");
        }
    }

    #[test]
    fn only_streams_pass_by_the_cache_and_only_on_scylladb() {
        for statement in Statement::ALL {
            assert_eq!(statement.text_for(false), statement.text());
            let passes = statement.text_for(true).ends_with(" BYPASS CACHE");
            assert_eq!(passes, statement.class() == Class::Stream);
        }
        assert_eq!(Statement::PinsRange.class(), Class::Stream);
    }
}

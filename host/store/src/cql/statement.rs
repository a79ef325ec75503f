//! Every statement that the store sends, by name, with what kind of call it is.
//!
//! Tables are written either by conditions only or plainly with explicit timestamps, never both: a
//! conditional write is stamped by its coordinator, and a plain one stamped a little ahead of that
//! would hide it for ever.

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
        }
    };
}

statements! {
    // Parameters -------------------------------------------------------------------------------
    //
    ParamRead SerialRead "param_read"
        "SELECT value FROM store_params WHERE name = ?";
    ParamAdd Condition "param_add"
        "INSERT INTO store_params (name, value) VALUES (?, ?) IF NOT EXISTS";
    //
    // Accounts, intents, requests, usage -------------------------------------------------------
    //
    //
    // Pins and who wants them ------------------------------------------------------------------
    //
    PinRead Read "pin_read"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE prefix = ? AND cid = ?";
    PinReadSerial SerialRead "pin_read_serial"
        "SELECT version, op, requests, by_cluster, expires, body FROM pins \
         WHERE prefix = ? AND cid = ?";
    PinMake Condition "pin_make"
        "INSERT INTO pins (prefix, cid, version, op, requests, by_cluster, expires, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS";
    PinCount Condition "pin_count"
        "UPDATE pins SET version = ?, op = ?, requests = ? \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinPut Condition "pin_put"
        "UPDATE pins SET version = ?, op = ?, by_cluster = true, expires = ?, body = ? \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinUnput Condition "pin_unput"
        "UPDATE pins SET version = ?, op = ?, by_cluster = false, expires = null \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinAllocate Condition "pin_allocate"
        "UPDATE pins SET version = ?, op = ?, body = ? \
         WHERE prefix = ? AND cid = ? IF version = ?";
    PinRemove Condition "pin_remove"
        "DELETE FROM pins WHERE prefix = ? AND cid = ? IF version = ?";
    Wanters Read "wanters"
        "SELECT id FROM pin_requests WHERE prefix = ? AND cid = ? LIMIT 1000";
    //
    // Expiry -----------------------------------------------------------------------------------
    //
    //
    // Placements -------------------------------------------------------------------------------
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
    //
}

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
    //
    // Tenants and keys -------------------------------------------------------------------------
    //
    //
}

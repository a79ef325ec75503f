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

//! What the tests stand on.

pub(crate) mod kubo;
pub(crate) mod kubo_stand_in;

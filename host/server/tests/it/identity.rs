//! Who calls: keys and tokens, good and bad.

mod keys;
mod tokens;

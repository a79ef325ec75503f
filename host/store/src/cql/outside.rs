//! What is needed by those who read and write the tables without the store, to be compared with it.

use super::home;
use super::settings::Layout;
use super::statement::Statement;
use crate::Result;
use crate::row::decode_request;
use holdfast_model::{Cid, PinRequest, RequestId};

/// Every statement that the store sends: its name in metrics, and its text.
pub fn statements() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = Statement::ALL.iter();
    all.map(|statement| (statement.label(), statement.text()))
}

/// The prefix under which a pin lies.
#[must_use]
pub fn prefix(layout: &Layout, cid: &Cid) -> i32 {
    home::prefix(layout.prefix_bits, cid)
}

/// The request that a row of an account's list holds.
///
/// # Errors
/// Bytes that are none.
pub fn request(id: RequestId, body: &[u8]) -> Result<PinRequest> {
    decode_request(id, body)
}

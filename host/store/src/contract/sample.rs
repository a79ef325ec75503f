//! Values to work with.

use crate::RequestDraft;
use holdfast_model::{
    AccountId, ApiKey, Cid, Invalid, KeyId, NewRequest, Origin, PeerId, Placement, PlacementState,
    RequestId, Role, Roles, Scopes, UnixMillis,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// An instant.
#[must_use]
pub const fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

/// A CID: raw, SHA-256, its digest spread over the number so that byte order is not numeric order.
///
/// # Errors
/// Never for any number.
pub fn cid(n: u64) -> Result<Cid, Invalid> {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let mut bytes = vec![0x01, 0x55, 0x12, 0x20];
    bytes.extend(spread.iter().chain(&n.to_be_bytes()).cycle().take(32));
    Cid::from_bytes(&bytes)
}

/// A peer.
///
/// # Errors
/// Never for any number.
pub fn peer(n: u8) -> Result<PeerId, Invalid> {
    let mut bytes = vec![0x12, 0x20];
    bytes.extend([n; 32]);
    PeerId::from_bytes(&bytes)
}

/// A request id.
#[must_use]
pub const fn request_id(n: u64) -> RequestId {
    RequestId(Uuid::from_u128(n as u128))
}

/// The account that most cases work with.
///
/// # Errors
/// Never.
pub fn account() -> Result<AccountId, Invalid> {
    AccountId::parse("acme/web")
}

/// A bare request for [`account`].
///
/// # Errors
/// Never.
pub fn draft(id: u64, of: u64) -> Result<RequestDraft, Invalid> {
    Ok(RequestDraft {
        id: request_id(id),
        account: account()?,
        asked: NewRequest {
            cid: cid(of)?,
            name: None,
            origins: Vec::new(),
            meta: BTreeMap::new(),
            expires: None,
        },
    })
}

/// A request with everything set.
///
/// # Errors
/// Never.
pub fn full_draft(id: u64, of: u64) -> Result<RequestDraft, Invalid> {
    let mut draft = draft(id, of)?;
    draft.asked.name = Some(format!("Site №{id}"));
    draft.asked.origins = vec![Origin::parse(&format!(
        "/ip4/203.0.113.7/tcp/4001/p2p/{}",
        peer(1)?
    ))?];
    draft.asked.meta = pairs(&[("app", "site"), ("stage", "live")]);
    draft.asked.expires = Some(at(9_000_000));
    Ok(draft)
}

/// Free pairs.
#[must_use]
pub fn pairs(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    all.iter().map(pair).collect()
}

/// A placement that nobody has to look at.
///
/// # Errors
/// Never.
pub fn placement(of: u64, on: u8) -> Result<Placement, Invalid> {
    Ok(Placement {
        cid: cid(of)?,
        peer: peer(on)?,
        state: PlacementState::Pinned,
        due: None,
        attempts: 0,
        error: None,
        dag_size: Some(7),
        updated: at(1),
        version: 0,
    })
}

/// A key of [`account`].
///
/// # Errors
/// Never.
pub fn key(n: u8) -> Result<ApiKey, Invalid> {
    Ok(ApiKey {
        id: KeyId::parse(&format!("key{n:05}"))?,
        hash: [n; 32],
        account: account()?,
        roles: Roles::NONE.with(Role::ALL.into_iter().next().unwrap_or(Role::TenantUser)),
        label: format!("key № {n}"),
        created: at(5),
        expires: Some(at(500)),
        revoked: None,
        scopes: Scopes::ALL,
        successor: None,
        maker: None,
    })
}

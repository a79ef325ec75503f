//! Pin requests on disk.

use super::{damaged, decode, encode};
use crate::Result;
use crate::error::StoreError;
use holdfast_model::{
    AccountId, Cid, NewRequest, Origin, PinRequest, RequestId, RequestStatus, UnixMillis,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Serialize, Deserialize)]
struct RequestRow<'a> {
    #[serde(borrow)]
    account: Cow<'a, str>,
    created: u64,
    cid: Cid,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    origins: Cow<'a, [Origin]>,
    meta: Cow<'a, BTreeMap<String, String>>,
    expires: Option<u64>,
    status: u8,
    dag_size: Option<u64>,
    #[serde(borrow)]
    details: Option<Cow<'a, str>>,
    updated: u64,
    version: u64,
}

pub(crate) fn encode_request(request: &PinRequest) -> Result<Vec<u8>> {
    encode(&RequestRow {
        account: request.account.as_str().into(),
        created: request.created.as_millis(),
        cid: request.asked.cid,
        name: request.asked.name.as_deref().map(Cow::Borrowed),
        origins: Cow::Borrowed(&request.asked.origins),
        meta: Cow::Borrowed(&request.asked.meta),
        expires: request.asked.expires.map(UnixMillis::as_millis),
        status: status_number(request.status),
        dag_size: request.dag_size,
        details: request.details.as_deref().map(Cow::Borrowed),
        updated: request.updated.as_millis(),
        version: request.version,
    })
}

pub(crate) fn decode_request(id: RequestId, bytes: &[u8]) -> Result<PinRequest> {
    let row: RequestRow<'_> = decode("request", bytes)?;
    Ok(PinRequest {
        id,
        account: AccountId::parse(&row.account).map_err(|e| damaged("request", &e))?,
        created: UnixMillis::new(row.created),
        asked: NewRequest {
            cid: row.cid,
            name: row.name.map(Cow::into_owned),
            origins: row.origins.into_owned(),
            meta: row.meta.into_owned(),
            expires: row.expires.map(UnixMillis::new),
        },
        status: status_of(row.status)?,
        dag_size: row.dag_size,
        details: row.details.map(Cow::into_owned),
        updated: UnixMillis::new(row.updated),
        version: row.version,
    })
}

pub(crate) const fn status_number(status: RequestStatus) -> u8 {
    match status {
        RequestStatus::Queued => 0,
        RequestStatus::Pinning => 1,
        RequestStatus::Pinned => 2,
        RequestStatus::Failed => 3,
    }
}

pub(crate) fn status_of(number: u8) -> Result<RequestStatus> {
    RequestStatus::ALL
        .into_iter()
        .find(|status| status_number(*status) == number)
        .ok_or_else(|| StoreError::Corrupt(format!("{number} is no status of a request")))
}

//! The list's query parameters.

use crate::api::context::Call;
use crate::api::query::Query;
use holdfast_model::limits::{FILTER_CIDS_MAX, NAME_CHARS_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use holdfast_model::request::NameMatch;
use holdfast_model::{AccountId, Cid, Invalid, RequestFilter, RequestStatus, UnixMillis};
use std::collections::BTreeMap;
use utoipa::IntoParams;

const KNOWN: &[&str] = &[
    "cid", "name", "match", "status", "before", "after", "limit", "meta", "account",
];

/// The parameters, for the document only.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `read` takes apart")]
pub(crate) struct Parameters {
    /// CIDs, at most 10, separated by commas.
    cid: Option<String>,
    /// A name, at most 255 characters.
    name: Option<String>,
    /// How `name` is compared: `exact` (default), `iexact`, `partial`, `ipartial`.
    r#match: Option<String>,
    /// Statuses, separated by commas. All of them when it is missing.
    status: Option<String>,
    /// Only what was created before this RFC 3339 time, itself left out.
    before: Option<String>,
    /// Only what was created after this RFC 3339 time, itself left out.
    after: Option<String>,
    /// Rows at most, 1 to 1000.
    #[param(minimum = 1, maximum = 1000, default = 10)]
    limit: Option<u32>,
    /// A JSON object of text values that must all be in the request's `meta`.
    meta: Option<String>,
    /// Whose requests, `tenant/account`; the caller's own when it is missing. An addition to the
    /// Pinning Service API.
    account: Option<String>,
}

/// Takes the query apart, of which nothing is looked at yet.
pub(crate) fn query(call: &Call) -> Result<Query, Invalid> {
    call.query(KNOWN)
}

/// Whose requests are asked for, if they are not the caller's own account's.
pub(crate) fn account(query: &Query) -> Result<Option<AccountId>, Invalid> {
    query.one("account")?.map(AccountId::parse).transpose()
}

/// Reads the filter and the limit.
pub(crate) fn read(query: &Query) -> Result<(RequestFilter, u32), Invalid> {
    let filter = RequestFilter {
        cids: cids(query)?,
        name: name(query)?,
        statuses: statuses(query)?,
        before: time(query, "before")?,
        after: time(query, "after")?,
        meta: meta(query)?,
    };
    Ok((filter, limit(query)?))
}

fn cids(query: &Query) -> Result<Vec<Cid>, Invalid> {
    let Some(texts) = query.list("cid") else {
        return Ok(Vec::new());
    };
    if texts.len() > FILTER_CIDS_MAX {
        let why = format!("names {} CIDs; send {FILTER_CIDS_MAX} at most", texts.len());
        return Err(Invalid::new("cid", why));
    }
    let mut cids = Vec::with_capacity(texts.len());
    for text in texts {
        let cid = Cid::parse(text)?;
        if !cids.contains(&cid) {
            cids.push(cid);
        }
    }
    Ok(cids)
}

fn name(query: &Query) -> Result<Option<(String, NameMatch)>, Invalid> {
    let how = match query.one("match")? {
        None | Some("exact") => NameMatch::Exact,
        Some("iexact") => NameMatch::IgnoreCase,
        Some("partial") => NameMatch::Partial,
        Some("ipartial") => NameMatch::PartialIgnoreCase,
        Some(other) => {
            let why =
                format!("{other:?} is no way to match; write exact, iexact, partial or ipartial");
            return Err(Invalid::new("match", why));
        }
    };
    let Some(name) = query.one("name")? else {
        return Ok(None);
    };
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        let why = format!("has {chars} characters; send {NAME_CHARS_MAX} at most");
        return Err(Invalid::new("name", why));
    }
    Ok(Some((name.to_owned(), how)))
}

fn statuses(query: &Query) -> Result<Vec<RequestStatus>, Invalid> {
    let mut statuses = Vec::new();
    for name in query.list("status").unwrap_or_default() {
        let status = RequestStatus::parse(name)?;
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

fn time(query: &Query, name: &str) -> Result<Option<UnixMillis>, Invalid> {
    let Some(text) = query.one(name)? else {
        return Ok(None);
    };
    let time = UnixMillis::parse(text);
    time.map(Some)
        .map_err(|invalid| Invalid::new(name, invalid.why))
}

fn limit(query: &Query) -> Result<u32, Invalid> {
    let Some(text) = query.one("limit")? else {
        return Ok(PAGE_ROWS_DEFAULT);
    };
    match text.parse() {
        Ok(limit @ 1..=PAGE_ROWS_MAX) => Ok(limit),
        _ => {
            let why = format!("{text:?} is no number of rows; write 1 to {PAGE_ROWS_MAX}");
            Err(Invalid::new("limit", why))
        }
    }
}

fn meta(query: &Query) -> Result<BTreeMap<String, String>, Invalid> {
    let Some(text) = query.one("meta")? else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_str(text).map_err(|e| {
        let why = format!(r#"{e}; write a JSON object of text values such as {{"app":"x"}}"#);
        Invalid::new("meta", why)
    })
}

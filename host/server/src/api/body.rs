//! Request bodies: bounded in size and time, JSON only, and an error that points at the place.

use crate::api::context::Call;
use crate::api::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use holdfast_model::Invalid;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Bodies above the usual bound that are read at once. With [`LARGE_BYTES_MAX`] for each, half a
/// GiB of memory at most.
pub(crate) const LARGE_BODIES_MAX: usize = 32;

/// Bytes of the largest body there is: a pin of [`PIN_BYTES_MAX`] as JSON, whose quotes and names
/// and base58 make it longer, or a batch of as many bytes.
///
/// [`PIN_BYTES_MAX`]: holdfast_model::limits::PIN_BYTES_MAX
pub(crate) const LARGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a large body may take to arrive, and a place among them to be free.
const LARGE_TIMEOUT: Duration = Duration::from_secs(20);

impl Call {
    /// Reads a body of one of some types that may be as large as [`LARGE_BYTES_MAX`]; answers which
    /// type it is.
    pub(crate) async fn large_body(
        &mut self,
        types: &[&'static str],
    ) -> Result<(&'static str, Bytes), Problem> {
        let content_type = must_be_one_of(&self.parts.headers, types)?;
        let edge = &self.station.edge;
        let usual = edge.settings.body_bytes_max;
        let is_usual = declared_bytes(&self.parts.headers)
            .is_some_and(|bytes| bytes <= u64::try_from(usual).unwrap_or(u64::MAX));
        let _place = if is_usual {
            None
        } else {
            let place = Arc::clone(&edge.large_bodies).acquire_owned();
            let place = tokio::time::timeout(LARGE_TIMEOUT, place).await;
            let place = place.ok().and_then(Result::ok);
            Some(place.ok_or_else(Problem::too_many_bodies)?)
        };
        let bytes = self.bytes_within(LARGE_BYTES_MAX, LARGE_TIMEOUT).await?;
        Ok((content_type, bytes))
    }

    /// Reads the body, which must be declared as JSON.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Problem> {
        let settings = &self.station.edge.settings;
        let (bytes_max, timeout) = (settings.body_bytes_max, settings.body_timeout);
        self.body_within(bytes_max, timeout).await
    }

    /// Reads the body, whatever it is declared as.
    pub(crate) async fn undeclared_body(&mut self) -> Result<Bytes, Problem> {
        let settings = &self.station.edge.settings;
        let (bytes_max, timeout) = (settings.body_bytes_max, settings.body_timeout);
        self.bytes_within(bytes_max, timeout).await
    }

    async fn body_within(&mut self, most: usize, body_timeout: Duration) -> Result<Bytes, Problem> {
        must_be_one_of(&self.parts.headers, &["application/json"])?;
        self.bytes_within(most, body_timeout).await
    }

    async fn bytes_within(
        &mut self,
        most: usize,
        body_timeout: Duration,
    ) -> Result<Bytes, Problem> {
        let declared = declared_bytes(&self.parts.headers);
        let body = self.body.take().unwrap_or_default();
        let bytes_max = u64::try_from(most).unwrap_or(u64::MAX);
        if declared.is_some_and(|bytes| bytes > bytes_max) {
            return Err(Problem::large_body(most));
        }
        match tokio::time::timeout(body_timeout, read(body, most)).await {
            Ok(bytes) => bytes,
            Err(_elapsed) => Err(Problem::slow_body(body_timeout)),
        }
    }

    /// Reads the body of a call that carries more than others do, and may take longer.
    pub(crate) async fn json_within<T: DeserializeOwned>(
        &mut self,
        most: usize,
        timeout: Duration,
    ) -> Result<T, Problem> {
        value(&self.body_within(most, timeout).await?)
    }

    /// Reads the body as a value; the complaint names the field, the line and the column.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        value(&self.body().await?)
    }
}

fn value<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let value = serde_json::from_slice(bytes);
    Ok(value.map_err(|error| Invalid::new("body", error.to_string()))?)
}

async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::large_body(bytes_max)),
        Err(_) => Err(Problem::broken_body()),
    }
}

fn declared_bytes(headers: &HeaderMap) -> Option<u64> {
    let declared = headers.get(header::CONTENT_LENGTH)?;
    declared.to_str().ok()?.parse().ok()
}

/// The one of some types that the body is declared as.
fn must_be_one_of(headers: &HeaderMap, types: &[&'static str]) -> Result<&'static str, Problem> {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity");
    if encoded {
        return Err(Problem::media_type(
            "the body is compressed; send it plain, without Content-Encoding",
        ));
    }
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    let found = types.iter().find(|one| declared.eq_ignore_ascii_case(one));
    found.copied().ok_or_else(|| {
        let known = types.join(" or ");
        let what = if types.len() == 1 {
            "JSON"
        } else {
            "a type that is read here"
        };
        Problem::media_type(&format!(
            "the body is not declared as {what}; send Content-Type: {known}"
        ))
    })
}

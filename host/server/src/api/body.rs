//! Request bodies: bounded in size and time, JSON only, and an error that points at the place.

use crate::api::context::Call;
use crate::api::problem::Problem;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use holdfast_model::Invalid;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

impl Call {
    /// Reads the body, which must be declared as JSON.
    pub(crate) async fn body(&mut self) -> Result<Bytes, Problem> {
        let settings = &self.station.edge.settings;
        let (bytes_max, timeout) = (settings.body_bytes_max, settings.body_timeout);
        self.body_within(bytes_max, timeout).await
    }

    async fn body_within(&mut self, most: usize, body_timeout: Duration) -> Result<Bytes, Problem> {
        check_type(&self.parts.headers)?;
        let body = self.body.take().unwrap_or_default();
        let declared = self.parts.headers.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
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

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let encoded = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity");
    if encoded {
        return Err(Problem::media_type(
            "the body is compressed; send it plain, without Content-Encoding",
        ));
    }
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        Ok(())
    } else {
        Err(Problem::media_type(
            "the body is not declared as JSON; send Content-Type: application/json",
        ))
    }
}

//! What stands before the routes: other sites' pages (CORS), slashes at the end, and paths that
//! are none.
//!
//! Off by default, unlike in IPFS Cluster, which lets every page read everything: whoever has a
//! password in a browser would lend it to any page.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt;

/// What pages of other sites may do.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// The sites, such as `https://status.example`; `*` for all. None: pages of no other site.
    pub origins: Vec<String>,
    /// The methods.
    pub methods: Vec<String>,
}

/// Headers of answers that pages may read, as in IPFS Cluster.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Content-Type, X-Stream-Output, X-Chunked-Output, X-Content-Length");

/// For so long a page may rely on what it was told.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// The gate.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    routes: Router,
    cors: Cors,
}

impl Gate {
    pub(super) const fn new(routes: Router, cors: Cors) -> Self {
        Self { routes, cors }
    }

    pub(super) async fn pass(self, request: Request) -> Response {
        let origin = self.allowed(request.headers());
        let asks = header::ACCESS_CONTROL_REQUEST_METHOD;
        let mut response =
            if request.method() == Method::OPTIONS && request.headers().contains_key(&asks) {
                self.preflight(request.headers().get(&asks), origin.is_some())
            } else if let Some(without) = without_slash(&request) {
                redirect(&without)
            } else {
                match self.routes.oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            };
        if self.cors.origins.is_empty() {
            return response;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            let yes = HeaderValue::from_static("true");
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        response
    }

    /// The site whose page asks, if it may.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let may = self
            .cors
            .origins
            .iter()
            .any(|one| one == "*" || origin == one.as_str());
        may.then(|| origin.clone())
    }

    /// Answers what a browser asks before it lets a page call.
    fn preflight(&self, method: Option<&HeaderValue>, may: bool) -> Response {
        let mut response = empty(StatusCode::NO_CONTENT);
        let allowed =
            method.filter(|asked| self.cors.methods.iter().any(|one| *asked == one.as_str()));
        if let (Some(method), true) = (allowed, may) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            let known = HeaderValue::from_static("authorization, content-type");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, known);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        }
        response
    }
}

/// The address without the slash at its end, if it has one.
fn without_slash(request: &Request) -> Option<String> {
    let path = request.uri().path();
    let bare = path.strip_suffix('/').filter(|bare| !bare.is_empty())?;
    // Two slashes at the beginning would name another host.
    let bare = format!("/{}", bare.trim_start_matches('/'));
    Some(match request.uri().query() {
        Some(query) => format!("{bare}?{query}"),
        None => bare,
    })
}

/// 307 and not 301: the method stays.
fn redirect(to: &str) -> Response {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_is_taken_away_and_no_host_is_made_of_it() {
        let of = |uri: &str| without_slash(&Request::get(uri).body(Body::empty()).unwrap());
        assert_eq!(of("/pins/").as_deref(), Some("/pins"));
        assert_eq!(of("/pins/?local=true").as_deref(), Some("/pins?local=true"));
        assert_eq!(of("//evil.example/").as_deref(), Some("/evil.example"));
        assert_eq!((of("/"), of("/pins")), (None, None));
    }
}

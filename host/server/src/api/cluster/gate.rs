//! What stands before the routes: other sites' pages (CORS), slashes at the end, and paths that
//! are none.
//!
//! Off by default, unlike in IPFS Cluster, which lets every page read everything: whoever has a
//! password in a browser would lend it to any page.

use crate::api::cors::{Cors, Pages};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt;

/// What pages may send, and what of answers they may read, as in IPFS Cluster.
const PAGES: Pages = Pages {
    sent: HeaderValue::from_static("authorization, content-type"),
    exposed: HeaderValue::from_static(
        "Content-Type, X-Stream-Output, X-Chunked-Output, X-Content-Length",
    ),
    with_credentials: true,
};

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
        let origin = self.cors.allowed(request.headers());
        let mut response = if let Some(response) = self.cors.preflight(&request, &PAGES) {
            response
        } else if let Some(without) = without_slash(&request) {
            redirect(&without)
        } else {
            match self.routes.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        self.cors.mark(&mut response, origin, &PAGES);
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
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
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

//! Pages of other sites (CORS, as the Fetch standard says it): which may call, and what of answers
//! they may read.
//!
//! Off by default. Credentials travel in a header that a page must set itself, so a page that was
//! not given any has none; those of the browser (cookies, saved passwords) are asked for by IPFS
//! Cluster's clients alone.

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

/// What an interface lets pages send and read.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    /// Headers that pages may send.
    pub(super) sent: HeaderValue,
    /// Headers of answers that pages may read.
    pub(super) exposed: HeaderValue,
    /// Whether what the browser itself knows may be sent along.
    pub(super) with_credentials: bool,
}

/// For so long a page may rely on what it was told.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// What pages send to the main listener and read from it.
const PAGES: Pages = Pages {
    sent: HeaderValue::from_static("authorization, content-type, x-request-id"),
    exposed: HeaderValue::from_static(
        "x-request-id, retry-after, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, \
         ratelimit, ratelimit-policy, deprecation, sunset, www-authenticate",
    ),
    with_credentials: false,
};

impl Cors {
    /// The main listener's routes, open to these pages.
    pub(super) fn around(self, routes: Router) -> Router {
        if self.origins.is_empty() {
            return routes;
        }
        Router::new().fallback(move |request: Request| self.clone().pass(routes.clone(), request))
    }

    async fn pass(self, routes: Router, request: Request) -> Response {
        let origin = self.allowed(request.headers());
        let mut response = match self.preflight(&request, &PAGES) {
            Some(response) => response,
            None => match routes.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
        };
        self.mark(&mut response, origin, &PAGES);
        response
    }

    /// The site whose page asks, if it may.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let may = self
            .origins
            .iter()
            .any(|one| one == "*" || origin == one.as_str());
        may.then(|| origin.clone())
    }

    /// The answer to what a browser asks before it lets a page call; nothing to any other call.
    pub(super) fn preflight(&self, request: &Request, pages: &Pages) -> Option<Response> {
        let headers = request.headers();
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if request.method() != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let is_known = self.methods.iter().any(|one| *asked == one.as_str());
        if is_known && self.allowed(headers).is_some() {
            let told = response.headers_mut();
            told.insert(header::ACCESS_CONTROL_ALLOW_METHODS, asked.clone());
            told.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, pages.sent.clone());
            told.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        }
        Some(response)
    }

    /// Tells the browser that a site's pages may read an answer.
    pub(super) fn mark(&self, response: &mut Response, origin: Option<HeaderValue>, pages: &Pages) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = pages.exposed.clone();
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            if pages.with_credentials {
                let yes = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
    }
}

//! Pages of other sites at the main listener: none unless the operator names them.

use crate::support::host::{Answer, Host, Options};
use axum::http::Request;
use bytes::Bytes;
use holdfast::api::{Cors, Settings};
use holdfast_model::Role;
use http_body_util::Full;

const SITE: &str = "https://app.example";

async fn host(origins: &[&str]) -> Host {
    let cors = Cors {
        origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        methods: vec!["GET".to_owned(), "POST".to_owned()],
    };
    Host::start_with(Options {
        settings: Settings {
            cors,
            ..Settings::default()
        },
        ..Options::default()
    })
    .await
}

async fn ask(host: &Host, method: &str, headers: &[(&str, &str)]) -> Answer {
    let uri = format!("http://{}/psa/pins", host.address);
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    host.send(request.body(Full::<Bytes>::default()).unwrap())
        .await
}

#[tokio::test]
async fn no_other_sites_pages_call_unless_they_are_named() {
    let host = host(&[]).await;
    let asked = [("origin", SITE), ("access-control-request-method", "GET")];
    let refused = ask(&host, "OPTIONS", &asked).await;
    assert_eq!(refused.status.as_u16(), 405);
    let key = format!("Bearer {}", host.key("acme/web", &[Role::TenantUser]).await);
    let read = ask(&host, "GET", &[("origin", SITE), ("authorization", &key)]).await;
    for answer in [refused, read] {
        let mut names = answer.headers.keys().map(|name| name.as_str());
        let is_told = names.any(|name| name.starts_with("access-control-"));
        assert!(!is_told, "{answer:?}");
    }
}

#[tokio::test]
async fn a_named_sites_pages_call_with_a_key_of_their_own() {
    let host = host(&[SITE]).await;
    let key = format!("Bearer {}", host.key("acme/web", &[Role::TenantUser]).await);
    let asking = |origin, method| {
        [
            ("origin", origin),
            ("access-control-request-method", method),
        ]
    };
    // What a browser asks beforehand carries no key.
    let may = ask(&host, "OPTIONS", &asking(SITE, "POST")).await;
    assert_eq!(may.status.as_u16(), 204);
    assert_eq!(may.headers["access-control-allow-origin"], SITE);
    assert_eq!(may.headers["access-control-allow-methods"], "POST");
    let sent = may.headers["access-control-allow-headers"]
        .to_str()
        .unwrap();
    assert!(
        sent.contains("authorization") && sent.contains("content-type"),
        "{sent}"
    );
    // No page borrows what the browser knows.
    assert!(!may.headers.contains_key("access-control-allow-credentials"));
    let read = ask(&host, "GET", &[("origin", SITE), ("authorization", &key)]).await;
    read.with(200);
    assert_eq!(read.headers["access-control-allow-origin"], SITE);
    assert_eq!(read.headers["vary"], "Origin");
    let shown = read.headers["access-control-expose-headers"]
        .to_str()
        .unwrap();
    assert!(
        shown.contains("x-request-id") && shown.contains("retry-after"),
        "{shown}"
    );
    // A refusal can be read too, or nobody could tell what is wrong.
    let refused = ask(&host, "GET", &[("origin", SITE)]).await;
    refused.with(401);
    assert_eq!(refused.headers["access-control-allow-origin"], SITE);
    for asked in [
        asking("https://app.example.evil", "POST"),
        asking("http://app.example", "POST"),
        asking("null", "POST"),
        asking(SITE, "DELETE"),
    ] {
        let answer = ask(&host, "OPTIONS", &asked).await;
        assert!(
            !answer.headers.contains_key("access-control-allow-methods"),
            "{asked:?}"
        );
    }
    let other = [
        ("origin", "https://evil.example"),
        ("authorization", key.as_str()),
    ];
    let other = ask(&host, "GET", &other).await;
    assert!(!other.headers.contains_key("access-control-allow-origin"));
    // A site's answer must not be kept for another's.
    assert_eq!(other.headers["vary"], "Origin");
}

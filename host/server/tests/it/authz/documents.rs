//! The documents that tell of the routes, kept true.

use crate::support::host::Host;
use holdfast::api::{Access, CLUSTER_ROUTES, ROUTES, document};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Compares with a file under `schema/`, or writes it when `UPDATE_GOLDEN` is set.
pub(super) fn must_be(name: &str, text: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema");
    let path = root.join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(root).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "schema/{name} is not what the code says; write it again with \
         UPDATE_GOLDEN=1 cargo test -p holdfast --test it documents, and look at the difference"
    );
}

#[test]
fn the_api_document_is_up_to_date() {
    must_be("openapi.json", &document());
}

#[test]
fn the_routes_without_a_permit_are_listed() {
    let mut text = String::from(
        "Routes that ask the policies nothing. Every other one is in tests/it/authz.rs, or in\n\
         tests/it/cluster/permissions.rs if it is of IPFS Cluster's interface.\n\n",
    );
    for route in ROUTES.iter().chain(CLUSTER_ROUTES) {
        let why = match route.access {
            Access::Permit | Access::Rows => continue,
            Access::Known => "needs a good key and tells its holder about themselves",
            Access::Open => "needs nothing and tells nothing about anybody",
        };
        text += &format!("{} {}: {why}\n", route.method, route.path);
    }
    must_be("unauthorized-routes.txt", &text);
}

#[test]
fn the_api_document_has_every_route_and_no_other() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path));
    assert_eq!(described, routes.collect::<BTreeSet<_>>());
}

#[test]
fn every_refusal_is_described_with_a_body_and_every_call_can_be_refused() {
    let document: Value = serde_json::from_str(&document()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let content_type = match path.starts_with("/psa") {
            true => "application/json",
            false => "application/problem+json",
        };
        for (method, operation) in methods.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let of = format!("{method} {path}");
            for always in ["429", "500", "503"] {
                assert!(
                    responses.contains_key(always),
                    "{of} cannot answer {always}"
                );
            }
            for (status, response) in responses {
                let named = response["$ref"].as_str();
                let response = named.map_or(response, |named| {
                    let place = named.strip_prefix('#').unwrap();
                    document.pointer(place).unwrap()
                });
                let has_body = !response["content"][content_type]["schema"].is_null();
                let is_refusal = status.starts_with(['4', '5']);
                assert!(has_body || !is_refusal, "{of}: {status} has no body");
            }
        }
    }
}

#[tokio::test]
async fn the_api_document_is_served_to_anybody() {
    let host = Host::start().await;
    let answer = host.call("GET", "/openapi.json", None, None).await;
    assert_eq!(answer.with(200)["info"]["title"], "Holdfast");
}

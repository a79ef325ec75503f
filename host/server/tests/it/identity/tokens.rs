//! Signed tokens: each way in which one can be wrong is a row.

use holdfast::identity::install_crypto;
use holdfast::identity::jwt::{
    Algorithm, ClaimMap, Issuer, Issuers, KeySet, KeySource, Keys, TokenError, Verdict,
};
use holdfast_model::{Principal, Role, Roles, TenantId, UnixMillis};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};
use std::path::PathBuf;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://idp.example/realms/pins";

pub(super) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/identity")
        .join(name)
}

fn issuers(source: KeySource, map: ClaimMap) -> Issuers {
    install_crypto();
    Issuers::new(vec![Issuer {
        issuer: ISSUER.to_owned(),
        audience: vec!["https://pins.example".to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        leeway_seconds: 30,
        keys: Keys::Fixed(KeySet::read(&source).unwrap()),
        map,
    }])
}

pub(super) fn map() -> ClaimMap {
    ClaimMap {
        tenant_claim: Some("/organization".to_owned()),
        tenant: None,
        account_claim: Some("/preferred_username".to_owned()),
        roles_claims: vec!["/realm_access/roles".to_owned(), "/scope".to_owned()],
        roles: [
            ("pin-user".to_owned(), Role::TenantUser),
            ("audit".to_owned(), Role::Auditor),
        ]
        .into(),
    }
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["account", "https://pins.example"], "sub": "f1e2", "exp": NOW + 300,
        "iat": NOW, "typ": "Bearer", "organization": ["acme"], "preferred_username": "web",
        "realm_access": {"roles": ["pin-user", "offline_access", "operator"]}, "scope": "openid audit",
    })
}

pub(super) fn header() -> Header {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("rsa".to_owned());
    header
}

pub(super) fn sign(header: &Header, claims: &impl Serialize) -> String {
    install_crypto();
    let (pem, ec) = (
        std::fs::read(file("rsa.pem")).unwrap(),
        std::fs::read(file("es256.pem")).unwrap(),
    );
    let key = match header.alg {
        Algorithm::ES256 => EncodingKey::from_ec_pem(&ec).unwrap(),
        Algorithm::HS256 => EncodingKey::from_secret(&std::fs::read(file("rsa.pub.pem")).unwrap()),
        _ => EncodingKey::from_rsa_pem(&pem).unwrap(),
    };
    encode(header, claims, &key).unwrap()
}

fn verify(token: &str) -> Result<Principal, TokenError> {
    let issuers = issuers(KeySource::Jwks(file("jwks.json")), map());
    judge(&issuers, token)
}

fn judge(issuers: &Issuers, token: &str) -> Result<Principal, TokenError> {
    match issuers.verify(token, UnixMillis::from_seconds(NOW))? {
        Verdict::Good(principal, _) => Ok(principal),
        Verdict::NoKeys(_) => panic!("keys in files are always there"),
    }
}

fn audience() -> TokenError {
    TokenError::Audience {
        wanted: "https://pins.example".to_owned(),
    }
}

fn with(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims();
    change(&mut claims);
    sign(&header(), &claims)
}

fn headed(change: impl FnOnce(&mut Header)) -> String {
    let mut header = header();
    change(&mut header);
    sign(&header, &claims())
}

#[test]
fn a_good_token_is_a_principal_with_the_roles_that_are_mapped() {
    let principal = verify(&sign(&header(), &claims())).unwrap();
    assert_eq!(principal.account.as_str(), "acme/web");
    assert!(principal.id.as_str().ends_with(":f1e2"));
    let wanted: Roles = [Role::TenantUser, Role::Auditor].into_iter().collect();
    assert_eq!(
        principal.roles, wanted,
        "`operator` is not in the map and must mean nothing"
    );
}

#[test]
fn other_good_shapes_are_taken_too() {
    for token in [
        headed(|h| h.typ = Some("at+jwt".to_owned())),
        headed(|h| {
            h.alg = Algorithm::ES256;
            h.kid = Some("ec".to_owned());
        }),
        with(|c| c["aud"] = json!("https://pins.example")),
        with(|c| c["organization"] = json!("acme")),
        with(|c| c["exp"] = json!(NOW - 29)),
        with(|c| c["nbf"] = json!(NOW + 29)),
        with(|c| c["exp"] = json!((NOW as f64) + 0.5)),
        with(|c| {
            c.as_object_mut().unwrap().remove("typ");
        }),
    ] {
        verify(&token).unwrap();
    }
}

#[test]
fn headers_that_are_not_right_are_refused() {
    for (what, token, why) in [
        (
            "typ of another use",
            headed(|h| h.typ = Some("dpop+jwt".to_owned())),
            TokenError::Kind,
        ),
        ("no typ", headed(|h| h.typ = None), TokenError::Kind),
        (
            "crit",
            headed(|h| h.crit = Some(vec!["b64".to_owned()])),
            TokenError::Critical,
        ),
        (
            "unlisted alg",
            headed(|h| h.alg = Algorithm::RS384),
            TokenError::Algorithm,
        ),
        (
            "HMAC with the public key",
            headed(|h| h.alg = Algorithm::HS256),
            TokenError::Algorithm,
        ),
        (
            "unknown kid",
            headed(|h| h.kid = Some("other".to_owned())),
            TokenError::UnknownKey,
        ),
        (
            "no kid, several keys",
            headed(|h| h.kid = None),
            TokenError::UnknownKey,
        ),
        (
            "an encryption key",
            headed(|h| h.kid = Some("enc".to_owned())),
            TokenError::UnknownKey,
        ),
        (
            "a key of another alg",
            headed(|h| h.kid = Some("ec".to_owned())),
            TokenError::UnknownKey,
        ),
    ] {
        assert_eq!(verify(&token).unwrap_err(), why, "{what}");
    }
}

#[test]
fn claims_that_are_not_right_are_refused() {
    let missing = |claim: &str| TokenError::Claim(claim.to_owned());
    for (what, token, why) in [
        (
            "expired",
            with(|c| c["exp"] = json!(NOW - 30)),
            TokenError::Expired,
        ),
        (
            "not yet",
            with(|c| c["nbf"] = json!(NOW + 31)),
            TokenError::NotYet,
        ),
        (
            "made in the future",
            with(|c| c["iat"] = json!(NOW + 31)),
            TokenError::NotYet,
        ),
        (
            "other issuer",
            with(|c| c["iss"] = json!("https://evil")),
            TokenError::UnknownIssuer,
        ),
        (
            "slash at the end",
            with(|c| c["iss"] = json!(format!("{ISSUER}/"))),
            TokenError::UnknownIssuer,
        ),
        (
            "two issuers",
            with(|c| c["iss"] = json!(["https://evil", ISSUER])),
            missing("iss"),
        ),
        (
            "other audience",
            with(|c| c["aud"] = json!("account")),
            audience(),
        ),
    ] {
        assert_eq!(verify(&token).unwrap_err(), why, "{what}");
    }
}

#[test]
fn claims_that_cannot_be_used_are_refused() {
    let missing = |claim: &str| TokenError::Claim(claim.to_owned());
    for (what, token, why) in [
        (
            "ID token",
            with(|c| c["typ"] = json!("ID")),
            TokenError::Kind,
        ),
        (
            "refresh token",
            with(|c| c["typ"] = json!("Refresh")),
            TokenError::Kind,
        ),
        (
            "typ of wrong type",
            with(|c| c["typ"] = json!(1)),
            missing("typ"),
        ),
        (
            "exp as text",
            with(|c| c["exp"] = json!("soon")),
            missing("exp"),
        ),
        (
            "negative exp",
            with(|c| c["exp"] = json!(-1)),
            missing("exp"),
        ),
        ("empty sub", with(|c| c["sub"] = json!("")), missing("sub")),
        (
            "two tenants",
            with(|c| c["organization"] = json!(["a", "b"])),
            TokenError::Account("tenant"),
        ),
        (
            "tenant with odd letters",
            with(|c| c["organization"] = json!("../x")),
            TokenError::Account("tenant"),
        ),
        (
            "odd account",
            with(|c| c["preferred_username"] = json!("a b")),
            TokenError::Account("account"),
        ),
    ] {
        assert_eq!(verify(&token).unwrap_err(), why, "{what}");
    }
    for claim in ["iss", "sub", "exp"] {
        let token = with(|c| {
            c.as_object_mut().unwrap().remove(claim);
        });
        assert_eq!(verify(&token).unwrap_err(), missing(claim));
    }
    let none = with(|c| {
        c.as_object_mut().unwrap().remove("aud");
    });
    assert_eq!(verify(&none).unwrap_err(), audience());
    // An audience of the wrong type must not count as one that was not given.
    assert!(verify(&with(|c| c["aud"] = json!(7))).is_err());
}

/// Claims with `exp` twice: which one counts would depend on the reader.
struct Twice;

impl Serialize for Twice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in claims().as_object().unwrap() {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("exp", &(NOW + 1_000))?;
        map.end()
    }
}

#[test]
fn a_claim_twice_a_changed_payload_and_no_signature_are_refused() {
    assert!(verify(&sign(&header(), &Twice)).is_err());
    let (good, other) = (
        sign(&header(), &claims()),
        with(|c| c["sub"] = json!("other")),
    );
    let part = |token: &str, n: usize| token.split('.').nth(n).unwrap().to_owned();
    let mixed = format!("{}.{}.{}", part(&good, 0), part(&other, 1), part(&good, 2));
    assert_eq!(verify(&mixed).unwrap_err(), TokenError::Signature);
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", part(&good, 1));
    assert_eq!(verify(&none).unwrap_err(), TokenError::Garbled);
    assert_eq!(verify("eyJ.eyJ.x").unwrap_err(), TokenError::Garbled);
}

#[test]
fn a_pem_key_serves_whatever_the_kid_and_a_fixed_tenant_does_without_a_claim() {
    let map = ClaimMap {
        tenant: Some(TenantId::parse("solo").unwrap()),
        ..ClaimMap::default()
    };
    for (pem, alg) in [
        ("rsa.pub.pem", Algorithm::RS256),
        ("es256.pub.pem", Algorithm::ES256),
    ] {
        let issuers = issuers(KeySource::Pem(file(pem)), map.clone());
        let token = headed(|h| h.alg = alg);
        let principal = judge(&issuers, &token).unwrap();
        assert_eq!(principal.account.as_str(), "solo/default");
        assert!(principal.roles.is_empty());
    }
}

#[test]
fn key_files_that_cannot_serve_say_why() {
    for (source, words) in [
        (KeySource::Pem(file("absent.pem")), "No such file"),
        (KeySource::Pem(file("jwks.json")), "no public key"),
        (KeySource::Pem(file("rsa1024.pub.pem")), "below 2048 bits"),
        (KeySource::Jwks(file("rsa.pub.pem")), "no JSON Web Key Set"),
        (KeySource::Jwks(file("short.jwks.json")), "below 2048 bits"),
    ] {
        let said = KeySet::read(&source).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

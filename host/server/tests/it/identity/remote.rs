//! Issuers' keys from their own servers: found, rotated, missing, and asked for seldom.

use super::tokens::{claims, file, header, map, sign};
use crate::support::host::{Host, Options};
use crate::support::idp::Idp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast::identity::jwt::{
    Algorithm, ClaimMap, Issuer, Issuers, Keys, Remote, Source, TokenError, Verdict,
};
use holdfast::identity::{Web, install_crypto};
use holdfast_model::{Principal, Role, TenantId, UnixMillis};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use std::sync::Arc;

/// The time of the tokens.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::from_seconds(NOW + seconds)
}

/// The key set with these keys of the file.
fn keys(names: &[&str]) -> Value {
    let text = std::fs::read_to_string(file("jwks.json")).unwrap();
    let set: Value = serde_json::from_str(&text).unwrap();
    let all = set["keys"].as_array().unwrap().iter();
    let wanted: Vec<&Value> = all
        .filter(|key| names.contains(&key["kid"].as_str().unwrap()))
        .collect();
    json!({ "keys": wanted })
}

struct Scene {
    idp: Idp,
    issuer: String,
    remote: Arc<Remote>,
    issuers: Issuers,
}

impl Scene {
    async fn new() -> Self {
        let idp = Idp::start().await;
        let issuer = idp.url.clone();
        let discovered = Source::Discovery {
            issuer: issuer.clone(),
        };
        Self::with(idp, issuer, discovered, map())
    }

    fn with(idp: Idp, issuer: String, source: Source, map: ClaimMap) -> Self {
        install_crypto();
        let remote = Arc::new(Remote::new(source, Web::new(None).unwrap()));
        let issuers = Issuers::new(vec![Issuer {
            issuer: issuer.clone(),
            audience: vec!["https://pins.example".to_owned()],
            algorithms: vec![Algorithm::RS256, Algorithm::ES256],
            leeway_seconds: 30,
            keys: Keys::Remote(Arc::clone(&remote)),
            map,
        }]);
        Self {
            idp,
            issuer,
            remote,
            issuers,
        }
    }

    fn token(&self, header: &Header) -> String {
        let mut claims = claims();
        claims["iss"] = json!(self.issuer);
        claims["exp"] = json!(NOW + 1_000_000);
        sign(header, &claims)
    }

    fn rsa(&self) -> String {
        self.token(&header())
    }

    fn ec(&self) -> String {
        let mut header = header();
        (header.alg, header.kid) = (Algorithm::ES256, Some("ec".to_owned()));
        self.token(&header)
    }

    async fn call(&self, token: &str, now: UnixMillis) -> Result<Option<Principal>, TokenError> {
        match self.issuers.verify_fetching(token, now).await? {
            Verdict::Good(principal, _) => Ok(Some(principal)),
            Verdict::NoKeys(_) => Ok(None),
        }
    }
}

#[tokio::test]
async fn keys_are_found_where_the_issuer_says_and_fetched_once_for_all() {
    let scene = Scene::new().await;
    scene
        .idp
        .publish(&scene.issuer, &keys(&["rsa", "ec", "enc"]));
    let token = scene.rsa();
    let calls = (0..16).map(|_| scene.call(&token, at(0)));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().unwrap().account.as_str(), "acme/web");
    }
    assert_eq!(scene.idp.fetches(), 1);
    scene.call(&scene.ec(), at(1)).await.unwrap().unwrap();
    assert_eq!(scene.idp.fetches(), 1);
}

#[tokio::test]
async fn a_host_starts_without_its_issuer_and_asks_again_later() {
    let scene = Scene::new().await;
    let token = scene.rsa();
    assert_eq!(scene.call(&token, at(0)).await.unwrap(), None);
    scene.idp.publish(&scene.issuer, &keys(&["rsa"]));
    // Not at once: an issuer that is down is not to be stormed.
    assert_eq!(scene.call(&token, at(4)).await.unwrap(), None);
    assert_eq!(scene.remote.fetches(), 1);
    assert!(scene.call(&token, at(5)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_new_key_is_fetched_and_made_up_names_are_not_asked_for() {
    let scene = Scene::new().await;
    scene.idp.publish(&scene.issuer, &keys(&["rsa"]));
    scene.call(&scene.rsa(), at(0)).await.unwrap().unwrap();
    // The issuer rotates: both keys are there for a while.
    scene.idp.publish(&scene.issuer, &keys(&["rsa", "ec"]));
    let refused = scene.call(&scene.ec(), at(29)).await;
    assert_eq!(refused.unwrap_err(), TokenError::UnknownKey);
    scene.call(&scene.ec(), at(30)).await.unwrap().unwrap();
    scene.call(&scene.rsa(), at(30)).await.unwrap().unwrap();
    assert_eq!(scene.idp.fetches(), 2);
    // A flood of names that nobody has: one look in half a minute.
    for n in 0..200 {
        let mut header = header();
        header.kid = Some(format!("made-up-{n}"));
        let refused = scene.call(&scene.token(&header), at(61 + n / 100)).await;
        assert_eq!(refused.unwrap_err(), TokenError::UnknownKey);
    }
    assert_eq!(scene.idp.fetches(), 3);
    // The one that was looked for is known to be absent for longer.
    let mut header = header();
    header.kid = Some("made-up-0".to_owned());
    let token = scene.token(&header);
    assert!(scene.call(&token, at(200)).await.is_err());
    assert_eq!(scene.idp.fetches(), 3);
    // What the issuer took out is worth nothing once it was asked again.
    scene.idp.publish(&scene.issuer, &keys(&["ec"]));
    header.kid = Some("made-up-201".to_owned());
    let token = scene.token(&header);
    assert!(scene.call(&token, at(201)).await.is_err());
    let refused = scene.call(&scene.rsa(), at(202)).await;
    assert_eq!(refused.unwrap_err(), TokenError::UnknownKey);
}

#[tokio::test]
async fn keys_serve_for_a_day_while_the_issuer_is_down() {
    let scene = Scene::new().await;
    scene.idp.publish(&scene.issuer, &keys(&["rsa"]));
    let token = scene.rsa();
    scene.call(&token, at(0)).await.unwrap().unwrap();
    scene.idp.page("/jwks", 503, "", String::new());
    let day = 24 * 3_600;
    for seconds in [700, 3_600, day - 1] {
        assert!(scene.call(&token, at(seconds)).await.unwrap().is_some());
    }
    assert_eq!(scene.call(&token, at(day)).await.unwrap(), None);
    // A clock that was set back prolongs nothing.
    let before = UnixMillis::from_seconds(NOW - 1);
    assert!(
        scene
            .issuers
            .verify(&token, before)
            .is_ok_and(|v| matches!(v, Verdict::NoKeys(_)))
    );
}

#[tokio::test]
async fn servers_that_do_not_answer_as_they_must_bring_no_keys() {
    let path = "/.well-known/openid-configuration";
    for case in [
        "redirect",
        "other issuer",
        "too large",
        "no json",
        "weak",
        "far",
    ] {
        let scene = Scene::new().await;
        scene.idp.publish(&scene.issuer, &keys(&["rsa"]));
        let (idp, elsewhere) = (&scene.idp, format!("{}/jwks", scene.idp.url));
        match case {
            "redirect" => idp.page("/jwks", 302, "location: /other", String::new()),
            "other issuer" => idp.publish(&format!("{}/", scene.issuer), &keys(&["rsa"])),
            "too large" => idp.page("/jwks", 200, "", " ".repeat(256 * 1024 + 1)),
            "no json" => idp.page("/jwks", 200, "", "<html>".to_owned()),
            "weak" => {
                let weak = std::fs::read_to_string(file("short.jwks.json")).unwrap();
                idp.page("/jwks", 200, "", weak);
            }
            _ => {
                let far = elsewhere.replace("127.0.0.1", "192.0.2.1");
                let metadata = json!({ "issuer": scene.issuer, "jwks_uri": far });
                idp.page(path, 200, "", metadata.to_string());
            }
        }
        let answer = scene.call(&scene.rsa(), at(0)).await;
        assert_eq!(answer.unwrap(), None, "{case}");
    }
}

/// Auth0's tokens, as its documentation shows them.
#[tokio::test]
async fn auth0s_tokens_are_read_with_its_own_shapes() {
    let idp = Idp::start().await;
    // Its issuers end with a slash.
    let issuer = format!("{}/", idp.url);
    idp.publish(&issuer, &keys(&["rsa"]));
    let map = ClaimMap {
        tenant: Some(TenantId::parse("acme").unwrap()),
        account_claim: Some("/sub".to_owned()),
        roles_claims: vec![
            "/permissions".to_owned(),
            "/https:~1~1pins.example~1roles".to_owned(),
            "/scope".to_owned(),
        ],
        roles: [
            ("pin:write".to_owned(), Role::TenantUser),
            ("pins-admin".to_owned(), Role::TenantAdmin),
            ("read:audit".to_owned(), Role::Auditor),
        ]
        .into(),
        ..ClaimMap::default()
    };
    let source = Source::Discovery {
        issuer: issuer.clone(),
    };
    let scene = Scene::with(idp, issuer.clone(), source, map);
    let token = |more: Value| {
        let mut claims = json!({
            "iss": issuer, "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "azp": "my_client_id",
            "aud": ["https://pins.example", "https://dev.auth0.example/userinfo"],
            "iat": NOW, "exp": NOW + 86_400, "scope": "openid profile",
        });
        let object = claims.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        sign(&header(), &claims)
    };
    let roles = async |more: Value| {
        let principal = scene.call(&token(more), at(0)).await.unwrap().unwrap();
        assert!(
            principal.account.as_str().starts_with("acme/sub-"),
            "{principal:?}"
        );
        principal.roles.iter().collect::<Vec<_>>()
    };
    let permitted = json!({ "permissions": ["pin:write", "pin:other"] });
    assert_eq!(roles(permitted).await, [Role::TenantUser]);
    let named = json!({ "https://pins.example/roles": ["pins-admin"] });
    assert_eq!(roles(named).await, [Role::TenantAdmin]);
    let scoped = json!({ "scope": "openid read:audit" });
    assert_eq!(roles(scoped).await, [Role::Auditor]);
    // Without RBAC there are no permissions, and somebody without roles may do nothing.
    assert_eq!(roles(json!({})).await, []);
}

/// What Auth0 gives to who names no audience: an encrypted token for its own `/userinfo`.
#[tokio::test]
async fn an_opaque_token_is_refused_with_the_mend() {
    let idp = Idp::start().await;
    let issuer = format!("{}/", idp.url);
    let source = Source::Discovery {
        issuer: issuer.clone(),
    };
    let Scene { issuers, .. } = Scene::with(idp, issuer, source, map());
    let host = Host::start_with(Options {
        issuers,
        ..Options::default()
    })
    .await;
    let header = r#"{"alg":"dir","enc":"A256GCM","iss":"https://dev.auth0.example/"}"#;
    let opaque = format!(
        "{}..aXY.Y2lwaGVydGV4dA.dGFn",
        URL_SAFE_NO_PAD.encode(header)
    );
    let refused = host.get("/v1/whoami", &opaque).await.with(401);
    let said = refused["detail"].as_str().unwrap();
    assert!(
        said.contains("opaque") && said.contains("`audience`"),
        "{said}"
    );
    // Its older ones have no shape at all, and are taken for keys.
    let short = host
        .get("/v1/whoami", "xq3K0mZpQv8wT1rB_s7Yh2nE6uJdLfAg")
        .await;
    short.with(401);
}

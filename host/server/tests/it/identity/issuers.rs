//! Tokens of several issuers at the door of a host.

use super::tokens::{claims, file, header, map, sign};
use crate::support::host::{Host, Options};
use crate::support::idp::Idp;
use holdfast::clock::Clock;
use holdfast::identity::jwt::{
    Algorithm, ClaimMap, Issuer, Issuers, KeySet, KeySource, Keys, Remote, Source,
};
use holdfast::identity::{Known, Web, install_crypto};
use holdfast_model::{PrincipalId, Role, TenantId};
use holdfast_store::Expect;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;

/// The time of the tokens.
const NOW: u64 = 1_800_000_000;

/// Longer than a proof is believed after a look at the store.
const BELIEVED_MILLIS: u64 = 5_000;

/// Signs with RSA, and says in its tokens whose tenant it is.
const ONE: &str = "https://one.example";

/// Signs with a curve, and is one tenant's.
const OTHER: &str = "https://other.example";

fn issuer(name: &str, keys: Keys, map: ClaimMap) -> Issuer {
    install_crypto();
    Issuer {
        issuer: name.to_owned(),
        audience: vec!["https://pins.example".to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        leeway_seconds: 30,
        keys,
        map,
    }
}

fn fixed(pem: &str) -> Keys {
    Keys::Fixed(KeySet::read(&KeySource::Pem(file(pem))).unwrap())
}

fn one() -> Issuer {
    issuer(ONE, fixed("rsa.pub.pem"), map())
}

fn other() -> Issuer {
    let map = ClaimMap {
        tenant: Some(TenantId::parse("rival").unwrap()),
        tenant_claim: None,
        roles: [
            ("pin-user".to_owned(), Role::TenantAdmin),
            ("pin-less".to_owned(), Role::TenantUser),
        ]
        .into(),
        ..map()
    };
    issuer(OTHER, fixed("es256.pub.pem"), map)
}

/// One whose keys are at a server.
fn remote(url: &str) -> Issuer {
    let source = Source::Discovery {
        issuer: url.to_owned(),
    };
    let remote = Remote::new(source, Web::new(None).unwrap());
    issuer(url, Keys::Remote(Arc::new(remote)), map())
}

struct Scene {
    host: Host,
    millis: Arc<AtomicU64>,
}

impl Scene {
    async fn new(all: Vec<Issuer>) -> Self {
        let millis = Arc::new(AtomicU64::new(NOW * 1_000));
        let host = Host::start_with(Options {
            clock: Clock::Manual(Arc::clone(&millis)),
            issuers: Issuers::new(all),
            ..Options::default()
        })
        .await;
        Self { host, millis }
    }

    /// What somebody is as soon as nothing is remembered, or the status of the refusal.
    async fn roles(&self, proof: &str) -> Value {
        self.millis.fetch_add(BELIEVED_MILLIS, Ordering::SeqCst);
        self.told(proof, "roles").await
    }

    async fn told(&self, proof: &str, what: &str) -> Value {
        let me = self.host.get("/v1/whoami", proof).await;
        match me.status.as_u16() {
            200 => me.json()[what].clone(),
            status => json!(status),
        }
    }
}

/// A token that says it is of an issuer, signed by the key of an algorithm.
fn token(issuer: &str, algorithm: Algorithm, change: Value) -> String {
    let mut header = header();
    header.alg = algorithm;
    if algorithm == Algorithm::ES256 {
        header.kid = Some("ec".to_owned());
    }
    let mut claims = claims();
    claims["iss"] = json!(issuer);
    let object = claims.as_object_mut().unwrap();
    object.extend(change.as_object().unwrap().clone());
    sign(&header, &claims)
}

fn of_one() -> String {
    token(ONE, Algorithm::RS256, json!({}))
}

/// Somebody of the other issuer, with the role that a word stands for.
fn of_other(subject: &str, word: &str) -> String {
    let more = json!({ "sub": subject, "realm_access": { "roles": [word] }, "scope": "" });
    token(OTHER, Algorithm::ES256, more)
}

#[tokio::test]
async fn each_issuer_opens_with_its_own_keys_and_means_its_own_words() {
    let scene = Scene::new(vec![one(), other()]).await;
    let me = scene.host.get("/v1/whoami", &of_one()).await.with(200);
    assert_eq!(me["account"], "acme/web");
    assert_eq!(me["roles"], json!(["tenant-user", "auditor"]));
    let theirs = token(OTHER, Algorithm::ES256, json!({}));
    let other = scene.host.get("/v1/whoami", &theirs).await.with(200);
    assert_eq!(other["account"], "rival/web");
    assert_eq!(other["roles"], json!(["tenant-admin"]));
    // The same subject, and yet somebody else.
    assert_ne!(me["principal"], other["principal"]);
    for (issuer, algorithm) in [(ONE, Algorithm::ES256), (OTHER, Algorithm::RS256)] {
        let forged = token(issuer, algorithm, json!({}));
        scene.host.get("/v1/whoami", &forged).await.with(401);
    }
    let third = token("https://third.example", Algorithm::RS256, json!({}));
    scene.host.get("/v1/whoami", &third).await.with(401);
}

#[tokio::test]
async fn tokens_are_answered_503_until_their_issuers_keys_were_had() {
    let idp = Idp::start().await;
    let scene = Scene::new(vec![one(), remote(&idp.url)]).await;
    let theirs = token(&idp.url, Algorithm::RS256, json!({}));
    let unknown = scene.host.get("/v1/whoami", &theirs).await;
    let told = unknown.with(503);
    let detail = told["detail"].as_str().unwrap();
    let (named, mend) = (format!("issuer {} ", idp.url), "try again");
    assert!(detail.contains(&named) && detail.contains(mend), "{detail}");
    let wait = unknown.headers["retry-after"].to_str().unwrap();
    assert!(wait.parse::<u64>().unwrap() > 0, "{wait}");
    // The others have nothing to do with it.
    scene.host.get("/v1/whoami", &of_one()).await.with(200);
    let text = std::fs::read_to_string(file("jwks.json")).unwrap();
    idp.publish(&idp.url, &serde_json::from_str(&text).unwrap());
    scene.millis.fetch_add(30_000, Ordering::SeqCst);
    scene.host.get("/v1/whoami", &theirs).await.with(200);
}

/// An issuer's server that takes calls and says nothing keeps its own tokens waiting, no others.
#[tokio::test]
async fn an_issuer_that_hangs_holds_up_nobody_else() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let scene = Scene::new(vec![one(), remote(&url)]).await;
    let key = scene.host.key("acme/web", &[Role::TenantUser]).await;
    let theirs = token(&url, Algorithm::RS256, json!({}));
    let waiting = std::pin::pin!(scene.host.get("/v1/whoami", &theirs));
    let others = std::pin::pin!(async {
        // From now on the call waits for it.
        let held = socket.accept().await.unwrap();
        scene.host.get("/v1/whoami", &key).await.with(200);
        scene.host.get("/v1/whoami", &of_one()).await.with(200);
        held
    });
    match futures_util::future::select(waiting, others).await {
        futures_util::future::Either::Left((answer, _)) => panic!("{answer:?} came first"),
        futures_util::future::Either::Right((_held, waiting)) => waiting.await.with(503),
    };
}

#[tokio::test]
async fn keys_are_no_more_than_the_token_says_of_who_made_them() {
    let scene = Scene::new(vec![one(), other()]).await;
    let made_by = async |by: &str| {
        let both = json!({ "roles": ["tenant-user", "tenant-admin"] });
        let made = scene.host.post("/v1/keys", by, both).await.with(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["secret"]))
    };
    let (id, first) = made_by(&of_other("ann", "pin-user")).await;
    let (_, second) = made_by(&first).await;
    let both = json!(["tenant-user", "tenant-admin"]);
    assert_eq!(scene.roles(&second).await, both);
    // What is said of somebody else is nothing to them.
    let bob = of_other("bob", "pin-less");
    assert_eq!(scene.roles(&bob).await, json!(["tenant-user"]));
    assert_eq!(scene.roles(&second).await, both);
    // Who has never made a key and rotates another's has it all the same.
    let rotate = format!("/v1/keys/{id}/rotate");
    let cid = of_other("cid", "pin-user");
    let rotated = scene.host.post(&rotate, &cid, json!({})).await.with(201);
    let third = rotated["secret"].as_str().unwrap();
    let less = of_other("ann", "pin-less");
    assert_eq!(scene.roles(&less).await, json!(["tenant-user"]));
    for key in [&first, &second] {
        assert_eq!(scene.roles(key).await, json!(["tenant-user"]));
    }
    assert_eq!(scene.roles(third).await, both);
    let less = of_other("cid", "pin-less");
    assert_eq!(scene.roles(&less).await, json!(["tenant-user"]));
    assert_eq!(scene.roles(third).await, json!(["tenant-user"]));
}

/// What is known of somebody who made keys is lost: nobody can say what the keys may be.
#[tokio::test]
async fn keys_of_whom_nothing_is_known_any_more_open_nothing() {
    let scene = Scene::new(vec![other()]).await;
    let ann = of_other("ann", "pin-user");
    let made = scene.host.post("/v1/keys", &ann, json!({})).await.with(201);
    let key = made["secret"].as_str().unwrap();
    assert_eq!(scene.roles(key).await, json!(["tenant-user"]));
    let me = scene.host.get("/v1/whoami", &ann).await.with(200);
    let id = PrincipalId::parse(me["principal"].as_str().unwrap()).unwrap();
    let (store, now) = (&scene.host.app.store, scene.host.app.clock.now());
    let ann_is = Known::digest_of(&id);
    let lost = store.delete_record::<Known>("", &ann_is, Expect::Any, now);
    lost.await.unwrap();
    assert_eq!(scene.roles(key).await, 401);
    // That she calls does not bring them back, for nothing says that they are to be hers.
    assert_eq!(scene.roles(&ann).await, json!(["tenant-admin"]));
    assert_eq!(scene.roles(key).await, 401);
}

/// A reload holds at once for tokens that were good a moment ago, and asks no server again.
#[tokio::test]
async fn issuers_that_are_replaced_count_at_once() {
    let idp = Idp::start().await;
    let text = std::fs::read_to_string(file("jwks.json")).unwrap();
    idp.publish(&idp.url, &serde_json::from_str(&text).unwrap());
    let scene = Scene::new(vec![one(), remote(&idp.url)]).await;
    let (ours, theirs) = (of_one(), token(&idp.url, Algorithm::RS256, json!({})));
    let of_both = async || {
        let ours = scene.told(&ours, "account").await;
        (ours, scene.told(&theirs, "account").await)
    };
    let web = json!("acme/web");
    assert_eq!(of_both().await, (web.clone(), web.clone()));
    // One goes, the other one's words mean something else.
    let mut changed = remote(&idp.url);
    changed.map.tenant_claim = None;
    changed.map.tenant = Some(TenantId::parse("rival").unwrap());
    scene.host.door.replace_issuers(Issuers::new(vec![changed]));
    assert_eq!(of_both().await, (json!(401), json!("rival/web")));
    let again = Issuers::new(vec![one(), remote(&idp.url)]);
    scene.host.door.replace_issuers(again);
    assert_eq!(of_both().await, (web.clone(), web));
    assert_eq!(idp.fetches(), 1);
}

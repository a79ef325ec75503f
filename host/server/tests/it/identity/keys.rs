//! API keys, the first one included.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, Uri};
use holdfast::clock::Clock;
use holdfast::identity::jwt::Issuers;
use holdfast::identity::{
    Approach, AuthError, Authenticator, BootstrapError, Caller, FirstKey, Identity, Secrets, keys,
};
use holdfast_model::{AccountId, ErrorKind, Role, Roles, UnixMillis};
use holdfast_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const START: u64 = 1_800_000_000_000;

struct Scene {
    store: Store,
    millis: Arc<AtomicU64>,
    door: Authenticator,
}

impl Scene {
    fn new() -> Self {
        Self::with(Identity::default())
    }

    fn with(identity: Identity) -> Self {
        let store = Store::memory();
        let millis = Arc::new(AtomicU64::new(START));
        let clock = Clock::Manual(Arc::clone(&millis));
        let identity = Arc::new(identity);
        let issuers = Issuers::default();
        let door = Authenticator::new(store.clone(), clock, identity, issuers).unwrap();
        Self {
            store,
            millis,
            door,
        }
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.millis.load(Ordering::SeqCst))
    }

    fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    async fn key(&self, expires: Option<UnixMillis>) -> (holdfast_model::KeyId, String) {
        let account = AccountId::parse("acme/web").unwrap();
        let roles = Roles::NONE.with(Role::TenantUser);
        let minted = keys::mint().unwrap();
        let (key, token) = minted.into_key(account, roles, "ci".to_owned(), self.now(), expires);
        let id = key.id.clone();
        self.store.add_key(key).await.unwrap();
        (id, token)
    }

    async fn call(&self, token: &str) -> Result<Arc<Caller>, AuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        self.approach(&headers).await
    }

    async fn approach(&self, headers: &HeaderMap) -> Result<Arc<Caller>, AuthError> {
        let uri = Uri::from_static("/v1/whoami");
        let approach = Approach {
            headers,
            method: &Method::GET,
            uri: &uri,
            address: None,
        };
        self.door.authenticate(approach).await
    }
}

#[tokio::test]
async fn a_key_is_its_accounts_principal() {
    let scene = Scene::new();
    let (id, token) = scene.key(None).await;
    let principal = scene.call(&token).await.unwrap();
    assert_eq!(principal.id.as_str(), format!("key:{id}"));
    assert_eq!(principal.account.as_str(), "acme/web");
    assert!(principal.roles.contains(Role::TenantUser));
    // The second call is answered from memory: the very same value.
    assert!(Arc::ptr_eq(&principal, &scene.call(&token).await.unwrap()));
}

#[tokio::test]
async fn a_wrong_letter_an_unknown_key_and_no_key_are_told_apart() {
    let scene = Scene::new();
    let (_, token) = scene.key(None).await;
    let last = if token.ends_with('x') { 'y' } else { 'x' };
    let mistyped = format!("{}{last}", &token[..token.len() - 1]);
    assert!(matches!(
        scene.call(&mistyped).await,
        Err(AuthError::Mistyped)
    ));
    let unknown = keys::mint().unwrap().token;
    assert!(matches!(
        scene.call(&unknown).await,
        Err(AuthError::UnknownKey)
    ));
    let nothing = scene.approach(&HeaderMap::new()).await.unwrap_err();
    assert!(matches!(nothing, AuthError::Missing));
    assert_eq!(nothing.kind(), ErrorKind::Unauthenticated);
    assert!(!nothing.is_about_a_token());
}

/// A key's checksum, reckoned anew: CRC-32 in six letters of base 62.
fn checksum(body: &str) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut text = String::new();
    for _ in 0..6 {
        text.insert(0, char::from(LETTERS[rest % 62]));
        rest /= 62;
    }
    text
}

#[tokio::test]
async fn ids_that_differ_in_their_case_alone_are_other_keys() {
    let scene = Scene::new();
    let (_, token) = scene.key(None).await;
    let (body, sum) = token.split_at(token.len() - 6);
    assert_eq!(checksum(body), sum);
    let flip = |c: char| match c.is_ascii_lowercase() {
        true => c.to_ascii_uppercase(),
        false => c.to_ascii_lowercase(),
    };
    let id: String = body[3..15].chars().map(flip).collect();
    let other = format!("hf_{id}{}", &body[15..]);
    let other = format!("{other}{}", checksum(&other));
    let refused = scene.call(&other).await;
    assert!(matches!(refused, Err(AuthError::UnknownKey)), "{refused:?}");
    scene.call(&token).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_is_refused_within_five_seconds() {
    let scene = Scene::new();
    let (id, token) = scene.key(None).await;
    scene.call(&token).await.unwrap();
    scene.store.revoke_key(&id, scene.now()).await.unwrap();
    scene.pass(5_000);
    assert!(matches!(scene.call(&token).await, Err(AuthError::Revoked)));
}

#[tokio::test]
async fn a_key_ends_on_time_even_when_it_is_remembered() {
    let scene = Scene::new();
    let (_, token) = scene.key(Some(scene.now().plus_millis(500))).await;
    scene.call(&token).await.unwrap();
    scene.pass(499);
    scene.call(&token).await.unwrap();
    scene.pass(1);
    assert!(matches!(scene.call(&token).await, Err(AuthError::Expired)));
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_nothing() {
    let scene = Scene::new();
    let (id, token) = scene.key(None).await;
    scene.call(&token).await.unwrap();
    scene.store.revoke_key(&id, scene.now()).await.unwrap();
    scene.millis.store(START - 3_600_000, Ordering::SeqCst);
    assert!(matches!(scene.call(&token).await, Err(AuthError::Revoked)));
}

#[tokio::test]
async fn the_first_key_opens_an_empty_store_and_only_that() {
    let scene = Scene::new();
    let key = "correct.horse.battery-staple";
    let first = |key| FirstKey::new(key, scene.now()).unwrap();
    assert!(!first(key).is_made(&scene.store).await.unwrap());
    assert!(first(key).make(&scene.store).await.unwrap());
    let principal = scene.call(key).await.unwrap();
    assert_eq!(principal.account.as_str(), "default/admin");
    let wanted: Roles = [Role::Operator, Role::TenantAdmin, Role::TenantUser]
        .into_iter()
        .collect();
    assert_eq!(principal.roles, wanted);
    let another = "another-long-enough-key";
    assert!(first(another).is_made(&scene.store).await.unwrap());
    assert!(!first(another).make(&scene.store).await.unwrap());
    assert!(scene.call(another).await.is_err());
}

#[test]
fn weak_first_keys_are_refused() {
    let new = |key| FirstKey::new(key, UnixMillis::EPOCH).map(drop);
    for key in ["", "short", "with spaces in the middle", "sixteen-bytes-é-"] {
        assert!(matches!(new(key), Err(BootstrapError::Unfit)), "{key:?}");
    }
    let refused = new("hf_looks-like-one-of-ours");
    assert!(matches!(refused, Err(BootstrapError::Mistyped)));
}

#[tokio::test]
async fn keys_of_before_the_secret_stay_good_beside_those_of_after() {
    let secrets = Secrets::new(Some("5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"));
    let scene = Scene::with(Identity {
        secrets: secrets.clone(),
        ..Identity::default()
    });
    let (_, old) = scene.key(None).await;
    scene.call(&old).await.unwrap();
    let account = AccountId::parse("acme/web").unwrap();
    let roles = Roles::NONE.with(Role::TenantUser);
    let minted = keys::mint().unwrap().hashed_with(&secrets);
    let (key, new) = minted.into_key(account, roles, String::new(), scene.now(), None);
    assert_ne!(key.hash, keys::hash(&new));
    scene.store.add_key(key).await.unwrap();
    scene.call(&new).await.unwrap();
    // The id in another case is another key's, and the secret of one opens no other.
    let (id, rest) = (&old[3..15], &new[15..]);
    for wrong in [format!("hf_{id}{rest}"), old.to_ascii_lowercase()] {
        assert!(scene.call(&wrong).await.is_err(), "{wrong}");
    }
}

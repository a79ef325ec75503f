//! Keys that keys have made: they are their owner's, and no more than the owner is today.

use crate::support::cluster::fresh;
use crate::support::host::{Answer, Host, Options};
use holdfast::clock::Clock;
use holdfast::identity::keys;
use holdfast_model::{AccountId, ApiKey, KeyId, PrincipalId, Role, UnixMillis};
use holdfast_store::Store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longer than a proof is believed after a look at the store.
const BELIEVED_MILLIS: u64 = 5_000;

const PASSWORD: &str = "correct horse battery";

const BOTH: [Role; 2] = [Role::TenantUser, Role::TenantAdmin];

struct Scene {
    host: Host,
    millis: Arc<AtomicU64>,
    admin: String,
    /// Alice's session.
    alice: String,
}

impl Scene {
    /// With alice, who is an administrator of her tenant.
    async fn on(embedded: bool, store: Option<Store>) -> Self {
        let millis = Arc::new(AtomicU64::new(1_800_000_000_000));
        let clock = Clock::Manual(Arc::clone(&millis));
        let options = Options {
            clock,
            embedded,
            store,
            ..Options::default()
        };
        let host = Host::start_with(options).await;
        let admin = host.key("acme/admin", &[Role::TenantAdmin]).await;
        let mut scene = Self {
            host,
            millis,
            admin,
            alice: String::new(),
        };
        scene.made(&BOTH).await.with(201);
        scene.alice = scene.session().await;
        scene
    }

    /// An attempt to make alice.
    async fn made(&self, roles: &[Role]) -> Answer {
        let wanted = json!({ "name": "alice", "password": PASSWORD, "roles": roles });
        self.host.post("/v1/users", &self.admin, wanted).await
    }

    async fn deleted(&self) {
        let gone = self.host.delete("/v1/users/alice", &self.admin).await;
        gone.with(204);
    }

    async fn session(&self) -> String {
        let login = json!({ "user": "acme/alice", "password": PASSWORD });
        let session = self.host.call("POST", "/v1/login", None, Some(login)).await;
        session.with(201)["token"].as_str().unwrap().to_owned()
    }

    async fn new() -> Self {
        Self::on(false, None).await
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.millis.load(Ordering::SeqCst))
    }

    /// A key that is made over the API: its id and its secret.
    async fn made_by(&self, by: &str) -> (String, String) {
        let wanted = json!({ "account": "acme/alice", "roles": BOTH });
        shown(&self.host.post("/v1/keys", by, wanted).await.with(201))
    }

    async fn rotated_by(&self, by: &str, id: &str) -> (String, String) {
        let path = format!("/v1/keys/{id}/rotate");
        shown(&self.host.post(&path, by, json!({})).await.with(201))
    }

    /// A key as it was kept when keys named the key that made them.
    async fn kept(&self, maker: &str, change: impl FnOnce(&mut ApiKey)) -> (KeyId, String) {
        let account = AccountId::parse("acme/alice").unwrap();
        let roles = BOTH.into_iter().collect();
        let minted = keys::mint().unwrap();
        let (mut key, secret) = minted.into_key(account, roles, String::new(), self.now(), None);
        key.maker = Some(PrincipalId::parse(maker).unwrap());
        change(&mut key);
        let id = key.id.clone();
        self.host.app.store.add_key(key).await.unwrap();
        (id, secret)
    }

    async fn change(&self, change: Value) {
        let path = "/v1/users/alice";
        let call = self.host.call("PUT", path, Some(&self.admin), Some(change));
        call.await.with(200);
    }

    async fn revoke(&self, id: &str) {
        let path = format!("/v1/keys/{id}");
        self.host.delete(&path, &self.admin).await.with(200);
    }

    /// The roles that a key has as soon as nothing is remembered, or the status of its refusal.
    async fn roles(&self, key: &str) -> Value {
        self.millis.fetch_add(BELIEVED_MILLIS, Ordering::SeqCst);
        let me = self.host.get("/v1/whoami", key).await;
        match me.status.as_u16() {
            200 => me.json()["roles"].clone(),
            status => json!(status),
        }
    }
}

fn shown(made: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["key"]["id"]), text(&made["secret"]))
}

/// Alice makes a key, which makes another: what becomes of her becomes of both.
async fn what_a_key_makes_is_its_owners(scene: Scene) {
    let (id, first) = scene.made_by(&scene.alice).await;
    let (_, second) = scene.made_by(&first).await;
    let (_, third) = scene.made_by(&second).await;
    assert_eq!(scene.roles(&third).await, json!(BOTH));
    scene.change(json!({ "roles": ["tenant-user"] })).await;
    for key in [&first, &second, &third] {
        assert_eq!(scene.roles(key).await, json!(["tenant-user"]));
    }
    // So it can make no key that is more, by any of them.
    let wanted = json!({ "account": "acme/alice", "roles": ["tenant-admin"] });
    scene.host.post("/v1/keys", &third, wanted).await.with(403);
    scene.change(json!({ "disabled": true })).await;
    for key in [&first, &second, &third] {
        assert_eq!(scene.roles(key).await, 401);
    }
    scene.change(json!({ "disabled": false })).await;
    // A key that is revoked ends alone: the others are alice's as it was.
    scene.revoke(&id).await;
    assert_eq!(scene.roles(&first).await, 401);
    assert_eq!(scene.roles(&second).await, json!(["tenant-user"]));
    scene.deleted().await;
    for key in [&second, &third] {
        assert_eq!(scene.roles(key).await, 401);
    }
}

#[tokio::test]
async fn what_a_key_makes_is_its_owners_in_memory() {
    what_a_key_makes_is_its_owners(Scene::new().await).await;
}

#[tokio::test]
async fn what_a_key_makes_is_its_owners_in_the_embedded_store() {
    what_a_key_makes_is_its_owners(Scene::on(true, None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_makes_is_its_owners_on_cassandra() {
    let store = Store::cql(fresh().await).await.unwrap();
    what_a_key_makes_is_its_owners(Scene::on(false, Some(store)).await).await;
}

#[tokio::test]
async fn keys_that_name_the_key_that_made_them_are_followed_to_their_owner() {
    let scene = Scene::new().await;
    let made_by = |id: &KeyId| format!("key:{id}");
    let (first, _) = scene.kept("user:acme/alice", |_| {}).await;
    // One on the way has expired, as a rotated one does; that ends nothing but itself.
    let end = scene.now().plus_millis(1);
    let expired = |key: &mut ApiKey| key.expires = Some(end);
    let (second, _) = scene.kept(&made_by(&first), expired).await;
    let (_, third) = scene.kept(&made_by(&second), |_| {}).await;
    assert_eq!(scene.roles(&third).await, json!(BOTH));
    // One on the way was less than those that it is said to have made.
    let less = |key: &mut ApiKey| key.roles = [Role::TenantUser].into_iter().collect();
    let (lesser, _) = scene.kept(&made_by(&first), less).await;
    let (_, beyond) = scene.kept(&made_by(&lesser), |_| {}).await;
    assert_eq!(scene.roles(&beyond).await, json!(["tenant-user"]));
    scene.change(json!({ "roles": ["tenant-user"] })).await;
    assert_eq!(scene.roles(&third).await, json!(["tenant-user"]));
    scene.change(json!({ "disabled": true })).await;
    assert_eq!(scene.roles(&third).await, 401);
    scene.change(json!({ "disabled": false })).await;
    scene.revoke(first.as_str()).await;
    assert_eq!(scene.roles(&third).await, 401);
}

#[tokio::test]
async fn a_way_that_leads_to_no_owner_opens_nothing() {
    let scene = Scene::new().await;
    let (_, orphan) = scene.kept("key:nobodys", |_| {}).await;
    assert_eq!(scene.roles(&orphan).await, 401);
    let named = |id: &'static str| move |key: &mut ApiKey| key.id = KeyId::parse(id).unwrap();
    scene.kept("key:there", named("here")).await;
    scene.kept("key:here", named("there")).await;
    let (_, round) = scene.kept("key:there", |_| {}).await;
    assert_eq!(scene.roles(&round).await, 401);
    let mut maker = "user:acme/alice".to_owned();
    let mut secret = String::new();
    for _ in 0..=64 {
        let (id, made) = scene.kept(&maker, |_| {}).await;
        (maker, secret) = (format!("key:{id}"), made);
    }
    assert_eq!(scene.roles(&secret).await, json!(BOTH));
    let (_, too_far) = scene.kept(&maker, |_| {}).await;
    assert_eq!(scene.roles(&too_far).await, 401);
}

/// The first administrator's key is meant to be revoked when there are others, which it made.
#[tokio::test]
async fn keys_that_the_first_key_made_outlive_it() {
    let scene = Scene::new().await;
    let me = scene.host.get("/v1/whoami", &scene.admin).await.with(200);
    let (other, first) = scene.made_by(&scene.admin).await;
    let (_, second) = scene.made_by(&first).await;
    let id = me["principal"].as_str().unwrap();
    scene.revoke(id.strip_prefix("key:").unwrap()).await;
    assert_eq!(scene.roles(&scene.admin).await, 401);
    assert_eq!(scene.roles(&first).await, json!(BOTH));
    let path = format!("/v1/keys/{other}");
    scene.host.delete(&path, &second).await.with(200);
    assert_eq!(scene.roles(&second).await, json!(BOTH));
}

#[tokio::test]
async fn a_rotated_key_is_its_owners_or_theirs_who_rotate_it() {
    let scene = Scene::new().await;
    let (id, first) = scene.made_by(&scene.alice).await;
    let (_, second) = scene.made_by(&first).await;
    // By itself and by its owner: it stays alice's.
    let (id, first) = scene.rotated_by(&first, &id).await;
    let (id, rotated) = scene.rotated_by(&scene.alice, &id).await;
    scene.change(json!({ "roles": ["tenant-user"] })).await;
    for key in [&first, &rotated, &second] {
        assert_eq!(scene.roles(key).await, json!(["tenant-user"]));
    }
    // By somebody else: it is no more than it was at that time, and no longer alice's.
    let (_, taken) = scene.rotated_by(&scene.admin, &id).await;
    scene.change(json!({ "roles": BOTH })).await;
    assert_eq!(scene.roles(&rotated).await, json!(BOTH));
    assert_eq!(scene.roles(&taken).await, json!(["tenant-user"]));
    scene.change(json!({ "disabled": true })).await;
    assert_eq!(scene.roles(&rotated).await, 401);
    assert_eq!(scene.roles(&taken).await, json!(["tenant-user"]));
}

#[tokio::test]
async fn who_rotates_a_key_that_nobody_made_answers_for_the_next() {
    let scene = Scene::new().await;
    let me = scene.host.get("/v1/whoami", &scene.admin).await.with(200);
    let id = me["principal"].as_str().unwrap();
    let id = id.strip_prefix("key:").unwrap();
    let (_, rotated) = scene.rotated_by(&scene.alice, id).await;
    assert_eq!(scene.roles(&rotated).await, json!(["tenant-admin"]));
    scene.change(json!({ "disabled": true })).await;
    assert_eq!(scene.roles(&rotated).await, 401);
}

#[tokio::test]
async fn a_narrow_key_rotates_none_into_a_wider_one() {
    let scene = Scene::new().await;
    let (id, _) = scene.made_by(&scene.alice).await;
    let wanted = json!({ "account": "acme/alice", "roles": BOTH, "scopes": ["keys"] });
    let narrow = scene.host.post("/v1/keys", &scene.alice, wanted).await;
    let (_, narrow) = shown(&narrow.with(201));
    let (_, rotated) = scene.rotated_by(&narrow, &id).await;
    scene.host.get("/v1/keys", &rotated).await.with(200);
    scene.host.get("/v1/usage", &rotated).await.with(403);
}

/// Whoever gets the name of somebody who was deleted is somebody else.
async fn who_gets_a_name_gets_nothing_of_the_one_before(scene: Scene) {
    let (_, first) = scene.made_by(&scene.alice).await;
    let (_, second) = scene.made_by(&first).await;
    let path = "/v1/users/alice";
    scene.deleted().await;
    scene.host.delete(path, &scene.admin).await.with(404);
    let users = scene.host.get("/v1/users", &scene.admin).await.with(200);
    assert_eq!(users["users"], json!([]));
    let made = scene.made(&BOTH).await.with(201);
    assert_eq!(made["principal"], "user:acme/alice~2");
    // The proofs of the one before are believed for a moment still. What they make now is hers.
    let (_, third) = scene.made_by(&first).await;
    let (_, fourth) = scene.made_by(&scene.alice).await;
    for proof in [&scene.alice, &first, &second, &third, &fourth] {
        assert_eq!(scene.roles(proof).await, 401);
    }
    let session = scene.session().await;
    let me = scene.host.get("/v1/whoami", &session).await.with(200);
    assert_eq!(me["principal"], "user:acme/alice~2");
    let (_, own) = scene.made_by(&session).await;
    assert_eq!(scene.roles(&own).await, json!(BOTH));
    scene.deleted().await;
    scene.made(&BOTH).await.with(201);
    for proof in [&scene.alice, &first, &session, &own] {
        assert_eq!(scene.roles(proof).await, 401);
    }
}

#[tokio::test]
async fn who_gets_a_name_gets_nothing_of_the_one_before_in_memory() {
    who_gets_a_name_gets_nothing_of_the_one_before(Scene::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gets_a_name_gets_nothing_of_the_one_before_on_cassandra() {
    let store = Store::cql(fresh().await).await.unwrap();
    who_gets_a_name_gets_nothing_of_the_one_before(Scene::on(false, Some(store)).await).await;
}

/// By whichever process, a name is given to one at a time.
#[tokio::test]
async fn of_those_who_make_a_name_anew_at_once_one_does() {
    let scene = Scene::new().await;
    scene.deleted().await;
    let answers = futures_util::future::join_all((0..8).map(|_| scene.made(&BOTH))).await;
    let made = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(made.count(), 1, "{answers:?}");
    let users = scene.host.get("/v1/users", &scene.admin).await.with(200);
    assert_eq!(users["users"][0]["principal"], "user:acme/alice~2");
}

#[tokio::test]
async fn grants_are_theirs_whom_they_were_made_to_and_no_namesakes() {
    let scene = Scene::new().await;
    scene.change(json!({ "roles": ["tenant-user"] })).await;
    let grant = json!({ "template": "bookkeeper", "principal": "user:acme/alice",
        "on": "acme/admin" });
    let grant = scene.host.post("/v1/grants", &scene.admin, grant).await;
    grant.with(201);
    let usage = "/v1/usage?account=acme/admin";
    scene.millis.fetch_add(BELIEVED_MILLIS, Ordering::SeqCst);
    scene.host.get(usage, &scene.alice).await.with(200);
    scene.deleted().await;
    scene.made(&[Role::TenantUser]).await.with(201);
    let namesake = scene.session().await;
    scene.host.get(usage, &namesake).await.with(403);
}

/// A list has no holes where somebody was deleted, and its pages are full.
#[tokio::test]
async fn users_who_are_gone_are_in_no_list() {
    let scene = Scene::new().await;
    for n in 0..6 {
        let wanted = json!({ "name": format!("user{n}") });
        scene
            .host
            .post("/v1/users", &scene.admin, wanted)
            .await
            .with(201);
    }
    for name in ["alice", "user1", "user2", "user5"] {
        let path = format!("/v1/users/{name}");
        scene.host.delete(&path, &scene.admin).await.with(204);
    }
    let page = async |path: &str| {
        let page = scene.host.get(path, &scene.admin).await.with(200);
        let users = page["users"].as_array().unwrap().iter();
        let names: Vec<Value> = users.map(|user| user["name"].clone()).collect();
        (names, page["next"].clone())
    };
    let first = page("/v1/users?limit=2").await;
    assert_eq!(
        first,
        (vec![json!("user0"), json!("user3")], json!("user3"))
    );
    let second = page("/v1/users?limit=2&after=user3").await;
    assert_eq!(second, (vec![json!("user4")], Value::Null));
}

/// Somebody of whom nothing is known has no rights that a key could have. The host itself has
/// nobody behind it, and its keys are what they say.
#[tokio::test]
async fn keys_whose_maker_is_unknown_open_nothing() {
    let scene = Scene::new().await;
    for maker in [
        "jwt:14:https://a.test:ann",
        "user:acme/nobody",
        "user:acme/alice~2",
        "user:acme/alice~1",
        "user:acme",
        "somebody",
    ] {
        let (_, secret) = scene.kept(maker, |_| {}).await;
        assert_eq!(scene.roles(&secret).await, 401, "{maker}");
    }
    for maker in ["user:acme/alice", "system:migration"] {
        let (_, secret) = scene.kept(maker, |_| {}).await;
        assert_eq!(scene.roles(&secret).await, json!(BOTH), "{maker}");
    }
}

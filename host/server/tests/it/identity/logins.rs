//! Users who log in with passwords, their sessions and keys, and what slows who guesses.

use crate::support::host::{Host, Options};
use holdfast::api::Settings;
use holdfast::clock::Clock;
use holdfast::identity::{Identity, Terms};
use holdfast_model::{Role, UnixMillis};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longer than a proof is remembered after a look at the store.
const REMEMBERED_MILLIS: u64 = 5_000;

const PASSWORD: &str = "correct horse battery";

struct Scene {
    host: Host,
    millis: Arc<AtomicU64>,
    admin: String,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Terms::default(), Settings::default()).await
    }

    async fn with(terms: Terms, settings: Settings) -> Self {
        let millis = Arc::new(AtomicU64::new(1_800_000_000_000));
        let host = Host::start_with(Options {
            clock: Clock::Manual(Arc::clone(&millis)),
            identity: Identity {
                terms,
                ..Identity::default()
            },
            settings,
            ..Options::default()
        })
        .await;
        let admin = host.key("acme/admin", &[Role::TenantAdmin]).await;
        Self {
            host,
            millis,
            admin,
        }
    }

    fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
    }

    async fn user(&self, more: Value) -> Value {
        let mut wanted = json!({ "name": "alice", "password": PASSWORD });
        let object = wanted.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        self.host
            .post("/v1/users", &self.admin, wanted)
            .await
            .with(201)
    }

    async fn log_in(&self, user: &str, password: &str) -> (u16, Value) {
        let wanted = json!({ "user": user, "password": password });
        let answer = self
            .host
            .call("POST", "/v1/login", None, Some(wanted))
            .await;
        (answer.status.as_u16(), answer.json())
    }

    async fn session(&self) -> String {
        let (status, session) = self.log_in("acme/alice", PASSWORD).await;
        assert_eq!(status, 201, "{session}");
        session["token"].as_str().unwrap().to_owned()
    }

    async fn status(&self, token: &str) -> u16 {
        let answer = self.host.get("/v1/whoami", token).await;
        answer.status.as_u16()
    }
}

#[tokio::test]
async fn a_user_logs_in_acts_and_logs_out() {
    let scene = Scene::new().await;
    let user = scene.user(json!({})).await;
    assert_eq!(user["account"], "acme/alice");
    assert_eq!(user["has_password"], true);
    assert!(!user.to_string().contains("argon2"), "{user}");
    let session = scene.session().await;
    let me = scene.host.get("/v1/whoami", &session).await.with(200);
    assert_eq!(me["principal"], "user:acme/alice");
    assert_eq!(me["roles"], json!(["tenant-user"]));
    scene.host.get("/psa/pins", &session).await.with(200);
    scene.host.delete("/v1/login", &session).await.with(204);
    scene.pass(REMEMBERED_MILLIS);
    assert_eq!(scene.status(&session).await, 401);
    // A key has no session to end.
    scene.host.delete("/v1/login", &scene.admin).await.with(400);
    // A session ends by itself.
    let session = scene.session().await;
    scene.pass(3_599_000);
    assert_eq!(scene.status(&session).await, 200);
    scene.pass(1_000);
    assert_eq!(scene.status(&session).await, 401);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_answer_alike() {
    let scene = Scene::new().await;
    scene.user(json!({})).await;
    let wrong = scene.log_in("acme/alice", "not the password").await;
    assert_eq!(wrong.0, 401);
    for user in ["acme/nobody", "other/alice", "alice", "", "acme/"] {
        let mut other = scene.log_in(user, PASSWORD).await;
        for own in ["request_id", "instance"] {
            other.1[own] = wrong.1[own].clone();
        }
        assert_eq!(other, wrong, "{user}");
    }
}

#[tokio::test]
async fn who_guesses_is_locked_out_for_longer_and_longer() {
    let scene = Scene::new().await;
    scene.user(json!({})).await;
    for _ in 0..5 {
        assert_eq!(scene.log_in("acme/alice", "a guess, no more").await.0, 401);
    }
    // Not even the right password is looked at.
    let (status, said) = scene.log_in("acme/alice", PASSWORD).await;
    assert_eq!(status, 429, "{said}");
    scene.pass(1_000);
    assert_eq!(scene.log_in("acme/alice", "a guess, no more").await.0, 401);
    scene.pass(1_000);
    assert_eq!(scene.log_in("acme/alice", PASSWORD).await.0, 429);
    let unlocked = json!({ "unlock": true });
    let path = "/v1/users/alice";
    let call = scene
        .host
        .call("PUT", path, Some(&scene.admin), Some(unlocked));
    call.await.with(200);
    scene.session().await;
    assert_eq!(scene.log_in("acme/alice", "a guess, no more").await.0, 401);
}

#[tokio::test]
async fn changes_of_a_user_count_within_five_seconds() {
    let scene = Scene::new().await;
    scene.user(json!({})).await;
    let change = async |change: Value| {
        let path = "/v1/users/alice";
        let call = scene
            .host
            .call("PUT", path, Some(&scene.admin), Some(change));
        call.await.with(200);
        scene.pass(REMEMBERED_MILLIS);
    };
    let session = scene.session().await;
    change(json!({ "roles": ["tenant-admin"] })).await;
    let me = scene.host.get("/v1/whoami", &session).await.with(200);
    assert_eq!(me["roles"], json!(["tenant-admin"]));
    change(json!({ "password": "another long one" })).await;
    assert_eq!(scene.status(&session).await, 401);
    assert_eq!(scene.log_in("acme/alice", PASSWORD).await.0, 401);
    let (status, session) = scene.log_in("acme/alice", "another long one").await;
    assert_eq!(status, 201);
    change(json!({ "disabled": true })).await;
    assert_eq!(scene.status(session["token"].as_str().unwrap()).await, 401);
    assert_eq!(scene.log_in("acme/alice", "another long one").await.0, 401);
    change(json!({ "disabled": false })).await;
    assert_eq!(scene.log_in("acme/alice", "another long one").await.0, 201);
}

#[tokio::test]
async fn a_key_is_no_more_than_its_maker_is_today() {
    let scene = Scene::new().await;
    scene.user(json!({ "roles": ["tenant-admin"] })).await;
    let session = scene.session().await;
    let wanted = json!({ "roles": ["tenant-user", "tenant-admin"] });
    let made = scene
        .host
        .post("/v1/keys", &session, wanted)
        .await
        .with(201);
    let key = made["secret"].as_str().unwrap();
    let roles = async || {
        scene.pass(REMEMBERED_MILLIS);
        let me = scene.host.get("/v1/whoami", key).await;
        match me.status.as_u16() {
            200 => me.json()["roles"].clone(),
            status => json!(status),
        }
    };
    assert_eq!(roles().await, json!(["tenant-user", "tenant-admin"]));
    let change = async |change: Value| {
        let path = "/v1/users/alice";
        let call = scene
            .host
            .call("PUT", path, Some(&scene.admin), Some(change));
        call.await.with(200);
    };
    change(json!({ "roles": ["tenant-user"] })).await;
    assert_eq!(roles().await, json!(["tenant-user"]));
    change(json!({ "disabled": true })).await;
    assert_eq!(roles().await, json!(401));
}

#[tokio::test]
async fn users_are_their_tenants_and_no_more_than_who_makes_them() {
    let scene = Scene::new().await;
    let stranger = scene.host.key("rival/web", &[Role::TenantAdmin]).await;
    let path = "/v1/users?tenant=acme";
    scene.host.get(path, &stranger).await.with(404);
    let post = async |wanted: Value| {
        let answer = scene.host.post("/v1/users", &scene.admin, wanted).await;
        answer.status.as_u16()
    };
    assert_eq!(
        post(json!({ "name": "eve", "roles": ["operator"] })).await,
        403
    );
    assert_eq!(post(json!({ "name": "eve", "roles": [] })).await, 400);
    assert_eq!(post(json!({ "name": "Eve" })).await, 400);
    assert_eq!(
        post(json!({ "name": "eve", "password": "short" })).await,
        400
    );
    assert_eq!(
        post(json!({ "name": "eve", "account": "rival/web" })).await,
        400
    );
    assert_eq!(
        post(json!({ "name": "eve", "logins": ["mailto:eve"] })).await,
        400
    );
    assert_eq!(
        post(json!({ "name": "eve", "logins": ["did:key:z6MkA"] })).await,
        201
    );
    assert_eq!(post(json!({ "name": "eve" })).await, 409);
    assert_eq!(
        post(json!({ "name": "bob", "logins": ["did:key:z6MkA"] })).await,
        409
    );
    let listed = scene
        .host
        .get("/v1/users?limit=1", &scene.admin)
        .await
        .with(200);
    assert_eq!(listed["users"][0]["name"], "eve");
    assert_eq!(listed["next"], "eve");
    scene
        .host
        .delete("/v1/users/eve", &scene.admin)
        .await
        .with(204);
    assert_eq!(
        post(json!({ "name": "bob", "logins": ["did:key:z6MkA"] })).await,
        201
    );
}

#[tokio::test]
async fn passwords_can_be_switched_off() {
    let terms = Terms {
        passwords: false,
        ..Terms::default()
    };
    let scene = Scene::with(terms, Settings::default()).await;
    scene.user(json!({})).await;
    let (status, said) = scene.log_in("acme/alice", PASSWORD).await;
    assert_eq!(status, 403);
    assert!(said["detail"].as_str().unwrap().contains("auth.passwords"));
}

#[tokio::test]
async fn a_rotated_key_serves_on_for_a_while_and_says_so() {
    let scene = Scene::new().await;
    let wanted = json!({ "label": "ci", "scopes": ["pinning"] });
    let made = scene
        .host
        .post("/v1/keys", &scene.admin, wanted)
        .await
        .with(201);
    let (old, id) = (
        made["secret"].as_str().unwrap(),
        made["key"]["id"].as_str().unwrap(),
    );
    let rotate = format!("/v1/keys/{id}/rotate");
    let hour = json!({ "overlap_seconds": 3_600 });
    let rotated = scene
        .host
        .post(&rotate, &scene.admin, hour.clone())
        .await
        .with(201);
    let new = rotated["secret"].as_str().unwrap();
    assert_eq!(rotated["key"]["label"], "ci");
    assert_eq!(rotated["key"]["scopes"], made["key"]["scopes"]);
    let month = json!({ "overlap_seconds": 31 * 86_400 });
    scene.host.post(&rotate, &scene.admin, hour).await.with(409);
    scene
        .host
        .post(&rotate, &scene.admin, month)
        .await
        .with(400);
    scene.pass(REMEMBERED_MILLIS);
    let warned = scene.host.get("/psa/pins", old).await;
    warned.with(200);
    assert_eq!(warned.headers["deprecation"], "@1800000000");
    assert_eq!(warned.headers["sunset"], "Fri, 15 Jan 2027 09:00:00 GMT");
    let plain = scene.host.get("/psa/pins", new).await;
    plain.with(200);
    assert!(!plain.headers.contains_key("sunset"));
    scene.pass(3_600_000);
    scene.host.get("/psa/pins", old).await.with(401);
    scene.host.get("/psa/pins", new).await.with(200);
}

#[tokio::test]
async fn a_key_is_good_for_its_scopes_alone_and_gives_no_more_away() {
    let scene = Scene::new().await;
    let post = async |key: &str, wanted: Value| scene.host.post("/v1/keys", key, wanted).await;
    let wanted = json!({ "roles": ["tenant-admin"], "scopes": ["keys", "listRequests"] });
    let made = post(&scene.admin, wanted).await.with(201);
    let narrow = made["secret"].as_str().unwrap();
    scene.host.get("/psa/pins", narrow).await.with(200);
    let denied = scene.host.get("/v1/usage", narrow).await.with(403);
    assert!(
        denied["detail"].as_str().unwrap().contains("readUsage"),
        "{denied}"
    );
    let child = post(narrow, json!({ "scopes": ["reading"] }))
        .await
        .with(201);
    assert_eq!(child["key"]["scopes"], json!(["listRequests", "listKeys"]));
    let child = post(narrow, json!({})).await.with(201);
    assert_eq!(child["key"]["scopes"], made["key"]["scopes"]);
    let wrong = post(&scene.admin, json!({ "scopes": ["everything"] })).await;
    wrong.with(400);
    // No key is good for ever, and none for longer than it may.
    assert_eq!(child["key"]["expires"], "2028-01-15T08:00:00.000Z");
    let far = json!({ "expires": "2028-01-15T08:00:01Z" });
    post(&scene.admin, far).await.with(400);
}

#[tokio::test]
async fn a_list_of_keys_tells_when_each_was_last_used() {
    let scene = Scene::new().await;
    let made = scene
        .host
        .post("/v1/keys", &scene.admin, json!({}))
        .await
        .with(201);
    let used = made["secret"].as_str().unwrap();
    scene.host.get("/v1/whoami", used).await.with(200);
    scene.host.door.write_uses().await;
    let listed = scene.host.get("/v1/keys", &scene.admin).await.with(200);
    let rows = listed["keys"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["id"] == made["key"]["id"])
        .unwrap();
    assert_eq!(row["last_used"]["at"], "2027-01-15T08:00:00.000Z");
    assert_eq!(row["last_used"]["address"], "127.0.0.1");
}

#[tokio::test]
async fn an_address_that_guesses_is_not_listened_to() {
    let terms = Terms {
        refused_per_minute: 3,
        ..Terms::default()
    };
    let scene = Scene::with(terms, Settings::default()).await;
    scene.host.get("/v1/whoami", &scene.admin).await.with(200);
    for n in 0..3 {
        assert_eq!(scene.status(&format!("guess-number-{n}")).await, 401);
    }
    let slowed = scene.host.get("/v1/whoami", "guess-number-4").await;
    slowed.with(429);
    assert_eq!(slowed.headers["retry-after"], "60");
    assert_eq!(scene.log_in("acme/alice", PASSWORD).await.0, 429);
    // Who is known already goes on.
    assert_eq!(scene.status(&scene.admin).await, 200);
    scene.pass(60_000);
    assert_eq!(scene.status("guess-number-5").await, 401);
}

#[tokio::test]
async fn callers_have_a_bound_each_and_are_told_of_it() {
    let settings = Settings {
        calls_per_second: 1,
        calls_burst: 2,
        ..Settings::default()
    };
    let scene = Scene::with(Terms::default(), settings).await;
    let first = scene.host.get("/psa/pins", &scene.admin).await;
    assert_eq!(first.headers["x-ratelimit-limit"], "2");
    assert_eq!(first.headers["x-ratelimit-remaining"], "1");
    scene.host.get("/psa/pins", &scene.admin).await.with(200);
    let last = scene.host.get("/psa/pins", &scene.admin).await;
    assert_eq!(last.status.as_u16(), 429);
    assert_eq!(last.headers["x-ratelimit-remaining"], "0");
    assert!(last.headers.contains_key("retry-after"));
    assert_eq!(last.json()["error"]["reason"], "TOO_MANY_REQUESTS");
    let other = scene.host.key("acme/web", &[Role::TenantUser]).await;
    scene.host.get("/psa/pins", &other).await.with(200);
    let reset = first.headers["x-ratelimit-reset"].to_str().unwrap();
    let reset: u64 = reset.parse().unwrap();
    let now = UnixMillis::new(scene.millis.load(Ordering::SeqCst)).as_seconds();
    assert!((now..=now + 2).contains(&reset), "{reset}");
}

/// What one host is told holds at another that believed otherwise a moment ago: the promise is
/// five seconds, and the clock moves by no more.
#[tokio::test]
async fn what_one_host_revokes_every_other_refuses_within_five_seconds() {
    const PROMISED_MILLIS: u64 = 5_000;
    let scene = Scene::new().await;
    scene.user(json!({ "roles": ["tenant-admin"] })).await;
    let other = Host::start_with(Options {
        clock: Clock::Manual(Arc::clone(&scene.millis)),
        store: Some(scene.host.app.store.clone()),
        ..Options::default()
    })
    .await;
    let made = async |by: String| {
        let made = scene.host.post("/v1/keys", &by, json!({})).await.with(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["secret"]))
    };
    let (id, revoked) = made(scene.admin.clone()).await;
    let (_, of_alice) = made(scene.session().await).await;
    let (_, kept) = made(scene.admin.clone()).await;
    let at_other = async || {
        let mut seen = Vec::new();
        for key in [&revoked, &of_alice, &kept] {
            seen.push(other.get("/v1/whoami", key).await.status.as_u16());
        }
        seen
    };
    assert_eq!(at_other().await, [200, 200, 200]);
    let path = format!("/v1/keys/{id}");
    let gone = scene.host.delete(&path, &scene.admin).await;
    assert!(gone.status.is_success(), "{}", gone.status);
    let off = Some(json!({ "disabled": true }));
    let path = "/v1/users/alice";
    let call = scene.host.call("PUT", path, Some(&scene.admin), off);
    call.await.with(200);
    scene.pass(PROMISED_MILLIS - 1);
    assert_eq!(at_other().await, [401, 401, 200]);
}

/// A tenant is to know who logs in as its users, and who tries; of names that nobody has, nobody
/// but the host is told, and not the name.
#[tokio::test]
async fn log_ins_stand_in_the_chain_of_the_users_tenant() {
    let scene = Scene::new().await;
    scene.user(json!({})).await;
    scene.session().await;
    for _ in 0..5 {
        assert_eq!(scene.log_in("acme/alice", "a guess, no more").await.0, 401);
    }
    assert_eq!(scene.log_in("acme/alice", PASSWORD).await.0, 429);
    for nobody in ["acme/nobody", "rival/alice", "a password"] {
        assert_eq!(scene.log_in(nobody, PASSWORD).await.0, 401, "{nobody}");
    }
    scene.host.app.audit.settle().await.unwrap();
    let log_ins = async |tenant: &str| {
        let entries = scene.host.app.store.audit_entries(tenant, 1, 100).await;
        let entries = entries.unwrap().into_iter();
        let events = entries.map(|entry| serde_json::from_slice(&entry.body).unwrap());
        events
            .filter(|event: &Value| event["route"] == "POST /v1/login")
            .map(|event| {
                let note = event["note"].as_str().unwrap().to_owned();
                (event["status"].as_u64().unwrap(), note)
            })
            .collect::<Vec<_>>()
    };
    let of_acme = log_ins("acme").await;
    let statuses: Vec<u64> = of_acme.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [201, 401, 401, 401, 401, 401, 429]);
    let begins = "user:acme/alice began session ";
    assert!(of_acme[0].1.starts_with(begins), "{of_acme:?}");
    for (_, note) in &of_acme[1..] {
        assert!(
            note.starts_with("user:acme/alice did not log in: "),
            "{note}"
        );
    }
    assert!(of_acme[6].1.contains("too many failed log-ins"));
    let of_host = log_ins("").await;
    assert_eq!(of_host.len(), 3, "{of_host:?}");
    for (status, note) in &of_host {
        assert_eq!(*status, 401);
        let is_told = ["nobody", "alice", "rival", "a password"]
            .iter()
            .any(|word| note.contains(word));
        assert!(!is_told, "{note}");
    }
    let nobody_s = scene.host.app.store.audit_head("rival").await.unwrap();
    assert_eq!(nobody_s.seq, 0, "an outsider begins no chain");
}

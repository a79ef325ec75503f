//! A real Keycloak, one for all tests of this process.
//!
//! It takes half a minute to start, so it is begun by the first test that may want it and waited
//! for by those that do.

use super::kubo::free_port;
use super::tools::{Guarded, tool};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Beside compilers it takes longer than alone.
const START_MAX: Duration = Duration::from_secs(240);

/// The realm that is imported at its start.
const REALM: &str = include_str!("../identity/keycloak/realm.json");

pub(crate) struct Keycloak {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    log: PathBuf,
    _server: Guarded,
}

impl Keycloak {
    /// The one server, which answers.
    pub(crate) async fn shared() -> &'static Self {
        static SERVER: OnceLock<Keycloak> = OnceLock::new();
        let begun = tokio::task::spawn_blocking(|| SERVER.get_or_init(Self::begin));
        let server = begun.await.unwrap();
        server.wait().await;
        server
    }

    fn begin() -> Self {
        let installed = tool("keycloak");
        let from = installed.ancestors().nth(2).unwrap();
        // It writes beside its own files, so each target directory has its own copy.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keycloak");
        if !home.join("copied").exists() {
            std::fs::remove_dir_all(&home).ok();
            let copied = Command::new("cp").arg("-r").arg(from).arg(&home).status();
            assert!(copied.unwrap().success(), "{from:?} cannot be copied");
            std::fs::write(home.join("copied"), "").unwrap();
        }
        std::fs::create_dir_all(home.join("data/import")).unwrap();
        std::fs::write(home.join("data/import/pins-realm.json"), REALM).unwrap();
        let port = free_port().to_string();
        let program = home.join("bin/kc.sh").display().to_string();
        let log = home.join("log");
        let listen = format!("--http-port={port}");
        let server = Guarded::start(
            &[
                &program,
                "start-dev",
                "--db=dev-mem",
                "--http-host=127.0.0.1",
                &listen,
                "--import-realm",
            ],
            &[
                ("KC_BOOTSTRAP_ADMIN_USERNAME", "admin"),
                ("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin"),
                ("JAVA_OPTS_KC_HEAP", "-Xms64m -Xmx512m"),
            ],
            &log.display().to_string(),
        );
        Self {
            url: format!("http://127.0.0.1:{port}"),
            log,
            _server: server,
        }
    }

    async fn wait(&self) {
        let begun = Instant::now();
        let path = "/realms/pins/.well-known/openid-configuration";
        while self
            .try_call("GET", path, "", None)
            .await
            .is_none_or(|(status, _)| status != 200)
        {
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(
                begun.elapsed() < START_MAX,
                "Keycloak does not start: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The issuer's name.
    pub(crate) fn issuer(&self) -> String {
        format!("{}/realms/pins", self.url)
    }

    /// What its token endpoint answers to a form.
    pub(crate) async fn tokens(&self, realm: &str, form: &[(&str, &str)]) -> Value {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let path = format!("/realms/{realm}/protocol/openid-connect/token");
        let kind = "application/x-www-form-urlencoded";
        let (status, said) = self
            .try_call("POST", &path, &form, Some((kind, "")))
            .await
            .unwrap();
        assert_eq!(status, 200, "{said}");
        said
    }

    /// Does something as its administrator, and gives what it answers.
    pub(crate) async fn administer(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let form = [
            ("client_id", "admin-cli"),
            ("grant_type", "password"),
            ("username", "admin"),
            ("password", "admin"),
        ];
        let tokens = self.tokens("master", &form).await;
        let token = tokens["access_token"].as_str().unwrap();
        let how = Some(("application/json", token));
        self.try_call(method, path, body, how).await.unwrap()
    }

    /// A call; nothing if nobody answers.
    pub(crate) async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: &str,
        how: Option<(&str, &str)>,
    ) -> Option<(u16, Value)> {
        let mut request = axum::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some((kind, token)) = how {
            request = request.header("content-type", kind);
            if !token.is_empty() {
                request = request.header("authorization", format!("Bearer {token}"));
            }
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
        let answer = client.request(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }
}

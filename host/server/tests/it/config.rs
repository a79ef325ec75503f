//! The configuration: what is read, what is refused, what is put into force while it runs.

use holdfast::config::{
    self, Complaint, Config, Environment, Live, Loaded, Origin, Problems, Sources, StoreKind,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn nothing_more(_: &Config) -> Vec<Complaint> {
    Vec::new()
}

struct Scene {
    dir: tempfile::TempDir,
    sources: Sources,
}

impl Scene {
    fn new(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("holdfast.toml");
        std::fs::write(&file, toml).unwrap();
        Self {
            dir,
            sources: Sources {
                file: Some(file),
                ..Sources::default()
            },
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources
            .environment
            .insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        config::load(&self.sources, nothing_more)
    }

    fn good(&self) -> Config {
        self.load()
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    /// The problems as `line key wrong → write`, one a line.
    fn wrong(&self) -> String {
        let problems = self.load().expect_err("it was accepted").problems;
        let line = |origin: &Origin| match origin {
            Origin::File {
                line: Some(line), ..
            } => line.to_string(),
            other => other.to_string(),
        };
        problems
            .iter()
            .map(|p| format!("{} {} {} → {}\n", line(&p.origin), p.key, p.wrong, p.write))
            .collect()
    }
}

#[test]
fn without_any_layer_the_defaults_hold() {
    let config = config::load(&Sources::default(), nothing_more)
        .unwrap()
        .config;
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8420");
    assert_eq!(config.store_dir(), Path::new("data/store"));
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let mut scene = Scene::new(
        "data = 'one'\n[kubo]\nconcurrency = 2\n[server]\nlisten = '127.0.0.1:1'\nbody_timeout = '1s'\n",
    );
    scene.file("map/kubo.concurrency", "3\n");
    scene.file("map/server__listen", "127.0.0.1:2");
    scene.file("map/more.toml", "[limits]\nbody_bytes_max = '2MiB'\n");
    scene.file("map/..data", "machinery of the mount");
    scene.sources.dir = Some(scene.dir.path().join("map"));
    let mut scene = scene
        .variable("HOLDFAST_SERVER__LISTEN", "127.0.0.1:3")
        .variable("HOLDFAST_KUBO__API", "http://a:1, http://b:2")
        .variable("HOLDFAST_STORE__KIND", "memory")
        .variable("HOLDFAST_SERVICE_HOST", "10.0.0.1");
    scene.sources.flags.push((
        "server.listen".into(),
        "127.0.0.1:4".into(),
        "--listen".into(),
    ));
    let config = scene.good();
    assert_eq!(config.general.data, Path::new("one"));
    assert_eq!(config.kubo.concurrency.get(), 3);
    assert_eq!(config.server.listen.port(), 4);
    assert_eq!(config.server.body_timeout.get().as_secs(), 1);
    assert_eq!(config.limits.body_bytes_max.0, 2 << 20);
    assert_eq!(config.kubo.api, ["http://a:1", "http://b:2"]);
    assert_eq!(config.store.kind, StoreKind::Memory);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line_and_the_mend() {
    let scene = Scene::new(
        "prodution = true\n[server]\nlisten = 'localhost'\nbody_timeout = 10\nlisen = 'x'\n\
         [kubo]\nconcurrency = 0\napi = ['ftp://x']\n[store]\nkind = 'cql'\n[log]\nlevel = 1\n\
         format = 'yaml'\n[limits]\nbody_bytes_max = 'big'\n[limits.calls_max]\nx = 1\n[tls]\n",
    )
    .variable("HOLDFAST_OPS__LISTEN", "nowhere");
    let wrong = scene.wrong();
    for row in [
        "1 prodution there is no such key → did you mean production?",
        "3 server.listen \"localhost\" is no address to listen at → write an IP address and a port",
        "4 server.body_timeout 10 is no span of time → write a number above 0 with its unit",
        "5 server.lisen there is no such key → did you mean server.listen?",
        "7 kubo.concurrency 0 is no number from 1 to 1024 → write a whole number from 1 to 1024",
        "8 kubo.api \"ftp://x\" is no address of an RPC API → write http://HOST:PORT",
        "default store.cql.contact_points is missing, and store.kind = \"cql\" → name some nodes",
        "default store.cql.local_datacenter is missing",
        "default store.cql.replication is missing",
        "12 log.level 1 is no text →",
        "13 log.format \"yaml\" is no choice here → write one of text, json",
        "15 limits.body_bytes_max \"big\" is no size → write bytes, or",
        "17 limits.calls_max.x limits.calls_max holds one value, not a table →",
        "18 tls there is no such section →",
        "$HOLDFAST_OPS__LISTEN ops.listen \"nowhere\" is no address to listen at →",
    ] {
        assert!(wrong.contains(row), "{row}\nis not in\n{wrong}");
    }
    assert_eq!(wrong.lines().count(), 15, "{wrong}");
    let shown = scene.load().unwrap_err().to_string();
    assert!(shown.ends_with("15 problems"), "{shown}");
}

/// Keys of the cluster of which one is of no use without the other.
#[test]
fn what_is_missing_beside_a_key_of_the_cluster_is_named() {
    for (there, missing) in [
        (
            "username = 'holdfast'",
            "store.cql.password is missing beside username",
        ),
        (
            "password = 'a-secret-0123456'",
            "store.cql.username is missing beside password",
        ),
        (
            "tls = { ca = 'a', cert = 'b' }",
            "store.cql.tls.key is missing beside tls.cert",
        ),
        (
            "tls = { ca = 'a', key = 'b' }",
            "store.cql.tls.cert is missing beside tls.key",
        ),
        (
            "tls = { server_name = 'a' }",
            "store.cql.tls.ca is missing beside the other keys of tls",
        ),
        (
            "partition_reads_max = 1",
            "store.cql.partition_writes_max is missing beside partition_reads_max",
        ),
        (
            "partition_writes_max = 1",
            "store.cql.partition_reads_max is missing beside partition_writes_max",
        ),
        (
            "retry_first = '2s'\nretry_longest = '1s'",
            "store.cql.retry_longest",
        ),
    ] {
        let cluster = "contact_points = ['127.0.0.1']\nlocal_datacenter = 'dc1'\n\
                       replication = 'dc1:1'";
        let text = format!("[store]\nkind = 'cql'\n[store.cql]\n{cluster}\n{there}\n");
        let wrong = Scene::new(&text).wrong();
        assert!(wrong.contains(missing), "{missing}\nis not in\n{wrong}");
        assert_eq!(wrong.lines().count(), 1, "{wrong}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named() {
    assert!(
        Scene::new("[server\n").wrong().starts_with("1  "),
        "a syntax error has its line"
    );
    assert!(
        Scene::new("a = 1\na = 2\n")
            .wrong()
            .contains("duplicate key")
    );
    let mut scene = Scene::new("");
    scene.sources.file = Some("/nowhere/holdfast.toml".into());
    scene.sources.dir = Some("/nowhere/at-all".into());
    let wrong = scene.wrong();
    assert!(
        wrong.contains("/nowhere/holdfast.toml  cannot be read"),
        "{wrong}"
    );
    assert!(wrong.contains("/nowhere/at-all  cannot be read"), "{wrong}");
}

#[test]
fn secrets_come_from_where_they_are_and_are_never_shown() {
    let scene = Scene::new("");
    let file = scene.file("key", "a-secret-in-a-file-0123\n");
    let from = |value: &str| {
        Scene::new("")
            .variable("KEY", "a-secret-in-the-air-0123")
            .variable("HOLDFAST_BOOTSTRAP_ADMIN_KEY", value)
    };
    for (value, secret) in [
        (
            format!("file:{}", file.display()),
            "a-secret-in-a-file-0123",
        ),
        ("env:KEY".to_owned(), "a-secret-in-the-air-0123"),
        ("just-the-secret-0123".to_owned(), "just-the-secret-0123"),
    ] {
        let config = from(&value).good();
        assert_eq!(
            config.auth.bootstrap_admin_key.as_ref().unwrap().reveal(),
            secret
        );
        assert!(!format!("{config:?}").contains(secret));
    }
    assert!(
        from("env:ABSENT")
            .wrong()
            .contains("the variable ABSENT is not set")
    );
    assert!(
        from("file:/nowhere")
            .wrong()
            .contains("/nowhere cannot be read")
    );
    let wrong = from("tooshort").wrong();
    assert!(
        wrong.contains("16 characters") && !wrong.contains("tooshort"),
        "{wrong}"
    );
}

#[cfg(unix)]
#[test]
fn production_refuses_what_is_unsafe_and_takes_what_is_safe() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new("");
    let key = scene.file("tls.key", "key");
    let secret = scene.file("secret", "0123456789abcdef0123456789abcdef");
    let mode = |file: &Path, mode| {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let with = |toml: &str| Scene::new(&format!("production = true\n{toml}"));
    mode(&key, 0o644);
    mode(&secret, 0o604);
    let (key, secret) = (key.display(), secret.display());
    for (toml, words) in [
        (
            "[server]\nlisten = '0.0.0.0:8420'".to_owned(),
            "server.listen listens beyond this machine without TLS",
        ),
        (
            "[store]\nkind = 'memory'".to_owned(),
            "store.kind a store in memory",
        ),
        (
            "[audit]\nenabled = false".to_owned(),
            "audit.enabled decisions would not be recorded",
        ),
        (
            "[audit]\nenabled = true".to_owned(),
            "audit.signing_key checkpoints would be signed by a key that lies beside",
        ),
        (
            "[plugins]\nrequire_signatures = false".to_owned(),
            "plugins.require_signatures whoever can write a file",
        ),
        (
            "[plugins.trusted_keys]\npricing = ['ed25519:00']".to_owned(),
            "list of public keys",
        ),
        (
            format!("[server]\ntls_cert = '{key}'\ntls_key = '{key}'"),
            "server.tls_key everybody",
        ),
        (
            format!("[auth]\nbootstrap_admin_key = 'file:{secret}'"),
            "everybody on this machine can read its file",
        ),
        (
            "[auth]\nbootstrap_admin_key = 'only-24-characters-long!'".to_owned(),
            "can be guessed",
        ),
        (
            "[auth]\nbootstrap_admin_key = 'changeme-0123456789abcdef0123456789'".to_owned(),
            "can be guessed",
        ),
        (
            format!("[auth]\nbootstrap_admin_key = '{}'", "ab".repeat(32)),
            "can be guessed",
        ),
    ] {
        let wrong = with(&toml).wrong();
        assert!(wrong.contains(words), "{toml}: {wrong}");
    }
    mode(Path::new(&secret.to_string()), 0o600);
    mode(Path::new(&key.to_string()), 0o600);
    let safe = format!(
        "[server]\nlisten='0.0.0.0:1'\ntls_cert='{key}'\ntls_key='{key}'\n\
         [auth]\nbootstrap_admin_key='file:{secret}'\n\
         [plugins]\nrequire_signatures=true\n\
         [audit]\nsigning_key='file:{secret}'"
    );
    assert!(with(&safe).good().general.production);
    // The same without `production` is the operator's own business.
    Scene::new("[server]\nlisten = '0.0.0.0:8420'\n[audit]\nenabled = false").good();
}

/// Passwords that are kept here are for where there is no identity provider.
#[test]
fn production_takes_no_passwords_unless_it_is_told_to() {
    let takes_passwords = |toml: &str, is_production| {
        let mut config = Scene::new(toml).good();
        config.general.production = is_production;
        let identity = holdfast::identity::identity(&config);
        identity
            .map_err(|wrong| format!("{wrong:?}"))
            .unwrap()
            .terms
            .passwords
    };
    assert!(!takes_passwords("", true));
    assert!(takes_passwords("[auth]\npasswords = true", true));
    assert!(takes_passwords("", false));
    assert!(!takes_passwords("[auth]\npasswords = false", false));
}

#[test]
fn a_reload_switches_everybody_or_nobody() {
    let scene = Scene::new("[kubo]\nconcurrency = 4\n");
    let file = scene.sources.file.clone().unwrap();
    let live = Live::new(scene.sources.clone(), nothing_more, scene.load().unwrap());
    let seen = Arc::new(AtomicU64::new(4));
    let switched = Arc::clone(&seen);
    live.subscribe(Box::new(move |config| {
        let (switched, to) = (Arc::clone(&switched), config.kubo.concurrency.get());
        Ok(Box::new(move || switched.store(to, Ordering::SeqCst)))
    }));
    live.subscribe(Box::new(|config| match config.kubo.concurrency.get() {
        13 => Err(Complaint::new("kubo.concurrency", "is unlucky", "write 12")),
        _ => Ok(Box::new(|| {})),
    }));
    std::fs::write(
        &file,
        "[kubo]\nconcurrency = 5\n[server]\nlisten = '127.0.0.1:9'\n",
    )
    .unwrap();
    let changed: Vec<_> = live
        .reload()
        .unwrap()
        .into_iter()
        .map(|change| change.key)
        .collect();
    assert_eq!(changed, ["server.listen", "kubo.concurrency"]);
    assert_eq!(seen.load(Ordering::SeqCst), 5);
    assert_eq!(live.waiting_for_restart(), ["server.listen"]);
    for bad in [
        "[kubo]\nconcurrency = 13\n",
        "[kubo]\nconcurrency = 'x'\n",
        "[kubo\n",
    ] {
        std::fs::write(&file, bad).unwrap();
        assert!(live.reload().is_err(), "{bad}");
        assert_eq!(seen.load(Ordering::SeqCst), 5, "{bad}");
        assert_eq!(live.get().kubo.concurrency.get(), 5, "{bad}");
    }
}

#[test]
fn what_fits_together_alone_is_checked_as_a_whole() {
    for (toml, words) in [
        (
            "[cluster]\nclient_ca = '/ca.pem'",
            "cluster.client_ca asks for clients' certificates, but there is no TLS",
        ),
        (
            "[cluster]\ntls_cert = '/cert.pem'",
            "cluster.tls_key is missing beside tls_cert",
        ),
        (
            "[server]\ncors_origins = ['app.example']",
            "server.cors_origins has something in it that is no origin",
        ),
        (
            "[server]\ncors_origins = ['https://app.example/']",
            "server.cors_origins has something in it that is no origin",
        ),
        (
            "[cluster]\ncors_origins = ['https://app.example/page']",
            "cluster.cors_origins has something in it that is no origin",
        ),
        (
            "[store]\nfeed_kept = '59m'",
            "store.feed_kept is shorter than an hour → write \"1h\" or more",
        ),
        (
            "[store]\nfeed_kept = 3",
            "store.feed_kept 3 is no span of time →",
        ),
        (
            "[store]\nfeed_kept_steps = 999",
            "store.feed_kept_steps 999 is no number from 1000 to",
        ),
    ] {
        let wrong = Scene::new(toml).wrong();
        assert!(wrong.contains(words), "{toml}: {wrong}");
    }
    Scene::new("[server]\ncors_origins = ['https://app.example', '*']").good();
    let kept = Scene::new("[store]\nfeed_kept = '1h'\nfeed_kept_steps = 1000").good();
    assert_eq!(kept.store.feed_kept.get().as_secs(), 3_600);
    assert_eq!(kept.store.feed_kept_steps.get(), 1_000);
}

#[test]
fn issuers_are_checked_as_a_whole() {
    let keys = format!("{}/tests/it/identity/jwks.json", env!("CARGO_MANIFEST_DIR"));
    let inspect = |config: &Config| {
        holdfast::identity::issuers(&config.auth)
            .err()
            .unwrap_or_default()
    };
    let bad = Scene::new(
        "[auth.issuers.a]\naudience = 'x'\nalgorithms = ['HS256']\ntenant = 'a'\ntenant_claim = 'org'\n\
         jwks = '/nowhere.json'\n[auth.issuers.a.role_map]\n'x.y' = 'king'\n",
    );
    let problems = config::load(&bad.sources, inspect).unwrap_err().to_string();
    for words in [
        "auth.issuers.a.issuer",
        "\"HS256\" is no algorithm that is accepted",
        "exactly one of `tenant` and `tenant_claim`",
        "write \"/org\"",
        "/nowhere.json: No such file",
        "\"king\" is no role",
    ] {
        assert!(problems.contains(words), "{words}\nis not in\n{problems}");
    }
    for audience in ["", "audience = []\n"] {
        let anybodys = Scene::new(&format!(
            "[auth.issuers.a]\nissuer = 'https://idp'\n{audience}tenant = 'a'\njwks = '{keys}'\n",
        ));
        let problems = config::load(&anybodys.sources, inspect).unwrap_err();
        assert_eq!(problems.problems.len(), 1, "{problems}");
        assert_eq!(problems.problems[0].key, "auth.issuers.a.audience");
    }
    let good = Scene::new(&format!(
        "[auth.issuers.a]\nissuer = 'https://idp'\naudience = 'x'\ntenant = 'a'\njwks = '{keys}'\n\
         role_map = {{ 'x.y' = 'auditor' }}\n",
    ));
    let loaded =
        config::load(&good.sources, inspect).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.files.contains(&PathBuf::from(keys)));
}

/// `UPDATE_GOLDEN=1` writes the file anew.
#[test]
fn the_reference_is_up_to_date_and_means_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema/config.toml");
    let reference = config::reference();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &reference).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == reference,
        "schema/config.toml is out of date; run with UPDATE_GOLDEN=1"
    );
    let sources = Sources {
        file: Some(path),
        environment: Environment::new(),
        ..Sources::default()
    };
    let config = config::load(&sources, nothing_more)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    assert_eq!(config, Config::default());
}

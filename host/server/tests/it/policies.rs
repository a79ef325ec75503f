//! `holdfast policy …`, as an operator and a tenant's administrator run it.

use crate::support::host::{Host, Options};
use holdfast_model::Role;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::{TempDir, tempdir};

/// How a command ended.
struct Ended {
    code: i32,
    said: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code().unwrap(),
            said: text(output.stdout) + &text(output.stderr),
        }
    }

    fn good(self) -> String {
        assert_eq!(self.code, 0, "{}", self.said);
        self.said
    }

    fn failed(self) -> String {
        assert_eq!(self.code, 1, "{}", self.said);
        self.said
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.env_clear().arg("policy").args(arguments);
    command
}

/// Runs it on files.
fn policy(dir: &Path, arguments: &[&str]) -> Ended {
    Ended::of(command(arguments).current_dir(dir).output().unwrap())
}

/// Runs it against a host.
async fn call(host: &Host, key: &str, arguments: &[&str]) -> Ended {
    let mut command = command(arguments);
    command
        .env("HOLDFAST_URL", format!("http://{}", host.address))
        .env("HOLDFAST_KEY", key);
    // The host runs on this thread.
    let run = tokio::task::spawn_blocking(move || Ended::of(command.output().unwrap()));
    run.await.unwrap()
}

/// The shipped policies in a folder of their own.
pub(crate) fn shipped() -> TempDir {
    let dir = tempdir().unwrap();
    for entry in fs::read_dir(repository().join("policies")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|end| end == "cedar" || end == "cedarschema")
        {
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    dir
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The solver, installed if it is not there yet.
pub(crate) fn solver() -> PathBuf {
    let installer = repository().join(".ci/tools/install");
    let said = Command::new(installer).arg("cvc5").output().unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let said = String::from_utf8(said.stdout).unwrap();
    said.trim().strip_prefix("cvc5 ").unwrap().into()
}

#[test]
fn files_are_checked_tested_and_compared() {
    let dir = shipped();
    let folder = dir.path();
    assert!(policy(folder, &["check", "."]).good().contains("are good"));
    let cases = repository().join("policies/tests/roles.json");
    let cases = cases.to_str().unwrap();
    assert!(
        policy(folder, &["test", cases, "--dir", "."])
            .good()
            .contains(" 0 failed")
    );
    let agreed = repository().join("policies/matrix.txt");
    let agreed = agreed.to_str().unwrap();
    policy(folder, &["matrix", "--dir", ".", "--expect", agreed]).good();
    let more = "@id(\"more\")\npermit (principal in Role::\"auditor\", action == Action::\"readQuote\", resource);";
    fs::write(folder.join("more.cedar"), more).unwrap();
    let changed = policy(folder, &["matrix", "--dir", ".", "--expect", agreed]).failed();
    let lines: Vec<&str> = changed.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.iter().all(|line| line.contains("readQuote")),
        "{changed}"
    );
    fs::write(
        folder.join("more.cedar"),
        "@id(\"more\")\npermit (principal,\n",
    )
    .unwrap();
    let wrong = policy(folder, &["check", "."]).failed();
    assert!(
        wrong.contains("more.cedar:2:") && wrong.contains('^'),
        "{wrong}"
    );
    let wrong = policy(folder, &["check", ".", "--json"]).failed();
    let wrong: Value = serde_json::from_str(&wrong).unwrap();
    assert_eq!(wrong["problems"].as_array().unwrap().len(), 1);
}

#[test]
fn policies_are_proved_and_a_refusal_shows_a_request() {
    let (old, new, solver) = (shipped(), shipped(), solver());
    let more = "@id(\"more\") permit (principal in Role::\"auditor\", action == Action::\"readQuote\", resource);";
    fs::write(new.path().join("more.cedar"), more).unwrap();
    let proof = |dir: &TempDir| {
        let arguments = [
            "prove",
            "--dir",
            ".",
            "--against",
            old.path().to_str().unwrap(),
        ];
        let mut command = command(&arguments);
        command
            .current_dir(dir.path())
            .env("CVC5", &solver)
            .env("PATH", "/usr/bin:/bin");
        Ended::of(command.output().unwrap())
    };
    let good = proof(&old).good();
    assert!(good.contains(" 0 refuted, 0 not known"), "{good}");
    let refused = proof(&new).failed();
    assert!(
        refused.contains("not so: grants nothing new (User readQuote Account)"),
        "{refused}"
    );
    assert!(refused.contains("Role::\"auditor\""), "{refused}");
    let absent = policy(
        old.path(),
        &["prove", "--dir", ".", "--solver", "/nowhere/cvc5"],
    )
    .failed();
    assert!(absent.contains("install cvc5"), "{absent}");
}

#[test]
fn a_folder_is_signed() {
    let (dir, keys) = (shipped(), tempdir().unwrap());
    let key = keys.path().join("key.pem");
    let made = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .args(["plugin", "keygen", key.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(made.status.success());
    let sign = ["sign", ".", "--key-file", key.to_str().unwrap()];
    let said = policy(dir.path(), &sign).good();
    assert!(said.contains("require_signature = true"), "{said}");
    let written = fs::read_to_string(dir.path().join("policies.sig")).unwrap();
    assert!(written.starts_with("ed25519 "));
    fs::write(dir.path().join("bad.cedar"), "permit (").unwrap();
    assert!(policy(dir.path(), &sign).failed().contains("bad.cedar:1:"));
}

#[tokio::test]
async fn a_tenants_administrator_says_what_holds_and_grants() {
    let (host, dir) = (Host::start().await, tempdir().unwrap());
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let file = dir.path().join("mine.cedar");
    let text = "@id(\"closed\") forbid (principal in Role::\"tenant-user\", action == \
                Action::\"listRequests\", resource);";
    fs::write(&file, text).unwrap();
    call(&host, &admin, &["set", file.to_str().unwrap()])
        .await
        .good();
    assert_eq!(call(&host, &admin, &["show"]).await.good().trim(), text);
    let denied = host.get("/psa/pins", &user).await.with(403);
    let details = denied["error"]["details"].as_str().unwrap();
    let id = details
        .split("decision ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let told = call(&host, &admin, &["explain", id]).await.good();
    assert!(told.contains("=> forbid acme:closed: true"), "{told}");
    assert!(
        told.contains("   permit tenant-user-account: true"),
        "{told}"
    );
    call(&host, &user, &["explain", id]).await.failed();
    call(&host, &admin, &["drop"]).await.good();
    host.get("/psa/pins", &user).await.with(200);
    let me = host.get("/v1/whoami", &user).await.with(200);
    let name = me["principal"].as_str().unwrap();
    let grant = ["grant", "key-keeper", name, "--on", "acme/web"];
    let made = call(&host, &admin, &grant).await.good();
    host.get("/v1/keys", &user).await.with(200);
    let listed = call(&host, &admin, &["grants"]).await.good();
    assert!(
        listed.contains(name) && listed.contains("CAN BE GRANTED"),
        "{listed}"
    );
    let id = made.split([' ', ':']).nth(1).unwrap();
    call(&host, &admin, &["revoke", id]).await.good();
    host.get("/v1/keys", &user).await.with(403);
}

#[tokio::test]
async fn a_candidate_is_tried_on_live_decisions_and_promoted() {
    let (dir, next) = (shipped(), shipped());
    let host = Host::start_with(Options {
        policies: Some(dir.path().into()),
        ..Options::default()
    })
    .await;
    let operator = host.key("acme/ops", &[Role::Operator]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let closed =
        "@id(\"closed\") forbid (principal, action == Action::\"listRequests\", resource);";
    fs::write(next.path().join("closed.cedar"), closed).unwrap();
    let next = next.path().to_str().unwrap();
    call(&host, &user, &["shadow", "start", next])
        .await
        .failed();
    call(&host, &operator, &["shadow", "start", next])
        .await
        .good();
    host.get("/psa/pins", &user).await.with(200);
    let began = Instant::now();
    let report = loop {
        let report = call(&host, &operator, &["shadow", "report"]).await.good();
        if report.contains("1 of ") || began.elapsed() > Duration::from_secs(20) {
            break report;
        }
    };
    assert!(
        report.contains("listRequests") && report.contains("closed"),
        "{report}"
    );
    call(&host, &operator, &["shadow", "promote"]).await.good();
    host.get("/psa/pins", &user).await.with(403);
    assert!(dir.path().join("closed.cedar").exists());
    let gone = call(&host, &operator, &["shadow", "drop"]).await.failed();
    assert!(gone.contains("not found"), "{gone}");
}

#[tokio::test]
async fn a_tenant_tries_its_own_policies_and_promotes_them() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let user = host.key("acme/web", &[Role::TenantUser]).await;
    let stranger = host.key("umbra/web", &[Role::TenantAdmin]).await;
    let theirs = host.key("umbra/web", &[Role::TenantUser]).await;
    let file = host.dir.path().join("own.cedar");
    let closed = "@id(\"closed\") forbid (principal, action == Action::\"listRequests\", resource) \
                  unless { principal in Role::\"tenant-admin\" };";
    fs::write(&file, closed).unwrap();
    let file = file.to_str().unwrap();
    let start = ["shadow", "start", "--tenant", "acme", file];
    let of_acme = |what| ["shadow", what, "--tenant", "acme"];
    for other in [&user, &stranger] {
        call(&host, other, &start).await.failed();
    }
    call(&host, &admin, &start).await.good();
    // What others do among their own is not the candidate's to decide, and comes out as before.
    host.get("/psa/pins", &theirs).await.with(200);
    host.get("/psa/pins", &user).await.with(200);
    let report = reported(&host, &admin, 1).await;
    let row = |name: &str| report["flips"][0][name].clone();
    assert_eq!(
        (&report["decisions"], &report["different"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(row("action"), "listRequests");
    assert_eq!((row("now"), row("then")), (json!("allow"), json!("deny")));
    assert_eq!(row("then_by"), json!(["acme:closed"]));
    let table = call(&host, &admin, &of_acme("report")).await.good();
    assert!(table.contains("1 of 1 decisions would flip"), "{table}");
    for other in [&user, &stranger, &theirs] {
        for what in ["report", "promote", "drop"] {
            call(&host, other, &of_acme(what)).await.failed();
        }
    }
    call(&host, &admin, &of_acme("promote")).await.good();
    host.get("/psa/pins", &user).await.with(403);
    host.get("/psa/pins", &theirs).await.with(200);
    let kept = call(&host, &admin, &["show"]).await.good();
    assert_eq!(kept.trim(), closed);
    let gone = call(&host, &admin, &of_acme("drop")).await.failed();
    assert!(gone.contains("not found"), "{gone}");
}

/// The report of acme's candidate once it has made as many decisions.
async fn reported(host: &Host, key: &str, decisions: u64) -> Value {
    let began = Instant::now();
    loop {
        let report = host.get("/v1/policies/candidate?tenant=acme", key).await;
        let report = report.with(200);
        if report["decisions"].as_u64() >= Some(decisions) {
            return report;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{report}");
    }
}

#[tokio::test]
async fn a_tenants_candidate_undoes_nobodys_change_and_is_checked() {
    let host = Host::start().await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let operator = host.key("staff/ops", &[Role::Operator]).await;
    let candidate = "/v1/policies/candidate?tenant=acme";
    let put =
        async |key: &str, body: Value| host.call("PUT", candidate, Some(key), Some(body)).await;
    let told = put(&admin, json!({ "files": {} })).await.with(400);
    assert!(
        told["detail"].as_str().unwrap().contains("policies"),
        "{told}"
    );
    let wrong = json!({ "policies": "permit (principal" });
    let told = put(&admin, wrong).await.with(400);
    assert!(
        told["detail"].as_str().unwrap().contains("policies:1:"),
        "{told}"
    );
    let quiet = "@id(\"quiet\") forbid (principal, action == Action::\"readUsage\", resource);";
    put(&operator, json!({ "policies": quiet })).await.with(200);
    let meanwhile = json!({ "policies": quiet.replace("quiet", "other") });
    host.call("PUT", "/v1/policies", Some(&admin), Some(meanwhile))
        .await
        .with(200);
    let promotion = "/v1/policies/candidate/promote?tenant=acme";
    let told = host
        .call("POST", promotion, Some(&admin), None)
        .await
        .with(409);
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("changed meanwhile"),
        "{told}"
    );
    // It is there until it is dropped.
    host.get(candidate, &admin).await.with(200);
    host.call("DELETE", candidate, Some(&admin), None)
        .await
        .with(204);
    host.get(candidate, &admin).await.with(404);
    host.call("POST", promotion, Some(&admin), None)
        .await
        .with(404);
}

#[tokio::test]
async fn a_solver_stands_before_what_tenants_say() {
    let host = Host::start_with(Options {
        solver: Some(solver()),
        ..Options::default()
    })
    .await;
    let admin = host.key("acme/web", &[Role::TenantAdmin]).await;
    let put = async |condition: &str| {
        let policies = format!(
            "@id(\"mine\") forbid (principal, action == Action::\"readUsage\", resource) when {{ {condition} }};"
        );
        let body = json!({ "policies": policies });
        host.call("PUT", "/v1/policies", Some(&admin), Some(body))
            .await
    };
    put("principal.proof == \"token\"").await.with(200);
    let refused = put("9223372036854775807 + 1 > 0").await.with(400);
    let detail = refused["detail"].as_str().unwrap();
    assert!(
        detail.contains("acme:mine never fails (User readUsage Account) does not hold"),
        "{detail}"
    );
    let kept = host.get("/v1/policies", &admin).await.with(200);
    assert!(kept["policies"].as_str().unwrap().contains("token"));
}

//! The hostile kit against a running host: each case is put in by the operator's API as a
//! candidate, asked a made-up question twice, and taken out again. What serves there must be as it
//! was.

use crate::commands::Failure;
use crate::commands::client::{Target, cell, refusal, rows};
use anyhow::{Context, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_runtime::SigningKey;
use holdfast_runtime::attack::{Attacked, Case, Isolation, Kit};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// The name under which each case is put in: that of the kit's expected words.
const NAME: &str = "hostile";

const PLUGINS: &str = "/v1/plugins";
const PLUGIN: &str = "/v1/plugins/hostile";
const ATTEMPT: &str = "/v1/plugins/hostile/try";

/// The stage at which a host refuses what nobody whom it trusts has signed.
const SIGNATURE: &str = "signature";

/// A call is made twice: what the first one spoils must not be there for the second.
const CALLS: usize = 2;

/// How long a host that answers "still installing" may go on with it.
const INSTALLED_WITHIN: Duration = Duration::from_secs(60);

/// How often it is asked meanwhile.
const LOOK: Duration = Duration::from_millis(200);

/// A host under attack.
pub(super) struct Remote<'a> {
    target: &'a Target,
    kit: &'a Kit,
    isolation: Isolation,
    key: Option<SigningKey>,
    /// What served there before.
    others: Vec<Value>,
}

impl<'a> Remote<'a> {
    /// Looks at the host: whether it may be attacked at all, and what serves there.
    pub(super) async fn open(
        target: &'a Target,
        kit: &'a Kit,
        isolation: Isolation,
        key: Option<SigningKey>,
        is_production_meant: bool,
    ) -> Result<Self, Failure> {
        let listed = target.call(Method::GET, PLUGINS, None).await?;
        let is_production = listed.get("production").and_then(Value::as_bool);
        match is_production {
            Some(false) => {}
            Some(true) if is_production_meant => {}
            Some(true) => bail!(
                "{} is in production; attack one that is not, or add --production if you mean it",
                target.url()
            ),
            None => bail!(
                "{} does not say whether it is in production; it is older than this program: use its own",
                target.url()
            ),
        }
        let others = serving(&listed);
        if rows(&listed, "/plugins")
            .iter()
            .any(|one| cell(one, "/name") == NAME)
        {
            bail!(
                "{} has a plugin named {NAME}; if an attack that was broken off left it there, \
                 `holdfast plugin remove {NAME}` takes it out",
                target.url()
            );
        }
        Ok(Self {
            target,
            kit,
            isolation,
            key,
            others,
        })
    }

    /// Runs a case; or says why it is none for a running host.
    pub(super) async fn attack(
        &self,
        case: &Case,
    ) -> Result<Result<Attacked, &'static str>, Failure> {
        if case.calls_out() {
            return Ok(Err(
                "it calls the kit's own server by its own resolver; run it without --host",
            ));
        }
        if case.is_of_a_folder() {
            return Ok(Err(
                "it is about a file in a folder, and no API takes one so large",
            ));
        }
        let start = Instant::now();
        // Nobody is called there.
        let port = 0;
        let parts = case.parts(self.kit, self.isolation, port)?;
        let digest: [u8; 32] = Sha256::digest(&parts.wasm).into();
        let signature = self.key.as_ref().map(|key| key.sign(&digest).to_string());
        let package = json!({
            "wasm": STANDARD.encode(&parts.wasm),
            "manifest": parts.manifest,
            "signature": signature,
        });
        let said = self.said(case, &package).await;
        self.remove().await?;
        let (is_taken_in, mut said) = said?;
        let mut is_held = case.is_held_by(is_taken_in, &said);
        if let Some(how) = self.hurt().await? {
            is_held = false;
            said.push_str("; and beside it: ");
            said.push_str(&how);
        }
        Ok(Ok(Attacked {
            case: case.name.clone(),
            expected: case.expected().to_owned(),
            said,
            is_held,
            millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))
    }

    /// Whether the host takes a case in, and what it says to it.
    async fn said(&self, case: &Case, package: &Value) -> Result<(bool, String), Failure> {
        let install = self.target.try_call(Method::PUT, PLUGIN, Some(package));
        let (status, answer) = install.await?;
        if !status.is_success() {
            let told = refusal(status, &answer).to_string();
            let (stage, why) = stage_and_why(&told);
            if stage == Some(SIGNATURE) {
                return Err(self.unsigned(why));
            }
            return Ok(match case.is_to_be_refused() {
                true => (false, why.to_owned()),
                false => (false, format!("it was refused: {told}")),
            });
        }
        if status == StatusCode::ACCEPTED && !self.is_there_in_time().await? {
            let said = "it is still being installed, or was refused out of sight";
            return Ok((false, said.to_owned()));
        }
        if case.is_to_be_refused() {
            return Ok((true, "it was taken in".to_owned()));
        }
        let mut said = String::new();
        for _ in 0..CALLS {
            let tried = self.target.call(Method::POST, ATTEMPT, None).await?;
            let is_answered = tried.get("is_answered").and_then(Value::as_bool);
            let is_answered = is_answered.context("the host does not say whether it answered")?;
            said = case.heard(&cell(&tried, "/said"), is_answered);
            if !case.is_held_by(true, &said) {
                break;
            }
        }
        Ok((true, said))
    }

    /// No case is about signatures: a host that looks no further than there was not attacked.
    fn unsigned(&self, why: &str) -> Failure {
        let url = self.target.url();
        match self.key {
            None => anyhow!(
                "{url} takes signed plugins only, so nothing was tried on it; add --key-file with a \
                 private key whose public key it trusts for all four kinds, under \
                 [plugins.trusted_keys]. It says: {why}"
            ),
            Some(_) => anyhow!(
                "{url} does not take what the key in --key-file has signed, so the attack ends \
                 here; have the host trust it for all four kinds, under [plugins.trusted_keys]. It \
                 says: {why}"
            ),
        }
    }

    async fn is_there_in_time(&self) -> Result<bool, Failure> {
        let start = Instant::now();
        while start.elapsed() < INSTALLED_WITHIN {
            if self.target.find(PLUGIN).await?.is_some() {
                return Ok(true);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(false)
    }

    /// Takes it out, if it is there.
    async fn remove(&self) -> Result<(), Failure> {
        let removed = self.target.try_call(Method::DELETE, PLUGIN, None).await;
        let (status, answer) = removed.context("the hostile plugin may still be there")?;
        match status {
            StatusCode::NOT_FOUND => Ok(()),
            status if status.is_success() => Ok(()),
            status => Err(refusal(status, &answer)).context("the hostile plugin is still there"),
        }
    }

    /// How what served before does not serve as it did.
    async fn hurt(&self) -> Result<Option<String>, Failure> {
        let listed = self.target.call(Method::GET, PLUGINS, None).await?;
        let now = serving(&listed);
        let is_same = now == self.others;
        Ok((!is_same).then(|| format!("before, {:?}; now, {now:?}", self.others)))
    }
}

/// What is told of each plugin that does not change by itself.
fn serving(listed: &Value) -> Vec<Value> {
    let fields = ["name", "kind", "state", "generation", "digest", "error"];
    let told = |one: &Value| {
        let pairs = fields.map(|field| (field.to_owned(), one.get(field).cloned()));
        let pairs = pairs.into_iter().map(|(k, v)| (k, v.unwrap_or_default()));
        Value::Object(pairs.collect())
    };
    rows(listed, "/plugins").iter().map(told).collect()
}

/// The stage at which a plugin was refused, if that was it, and the refusal as a folder's would be
/// listed: without the name and the stage, which the API says first.
fn stage_and_why(told: &str) -> (Option<&str>, &str) {
    let begin = told.strip_prefix("plugin hostile was refused (");
    match begin.and_then(|rest| rest.split_once("): ")) {
        Some((stage, why)) => (Some(stage), why),
        None => (None, told),
    }
}

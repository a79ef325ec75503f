//! The slowest requests in a hundred to a whole host, beside each case of the hostile kit.

use super::worst;
use crate::client::{self, Line};
use crate::host::Host;
use crate::rows::Plan;
use crate::rows::plugins::bench::dist;
use crate::rows::plugins::calm::measured_beside;
use crate::rows::plugins::serving::{ASK, Gets, PATIENCE, request};
use crate::table::Row;
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_runtime::attack::{Case, Isolation, Kit, Outside};
use holdfast_runtime::{PluginKind, step_back};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Neither the breaker nor a watch is to take a case away. It follows after `[promote]`.
const UNTAMED: &str = "watch_ms = 0\n[breaker]\nfailures = 1000000\n";

/// So many in turn ask those that call somebody, who may keep them waiting: as many as may run at
/// once. Together they ask no more often than one would.
const ASKERS: u32 = 4;

/// Between two times that something is to be taken in: longer than the host waits until a folder is
/// at rest. Whoever may install plugins has no need of a hostile one to keep a host busy.
const LAY: Duration = Duration::from_millis(250);

const PLUGINS: &str = "/v1/plugins";
const PLUGIN: &str = "/v1/plugins/hostile";
const ATTEMPT: &str = "/v1/plugins/hostile/try";

/// GETs of a pin request beside each case that is aimed at a kind, and with nothing going on. What
/// is taken in, an operator has asked by `plugin try`, 200 times a second; what is refused is
/// installed four times a second. The row is that of the worst case.
pub(in crate::rows) fn hostile_kit(
    plan: &Plan,
    name: &'static str,
    kind: PluginKind,
) -> Result<Row> {
    let ground = Ground {
        gets: Gets::start(plan)?,
        kit: Kit::read(&dist())?,
        outside: Outside::open()?,
    };
    let peer = "the same GETs with quiet";
    let cases = ground.kit.cases().iter().filter(|case| case.kind() == kind);
    worst(plan, (name, peer), cases, |case| {
        let Some(neighbour) = ground.neighbour(case)? else {
            return Ok(None);
        };
        ground.pair(&neighbour).map(Some)
    })
}

/// A host, and what there is to attack it with.
struct Ground {
    gets: Gets,
    kit: Kit,
    outside: Outside,
}

/// A case, ready to be let in.
struct Neighbour<'a> {
    case: &'a Case,
    wasm: Vec<u8>,
    manifest: String,
}

impl Ground {
    /// A case, if it is one for a host with the machine's own resolver: not if it calls names that
    /// lead where only the kit's own resolver knows.
    fn neighbour<'a>(&self, case: &'a Case) -> Result<Option<Neighbour<'a>>> {
        let parts = case.parts(&self.kit, Isolation::Warm, self.outside.port())?;
        let manifest = parts.manifest.unwrap_or_default();
        // The one name of the kit that leads where it says.
        let manifest = manifest.replace("still.example", "127.0.0.1");
        let is_astray = manifest.contains(".example");
        Ok((!is_astray).then(|| Neighbour {
            case,
            wasm: parts.wasm,
            manifest: manifest + UNTAMED,
        }))
    }

    /// The slowest GETs beside a case, and with quiet.
    fn pair(&self, neighbour: &Neighbour<'_>) -> Result<(f64, f64)> {
        let case = neighbour.case;
        let quiet = self.gets.slowest()?;
        let busy = match (case.is_of_a_folder(), case.is_to_be_refused()) {
            (true, _) => self.beside_a_folder(neighbour),
            (false, true) => {
                let put = self.put(neighbour);
                self.beside(1, LAY, |line| is_refused(case, line, &put))
            }
            (false, false) => self.beside_a_candidate(neighbour),
        };
        Ok((busy?, quiet))
    }

    /// While a file is put into the folder again and again.
    fn beside_a_folder(&self, neighbour: &Neighbour<'_>) -> Result<f64> {
        let (case, dir) = (neighbour.case, self.host().plugins());
        let rounds = AtomicU32::new(0);
        let busy = self.beside(1, LAY, |_| {
            // What was refused is not looked at again before one of its files is another.
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            let manifest = format!("{}# round {round}\n", neighbour.manifest);
            std::fs::write(dir.join("hostile.toml"), manifest)?;
            Ok(case.lay(&dir, "hostile.wasm", &neighbour.wasm, |_| {})?)
        });
        self.wait_until(|state| match state {
            None => false,
            Some(state) => (state == "refused") == case.is_to_be_refused(),
        })?;
        for file in ["hostile.wasm", "hostile.toml"] {
            std::fs::remove_file(dir.join(file))?;
        }
        self.wait_until(|state| state.is_none())?;
        busy
    }

    /// While a candidate is asked again and again.
    fn beside_a_candidate(&self, neighbour: &Neighbour<'_>) -> Result<f64> {
        let case = neighbour.case;
        let (status, said) = client::call(self.host().addr, &self.put(neighbour))?;
        ensure!(
            (200..300).contains(&status),
            "it is not taken in: {status} {}",
            String::from_utf8_lossy(&said)
        );
        self.wait_until(|state| state.is_some())?;
        let attempt = client::post(ATTEMPT, &self.host().key, "");
        let askers = if case.calls_out() { ASKERS } else { 1 };
        let busy = self.beside(askers, ASK, |line| is_as_expected(case, line, &attempt));
        let delete = client::with_body("DELETE", PLUGIN, &self.host().key, "");
        client::call(self.host().addr, &delete)?;
        self.wait_until(|state| state.is_none())?;
        busy
    }

    /// While so many in turn do something at a pace, or as soon as they have done it the last time.
    fn beside(
        &self,
        askers: u32,
        pace: Duration,
        step: impl Fn(&mut Line) -> Result<()> + Sync,
    ) -> Result<f64> {
        let ask = |number: u32, is_over: &AtomicBool| {
            // Elsewhere than the host, mostly; here it is not to take others' turns.
            step_back();
            let mut line = Line::to(self.host().addr)?;
            thread::sleep(pace * number);
            while !is_over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                step(&mut line)?;
                thread::sleep((pace * askers).saturating_sub(begin.elapsed()));
            }
            Ok(())
        };
        let beside = |is_over: &AtomicBool| {
            thread::scope(|scope| {
                let ask = |number| scope.spawn(move || ask(number, is_over));
                let askers: Vec<_> = (0..askers).map(ask).collect();
                let mut asked = askers.into_iter().map(|asker| asker.join());
                asked.try_for_each(|asked| asked.map_err(|_| anyhow!("an asker panicked"))?)
            })
        };
        measured_beside(beside, || self.gets.slowest())
    }

    /// The call that installs it.
    fn put(&self, neighbour: &Neighbour<'_>) -> Vec<u8> {
        let package = json!({
            "wasm": STANDARD.encode(&neighbour.wasm),
            "manifest": neighbour.manifest,
        });
        client::with_body("PUT", PLUGIN, &self.host().key, &package.to_string())
    }

    /// Asks until the state in which the plugin is listed is like this.
    fn wait_until(&self, is_so: impl Fn(Option<&str>) -> bool) -> Result<()> {
        let list = request(self.host(), PLUGINS)?;
        let begin = Instant::now();
        loop {
            let (_, said) = client::call(self.host().addr, &list)?;
            let listed: Value = serde_json::from_slice(&said)?;
            let plugins = listed.get("plugins").and_then(Value::as_array);
            let mut plugins = plugins.into_iter().flatten();
            let text = |one: &Value, field: &str| {
                one.get(field).and_then(Value::as_str).map(str::to_owned)
            };
            let hostile = plugins.find(|one| text(one, "name").as_deref() == Some("hostile"));
            let state = hostile.and_then(|one| text(one, "state"));
            if is_so(state.as_deref()) {
                return Ok(());
            }
            let late = begin.elapsed() > PATIENCE;
            ensure!(!late, "it is listed as {state:?} still");
            thread::sleep(ASK);
        }
    }

    const fn host(&self) -> &Host {
        self.gets.host()
    }
}

/// Tries the candidate once: it must fail as it is written in the kit.
fn is_as_expected(case: &Case, line: &mut Line, attempt: &[u8]) -> Result<()> {
    let (status, said) = line.call(attempt)?;
    let tried: Value = serde_json::from_slice(&said)?;
    let is_answered = tried.get("is_answered").and_then(Value::as_bool);
    let is_answered = is_answered.with_context(|| format!("{status}: {tried}"))?;
    let said = tried.get("said").and_then(Value::as_str);
    let said = case.heard(said.unwrap_or_default(), is_answered);
    ensure!(
        case.is_held_by(true, &said),
        "it says {said:?}, and should say {:?}",
        case.expected()
    );
    Ok(())
}

/// Installs it once: it must be refused.
fn is_refused(case: &Case, line: &mut Line, put: &[u8]) -> Result<()> {
    let (status, said) = line.call(put)?;
    let said: Value = serde_json::from_slice(&said)?;
    let why = said.get("detail").and_then(Value::as_str);
    let why = why.with_context(|| format!("{status}: {said}"))?;
    let begins = why.strip_prefix("plugin hostile was refused (");
    let why = begins.and_then(|rest| rest.split_once("): "));
    let why = why.map(|(_, why)| why);
    ensure!(
        why.is_some_and(|why| case.is_held_by(false, why)),
        "the host says {said}, and should say {:?}",
        case.expected()
    );
    Ok(())
}

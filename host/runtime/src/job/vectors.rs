//! Golden vectors of job plugins: what one answers to what, with recorded exchanges in place of the
//! outside. Each vector has an instance of its own with the vector's settings and environment.

mod configure;
mod payment;

use super::guest::JobGuest;
use super::hooks::Way;
use super::mould::{Asking, JobMould, Scene};
use super::replay::{Exchange, Heard, Replay, Tape};
use super::world::JobWorld;
use crate::error::Fault;
use crate::guest::printable;
use crate::vectors::{self, VectorOutcome};
use crate::workbench::{Proof, Times, timed};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Store;

/// A job world whose plugins can be asked by vectors.
pub(crate) trait JobVectored: JobWorld {
    /// What is asked.
    type Input: Send + 'static;

    /// Reads what is asked.
    fn input(written: Value) -> Result<Self::Input, String>;

    /// Asks, and writes the answer as vectors do: `{"ok": …}` or `{"error": …}`.
    fn put<'a>(&'a self, store: &'a mut Store<JobGuest>, input: Self::Input) -> Asking<'a, Value>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    #[serde(default)]
    settings: Map<String, Value>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    exchanges: Vec<Exchange>,
    input: Value,
    output: Value,
}

impl<W: JobVectored> JobMould<W> {
    /// Asks all vectors of a file. The error says what is wrong with the file. It blocks, and must
    /// not be called from within a future.
    pub(crate) fn run_vectors(&self, text: &str) -> Result<Vec<VectorOutcome>, String> {
        let vectors: Vec<Vector> = vectors::read_file(text, W::KIND)?;
        let name = |vector: &Vector| printable(&vector.name);
        Ok(vectors::ask_all(vectors, name, |vector| {
            match self.prove_one(vector).failure {
                Some(why) => Err(why),
                None => Ok(()),
            }
        }))
    }

    /// The same, with what each answered and took.
    pub(crate) fn prove(&self, text: &str) -> Result<Vec<Proof>, String> {
        let vectors: Vec<Vector> = vectors::read_file(text, W::KIND)?;
        let proofs = vectors.into_iter().map(|vector| self.prove_one(vector));
        Ok(proofs.collect())
    }

    /// How long calls take that ask what a vector asks, each on an instance of its own, as all
    /// calls of jobs are; what was recorded answers in place of the outside, at once.
    pub(crate) fn time(&self, written: Value, calls: usize) -> Result<Times, String> {
        let vector: Vector = serde_json::from_value(written).map_err(|e| e.to_string())?;
        let environment = Arc::new(vector.environment);
        let settings = Value::Object(vector.settings).to_string();
        timed(calls, || {
            let replay = Replay::new(vector.exchanges.clone());
            let scene = Scene {
                settings: settings.clone(),
                environment: Arc::clone(&environment),
                way: Way::Replay(Arc::clone(&replay)),
            };
            let input = W::input(vector.input.clone()).map_err(|why| format!("input: {why}"))?;
            let start = Instant::now();
            let answer = self.ask_counted(scene, input);
            let took = start.elapsed();
            answer.map_err(|fault| fault.to_string())?;
            replay.verdict().map(|()| took)
        })
    }

    /// The same for one vector by itself.
    pub(crate) fn prove_vector(&self, written: Value) -> Result<Proof, String> {
        let vector = serde_json::from_value(written).map_err(|e| e.to_string())?;
        Ok(self.prove_one(vector))
    }

    fn prove_one(&self, vector: Vector) -> Proof {
        let name = printable(&vector.name);
        let replay = Replay::new(vector.exchanges);
        let scene = Scene {
            settings: Value::Object(vector.settings).to_string(),
            environment: Arc::new(vector.environment),
            way: Way::Replay(Arc::clone(&replay)),
        };
        let input = W::input(vector.input).map_err(|why| format!("input: {why}"));
        let asked = input.map(|input| self.ask_counted(scene, input));
        let failure = match &asked {
            Err(why) => Err(why.clone()),
            Ok(asked) => {
                let found = asked.as_ref().map(|(found, _)| found);
                match (judge(&vector.output, found), replay.verdict()) {
                    // A request that was not the recorded one explains an answer that is not.
                    (Err(why), Err(exchange)) => Err(format!("{exchange}; {why}")),
                    (Ok(()), Err(exchange)) if found.is_ok() => Err(exchange),
                    (judged, _) => judged,
                }
            }
        };
        let answered = asked.ok().and_then(Result::ok);
        Proof {
            name,
            failure: failure.err(),
            fuel: answered.as_ref().map_or(0, |(_, fuel)| *fuel),
            output: answered.map(|(output, _)| output),
        }
    }

    /// Asks once, and writes down what it was told by the environment and by those whom it called
    /// out there.
    pub(crate) fn record(
        &self,
        settings: &str,
        input: &Value,
    ) -> Result<(Value, u64, Heard), String> {
        let tape = Tape::new(Arc::clone(self.guard()));
        let scene = Scene {
            settings: settings.to_owned(),
            environment: Arc::clone(self.environment()),
            way: Way::Tape(Arc::clone(&tape)),
        };
        let input = W::input(input.clone()).map_err(|why| format!("input: {why}"))?;
        let asked = self.ask_counted(scene, input);
        let (output, fuel) = asked.map_err(|fault| fault.to_string())?;
        let heard = Heard {
            environment: self.environment().as_ref().clone(),
            exchanges: tape.exchanges(),
        };
        Ok((output, fuel, heard))
    }

    fn ask_counted(&self, scene: Scene, input: W::Input) -> Result<(Value, u64), Fault> {
        self.ask_blocking(Some(scene), move |world, store| {
            Box::pin(async move {
                // Where no fuel is counted there is none, before and after.
                let before = store.get_fuel().unwrap_or_default();
                let answer = world.put(store, input).await?;
                let after = store.get_fuel().unwrap_or_default();
                Ok((answer, before.saturating_sub(after)))
            })
        })
    }
}

fn judge(expected: &Value, found: Result<&Value, &Fault>) -> Result<(), String> {
    let of_init = expected.get("error").and_then(|error| error.get("init"));
    match (found, of_init.and_then(Value::as_str)) {
        (Err(Fault::Refused(why)), Some(part)) if why.contains(part) => Ok(()),
        (Err(fault), Some(part)) => Err(format!(
            "init must refuse the settings with {part:?}, and: {fault}"
        )),
        (Ok(_), Some(part)) => Err(format!(
            "init must refuse the settings with {part:?}, and took them"
        )),
        (Err(fault), None) => Err(fault.to_string()),
        (Ok(found), None) if expected.get("ok").is_some() && found.get("ok").is_none() => Err(
            printable(&format!("an answer is expected, and it is {found}")),
        ),
        (Ok(found), None) => match vectors::difference("", expected, found) {
            Some(difference) => Err(printable(&difference)),
            None => Ok(()),
        },
    }
}

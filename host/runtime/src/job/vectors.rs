//! Golden vectors of job plugins: what one answers to what, with recorded exchanges in place of the
//! outside. Each vector has an instance of its own with the vector's settings and environment.

mod configure;
mod payment;

use super::guest::JobGuest;
use super::hooks::Way;
use super::plugin::{Asking, JobPlugin, Stage};
use super::replay::{Exchange, Replay};
use super::world::JobWorld;
use crate::error::Fault;
use crate::guest::printable;
use crate::vectors::{self, VectorOutcome};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
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

impl<W: JobVectored> JobPlugin<W> {
    /// Asks all vectors of a file. The error says what is wrong with the file. It blocks, and must
    /// not be called from within a future.
    pub(crate) fn run_vectors(&self, text: &str) -> Result<Vec<VectorOutcome>, String> {
        let vectors: Vec<Vector> = vectors::read_file(text, W::KIND)?;
        let name = |vector: &Vector| printable(&vector.name);
        Ok(vectors::ask_all(vectors, name, |vector| {
            self.run_vector(vector)
        }))
    }

    fn run_vector(&self, vector: Vector) -> Result<(), String> {
        let replay = Replay::new(vector.exchanges);
        let stage = Stage {
            settings: Value::Object(vector.settings).to_string(),
            environment: Arc::new(vector.environment),
            way: Way::Replay(Arc::clone(&replay)),
        };
        let input = W::input(vector.input).map_err(|why| format!("input: {why}"))?;
        let asked = self.ask_blocking(Some(stage), move |world, store| world.put(store, input));
        let of_init = vector
            .output
            .get("error")
            .and_then(|error| error.get("init"));
        match (asked, of_init.and_then(Value::as_str)) {
            (Err(Fault::Refused(why)), Some(part)) if why.contains(part) => return Ok(()),
            (Ok(_), Some(part)) => {
                return Err(format!(
                    "init must refuse the settings with {part:?}, and took them"
                ));
            }
            (Err(fault), _) => return Err(fault.to_string()),
            (Ok(found), None) if found != vector.output => {
                let (found, expected) = (found.to_string(), vector.output.to_string());
                return Err(format!(
                    "the answer is {}, and must be {}",
                    printable(&found),
                    printable(&expected)
                ));
            }
            (Ok(_), None) => {}
        }
        replay.verdict()
    }
}

//! A component on the workbench: without a registry, a pool or a folder, for its author.
//!
//! It is looked over, linked, started and asked by the same code as in a host, so that what passes
//! here passes there. What differs: instances count fuel whatever their kind; a call may take its
//! time, because counting instructions takes some; and what an authorizer asks, or a job sends, can
//! be written down.

mod golden;
mod stand;
mod track;

pub use golden::{Golden, Vector};
pub(crate) use track::timed;
pub use track::{Times, Track};

use crate::admit::admit;
use crate::compile::look_over;
use crate::engine::{Engines, Recipe};
use crate::job::{Floor, Grants, Heard, Jobs, JobsConfig};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::metrics::RuntimeMetrics;
use crate::plugin::Candidate;
use serde::Serialize;
use serde_json::{Map, Value};
use stand::Stand;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::Component;

/// What a call may use of the processor here. It is there to end what never ends; whether a plugin
/// is quick enough is for `bench` to say.
const CALL_CPU: Duration = Duration::from_secs(2);

/// The same by the wall clock, for calls that wait for nobody.
const CALL_WALL: Duration = Duration::from_secs(10);

/// Instructions of a call, for kinds that a host does not count them of: more than fit the time.
const CALL_FUEL: u64 = 1 << 40;

/// Where components are tried.
pub struct Workbench {
    engines: Engines,
    jobs: Jobs,
    metrics: RuntimeMetrics,
}

/// A component that fits its world, with the settings, limits and grants of its `NAME.toml`.
pub struct Piece {
    /// What it is for.
    pub kind: Kind,
    bytes: usize,
    component: Component,
    stand: Stand,
}

/// What a component says of itself, and what can be seen from outside.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// What it is for.
    pub kind: Kind,
    /// What people call it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Bytes of the file.
    pub bytes: usize,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// What it needs to be granted, each as the contract's `need`; empty for kinds that have none.
    pub needs: Vec<Value>,
    /// Memory that an instance holds once it is started, in bytes.
    pub memory_bytes: usize,
    /// What starting it took.
    pub init_fuel: u64,
}

/// How one golden vector came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Which.
    pub name: String,
    /// What differs or fails, if anything does.
    pub failure: Option<String>,
    /// What was answered, `{"ok": …}` or `{"error": …}`, if it came to that.
    #[serde(skip)]
    pub output: Option<Value>,
    /// Instructions, as wasmtime counts them: the same for the same input, on every machine.
    pub fuel: u64,
}

/// One question that an authorizer asked the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Which: `attribute`, `pinned_bytes`.
    pub(crate) what: &'static str,
    /// About which name, where the question has one.
    pub(crate) about: String,
}

/// One call and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// `{"ok": …}` or `{"error": …}`, as vectors write it.
    pub output: Value,
    /// Instructions.
    pub fuel: u64,
    asked: Option<Vec<Asked>>,
    heard: Heard,
}

impl Workbench {
    /// An empty one. Jobs read what they are granted of this environment, and secrets lie there.
    ///
    /// # Errors
    /// A machine on which WebAssembly cannot run.
    pub fn open(environment: BTreeMap<String, String>) -> Result<Self, String> {
        let jobs = JobsConfig {
            environment: Arc::new(environment),
            ..JobsConfig::default()
        };
        Ok(Self {
            engines: Engines::start().map_err(|e| format!("no engine can be started ({e:#})"))?,
            jobs: Jobs::new(jobs).map_err(|e| e.to_string())?,
            metrics: RuntimeMetrics::new().map_err(|e| e.to_string())?,
        })
    }

    /// Looks a component over, compiles and links it; `manifest` is the text of its `NAME.toml`.
    ///
    /// # Errors
    /// What the host would refuse it for, in the host's words.
    pub fn take(&self, name: &str, wasm: &[u8], manifest: &str) -> Result<Piece, String> {
        let in_wasm = |why: String| format!("{name}.wasm {why}");
        let (kind, candidate, grants) = read(name, wasm, manifest)?;
        candidate.limits.check_size(wasm).map_err(in_wasm)?;
        look_over(wasm).map_err(in_wasm)?;
        let candidate = Candidate {
            limits: unhurried(kind, candidate.limits),
            ..candidate
        };
        let stack_bytes = candidate.limits.stack_bytes;
        let floor = match kind {
            Kind::Authorizer | Kind::Pricing => None,
            Kind::Payment | Kind::Config => {
                let floor = self.jobs.metered_floor(stack_bytes);
                Some(floor.map_err(in_wasm)?)
            }
        };
        let hot = self.engines.of(Recipe::Metered, stack_bytes);
        let hot = hot.map_err(in_wasm)?;
        let engine = floor.as_deref().map_or(&hot, Floor::engine);
        let component = Component::from_binary(engine, wasm)
            .map_err(|e| in_wasm(format!("does not compile: {e:#}")))?;
        let stand = Stand::new(kind, candidate, &component, floor, &grants, &self.metrics);
        Ok(Piece {
            kind,
            bytes: wasm.len(),
            stand: stand.map_err(in_wasm)?,
            component,
        })
    }
}

/// Looks a component and its manifest over.
fn read(name: &str, wasm: &[u8], manifest: &str) -> Result<(Kind, Candidate, Grants), String> {
    let kind = admit(wasm).map_err(|why| format!("{name}.wasm {why}"))?;
    let in_manifest = |why: String| format!("{name}.toml: {why}");
    let manifest = Manifest::parse(manifest).map_err(in_manifest)?;
    manifest.check_promotion(kind).map_err(in_manifest)?;
    let limits = Limits::of(kind).overlaid(&manifest.limits);
    let candidate = Candidate {
        name: name.into(),
        digest: "".into(),
        settings: manifest.settings_json().map_err(in_manifest)?,
        limits: limits.map_err(in_manifest)?,
        isolation: manifest.isolation,
        ring: Arc::default(),
    };
    let grants = manifest.grants(kind).map_err(in_manifest)?;
    Ok((kind, candidate, grants))
}

/// The limits of a host, but for the time that counting takes.
fn unhurried(kind: Kind, limits: Limits) -> Limits {
    let fuel = match limits.fuel {
        0 => CALL_FUEL,
        fuel => fuel,
    };
    let wall = match kind {
        Kind::Authorizer | Kind::Pricing => limits.wall.max(CALL_WALL),
        Kind::Payment | Kind::Config => limits.wall,
    };
    Limits {
        cpu: limits.cpu.max(CALL_CPU),
        wall,
        fuel,
        ..limits
    }
}

impl Piece {
    /// Starts it with its settings and asks what it is.
    ///
    /// # Errors
    /// It traps, or refuses the settings.
    pub fn inspect(&self) -> Result<Inspection, String> {
        let started = self.stand.start()?;
        let (imports, exports) = self.interfaces();
        Ok(Inspection {
            kind: self.kind,
            name: started.description.name,
            version: started.description.version,
            description: started.description.description,
            bytes: self.bytes,
            imports,
            exports,
            needs: started.needs.iter().map(stand::need).collect(),
            memory_bytes: started.memory_bytes,
            init_fuel: started.init_fuel,
        })
    }

    /// Runs a file of golden vectors as a host does that takes the plugin in: the contract holds
    /// for each answer, and recorded exchanges answer for the outside.
    ///
    /// # Errors
    /// The file is none; the error names the place.
    pub fn prove(&self, vectors: &str) -> Result<Vec<Proof>, String> {
        self.stand.prove(vectors)
    }

    /// Asks each vector's question of two fresh instances, and where instances serve many calls,
    /// of one of them once more. The answer has what each took in instructions.
    ///
    /// # Errors
    /// A call fails, or something differs: the error says for which vector, and what.
    pub fn prove_twice(&self, vectors: &str) -> Result<Vec<u64>, String> {
        self.stand.prove_twice(vectors)
    }

    /// Calls a fresh instance with settings (a JSON object) and an input as vectors have it. A job
    /// calls those out there that its `NAME.toml` grants.
    ///
    /// # Errors
    /// It traps, refuses the settings, or the input is not one of its world's.
    pub fn try_once(&self, settings: &str, input: &Value) -> Result<Trial, String> {
        self.stand.try_once(settings, input)
    }

    /// What a vector's call takes in instructions; nothing if it is answered with an error. A hot
    /// plugin is asked with these settings, a job with the vector's own, and by what was recorded.
    ///
    /// # Errors
    /// A job's vector does not hold: the error says why.
    pub fn rehearse(&self, settings: &str, vector: &Vector) -> Result<Option<u64>, String> {
        self.stand.rehearse(settings, vector)
    }

    fn interfaces(&self) -> (Vec<String>, Vec<String>) {
        let engine = self.component.engine();
        let ty = self.component.component_type();
        let imports: BTreeSet<String> = ty.imports(engine).map(|(name, _)| name.into()).collect();
        let exports: BTreeSet<String> = ty.exports(engine).map(|(name, _)| name.into()).collect();
        (imports.into_iter().collect(), exports.into_iter().collect())
    }
}

impl Trial {
    /// A vector of what happened: the output, of an authorizer's input what it asked for, and what
    /// a job was told by the environment and by others. Run again, it answers as before.
    #[must_use]
    pub fn vector(
        self,
        name: String,
        settings: Option<Map<String, Value>>,
        input: &Value,
    ) -> Vector {
        let input = match &self.asked {
            Some(asked) => golden::asked_alone(input, asked),
            None => input.clone(),
        };
        let (environment, exchanges) = self.heard.written();
        Vector {
            name,
            settings,
            input,
            output: self.output,
            environment,
            exchanges,
        }
    }
}

impl fmt::Debug for Workbench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workbench").finish_non_exhaustive()
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The settings of a `NAME.toml` as `init` takes them: a JSON object.
///
/// # Errors
/// The text is no manifest; the error names the key.
pub fn settings_of(manifest: &str) -> Result<String, String> {
    Manifest::parse(manifest)?.settings_json()
}

//! A component on the workbench: without a registry, a pool or a folder, for its author.
//!
//! Here instances count fuel and every question that they ask the host is written down, which the
//! serving path does not do. Calls go by JSON (see `mirror`), so that one way serves every world.
//! What a plugin answers here is what it answers in a host; how long it takes is not: the workbench
//! counts instructions and asks nobody for the time.

mod facts;
mod golden;
mod mirror;
mod session;
mod track;

pub use golden::{Golden, Vector};
pub use track::{Times, Track};

use crate::admit::admit;
use crate::kind::Kind;
use crate::limits::WASM_STACK_BYTES;
use crate::manifest::Manifest;
use serde::Serialize;
use serde_json::{Map, Value};
use session::{Notes, Session};
use std::collections::BTreeSet;
use std::fmt;
use wasmtime::component::{Component, InstancePre};
use wasmtime::{Config, Engine};

/// Where components are tried.
pub struct Workbench {
    engine: Engine,
}

/// A component that fits its world.
pub struct Piece {
    /// What it is for.
    pub kind: Kind,
    bytes: usize,
    component: Component,
    pre: InstancePre<Notes>,
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

/// One question that a plugin asked the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Which: `attribute`, `pinned_bytes`.
    pub what: String,
    /// About which name, where the question has one.
    pub about: Option<String>,
    /// What it was told.
    pub answer: Value,
}

/// What a component is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What `init` is given: a JSON object.
    pub settings: &'a str,
    /// What is asked, as vectors write it.
    pub input: &'a Value,
    /// What of the environment is granted and set: an object of texts.
    pub environment: Option<&'a Value>,
}

/// One call and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// `{"ok": …}` or `{"error": …}`, as vectors write it.
    pub output: Value,
    /// Instructions, as wasmtime counts them: the same for the same input, on every machine.
    pub fuel: u64,
    /// What it asked, in order.
    pub asked: Vec<Asked>,
    /// The lines that it logged.
    pub log: Vec<String>,
}

impl Workbench {
    /// An empty one.
    ///
    /// # Errors
    /// A machine on which WebAssembly cannot run.
    pub fn open() -> Result<Self, String> {
        let mut config = Config::new();
        config
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .concurrency_support(false)
            .consume_fuel(true)
            .max_wasm_stack(WASM_STACK_BYTES)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            .wasm_tail_call(false)
            .wasm_component_model(true);
        let engine =
            Engine::new(&config).map_err(|e| format!("no engine can be started ({e:#})"))?;
        Ok(Self { engine })
    }

    /// Looks a component over, compiles and links it.
    ///
    /// # Errors
    /// What the host would refuse it for, in the host's words.
    pub fn take(&self, wasm: &[u8]) -> Result<Piece, String> {
        let kind = admit(wasm)?;
        let component = Component::from_binary(&self.engine, wasm)
            .map_err(|e| format!("does not compile: {e:#}"))?;
        let pre = session::link(&self.engine, &component, kind)
            .map_err(|e| format!("does not fit the {kind} world: {e:#}"))?;
        Ok(Piece {
            kind,
            bytes: wasm.len(),
            component,
            pre,
        })
    }
}

impl Piece {
    /// Starts it with settings (a JSON object) and asks what it is.
    ///
    /// # Errors
    /// It traps, or refuses the settings.
    pub fn inspect(&self, settings: &str) -> Result<Inspection, String> {
        let mut session = Session::start(self)?;
        let said = session.describe()?;
        let init_fuel = session.init(settings)?;
        let needs = match self.kind {
            Kind::Authorizer | Kind::Pricing => Vec::new(),
            Kind::Payment | Kind::Config => session.needs()?,
        };
        let text = |field: &str| {
            let text = said.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let (imports, exports) = self.interfaces();
        Ok(Inspection {
            kind: self.kind,
            name: text("name"),
            version: text("version"),
            description: text("description"),
            bytes: self.bytes,
            imports,
            exports,
            needs,
            memory_bytes: session.memory_bytes(),
            init_fuel,
        })
    }

    /// Calls a fresh instance.
    ///
    /// # Errors
    /// It traps, refuses the settings, or the input is not one of its world's.
    pub fn try_once(&self, question: &Question<'_>) -> Result<Trial, String> {
        let mut session = Session::start(self)?;
        session.grant(question.environment)?;
        session.init(question.settings)?;
        session.call(question.input)
    }

    /// Calls two fresh instances with the same input, and one of them once more. The first answer,
    /// if nothing differed.
    ///
    /// # Errors
    /// It fails, or something differs: the error says what.
    pub fn try_twice(&self, question: &Question<'_>) -> Result<Trial, String> {
        let first = self.try_once(question)?;
        let mut session = Session::start(self)?;
        session.grant(question.environment)?;
        session.init(question.settings)?;
        let second = session.call(question.input)?;
        if first.output != second.output {
            return Err(format!(
                "the same input gave {} and then {}; it must depend on nothing else",
                short(&first.output),
                short(&second.output)
            ));
        }
        if first.fuel != second.fuel {
            return Err(format!(
                "the same input took {} instructions and then {}; something in it is random",
                first.fuel, second.fuel
            ));
        }
        if !self.is_hot() {
            return Ok(first);
        }
        let again = session.call(question.input)?;
        if again.output != first.output {
            return Err(format!(
                "called a second time, the same instance gave {} after {}; keep nothing of one \
                 call for the next",
                short(&again.output),
                short(&first.output)
            ));
        }
        Ok(first)
    }

    /// Whether a vector can be run here: not if others must answer for it over the network.
    #[must_use]
    pub fn can_replay(&self, vector: &Vector) -> bool {
        vector.is_refusal() || (self.kind != Kind::Payment && vector.exchanges.is_none())
    }

    /// Whether one instance is asked again and again. Of the other kinds each call has a fresh one.
    #[must_use]
    pub const fn is_hot(&self) -> bool {
        matches!(self.kind, Kind::Authorizer | Kind::Pricing)
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
    /// A vector of what happened: the output, and of the input what was asked for, where the host
    /// can tell. Run again, it answers every question as before.
    #[must_use]
    pub fn vector(
        self,
        name: String,
        settings: Option<Map<String, Value>>,
        input: &Value,
    ) -> Vector {
        Vector {
            name,
            settings,
            input: facts::asked_alone(input, &self.asked),
            output: self.output,
            environment: None,
            exchanges: None,
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

/// An answer, cut for a sentence.
fn short(output: &Value) -> String {
    /// Characters that a sentence can carry.
    const CHARS_MAX: usize = 200;
    let text = output.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

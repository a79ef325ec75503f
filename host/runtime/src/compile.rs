//! From a file's bytes to code that can run.
//!
//! Compiling is where a file that means harm could take the most: it works through all of the
//! file, with memory and time that grow with what is in it. So the host compiles in a process of
//! its own, with bounds on both, and never while a call waits. What comes out is kept in a cache
//! that only the host can write: a restart compiles nothing.

mod cache;
mod child;
mod scan;
mod trusted;

use crate::engine::Recipe;
use crate::metrics::CompileMetrics;
use crate::package::hex;
use cache::Cache;
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use child::compile_as_child;
pub(crate) use scan::check as look_over;

/// Where components are compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In the calling process: for tests and tools, where nobody else is served.
    #[default]
    InProcess,
    /// In a child process, which can be stopped and whose memory is bounded.
    Child {
        /// The program: one that calls [`compile_as_child`].
        program: PathBuf,
        /// Its arguments; the name of the recipe is added.
        args: Vec<String>,
    },
}

/// Largest code that a component can become. Python's 18 MiB become some 60.
const CODE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Compiles, and remembers what it compiled.
#[derive(Debug)]
pub(crate) struct Compilation {
    compiler: Compiler,
    cache: Option<Cache>,
    metrics: CompileMetrics,
}

impl Compilation {
    /// Opens the cache, if there is to be one. The error is for the operator.
    pub(crate) fn open(
        compiler: Compiler,
        cache: Option<&Path>,
        metrics: CompileMetrics,
    ) -> Result<Self, String> {
        let cache = cache
            .map(|dir| Cache::open(dir, metrics.cache_dropped.clone()))
            .transpose()?;
        Ok(Self {
            compiler,
            cache,
            metrics,
        })
    }

    /// Makes a component for an engine that was built by the recipe. The error is for the operator.
    pub(crate) fn component(
        &self,
        recipe: Recipe,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<Component, String> {
        let outcome = self.cached_or_compiled(recipe, engine, wasm);
        let label = match &outcome {
            Ok((Origin::Cache, _)) => "cached",
            Ok((Origin::Compiler, _)) => "compiled",
            Err(_) => "failed",
        };
        self.metrics.outcomes.with_label_values(&[label]).inc();
        outcome.map(|(_, component)| component)
    }

    fn cached_or_compiled(
        &self,
        recipe: Recipe,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<(Origin, Component), String> {
        let name = entry_name(engine, wasm);
        if let Some(cache) = &self.cache
            && let Some(code) = cache.get(&name)
        {
            match code.load(engine) {
                Ok(component) => return Ok((Origin::Cache, component)),
                // Its name says that it fits, and it does not: compiled anew, it will.
                Err(error) => cache.drop_unusable(&name, &format!("{error:#}")),
            }
        }
        scan::check(wasm)?;
        let start = Instant::now();
        let code = match &self.compiler {
            Compiler::InProcess => trusted::Code::compile(engine, wasm)
                .map_err(|e| format!("does not compile: {e:#}"))?,
            Compiler::Child { program, args } => {
                let mut command = child::command(program, args, recipe);
                child::run(&mut command, wasm, time_limit(wasm.len()))?
            }
        };
        let took = start.elapsed();
        self.metrics.seconds.observe(took.as_secs_f64());
        let component = code
            .load(engine)
            .map_err(|e| format!("was compiled to something unusable ({e:#}); is the program that compiles of the host's own version?"))?;
        if let Some(cache) = &self.cache {
            cache.put(&name, &code);
        }
        Ok((Origin::Compiler, component))
    }
}

enum Origin {
    Cache,
    Compiler,
}

/// How long compiling may take: a second per 100 KiB in a slow build on a busy machine, and some
/// time to start.
fn time_limit(wasm_bytes: usize) -> Duration {
    Duration::from_secs(30 + wasm_bytes as u64 / (100 * 1024))
}

/// What is told apart in the cache: the component, and everything about the compiler that matters.
fn entry_name(engine: &Engine, wasm: &[u8]) -> String {
    let mut compiler = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut compiler);
    let compiler: [u8; 32] = compiler.0.finalize().into();
    let digest: [u8; 32] = Sha256::digest(wasm).into();
    let compiler = hex(&compiler);
    let short = compiler.get(..32).unwrap_or(&compiler);
    format!("{}-{short}", hex(&digest))
}

/// Takes what is hashed into SHA-256, so that equal names mean equal compilers.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks for it: the digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_component_or_another_recipe_has_another_name() {
        let engine = |recipe: Recipe| Engine::new(&recipe.config()).unwrap();
        let timed = engine(Recipe::Timed);
        let names = [
            entry_name(&timed, b"a"),
            entry_name(&timed, b"b"),
            entry_name(&engine(Recipe::Metered), b"a"),
        ];
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), 3);
        assert_eq!(names[0], entry_name(&engine(Recipe::Timed), b"a"));
    }
}

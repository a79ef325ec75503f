//! Compiled code that may be run.
//!
//! Loading code is the one thing here that no check can make safe: what is loaded is run by the
//! processor, outside the sandbox. So code is a type of its own, and there are three ways to get
//! some, each of which ends at our own compiler.

use super::cache::Proven;
use super::child::Compiled;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Code that this host's compiler made.
pub(super) struct Code(Source);

enum Source {
    /// Made in this process: there is a component already.
    Component(Component),
    /// Made elsewhere.
    Bytes(Vec<u8>),
}

impl Code {
    /// Compiles in this process.
    pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        let component = Component::from_binary(engine, wasm)?;
        Ok(Self(Source::Component(component)))
    }

    /// What a child process of ours has compiled.
    pub(super) fn of_child(compiled: Compiled) -> Self {
        Self(Source::Bytes(compiled.into_bytes()))
    }

    /// What this host once put into its cache.
    pub(super) fn of_cache(proven: Proven) -> Self {
        Self(Source::Bytes(proven.into_bytes()))
    }

    /// Loads it. The engine checks that it was compiled for one of its kind.
    pub(super) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        match &self.0 {
            Source::Component(component) => Ok(component.clone()),
            Source::Bytes(bytes) => {
                #[expect(unsafe_code, reason = "the proof stands below")]
                // SAFETY: `deserialize` asks that the bytes were made by wasmtime's
                // `precompile_component` or `serialize`, and not changed since. Private fields
                // leave two ways to such bytes:
                // - `Compiled` is what a child process wrote into a pipe that nobody else holds.
                //   The child is the program that the host's own wiring names (the host's
                //   executable), and writes nothing there but the result of
                //   `precompile_component`. A fault in the compiler that let a component take the
                //   child over would have let it take the host over, had the host compiled.
                // - `Proven` is such code, as this host wrote it to its cache, with a MAC over the
                //   entry's name and all bytes whose key only the host's user can read. The MAC was
                //   checked over the very bytes in memory that are loaded here, so nothing can
                //   change in between.
                // That the code fits this engine is checked by `deserialize` itself.
                unsafe {
                    Component::deserialize(engine, bytes)
                }
            }
        }
    }

    /// The bytes, for the cache.
    pub(super) fn to_bytes(&self) -> wasmtime::Result<Vec<u8>> {
        match &self.0 {
            Source::Component(component) => component.serialize(),
            Source::Bytes(bytes) => Ok(bytes.clone()),
        }
    }
}

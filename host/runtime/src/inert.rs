//! What a Rust guest's standard library imports of WASI whether it uses it or not, with nothing
//! behind it: no environment, no input, no terminal, and output that goes nowhere. Only what is
//! written to standard error is kept for a moment: it is where a panic says why.

use crate::guest::Guest;
use wasmtime::component::{ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut, bail};

/// The interfaces, without their version.
pub(crate) const INTERFACES: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
];

/// Bytes that a stream takes at once.
const WRITE_BYTES_MAX: u64 = 4_096;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;

struct Input;
struct Output;
struct Pollable;
struct TerminalInput;
struct TerminalOutput;
struct IoError;

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[expect(dead_code, reason = "it is part of the type, and nothing fails here")]
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<IoError>),
    #[expect(dead_code, reason = "it is part of the type, and nothing closes here")]
    #[component(name = "closed")]
    Closed,
}

type Streamed<T> = std::result::Result<T, StreamError>;

/// What is kept beside an instance, as far as it listens to what the guest writes to standard
/// error.
pub(crate) trait Hear: 'static {
    /// Takes some of it.
    fn hear(&mut self, bytes: &[u8]);
}

impl Hear for Guest {
    fn hear(&mut self, bytes: &[u8]) {
        Self::hear(self, bytes);
    }
}

/// Defines those of the interfaces that a component imports, under the names that it uses.
pub(crate) fn link<'a, D: Hear>(
    linker: &mut Linker<D>,
    imports: impl Iterator<Item = &'a str>,
) -> Result<()> {
    for import in imports {
        let (interface, _) = import.split_once('@').unwrap_or((import, ""));
        if INTERFACES.contains(&interface) {
            let mut instance = linker.instance(import)?;
            resources(&mut instance)?;
            define(interface, &mut instance)?;
        }
    }
    Ok(())
}

/// Every interface names again the resources that it uses, so all of them are put into each.
fn resources<D: Hear>(instance: &mut LinkerInstance<'_, D>) -> Result<()> {
    resource::<IoError, D>(instance, "error")?;
    resource::<Pollable, D>(instance, "pollable")?;
    resource::<Input, D>(instance, "input-stream")?;
    resource::<Output, D>(instance, "output-stream")?;
    resource::<TerminalInput, D>(instance, "terminal-input")?;
    resource::<TerminalOutput, D>(instance, "terminal-output")
}

fn define<D: Hear>(interface: &str, instance: &mut LinkerInstance<'_, D>) -> Result<()> {
    match interface {
        "wasi:cli/environment" => environment(instance),
        "wasi:cli/exit" => instance.func_wrap("exit", |_, _: (std::result::Result<(), ()>,)| {
            Err::<(), _>(wasmtime::format_err!("it exited"))
        }),
        "wasi:cli/stdin" => instance.func_wrap("get-stdin", |_, (): ()| {
            Ok((Resource::<Input>::new_own(0),))
        }),
        "wasi:cli/stdout" => instance.func_wrap("get-stdout", |_, (): ()| {
            Ok((Resource::<Output>::new_own(STDOUT),))
        }),
        "wasi:cli/stderr" => instance.func_wrap("get-stderr", |_, (): ()| {
            Ok((Resource::<Output>::new_own(STDERR),))
        }),
        "wasi:cli/terminal-stdin" => {
            no_terminal::<TerminalInput, D>(instance, "get-terminal-stdin")
        }
        "wasi:cli/terminal-stdout" => {
            no_terminal::<TerminalOutput, D>(instance, "get-terminal-stdout")
        }
        "wasi:cli/terminal-stderr" => {
            no_terminal::<TerminalOutput, D>(instance, "get-terminal-stderr")
        }
        "wasi:cli/terminal-input" | "wasi:cli/terminal-output" | "wasi:io/error" => Ok(()),
        "wasi:io/poll" => instance
            .func_wrap("[method]pollable.block", |_, _: (Resource<Pollable>,)| {
                Ok(())
            }),
        "wasi:io/streams" => streams(instance),
        _ => bail!("{interface} is not inert"),
    }
}

fn environment<D: Hear>(instance: &mut LinkerInstance<'_, D>) -> Result<()> {
    instance.func_wrap("get-environment", |_, (): ()| {
        Ok((Vec::<(String, String)>::new(),))
    })?;
    instance.func_wrap("get-arguments", |_, (): ()| Ok((Vec::<String>::new(),)))?;
    instance.func_wrap("initial-cwd", |_, (): ()| Ok((None::<String>,)))
}

fn streams<D: Hear>(instance: &mut LinkerInstance<'_, D>) -> Result<()> {
    instance.func_wrap(
        "[method]output-stream.check-write",
        |_, _: (Resource<Output>,)| Ok((Streamed::Ok(WRITE_BYTES_MAX),)),
    )?;
    for name in [
        "[method]output-stream.write",
        "[method]output-stream.blocking-write-and-flush",
    ] {
        instance.func_wrap(name, write::<D>)?;
    }
    for name in [
        "[method]output-stream.flush",
        "[method]output-stream.blocking-flush",
    ] {
        instance.func_wrap(name, |_, _: (Resource<Output>,)| Ok((Streamed::Ok(()),)))?;
    }
    instance.func_wrap(
        "[method]output-stream.subscribe",
        |_, _: (Resource<Output>,)| Ok((Resource::<Pollable>::new_own(0),)),
    )
}

fn write<D: Hear>(
    mut store: StoreContextMut<'_, D>,
    (stream, bytes): (Resource<Output>, Vec<u8>),
) -> Result<(Streamed<()>,)> {
    if stream.rep() == STDERR {
        store.data_mut().hear(&bytes);
    }
    Ok((Ok(()),))
}

fn resource<T: 'static, D: Hear>(instance: &mut LinkerInstance<'_, D>, name: &str) -> Result<()> {
    // Nothing stands behind it, so nothing is to be done when it goes.
    instance.resource(name, ResourceType::host::<T>(), |_, _| Ok(()))
}

fn no_terminal<T: 'static, D: Hear>(
    instance: &mut LinkerInstance<'_, D>,
    name: &str,
) -> Result<()> {
    instance.func_wrap(name, |_, (): ()| Ok((None::<Resource<T>>,)))
}

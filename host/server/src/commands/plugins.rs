//! `holdfast plugin …`: from an empty folder to a plugin that serves, and looked after there.
//!
//! What works on files needs no running host; what works on a host calls its API.

mod attack;
mod bench;
mod check;
mod compile;
mod draft;
mod folder;
mod install;
mod new;
mod running;
mod sign;
mod vectors;

pub(super) use sign::signing_key;

use super::Failure;
use clap::Subcommand;
use std::process::ExitCode;

pub(super) use compile::compiler;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a project for a plugin; it builds and passes its tests at once.
    New(new::New),
    /// Look over a component as a host would: signature, settings, world, imports, vectors,
    /// determinism.
    Check(check::Check),
    /// Run a component's golden vectors.
    Test(vectors::Test),
    /// Measure a component's calls: a histogram of their times, and their instructions.
    Bench(bench::Bench),
    /// Ask a component once, and write what it was told and what it answered as a vector.
    Record(vectors::Record),
    /// Show what a component is, imports, exports and needs.
    Inspect(check::Inspect),
    /// Make a key to sign plugins with.
    Keygen(sign::Keygen),
    /// Sign a component: NAME.sig beside it.
    Sign(sign::Sign),
    /// Put a plugin into a running host, or into a folder that one watches.
    Install(install::Install),
    /// List the plugins of a running host.
    List(running::List),
    /// Have a candidate serve in the place of what serves now.
    Promote(running::Promote),
    /// Have the generation before serve again, at once.
    Rollback(running::Rollback),
    /// Take a plugin out of a running host, with its files and all its generations.
    Remove(running::Remove),
    /// Show how a candidate that runs beside a plugin differs from it.
    Shadow(running::Shadow),
    /// Show what a plugin logged.
    Logs(running::Logs),
    /// Run the hostile kit against this program's own runtime, or with --host against a running
    /// host, and say what it answers to each attack.
    Attack(attack::Attack),
    #[command(hide = true)]
    Compile(compile::Compile),
}

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::New(new) => new.run(),
            Self::Check(check) => check.run(),
            Self::Test(test) => test.run(),
            Self::Bench(bench) => bench.run(),
            Self::Record(record) => record.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Keygen(keygen) => keygen.run(),
            Self::Sign(sign) => sign.run(),
            Self::Install(install) => install.run().await,
            Self::List(list) => list.run().await,
            Self::Promote(promote) => promote.run().await,
            Self::Rollback(rollback) => rollback.run().await,
            Self::Remove(remove) => remove.run().await,
            Self::Shadow(shadow) => shadow.run().await,
            Self::Logs(logs) => logs.run().await,
            Self::Attack(attack) => attack.run().await,
            Self::Compile(compile) => compile.run(),
        }
    }
}

//! `holdfast plugin compile`: the process that a host starts to compile a plugin in.

use crate::commands::Failure;
use clap::Args;
use holdfast_runtime::{Compiler, compile_as_child};
use std::io::{Write, stderr, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

/// A link to the program that runs. It leads to the right one even after an update has put another
/// in its place.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Compile a component from standard input to standard output; for the host's own use.
#[derive(Debug, Args)]
pub(in crate::commands) struct Compile {
    /// How: for which engine of the host.
    recipe: String,
}

impl Compile {
    /// Says what went wrong without anything before it: the host puts it into its own words.
    pub(super) fn run(&self) -> Result<ExitCode, Failure> {
        let done = compile_as_child(&self.recipe, &mut stdin().lock(), &mut stdout().lock());
        match done {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(why) => {
                stderr().write_all(why.as_bytes())?;
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

/// How a host starts that process.
pub(in crate::commands) fn compiler() -> Result<Compiler, Failure> {
    let own = Path::new(OWN_PROGRAM);
    let program = match own.is_symlink() {
        true => own.to_owned(),
        false => std::env::current_exe()?,
    };
    Ok(Compiler::Child {
        program,
        args: ["plugin", "compile"].map(str::to_owned).into(),
    })
}

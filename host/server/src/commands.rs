//! The command line: one file per subcommand.
//!
//! Text for people on a terminal, `--json` for machines; 0 when it is done, 1 when it failed, 2
//! when it was asked wrongly.

mod audit;
mod client;
mod config;
mod dial;
mod doctor;
mod host;
mod keys;
mod money;
mod plugins;
mod policies;
mod recorded;
mod schema;
mod serve;
mod sources;
mod state;
mod tenants;
mod terminal;
mod users;

pub use host::{Host, Role, inspect};

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// A pinning service for IPFS whose prices and policies are yours.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host.
    Serve(serve::Serve),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Make, list, rotate and revoke API keys of a running host.
    #[command(subcommand)]
    Key(keys::Command),
    /// Make, list, change and delete users of a running host.
    #[command(subcommand)]
    User(users::Command),
    /// What an account of a running host used.
    Usage(money::Asked),
    /// What that costs, line by line.
    Quote(money::Asked),
    /// Read and set tenants' attributes on a running host.
    #[command(subcommand)]
    Tenant(tenants::Command),
    /// Make plugins, try them, and look after those of a running host.
    #[command(subcommand)]
    Plugin(plugins::Command),
    /// Check, test, prove, sign and try policies; ask a running host why it decided something.
    #[command(subcommand)]
    Policy(policies::Command),
    /// Make and check the tables of a CQL store.
    #[command(subcommand)]
    Schema(schema::Command),
    /// Move a pin set in and out, and compare it with another.
    #[command(subcommand)]
    State(state::Command),
    /// Read, export, sign and verify the audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Look for what would keep the host from working, and say the mend.
    Doctor(doctor::Doctor),
    /// Write a script that completes commands in your shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Why a command failed.
type Failure = anyhow::Error;

/// Runs the command that the arguments name.
#[must_use]
pub fn run() -> ExitCode {
    crate::identity::install_crypto();
    let arguments = Arguments::parse();
    match dispatch(arguments.command) {
        Ok(code) => code,
        Err(failure) => {
            terminal::complain(&format!("{failure:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(serve) => serve.run(),
        Command::Config(command) => command.run(),
        Command::Key(command) => wait(command.run()),
        Command::User(command) => wait(command.run()),
        Command::Usage(asked) => wait(asked.usage()),
        Command::Quote(asked) => wait(asked.quote()),
        Command::Tenant(command) => wait(command.run()),
        Command::Plugin(command) => wait(command.run()),
        Command::Policy(command) => wait(command.run()),
        Command::Schema(command) => wait(command.run()),
        Command::State(command) => wait(command.run()),
        Command::Audit(command) => wait(command.run()),
        Command::Doctor(doctor) => wait(doctor.run()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "holdfast", &mut script);
            terminal::write(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn wait(task: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task)
}

//! `holdfast serve`: runs the host until it is told to stop.

use super::host::{self, Host, Role};
use super::sources::Where;
use super::{Failure, terminal};
use crate::config::{self, Live};
use crate::ops::telemetry::{self, Telemetry};
use clap::Args;
use holdfast_runtime::go_first;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    place: Where,
    /// Where everything is kept that has no path of its own.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the main listener listens.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// What this process does; may be given more than once [default: everything].
    #[arg(long, value_enum, value_name = "ROLE")]
    role: Vec<Role>,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut flags = Vec::new();
        let mut flag = |key: &str, value: Option<String>, flag: &str| {
            flags.extend(value.map(|value| (key.to_owned(), value, flag.to_owned())));
        };
        flag(
            "data",
            self.data.map(|dir| dir.display().to_string()),
            "--data",
        );
        flag("server.listen", self.listen, "--listen");
        let sources = self.place.sources(flags);
        let loaded = match config::load(&sources, host::inspect) {
            Ok(loaded) => loaded,
            Err(problems) => {
                terminal::complain(&format!("the configuration cannot be used\n{problems}"));
                return Ok(ExitCode::FAILURE);
            }
        };
        let level = telemetry::filter(&loaded.config.log).map_err(|e| anyhow::anyhow!(e.wrong))?;
        let telemetry = Telemetry::start(&loaded.config.log, level)?;
        let live = Arc::new(Live::new(sources, host::inspect, loaded));
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .on_thread_start(go_first)
            .build()?
            .block_on(until_told(live, &self.role, telemetry))
    }
}

async fn until_told(
    live: Arc<Live>,
    roles: &[Role],
    telemetry: Telemetry,
) -> Result<ExitCode, Failure> {
    // Taken before anything is started, so that a signal is never missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let starting = Host::start_as_program(live, roles, telemetry);
    let mut starting = std::pin::pin!(starting);
    let host = loop {
        tokio::select! {
            started = &mut starting => break started?,
            _ = terminate.recv() => return Ok(stopped_early()),
            _ = interrupt.recv() => return Ok(stopped_early()),
            // Who waits for a cluster reads the configuration again by itself.
            _ = hang_up.recv() => {}
        }
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // What it says, it logs; a signal that comes meanwhile is not to wait for it.
            _ = hang_up.recv() => drop(tokio::spawn(host.reload())),
        }
    }
    tracing::info!("stopping");
    if host.stop().await {
        return Ok(ExitCode::SUCCESS);
    }
    terminal::complain(
        "not everything ended in time; what was under way is taken up at the next start",
    );
    Ok(ExitCode::FAILURE)
}

/// Nothing was begun that would have to be finished.
fn stopped_early() -> ExitCode {
    tracing::info!("stopping before the store was there");
    ExitCode::SUCCESS
}

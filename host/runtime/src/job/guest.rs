//! What the host keeps beside each job.

use super::hooks::Hooks;
use super::limits::JobLimits;
use super::meter::Meter;
use crate::bindings::authorizer::holdfast::plugin::{log, types};
use crate::bindings::config::holdfast::plugin::environment;
use crate::error::Fault;
use crate::guest::{Journal, printable};
use crate::limits::{Held, LOG_LINE_BYTES_MAX};
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Log lines of one job: it does more than a call of the hot kinds does.
const LOG_LINES_PER_JOB: u32 = 32;

/// Bytes that one set of headers may take in the host's memory.
const FIELD_BYTES_MAX: usize = 32 * 1024;

/// The data of a job's store.
pub(crate) struct JobGuest {
    /// What it holds.
    pub(crate) held: Held,
    /// What it has used.
    pub(crate) meter: Arc<Meter>,
    /// How its requests leave.
    pub(crate) hooks: Hooks,
    /// How often it has called the host, but for what WASI has of its own.
    pub(crate) host_calls: u64,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    last_words: MemoryOutputPipe,
    lines: u32,
    journal: Arc<Journal>,
    /// The variables that are granted.
    environment: Arc<BTreeMap<String, String>>,
}

impl JobGuest {
    /// The data of a new job. Its WASI has nothing: no arguments, variables, files or sockets.
    pub(crate) fn new(
        limits: &JobLimits,
        journal: Arc<Journal>,
        environment: Arc<BTreeMap<String, String>>,
    ) -> Self {
        let last_words = MemoryOutputPipe::new(LOG_LINE_BYTES_MAX);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELD_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            held: Held::new(limits.memory_bytes),
            meter: Arc::new(Meter::new(limits.cpu)),
            hooks: Hooks::shut(),
            host_calls: 0,
            wasi: WasiCtx::builder().stderr(last_words.clone()).build(),
            http,
            table,
            last_words,
            lines: 0,
            journal,
            environment,
        }
    }

    /// Counts a call into the host.
    pub(super) const fn called(&mut self) {
        self.host_calls = self.host_calls.saturating_add(1);
    }

    /// The fault, and if it is a trap what the guest said before: a panic's message, mostly.
    pub(crate) fn with_last_words(&self, fault: Fault) -> Fault {
        let said = self.last_words.contents();
        match fault {
            Fault::Trap(what) if !said.is_empty() => {
                let words = String::from_utf8_lossy(&said);
                Fault::Trap(format!("{what}: {}", printable(words.trim())))
            }
            other => other,
        }
    }
}

impl WasiView for JobGuest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for JobGuest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl types::Host for JobGuest {}

impl log::Host for JobGuest {
    fn write(&mut self, level: log::Level, message: String) {
        self.called();
        self.lines = self.lines.saturating_add(1);
        match self.lines <= LOG_LINES_PER_JOB {
            true => self.journal.write(level, &message),
            false => self.journal.drop_line(),
        }
    }
}

impl environment::Host for JobGuest {
    fn get(&mut self, name: String) -> Option<String> {
        self.called();
        self.environment.get(&name).cloned()
    }

    fn names(&mut self) -> Vec<String> {
        self.called();
        self.environment.keys().cloned().collect()
    }
}

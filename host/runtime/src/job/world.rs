//! What the worlds of jobs have: how each is linked and asked.

use super::guest::JobGuest;
use super::handler;
use crate::bindings::authorizer::holdfast::plugin::log;
use crate::bindings::authorizer::holdfast::plugin::types::{Metadata, Need};
use crate::bindings::config::holdfast::plugin::environment;
use crate::bindings::{config, payment};
use crate::kind::Kind;
use crate::link::refuse_unknown_functions;
use crate::world::Description;
use wasmtime::component::{Component, HasData, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

/// A job world's exports, bound to an instance.
pub(crate) trait JobWorld: Sized + Send + Sync + 'static {
    /// Which world.
    const KIND: Kind;
    /// The exports, looked up before there is an instance.
    type Pre: Send + Sync + 'static;

    /// Looks the exports up.
    fn pre(pre: InstancePre<JobGuest>) -> wasmtime::Result<Self::Pre>;
    /// Makes an instance.
    fn instantiate(
        pre: &Self::Pre,
        store: &mut Store<JobGuest>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;
    /// Asks what it is.
    fn describe(
        &self,
        store: &mut Store<JobGuest>,
    ) -> impl Future<Output = wasmtime::Result<Description>> + Send;
    /// Hands the settings over; the inner error is the guest's own.
    fn init(
        &self,
        store: &mut Store<JobGuest>,
        settings: &str,
    ) -> impl Future<Output = wasmtime::Result<Result<(), String>>> + Send;
    /// Asks what it needs.
    fn needs(
        &self,
        store: &mut Store<JobGuest>,
    ) -> impl Future<Output = wasmtime::Result<Vec<Need>>> + Send;
}

/// Both worlds have these, generated twice.
macro_rules! job_world {
    ($world:ty, $pre:ty, $kind:expr) => {
        impl JobWorld for $world {
            const KIND: Kind = $kind;
            type Pre = $pre;

            fn pre(pre: InstancePre<JobGuest>) -> wasmtime::Result<Self::Pre> {
                <$pre>::new(pre)
            }

            async fn instantiate(
                pre: &Self::Pre,
                store: &mut Store<JobGuest>,
            ) -> wasmtime::Result<Self> {
                pre.instantiate_async(store).await
            }

            async fn describe(&self, store: &mut Store<JobGuest>) -> wasmtime::Result<Description> {
                self.call_describe(store).await.map(description)
            }

            async fn init(
                &self,
                store: &mut Store<JobGuest>,
                settings: &str,
            ) -> wasmtime::Result<Result<(), String>> {
                self.call_init(store, settings).await
            }

            async fn needs(&self, store: &mut Store<JobGuest>) -> wasmtime::Result<Vec<Need>> {
                self.call_needs(store).await
            }
        }
    };
}

job_world!(
    payment::Payment,
    payment::PaymentPre<JobGuest>,
    Kind::Payment
);
job_world!(config::Config, config::ConfigPre<JobGuest>, Kind::Config);

fn description(said: Metadata) -> Description {
    Description {
        name: said.name,
        version: said.version,
        description: said.description,
    }
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links what job worlds have: of WASI only what their admission lets in.
pub(crate) fn link<W: JobWorld>(
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<W::Pre> {
    let mut ours = Linker::new(engine);
    link_ours(&mut ours, W::KIND)?;
    refuse_unknown_functions(engine, component, &mut ours)?;
    let mut linker = Linker::new(engine);
    link_ours(&mut linker, W::KIND)?;
    link_wasi(&mut linker)?;
    W::pre(linker.instantiate_pre(component)?)
}

fn link_ours(linker: &mut Linker<JobGuest>, kind: Kind) -> wasmtime::Result<()> {
    log::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    if kind == Kind::Config {
        environment::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    }
    Ok(())
}

fn link_wasi(l: &mut Linker<JobGuest>) -> wasmtime::Result<()> {
    wasi::io::error::add_to_linker::<_, Io>(l, |guest| guest.ctx().table)?;
    wasi::io::poll::add_to_linker::<_, Io>(l, |guest| guest.ctx().table)?;
    wasi::io::streams::add_to_linker::<_, Io>(l, |guest| guest.ctx().table)?;
    wasi::clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(l, JobGuest::clocks)?;
    wasi::cli::exit::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::environment::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::stdin::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::stdout::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::stderr::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::terminal_input::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::terminal_output::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, JobGuest::cli)?;
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    http::types::add_to_linker::<_, WasiHttp>(l, &(&options).into(), JobGuest::http)?;
    handler::link(l)
}

//! The peer of a warm call: the same component called through wasmtime's own typed bindings, with
//! nothing around it. No deadline, no limits, no metrics, no choice of an instance; and host
//! functions that answer from constants.

use super::bench::component_bytes;
use crate::rows::plugins::bench;
use anyhow::{Result, anyhow, ensure};
use bindings::exports::holdfast::plugin::authorization::Decision;
use bindings::holdfast::plugin::calls::{Action, HostCall};
use bindings::holdfast::plugin::types::U128;
use bindings::holdfast::plugin::{calls, log, types};
use std::time::Duration;
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "authorizer",
        with: { "holdfast:plugin/calls.call": super::Call },
    });
}

/// What stands for the call in the guest's hands.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Call;

/// The data of the store: nothing.
struct Nobody;

/// An instance of `authorizer-quota`.
pub(super) struct Bare {
    exports: bindings::Authorizer,
    store: Store<Nobody>,
}

impl Bare {
    /// Compiles it and starts it, with the settings of a manifest that says nothing.
    pub(super) fn start() -> Result<Self> {
        let wrong = |e: wasmtime::Error| anyhow!("{e:#}");
        let mut config = Config::new();
        // As quick as wasmtime can be: what a host does without is not to be held against it.
        config.concurrency_support(false);
        let engine = Engine::new(&config).map_err(wrong)?;
        let component =
            Component::new(&engine, component_bytes("authorizer-quota")?).map_err(wrong)?;
        let mut linker = Linker::<Nobody>::new(&engine);
        calls::add_to_linker::<_, HasSelf<_>>(&mut linker, |nobody| nobody).map_err(wrong)?;
        log::add_to_linker::<_, HasSelf<_>>(&mut linker, |nobody| nobody).map_err(wrong)?;
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(wrong)?;
        let mut store = Store::new(&engine, Nobody);
        let exports = bindings::Authorizer::instantiate(&mut store, &component, &linker);
        let exports = exports.map_err(wrong)?;
        let said = exports.call_init(&mut store, "{}").map_err(wrong)?;
        said.map_err(|why| anyhow!("init: {why}"))?;
        Ok(Self { exports, store })
    }

    /// What a call takes.
    pub(super) fn micros_per_call(&mut self, stretch: Duration) -> Result<f64> {
        bench::micros_per_call(stretch, || {
            let authorization = self.exports.holdfast_plugin_authorization();
            let decision = authorization
                .call_authorize(&mut self.store, Resource::new_borrow(0))
                .map_err(|e| anyhow!("{e:#}"))?;
            ensure!(
                matches!(decision, Decision::Allow),
                "the authorizer says {decision:?}"
            );
            Ok(())
        })
    }
}

impl calls::Host for Nobody {}
impl types::Host for Nobody {}

impl log::Host for Nobody {
    fn write(&mut self, _: log::Level, _: String) {}
}

/// The same answers as the host gives to the same call.
impl HostCall for Nobody {
    fn action(&mut self, _: Resource<Call>) -> Action {
        Action::CreateRequest
    }

    fn principal(&mut self, _: Resource<Call>) -> String {
        "system:bench".to_owned()
    }

    fn has_role(&mut self, _: Resource<Call>, name: String) -> bool {
        name == "tenant-user"
    }

    fn account(&mut self, _: Resource<Call>) -> String {
        "acme/web".to_owned()
    }

    fn tenant(&mut self, _: Resource<Call>) -> String {
        "acme".to_owned()
    }

    fn attribute(&mut self, _: Resource<Call>, name: String) -> Option<String> {
        (name == "quota_bytes").then(|| bench::QUOTA_BYTES.to_string())
    }

    fn attribute_number(&mut self, _: Resource<Call>, name: String) -> Option<Result<u64, ()>> {
        (name == "quota_bytes").then_some(Ok(bench::QUOTA_BYTES))
    }

    fn cid(&mut self, _: Resource<Call>) -> Option<String> {
        Some("bafkqaaa".to_owned())
    }

    fn meta(&mut self, _: Resource<Call>, _: String) -> Option<String> {
        None
    }

    fn request_count(&mut self, _: Resource<Call>) -> u64 {
        7
    }

    fn pinned_bytes(&mut self, _: Resource<Call>) -> U128 {
        U128 {
            high: 0,
            low: 1 << 30,
        }
    }

    fn dag_size(&mut self, _: Resource<Call>) -> Option<u64> {
        None
    }

    fn time(&mut self, _: Resource<Call>) -> u64 {
        0
    }

    fn drop(&mut self, _: Resource<Call>) -> wasmtime::Result<()> {
        Ok(())
    }
}

//! What differs between the worlds: how each is linked and asked.

use crate::bindings::authorizer::holdfast::plugin::{calls, log};
use crate::bindings::{authorizer, pricing};
use crate::guest::Guest;
use crate::kind::Kind;
use wasmtime::Store;
use wasmtime::component::{HasSelf, InstancePre, Linker};

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Description {
    /// What people call it.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// One sentence.
    pub(crate) description: String,
}

/// A world's exports, bound to an instance.
pub(crate) trait World: Sized + Send + 'static {
    /// Which world.
    const KIND: Kind;
    /// The exports, looked up before there is an instance.
    type Pre: Send + Sync + 'static;

    /// Puts what the world imports into a linker.
    fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()>;
    /// Looks the exports up.
    fn pre(pre: InstancePre<Guest>) -> wasmtime::Result<Self::Pre>;
    /// Makes an instance.
    fn instantiate(pre: &Self::Pre, store: &mut Store<Guest>) -> wasmtime::Result<Self>;
    /// Asks what it is.
    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description>;
    /// Hands the settings over; the inner error is the guest's own.
    fn init(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), String>>;
}

impl World for authorizer::Authorizer {
    const KIND: Kind = Kind::Authorizer;
    type Pre = authorizer::AuthorizerPre<Guest>;

    fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
        calls::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
        log::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
    }

    fn pre(pre: InstancePre<Guest>) -> wasmtime::Result<Self::Pre> {
        authorizer::AuthorizerPre::new(pre)
    }

    fn instantiate(pre: &Self::Pre, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        pre.instantiate(store)
    }

    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        self.call_describe(store).map(|said| Description {
            name: said.name,
            version: said.version,
            description: said.description,
        })
    }

    fn init(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        self.call_init(store, settings)
    }
}

impl World for pricing::Pricing {
    const KIND: Kind = Kind::Pricing;
    type Pre = pricing::PricingPre<Guest>;

    /// It imports types alone.
    fn link(_: &mut Linker<Guest>) -> wasmtime::Result<()> {
        Ok(())
    }

    fn pre(pre: InstancePre<Guest>) -> wasmtime::Result<Self::Pre> {
        pricing::PricingPre::new(pre)
    }

    fn instantiate(pre: &Self::Pre, store: &mut Store<Guest>) -> wasmtime::Result<Self> {
        pre.instantiate(store)
    }

    fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Description> {
        self.call_describe(store).map(|said| Description {
            name: said.name,
            version: said.version,
            description: said.description,
        })
    }

    fn init(
        &self,
        store: &mut Store<Guest>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), String>> {
        self.call_init(store, settings)
    }
}

//! Plugins that refuse calls.

pub use crate::bindings::authorizer::exports::holdfast::plugin::authorization::{
    Cause, Decision, Reason,
};
use crate::bindings::authorizer::holdfast::plugin::calls;
pub use crate::bindings::authorizer::holdfast::plugin::calls::Action;
pub use crate::bindings::shared::holdfast::plugin::types::{Metadata, U128};
pub use crate::log::{Level, log};

/// What an author writes.
pub trait Authorizer: Sized + 'static {
    /// What the plugin says of itself.
    fn describe() -> Metadata;

    /// Takes the settings, a JSON object.
    ///
    /// # Errors
    /// Settings that are wrong; the text is shown to the operator.
    fn init(settings: &str) -> Result<Self, String>;

    /// Whether a call may go on.
    fn authorize(&self, call: &Call<'_>) -> Decision;
}

/// What can be asked of a call: the host answers it, or in a test `holdfast-testkit`.
#[expect(missing_docs, reason = "each is told at the method of Call")]
pub trait Facts {
    fn action(&self) -> Action;
    fn principal(&self) -> String;
    fn has_role(&self, name: &str) -> bool;
    fn account(&self) -> String;
    fn tenant(&self) -> String;
    fn attribute(&self, name: &str) -> Option<String>;
    fn attribute_number(&self, name: &str) -> Option<Result<u64, ()>>;
    fn cid(&self) -> Option<String>;
    fn meta(&self, key: &str) -> Option<String>;
    fn request_count(&self) -> u64;
    fn pinned_bytes(&self) -> U128;
    fn dag_size(&self) -> Option<u64>;
    fn time(&self) -> u64;
}

/// One call. The host has authenticated it, and its policies have allowed it.
#[derive(Clone, Copy)]
pub struct Call<'a>(&'a dyn Facts);

impl<'a> Call<'a> {
    /// A call that these facts tell of.
    #[must_use]
    pub fn of(facts: &'a dyn Facts) -> Self {
        Self(facts)
    }

    /// What is to be done.
    #[must_use]
    pub fn action(&self) -> Action {
        self.0.action()
    }

    /// Who asks: `key:<id>`, `jwt:<issuer>:<subject>` or `system:<worker>`.
    #[must_use]
    pub fn principal(&self) -> String {
        self.0.principal()
    }

    /// Whether the principal has a role: `tenant-user`, `tenant-admin`, `operator`, …
    #[must_use]
    pub fn has_role(&self, name: &str) -> bool {
        self.0.has_role(name)
    }

    /// For which account, as `tenant/account`.
    #[must_use]
    pub fn account(&self) -> String {
        self.0.account()
    }

    /// The account's tenant.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.0.tenant()
    }

    /// What the operator says of the tenant under a name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.0.attribute(name)
    }

    /// The same as a whole number, which is quicker; an error if it is none of 64 bits.
    #[must_use]
    pub fn attribute_number(&self, name: &str) -> Option<Result<u64, ()>> {
        self.0.attribute_number(name)
    }

    /// The content's CID in its canonical text.
    #[must_use]
    pub fn cid(&self) -> Option<String> {
        self.0.cid()
    }

    /// A value of the request's `meta`.
    #[must_use]
    pub fn meta(&self, key: &str) -> Option<String> {
        self.0.meta(key)
    }

    /// Pin requests that the account has, this one not counted.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.0.request_count()
    }

    /// Bytes that the account has pinned, this request not counted.
    #[must_use]
    pub fn pinned_bytes(&self) -> U128 {
        self.0.pinned_bytes()
    }

    /// Bytes of the content, where they are known already.
    #[must_use]
    pub fn dag_size(&self) -> Option<u64> {
        self.0.dag_size()
    }

    /// When the call came in, in unix milliseconds.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.0.time()
    }
}

impl Facts for calls::Call {
    fn action(&self) -> Action {
        Self::action(self)
    }

    fn principal(&self) -> String {
        Self::principal(self)
    }

    fn has_role(&self, name: &str) -> bool {
        Self::has_role(self, name)
    }

    fn account(&self) -> String {
        Self::account(self)
    }

    fn tenant(&self) -> String {
        Self::tenant(self)
    }

    fn attribute(&self, name: &str) -> Option<String> {
        Self::attribute(self, name)
    }

    fn attribute_number(&self, name: &str) -> Option<Result<u64, ()>> {
        Self::attribute_number(self, name)
    }

    fn cid(&self) -> Option<String> {
        Self::cid(self)
    }

    fn meta(&self, key: &str) -> Option<String> {
        Self::meta(self, key)
    }

    fn request_count(&self) -> u64 {
        Self::request_count(self)
    }

    fn pinned_bytes(&self) -> U128 {
        Self::pinned_bytes(self)
    }

    fn dag_size(&self) -> Option<u64> {
        Self::dag_size(self)
    }

    fn time(&self) -> u64 {
        Self::time(self)
    }
}

impl Decision {
    /// Refuses because a quota or the funds are used up.
    #[must_use]
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::Deny(Reason {
            cause: Cause::Exhausted,
            message: message.into(),
        })
    }

    /// Refuses because it is not allowed.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::Deny(Reason {
            cause: Cause::Forbidden,
            message: message.into(),
        })
    }
}

/// Makes a component of an [`Authorizer`].
#[macro_export]
macro_rules! export_authorizer {
    ($plugin:ty) => {
        const _: () = {
            use $crate::authorizer::Authorizer;
            use $crate::bindings::authorizer as bindings;

            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> =
                    const { ::std::cell::OnceCell::new() };
            }

            struct Component;

            impl bindings::Guest for Component {
                fn describe() -> $crate::authorizer::Metadata {
                    <$plugin as Authorizer>::describe()
                }

                fn init(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    let plugin = <$plugin as Authorizer>::init(&settings)?;
                    PLUGIN.with(|cell| match cell.set(plugin) {
                        Ok(()) => Ok(()),
                        Err(_) => Err("init was called twice".into()),
                    })
                }
            }

            impl bindings::exports::holdfast::plugin::authorization::Guest for Component {
                fn authorize(
                    call: &bindings::holdfast::plugin::calls::Call,
                ) -> $crate::authorizer::Decision {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.authorize(&$crate::authorizer::Call::of(call)),
                        None => $crate::authorizer::Decision::forbidden("init was not called"),
                    })
                }
            }

            $crate::bindings::authorizer::export_authorizer_bindings!(
                Component with_types_in bindings
            );
        };
    };
}

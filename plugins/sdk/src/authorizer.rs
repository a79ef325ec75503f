//! Plugins that refuse calls.

pub use crate::bindings::authorizer::exports::holdfast::plugin::authorization::{
    Cause, Decision, Reason,
};
pub use crate::bindings::authorizer::holdfast::plugin::calls::{Action, Call};
pub use crate::bindings::authorizer::holdfast::plugin::log::{Level, write as log};
pub use crate::bindings::authorizer::holdfast::plugin::types::{Metadata, U128};

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
    fn authorize(&self, call: &Call) -> Decision;
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

impl From<U128> for u128 {
    fn from(number: U128) -> Self {
        Self::from(number.high) << 64 | Self::from(number.low)
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
                    PLUGIN
                        .with(|cell| cell.set(plugin))
                        .map_err(|_| "init was called twice".into())
                }
            }

            impl bindings::exports::holdfast::plugin::authorization::Guest for Component {
                fn authorize(call: &$crate::authorizer::Call) -> $crate::authorizer::Decision {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.authorize(call),
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

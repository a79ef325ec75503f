//! Plugins that collect invoices.

pub use crate::bindings::payment::exports::holdfast::plugin::collection::{
    CollectError, Invoice, Pending, Progress, Receipt, Step,
};
pub use crate::bindings::shared::holdfast::plugin::types::{
    EgressNeed, Line, LineKind, Metadata, Money, Need, Period, Requirement,
};
pub use crate::http::Client;
pub use crate::log::{Level, log};

/// What an author writes.
pub trait Payment: Sized + 'static {
    /// What the plugin says of itself.
    fn describe() -> Metadata;

    /// Takes the settings, a JSON object.
    ///
    /// # Errors
    /// Settings that are wrong; the text is shown to the operator.
    fn init(settings: &str) -> Result<Self, String>;

    /// Whom it calls and why. What is not declared here is not granted.
    fn needs(&self) -> Vec<Need>;

    /// Takes the next step of collecting an invoice, over `http` as far as it is granted. It must
    /// stand being called again for the same attempt.
    ///
    /// # Errors
    /// An attempt that came to nothing; the host tries again later.
    fn collect(
        &self,
        invoice: &Invoice,
        progress: &Progress,
        http: &dyn Client,
    ) -> Result<Step, CollectError>;
}

impl Invoice {
    /// What the operator says of the tenant under a name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let pair = self.attributes.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }
}

/// Makes a component of a [`Payment`].
#[macro_export]
macro_rules! export_payment {
    ($plugin:ty) => {
        const _: () = {
            use $crate::bindings::payment as bindings;
            use $crate::payment::Payment;

            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> =
                    const { ::std::cell::OnceCell::new() };
            }

            struct Component;

            impl bindings::Guest for Component {
                fn describe() -> $crate::payment::Metadata {
                    <$plugin as Payment>::describe()
                }

                fn init(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    let plugin = <$plugin as Payment>::init(&settings)?;
                    PLUGIN.with(|cell| match cell.set(plugin) {
                        Ok(()) => Ok(()),
                        Err(_) => Err("init was called twice".into()),
                    })
                }

                fn needs() -> ::std::vec::Vec<$crate::payment::Need> {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.needs(),
                        None => ::std::vec::Vec::new(),
                    })
                }
            }

            impl bindings::exports::holdfast::plugin::collection::Guest for Component {
                fn collect(
                    invoice: $crate::payment::Invoice,
                    progress: $crate::payment::Progress,
                ) -> ::std::result::Result<$crate::payment::Step, $crate::payment::CollectError>
                {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.collect(&invoice, &progress, &$crate::http::Outside),
                        None => Err($crate::payment::CollectError::Other(
                            "init was not called".into(),
                        )),
                    })
                }
            }

            $crate::bindings::payment::export_payment_bindings!(
                Component with_types_in bindings
            );
        };
    };
}

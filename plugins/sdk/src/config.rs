//! Plugins that supply configuration or check it.

pub use crate::bindings::config::exports::holdfast::plugin::configuration::{
    ConfigError, Entry, Finding, Severity, Snapshot,
};
#[cfg(target_family = "wasm")]
use crate::bindings::config::holdfast::plugin::environment;
pub use crate::bindings::shared::holdfast::plugin::types::{
    EgressNeed, Metadata, Need, Requirement,
};
pub use crate::http::Client;
pub use crate::log::{Level, log};

/// What an author writes. Of the last two, one is enough.
pub trait Config: Sized + 'static {
    /// What the plugin says of itself.
    fn describe() -> Metadata;

    /// Takes the settings, a JSON object.
    ///
    /// # Errors
    /// Settings that are wrong; the text is shown to the operator.
    fn init(settings: &str) -> Result<Self, String>;

    /// Which variables it reads and whom it calls, and why. What is not declared here is not
    /// granted.
    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    /// Entries to lay over what the files say.
    ///
    /// # Errors
    /// What keeps it from telling; the host keeps the configuration that it has.
    fn supply(&self, current: &Snapshot, host: &Host<'_>) -> Result<Vec<Entry>, ConfigError> {
        let _ = (current, host);
        Ok(Vec::new())
    }

    /// What is wrong with a configuration that is about to take effect.
    ///
    /// # Errors
    /// What keeps it from telling; the configuration does not take effect.
    fn check(
        &self,
        proposed: &Snapshot,
        current: Option<&Snapshot>,
        host: &Host<'_>,
    ) -> Result<Vec<Finding>, ConfigError> {
        let _ = (proposed, current, host);
        Ok(Vec::new())
    }
}

/// What a configuration plugin can reach.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Variables, as far as they are granted.
    pub environment: &'a dyn Environment,
    /// Others, as far as they are granted.
    pub http: &'a dyn Client,
}

/// Variables of the host's environment.
pub trait Environment {
    /// The value of a variable, if it is granted and set.
    fn get(&self, name: &str) -> Option<String>;

    /// The names that are granted and set, sorted.
    fn names(&self) -> Vec<String>;
}

/// The environment that the host grants; in a test, where there is no host, an empty one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Granted;

impl Environment for Granted {
    #[cfg(target_family = "wasm")]
    fn get(&self, name: &str) -> Option<String> {
        environment::get(name)
    }

    #[cfg(not(target_family = "wasm"))]
    fn get(&self, _name: &str) -> Option<String> {
        None
    }

    #[cfg(target_family = "wasm")]
    fn names(&self) -> Vec<String> {
        environment::names()
    }

    #[cfg(not(target_family = "wasm"))]
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Snapshot {
    /// A value's JSON text.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let index = self
            .values
            .binary_search_by(|entry| entry.key.as_str().cmp(key));
        let entry = self.values.get(index.ok()?)?;
        Some(&entry.value)
    }
}

impl Finding {
    /// One that keeps the configuration out.
    #[must_use]
    pub fn refuse(key: &str, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            severity: Severity::Refuse,
            message: message.into(),
        }
    }

    /// One that the operator is told.
    #[must_use]
    pub fn warn(key: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warn,
            ..Self::refuse(key, message)
        }
    }
}

/// Makes a component of a [`Config`].
#[macro_export]
macro_rules! export_config {
    ($plugin:ty) => {
        const _: () = {
            use ::std::{result::Result, string::String, vec::Vec};
            use $crate::bindings::config as bindings;
            use $crate::config::{Config, ConfigError, Entry, Finding, Granted, Host, Snapshot};

            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> =
                    const { ::std::cell::OnceCell::new() };
            }

            const HOST: Host<'static> = Host {
                environment: &Granted,
                http: &$crate::http::Outside,
            };

            struct Component;

            impl bindings::Guest for Component {
                fn describe() -> $crate::config::Metadata {
                    <$plugin as Config>::describe()
                }

                fn init(settings: String) -> Result<(), String> {
                    let plugin = <$plugin as Config>::init(&settings)?;
                    PLUGIN.with(|cell| match cell.set(plugin) {
                        Ok(()) => Ok(()),
                        Err(_) => Err("init was called twice".into()),
                    })
                }

                fn needs() -> Vec<$crate::config::Need> {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.needs(),
                        None => Vec::new(),
                    })
                }
            }

            impl bindings::exports::holdfast::plugin::configuration::Guest for Component {
                fn supply(current: Snapshot) -> Result<Vec<Entry>, ConfigError> {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.supply(&current, &HOST),
                        None => Err(ConfigError::Other("init was not called".into())),
                    })
                }

                fn check(
                    proposed: Snapshot,
                    current: Option<Snapshot>,
                ) -> Result<Vec<Finding>, ConfigError> {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.check(&proposed, current.as_ref(), &HOST),
                        None => Err(ConfigError::Other("init was not called".into())),
                    })
                }
            }

            $crate::bindings::config::export_config_bindings!(
                Component with_types_in bindings
            );
        };
    };
}

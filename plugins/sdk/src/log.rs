//! Lines for the host's log.

pub use crate::bindings::shared::holdfast::plugin::log::Level;

/// Writes one line. The host cuts long ones and drops what is over the budget. Outside a host, in a
/// test, it goes to standard error.
pub fn log(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::shared::holdfast::plugin::log::write(level, message);
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{level:?}: {message}");
}

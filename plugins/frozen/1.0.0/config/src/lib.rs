//! A configuration plugin built against the frozen contract 1.0.0, without the SDK: the host must
//! take it as long as there is a 1.x. It supplies one entry, and refuses the revision 13.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../../wit/frozen/1.0.0",
        world: "config",
        generate_all,
    });
}

use bindings::exports::holdfast::plugin::configuration::{
    ConfigError, Entry, Finding, Guest, Severity, Snapshot,
};
use bindings::holdfast::plugin::environment;
use bindings::holdfast::plugin::types::{Metadata, Need, Requirement};

struct Frozen;

impl bindings::Guest for Frozen {
    fn describe() -> Metadata {
        Metadata {
            name: "frozen-1-0-0-config".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "supplies one entry and refuses one revision".into(),
        }
    }

    fn init(_settings: String) -> Result<(), String> {
        Ok(())
    }

    fn needs() -> Vec<Need> {
        vec![Need {
            what: Requirement::Environment("FROZEN_".into()),
            reason: "to have something to supply".into(),
        }]
    }
}

impl Guest for Frozen {
    fn supply(current: Snapshot) -> Result<Vec<Entry>, ConfigError> {
        let names = environment::names();
        let first = names.first().and_then(|name| environment::get(name));
        Ok(vec![Entry {
            key: format!("frozen.of_{}", current.values.len()),
            value: format!("\"{}\"", first.unwrap_or_default()),
        }])
    }

    fn check(proposed: Snapshot, current: Option<Snapshot>) -> Result<Vec<Finding>, ConfigError> {
        if proposed.revision != 13 {
            return Ok(Vec::new());
        }
        Ok(vec![Finding {
            key: "frozen.revision".into(),
            severity: Severity::Refuse,
            message: format!(
                "unlucky after {:?}",
                current.map(|current| current.revision)
            ),
        }])
    }
}

/// What the host calls.
mod exported {
    #![expect(unsafe_code, reason = "generated code, which the generator proves")]

    use crate::Frozen;

    crate::bindings::export!(Frozen with_types_in crate::bindings);
}

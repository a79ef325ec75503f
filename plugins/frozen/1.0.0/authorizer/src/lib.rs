//! An authorizer built against the frozen contract 1.0.0, without the SDK: the host must take it as
//! long as there is a 1.x. It refuses with what it was told of the call.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../../wit/frozen/1.0.0",
        world: "authorizer",
    });
}

use bindings::exports::holdfast::plugin::authorization::{Call, Cause, Decision, Guest, Reason};
use bindings::holdfast::plugin::log::{Level, write};
use bindings::holdfast::plugin::types::Metadata;

struct Frozen;

impl bindings::Guest for Frozen {
    fn describe() -> Metadata {
        Metadata {
            name: "frozen-1-0-0-authorizer".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "refuses with what it was told".into(),
        }
    }

    fn init(_settings: String) -> Result<(), String> {
        Ok(())
    }
}

impl Guest for Frozen {
    fn authorize(call: &Call) -> Decision {
        write(Level::Debug, "asked");
        let pinned = call.pinned_bytes();
        Decision::Deny(Reason {
            cause: Cause::Exhausted,
            message: format!(
                "{:?} {} {} {} {} {:?} {:?} {:?} {:?} {} {} {:?} {}",
                call.action(),
                call.principal(),
                call.has_role("tenant-user"),
                call.account(),
                call.tenant(),
                call.attribute("plan"),
                call.attribute_number("plan"),
                call.cid(),
                call.meta("app"),
                call.request_count(),
                u128::from(pinned.high) << 64 | u128::from(pinned.low),
                call.dag_size(),
                call.time(),
            ),
        })
    }
}

/// What the host calls.
mod exported {
    #![expect(unsafe_code, reason = "generated code, which the generator proves")]

    use crate::Frozen;

    crate::bindings::export!(Frozen with_types_in crate::bindings);
}

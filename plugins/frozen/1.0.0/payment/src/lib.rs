//! A payment plugin built against the frozen contract 1.0.0, without the SDK: the host must take it
//! as long as there is a 1.x. It waits once, and then the money is there.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../../wit/frozen/1.0.0",
        world: "payment",
        generate_all,
    });
}

use bindings::exports::holdfast::plugin::collection::{
    CollectError, Guest, Invoice, Pending, Progress, Receipt, Step,
};
use bindings::holdfast::plugin::log::{Level, write};
use bindings::holdfast::plugin::types::{Metadata, Need};

struct Frozen;

impl bindings::Guest for Frozen {
    fn describe() -> Metadata {
        Metadata {
            name: "frozen-1-0-0-payment".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "waits once and collects".into(),
        }
    }

    fn init(_settings: String) -> Result<(), String> {
        Ok(())
    }

    fn needs() -> Vec<Need> {
        Vec::new()
    }
}

impl Guest for Frozen {
    fn collect(invoice: Invoice, progress: Progress) -> Result<Step, CollectError> {
        write(Level::Debug, &invoice.id);
        if progress.memo.is_empty() {
            return Ok(Step::Pending(Pending {
                memo: progress.idempotency_key,
                again_after_ms: 60_000,
                message: format!("attempt {}", progress.attempt),
            }));
        }
        Ok(Step::Collected(Receipt {
            reference: progress.memo,
            amount: invoice.total,
        }))
    }
}

/// What the host calls.
mod exported {
    #![expect(unsafe_code, reason = "generated code, which the generator proves")]

    use crate::Frozen;

    crate::bindings::export!(Frozen with_types_in crate::bindings);
}

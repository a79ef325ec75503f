//! A pricing plugin built against the frozen contract 1.0.0, without the SDK: the host must take it
//! as long as there is a 1.x. Each meter costs a micro.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../../wit/frozen/1.0.0",
        world: "pricing",
    });
}

use bindings::exports::holdfast::plugin::rating::{
    Guest, Line, LineKind, Money, Quote, RatingError, Usage,
};
use bindings::holdfast::plugin::types::Metadata;

struct Frozen;

impl bindings::Guest for Frozen {
    fn describe() -> Metadata {
        Metadata {
            name: "frozen-1-0-0-pricing".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "a micro for each meter".into(),
        }
    }

    fn init(_settings: String) -> Result<(), String> {
        Ok(())
    }
}

impl Guest for Frozen {
    fn rate(usage: Usage) -> Result<Quote, RatingError> {
        let money = |micros| Money {
            micros,
            currency: "EUR".into(),
        };
        let count = i64::try_from(usage.meters.len())
            .map_err(|_| RatingError::Overflow("too many meters".into()))?;
        let lines = usage
            .meters
            .into_iter()
            .map(|meter| Line {
                kind: LineKind::Charge,
                item: format!("{:?}", meter.measure),
                explanation: format!("of {}", usage.account),
                quantity: meter.quantity,
                unit: "unit".into(),
                amount: money(1),
            })
            .collect();
        Ok(Quote {
            lines,
            total: money(count),
        })
    }
}

/// What the host calls.
mod exported {
    #![expect(unsafe_code, reason = "generated code, which the generator proves")]

    use crate::Frozen;

    crate::bindings::export!(Frozen with_types_in crate::bindings);
}

//! Asking a pricing plugin, and checking its sums.

use crate::bindings::pricing::Pricing;
use crate::bindings::pricing::exports::holdfast::plugin::rating::{
    Line, LineKind, Measure, Meter, Quote as WitQuote, RatingError, Usage as WitUsage,
};
use crate::bindings::pricing::holdfast::plugin::types::{Money as WitMoney, Period, U128};
use crate::call::{Quote, QuoteCall, QuoteLine};
use crate::error::Fault;
use crate::facts::{halves, whole};
use crate::guest::printable;
use crate::limits::{EXPLANATION_BYTES_MAX, ITEM_BYTES_MAX, QUOTE_LINES_MAX, UNIT_BYTES_MAX};
use crate::plugin::Plugin;
use holdfast_model::{Currency, Money};

impl Plugin<Pricing> {
    /// Asks what usage costs.
    pub(crate) fn quote(&self, call: &QuoteCall<'_>) -> Result<Quote, Fault> {
        let usage = usage(call);
        self.call(|exports, store| {
            let said = exports.holdfast_plugin_rating().call_rate(store, &usage)?;
            match said {
                Ok(quote) => {
                    let (lines, total) = check(quote, self.load.candidate.limits.output_bytes)?;
                    Ok(Quote {
                        lines,
                        total,
                        plugin: self.load.candidate.name.to_string(),
                        digest: self.load.candidate.digest.to_string(),
                        currency: total.currency,
                    })
                }
                Err(error) => Err(Fault::Refused(cause(error))),
            }
        })
    }
}

/// Checks that a quote keeps the contract; the answer is its lines and their sum.
pub(crate) fn check(
    said: WitQuote,
    output_bytes_max: usize,
) -> Result<(Vec<QuoteLine>, Money), Fault> {
    if said.lines.len() > QUOTE_LINES_MAX {
        return Err(Fault::Nonsense(format!(
            "the quote has {} lines; write at most {QUOTE_LINES_MAX}",
            said.lines.len()
        )));
    }
    let total = money(&said.total)?;
    let mut checked = Checked {
        sum: Money { micros: 0, ..total },
        bytes_left: output_bytes_max,
    };
    let lines = said
        .lines
        .into_iter()
        .zip(1_usize..)
        .map(|(line, number)| checked.line(line, number))
        .collect::<Result<Vec<_>, _>>()?;
    if checked.sum != total {
        return Err(Fault::Nonsense(format!(
            "the total is {total}, and the lines sum up to {}",
            checked.sum
        )));
    }
    Ok((lines, total))
}

/// What has been checked so far.
struct Checked {
    sum: Money,
    bytes_left: usize,
}

impl Checked {
    fn line(&mut self, line: Line, number: usize) -> Result<QuoteLine, Fault> {
        let wrong = |what: String| Fault::Nonsense(format!("line {number}: {what}"));
        for (name, text, most) in [
            ("item", &line.item, ITEM_BYTES_MAX),
            ("explanation", &line.explanation, EXPLANATION_BYTES_MAX),
            ("unit", &line.unit, UNIT_BYTES_MAX),
        ] {
            if text.is_empty() || text.len() > most {
                return Err(wrong(format!(
                    "{name} has {} bytes; write 1 to {most}",
                    text.len()
                )));
            }
            if text.chars().any(char::is_control) {
                return Err(wrong(format!("{name} has control characters")));
            }
            self.bytes_left = self
                .bytes_left
                .checked_sub(text.len())
                .ok_or_else(|| wrong("the texts together are over output_bytes".into()))?;
        }
        let amount = money(&line.amount)?;
        match line.kind {
            LineKind::Charge if amount.micros < 0 => {
                return Err(wrong(format!("a charge of {amount} is negative")));
            }
            LineKind::Credit if amount.micros > 0 => {
                return Err(wrong(format!("a credit of {amount} is positive")));
            }
            LineKind::Charge | LineKind::Credit => {}
        }
        if amount.currency != self.sum.currency {
            return Err(wrong(format!(
                "the amount is in {}, and the total in {}",
                amount.currency, self.sum.currency
            )));
        }
        self.sum = self
            .sum
            .checked_add(amount)
            .ok_or_else(|| wrong("the sum does not fit".into()))?;
        Ok(QuoteLine {
            item: line.item,
            explanation: line.explanation,
            quantity: whole(line.quantity.high, line.quantity.low),
            unit: line.unit,
            amount,
        })
    }
}

fn money(said: &WitMoney) -> Result<Money, Fault> {
    let currency = Currency::parse(&said.currency)
        .map_err(|_| Fault::Nonsense(format!("{:?} is no currency", printable(&said.currency))))?;
    Ok(Money {
        micros: said.micros,
        currency,
    })
}

fn cause(error: RatingError) -> String {
    match error {
        RatingError::InvalidUsage(why) => format!("invalid usage: {}", printable(&why)),
        RatingError::Overflow(why) => format!("overflow: {}", printable(&why)),
        RatingError::Other(why) => printable(&why),
    }
}

fn usage(call: &QuoteCall<'_>) -> WitUsage {
    let used = call.usage;
    let meter = |measure, quantity: u128| {
        let (high, low) = halves(quantity);
        Meter {
            measure,
            quantity: U128 { high, low },
        }
    };
    WitUsage {
        account: call.account.as_str().to_owned(),
        tenant: call.tenant.as_str().to_owned(),
        attributes: call
            .attributes
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        period: Period {
            start: used.period.start.as_millis(),
            end: used.period.end.as_millis(),
        },
        meters: vec![
            meter(Measure::Storage, used.byte_seconds()),
            meter(Measure::Pin, used.operations.pin.into()),
            meter(Measure::Replace, used.operations.replace.into()),
            meter(Measure::Unpin, used.operations.unpin.into()),
        ],
    }
}

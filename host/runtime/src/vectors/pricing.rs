//! Vectors for pricing: usage, and the quote or the error.

use super::decimal::Decimal;
use super::{Output, Vectored, read, write};
use crate::bindings::pricing::Pricing;
use crate::bindings::pricing::exports::holdfast::plugin::rating::{
    Line, LineKind, Measure, Meter, Quote, RatingError, Usage,
};
use crate::bindings::pricing::holdfast::plugin::types::{Money, Period, U128};
use crate::error::Fault;
use crate::guest::Guest;
use crate::quote;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use wasmtime::Store;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsageWritten {
    account: String,
    /// What stands before the slash in `account`, if it is left out.
    tenant: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    period: PeriodWritten,
    meters: Vec<MeterWritten>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeriodWritten {
    start: u64,
    end: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterWritten {
    measure: MeasureWritten,
    quantity: Decimal,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum MeasureWritten {
    Storage,
    Pin,
    Replace,
    Unpin,
    Other(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuoteWritten {
    lines: Vec<LineWritten>,
    total: MoneyWritten,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineWritten {
    kind: LineKindWritten,
    item: String,
    explanation: String,
    quantity: Decimal,
    unit: String,
    amount: MoneyWritten,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineKindWritten {
    Charge,
    Credit,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MoneyWritten {
    micros: i64,
    currency: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErrorWritten {
    InvalidUsage(String),
    Overflow(String),
    Other(String),
}

impl Vectored for Pricing {
    type Input = Usage;

    fn input(written: Value) -> Result<Usage, String> {
        let usage: UsageWritten = read(written)?;
        let of_account = || usage.account.split('/').next().unwrap_or_default().into();
        Ok(Usage {
            tenant: usage.tenant.clone().unwrap_or_else(of_account),
            account: usage.account,
            attributes: usage.attributes.into_iter().collect(),
            period: Period {
                start: usage.period.start,
                end: usage.period.end,
            },
            meters: usage.meters.into_iter().map(MeterWritten::meter).collect(),
        })
    }

    fn output(written: Output) -> Result<Output, String> {
        Ok(match written {
            Output::Ok(quote) => Output::Ok(write(&read::<QuoteWritten>(quote)?)),
            Output::Error(error) => Output::Error(write(&read::<ErrorWritten>(error)?)),
        })
    }

    /// The quote must also keep the contract that holds for every answer.
    fn ask(&self, store: &mut Store<Guest>, input: &Usage) -> Result<Output, Fault> {
        let said = self.holdfast_plugin_rating().call_rate(store, input)?;
        Ok(match said {
            Ok(said) => {
                let written = write(&QuoteWritten::of(&said));
                quote::check(said, usize::MAX)?;
                Output::Ok(written)
            }
            Err(error) => Output::Error(write(&ErrorWritten::of(error))),
        })
    }
}

impl MeterWritten {
    fn meter(self) -> Meter {
        let (high, low) = self.quantity.halves();
        Meter {
            measure: match self.measure {
                MeasureWritten::Storage => Measure::Storage,
                MeasureWritten::Pin => Measure::Pin,
                MeasureWritten::Replace => Measure::Replace,
                MeasureWritten::Unpin => Measure::Unpin,
                MeasureWritten::Other(name) => Measure::Other(name),
            },
            quantity: U128 { high, low },
        }
    }
}

impl QuoteWritten {
    fn of(quote: &Quote) -> Self {
        Self {
            lines: quote.lines.iter().map(LineWritten::of).collect(),
            total: MoneyWritten::of(&quote.total),
        }
    }
}

impl LineWritten {
    fn of(line: &Line) -> Self {
        Self {
            kind: match line.kind {
                LineKind::Charge => LineKindWritten::Charge,
                LineKind::Credit => LineKindWritten::Credit,
            },
            item: line.item.clone(),
            explanation: line.explanation.clone(),
            quantity: Decimal::of(line.quantity.high, line.quantity.low),
            unit: line.unit.clone(),
            amount: MoneyWritten::of(&line.amount),
        }
    }
}

impl MoneyWritten {
    fn of(money: &Money) -> Self {
        Self {
            micros: money.micros,
            currency: money.currency.clone(),
        }
    }
}

impl ErrorWritten {
    fn of(error: RatingError) -> Self {
        match error {
            RatingError::InvalidUsage(why) => Self::InvalidUsage(why),
            RatingError::Overflow(why) => Self::Overflow(why),
            RatingError::Other(why) => Self::Other(why),
        }
    }
}

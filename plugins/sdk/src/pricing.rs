//! Plugins that price usage.

pub use crate::bindings::pricing::exports::holdfast::plugin::rating::{
    Measure, Meter, Quote, RatingError, Usage,
};
pub use crate::bindings::shared::holdfast::plugin::types::{
    Line, LineKind, Metadata, Money, Period, U128,
};

/// What an author writes.
pub trait Pricing: Sized + 'static {
    /// What the plugin says of itself.
    fn describe() -> Metadata;

    /// Takes the settings, a JSON object.
    ///
    /// # Errors
    /// Settings that are wrong; the text is shown to the operator.
    fn init(settings: &str) -> Result<Self, String>;

    /// Prices usage.
    ///
    /// # Errors
    /// Usage that cannot be priced.
    fn rate(&self, usage: Usage) -> Result<Quote, RatingError>;
}

impl Quote {
    /// A quote of these lines, its total their sum.
    ///
    /// # Errors
    /// A sum that does not fit.
    pub fn of(currency: &str, lines: Vec<Line>) -> Result<Self, RatingError> {
        let mut micros = 0_i64;
        for line in &lines {
            micros = micros.checked_add(line.amount.micros).ok_or_else(|| {
                RatingError::Overflow("the sum of the lines does not fit 64 bits".into())
            })?;
        }
        let total = Money {
            micros,
            currency: currency.into(),
        };
        Ok(Self { lines, total })
    }
}

impl Line {
    /// A line that asks for money.
    #[must_use]
    pub fn charge(item: impl Into<String>, amount: Money) -> Self {
        Self {
            kind: LineKind::Charge,
            item: item.into(),
            explanation: String::new(),
            quantity: 0.into(),
            unit: "unit".into(),
            amount,
        }
    }

    /// A line that gives money: the amount is not positive.
    #[must_use]
    pub fn credit(item: impl Into<String>, amount: Money) -> Self {
        Self {
            kind: LineKind::Credit,
            ..Self::charge(item, amount)
        }
    }

    /// The line with how it came about, which every line must tell.
    #[must_use]
    pub fn because(self, explanation: impl Into<String>) -> Self {
        Self {
            explanation: explanation.into(),
            ..self
        }
    }

    /// The line with how much of what.
    #[must_use]
    pub fn of(self, quantity: u128, unit: impl Into<String>) -> Self {
        Self {
            quantity: quantity.into(),
            unit: unit.into(),
            ..self
        }
    }
}

impl Usage {
    /// How much was used of a measure; `None` if it was not counted.
    ///
    /// # Errors
    /// A measure that is there twice.
    pub fn quantity(&self, measure: &Measure) -> Result<Option<u128>, RatingError> {
        let mut found = None;
        for meter in self.meters.iter().filter(|meter| meter.measure == *measure) {
            if found.replace(u128::from(meter.quantity)).is_some() {
                let what = format!("{} is there twice", name(measure));
                return Err(RatingError::InvalidUsage(what));
            }
        }
        Ok(found)
    }

    /// What the operator says of the tenant under a name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let pair = self.attributes.iter().find(|(key, _)| key == name);
        pair.map(|(_, value)| value.as_str())
    }
}

/// A measure as the contract writes it.
fn name(measure: &Measure) -> &str {
    match measure {
        Measure::Storage => "storage",
        Measure::Pin => "pin",
        Measure::Replace => "replace",
        Measure::Unpin => "unpin",
        Measure::Other(name) => name,
    }
}

/// Makes a component of a [`Pricing`].
#[macro_export]
macro_rules! export_pricing {
    ($plugin:ty) => {
        const _: () = {
            use $crate::bindings::pricing as bindings;
            use $crate::pricing::Pricing;

            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> =
                    const { ::std::cell::OnceCell::new() };
            }

            struct Component;

            impl bindings::Guest for Component {
                fn describe() -> $crate::pricing::Metadata {
                    <$plugin as Pricing>::describe()
                }

                fn init(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    let plugin = <$plugin as Pricing>::init(&settings)?;
                    PLUGIN.with(|cell| match cell.set(plugin) {
                        Ok(()) => Ok(()),
                        Err(_) => Err("init was called twice".into()),
                    })
                }
            }

            impl bindings::exports::holdfast::plugin::rating::Guest for Component {
                fn rate(
                    usage: $crate::pricing::Usage,
                ) -> ::std::result::Result<$crate::pricing::Quote, $crate::pricing::RatingError>
                {
                    PLUGIN.with(|cell| match cell.get() {
                        Some(plugin) => plugin.rate(usage),
                        None => Err($crate::pricing::RatingError::Other(
                            "init was not called".into(),
                        )),
                    })
                }
            }

            $crate::bindings::pricing::export_pricing_bindings!(
                Component with_types_in bindings
            );
        };
    };
}

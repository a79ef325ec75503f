//! Plugins that price usage.

pub use crate::bindings::pricing::exports::holdfast::plugin::rating::{
    Line, LineKind, Measure, Meter, Quote, RatingError, Usage,
};
pub use crate::bindings::pricing::holdfast::plugin::types::{Metadata, Money, Period, U128};

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

impl From<U128> for u128 {
    fn from(number: U128) -> Self {
        Self::from(number.high) << 64 | Self::from(number.low)
    }
}

impl From<u128> for U128 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are what is meant"
    )]
    fn from(number: u128) -> Self {
        Self {
            high: (number >> 64) as u64,
            low: number as u64,
        }
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
                    PLUGIN
                        .with(|cell| cell.set(plugin))
                        .map_err(|_| "init was called twice".into())
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

    $crate::bindings::pricing::export_pricing_bindings!(Component with_types_in bindings);
        };
    };
}

//! A pricing component that misbehaves as its settings say (`{"do": "loop"}`): the host's tests
//! drop it into the folder and look that nobody but its own call is hurt.

use holdfast_plugin::pricing::{
    Line, LineKind, Metadata, Money, Pricing, Quote, RatingError, Usage,
};
use hostile_deeds as deeds;

struct Hostile {
    deed: String,
}

impl Pricing for Hostile {
    fn describe() -> Metadata {
        let deed = deeds::in_describe();
        deeds::common(deed);
        Metadata {
            name: deeds::name(deed, "hostile-pricing"),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let deed = settings.split('"').nth(3).unwrap_or("price-1").to_owned();
        deeds::init(&deed)?;
        Ok(Self { deed })
    }

    fn rate(&self, _usage: Usage) -> Result<Quote, RatingError> {
        deeds::common(&self.deed);
        let one = |item: String| Quote::of("EUR", vec![line(item, 1, "EUR")]);
        match self.deed.as_str() {
            "giant-string" => one("x".repeat(1 << 20)),
            "gigabyte-string" => one(deeds::gigabyte()),
            "not-utf8" => one(deeds::not_utf8()),
            "long-string" => one("x".repeat(129)),
            "empty-string" => one(String::new()),
            "control-characters" => one("a\u{1b}[31mb".into()),
            "many-lines" => Quote::of("EUR", vec![line("x".into(), 0, "EUR"); 1_001]),
            "ten-thousand-lines" => Quote::of("EUR", vec![line("x".into(), 0, "EUR"); 10_000]),
            "million-lines" => Quote::of("EUR", vec![line("x".into(), 0, "EUR"); 1_000_000]),
            "long-explanations" => {
                let mut long = line("x".into(), 0, "EUR");
                long.explanation = "x".repeat(2_048);
                Quote::of("EUR", vec![long; 40])
            }
            "mixed-currencies" => Quote::of(
                "EUR",
                vec![line("a".into(), 1, "EUR"), line("b".into(), 1, "USD")],
            ),
            "no-currency" => Quote::of("euro", Vec::new()),
            "currency-control-characters" => Quote::of("E\nR", Vec::new()),
            "negative-charge" => Quote::of("EUR", vec![line("x".into(), -1, "EUR")]),
            "positive-credit" => Quote::of(
                "EUR",
                vec![Line {
                    kind: LineKind::Credit,
                    ..line("x".into(), 1, "EUR")
                }],
            ),
            "wrong-sum" => Ok(Quote {
                lines: vec![line("x".into(), 1, "EUR")],
                total: money(2, "EUR"),
            }),
            "overflowing-sum" => Ok(Quote {
                lines: vec![line("x".into(), i64::MAX, "EUR"); 2],
                total: money(i64::MAX, "EUR"),
            }),
            "secret" => {
                let found = i64::try_from(deeds::look_and_leave()).unwrap_or(i64::MAX);
                Quote::of("EUR", vec![line("found".into(), found, "EUR")])
            }
            "slow" => {
                for step in 0..1_000_000 {
                    std::hint::black_box(step);
                }
                price("price-7")
            }
            "rating-error" => Err(RatingError::InvalidUsage("no such usage".into())),
            "rating-error-control-characters" => Err(RatingError::Other("a\r\nb".into())),
            other => price(other),
        }
    }
}

/// `price-7` is a well-behaved plugin that asks for 7 micro-units, whatever was used.
fn price(deed: &str) -> Result<Quote, RatingError> {
    let micros = deed
        .strip_prefix("price-")
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| RatingError::Other(format!("no such deed: {deed}")))?;
    Quote::of("EUR", vec![line("flat".into(), micros, "EUR")])
}

fn line(item: String, micros: i64, currency: &str) -> Line {
    Line {
        kind: LineKind::Charge,
        item,
        explanation: "as told".into(),
        quantity: 1_u128.into(),
        unit: "operation".into(),
        amount: money(micros, currency),
    }
}

fn money(micros: i64, currency: &str) -> Money {
    Money {
        micros,
        currency: currency.into(),
    }
}

/// Runs while an instance is made, before anything is asked of it.
#[used]
#[expect(
    unsafe_code,
    reason = "a section that the linker takes the first calls from"
)]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = deeds::at_start;

holdfast_plugin::export_pricing!(Hostile);

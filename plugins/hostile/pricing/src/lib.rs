//! A pricing component that misbehaves as its settings say (`{"do": "loop"}`): the host's tests
//! drop it into the folder and look that nobody but its own call is hurt.

use holdfast_plugin::pricing::{
    Line, LineKind, Metadata, Money, Pricing, Quote, RatingError, Usage,
};

struct Hostile {
    deed: String,
}

impl Pricing for Hostile {
    fn describe() -> Metadata {
        Metadata {
            name: "hostile-pricing".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let deed = settings.split('"').nth(3).unwrap_or("price-1").to_owned();
        match deed.as_str() {
            "init-error" => Err("settings.do: this will never do".into()),
            "init-trap" => std::process::abort(),
            "init-loop" => forever(),
            _ => Ok(Self { deed }),
        }
    }

    fn rate(&self, _usage: Usage) -> Result<Quote, RatingError> {
        match self.deed.as_str() {
            "loop" => forever(),
            "trap" => std::process::abort(),
            "panic" => no_panic_handler_in_sight(),
            "memory" => bomb(),
            "stack" => Err(RatingError::Other(dive(1).to_string())),
            "giant-string" => Quote::of("EUR", vec![line("x".repeat(1 << 20), 1, "EUR")]),
            "long-string" => Quote::of("EUR", vec![line("x".repeat(129), 1, "EUR")]),
            "control-characters" => Quote::of("EUR", vec![line("a\u{1b}[31mb".into(), 1, "EUR")]),
            "many-lines" => Quote::of("EUR", vec![line("x".into(), 1, "EUR"); 1_001]),
            "mixed-currencies" => Quote::of(
                "EUR",
                vec![line("a".into(), 1, "EUR"), line("b".into(), 1, "USD")],
            ),
            "no-currency" => Quote::of("euro", Vec::new()),
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
            "rating-error" => Err(RatingError::InvalidUsage("no such usage".into())),
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

fn forever() -> ! {
    let mut rounds = 0_u64;
    loop {
        rounds = std::hint::black_box(rounds.wrapping_add(1));
    }
}

fn bomb() -> ! {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

#[expect(
    unconditional_recursion,
    reason = "overflowing the stack is what it is for"
)]
fn dive(depth: u64) -> u64 {
    let below = dive(std::hint::black_box(depth.wrapping_add(1)));
    below.wrapping_mul(std::hint::black_box(depth))
}

fn no_panic_handler_in_sight() -> ! {
    let empty: [u8; 0] = [];
    let index = std::hint::black_box(3);
    #[expect(clippy::indexing_slicing, reason = "panicking is what it is for")]
    let byte = std::hint::black_box(&empty[..])[index];
    std::process::exit(byte.into())
}

holdfast_plugin::export_pricing!(Hostile);

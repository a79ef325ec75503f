//! The shipped price plan through the runtime: golden quotes.

use crate::house::{House, usage};
use holdfast_model::usage::Operations;
use holdfast_runtime::{PluginError, Quote};

/// Byte-seconds of a gigabyte kept for 30 days.
const GB_MONTH: u128 = 1_000_000_000 * 30 * 86_400;

const PLAN: &str = r#"
[settings]
currency = "USD"
free_gb_months = 2
tiers = [{ up_to_gb_months = 10, price_micros = 20000 }, { price_micros = 15000 }]
operations = { pin_micros = 100, replace_micros = 50, unpin_micros = 0 }
"#;

fn written(quote: &Quote) -> String {
    let lines = quote.lines.iter().map(|line| {
        format!(
            "{} | {} {} | {} | {}\n",
            line.item, line.quantity, line.unit, line.amount, line.explanation
        )
    });
    format!("{}total {}", lines.collect::<String>(), quote.total)
}

#[test]
fn without_a_component_there_is_no_price() {
    assert!(matches!(
        House::new().quote(),
        Err(PluginError::None("pricing"))
    ));
}

#[test]
fn a_golden_quote() {
    let house = House::new();
    let info = house.install("pricing-tiered", "price", PLAN);
    let operations = Operations {
        pin: 12,
        replace: 1,
        unpin: 3,
    };
    let quote = house
        .quote_for(&usage(GB_MONTH * 25 / 2, operations))
        .unwrap();
    assert_eq!(
        written(&quote),
        "storage, included | 5184000000000000 byte-second | 0.000000 USD | \
         2.000000 GB-months of the 2 GB-months that cost nothing\n\
         storage, tier 1 | 25920000000000000 byte-second | 0.200000 USD | \
         10.000000 GB-months (25920000000000000 byte-seconds) up to 10 GB-months, \
         at 0.020000 USD per GB-month of 30 days, rounded once, half away from zero\n\
         storage, tier 2 | 1296000000000000 byte-second | 0.007500 USD | \
         0.500000 GB-months (1296000000000000 byte-seconds) beyond the tiers before, \
         at 0.015000 USD per GB-month of 30 days, rounded once, half away from zero\n\
         pin requests | 12 operation | 0.001200 USD | 12 at 0.000100 USD each\n\
         replacements | 1 operation | 0.000050 USD | 1 at 0.000050 USD each\n\
         removals | 3 operation | 0.000000 USD | 3 at 0.000000 USD each\n\
         total 0.208750 USD"
    );
    assert_eq!((quote.plugin, quote.digest), ("price".into(), info.digest));
}

#[test]
fn the_same_usage_gives_the_same_quote() {
    let house = House::new();
    house.install("pricing-tiered", "price", PLAN);
    let used = usage(GB_MONTH * 7 / 3, Operations::default());
    let first = house.quote_for(&used).unwrap();
    for _ in 0..50 {
        assert_eq!(house.quote_for(&used).unwrap(), first);
    }
}

#[test]
fn halves_of_a_micro_round_away_from_zero() {
    let house = House::new();
    house.install(
        "pricing-tiered",
        "price",
        "[settings]\nfree_gb_months = 0\ntiers = [{ price_micros = 1 }]",
    );
    for (byte_seconds, micros) in [
        (GB_MONTH / 2 - 1, 0),
        (GB_MONTH / 2, 1),
        (GB_MONTH, 1),
        (GB_MONTH * 3 / 2, 2),
    ] {
        let quote = house.quote_for(&usage(byte_seconds, Operations::default()));
        assert_eq!(quote.unwrap().total.micros, micros, "{byte_seconds}");
    }
}

#[test]
fn amounts_beyond_64_bits_are_refused_and_large_ones_are_exact() {
    let house = House::new();
    house.install("pricing-tiered", "price", PLAN);
    // An exbibyte for a century.
    let century = (1_u128 << 60) * 100 * 365 * 86_400;
    let quote = house.quote_for(&usage(century, Operations::default()));
    assert_eq!(quote.unwrap().total.micros, 21_040_817_459_094_957);
    let error = house
        .quote_for(&usage(u128::MAX / 1_000, Operations::default()))
        .unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}

#[test]
fn nothing_used_costs_nothing() {
    let house = House::new();
    house.install("pricing-tiered", "price", "");
    let quote = house.quote_for(&usage(0, Operations::default())).unwrap();
    assert_eq!(written(&quote), "total 0.000000 EUR");
}

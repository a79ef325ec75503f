//! The same price plan in Rust, JavaScript and Python: the same quotes, to the byte.

use crate::house::{House, newest, put_bytes, usage};
use holdfast_model::usage::Operations;
use holdfast_runtime::Quote;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Byte-seconds of a gigabyte kept for 30 days.
const GB_MONTH: u128 = 1_000_000_000 * 30 * 86_400;

const PLANS: &[&str] = &[
    "",
    "currency = \"USD\"\ngigabyte = \"GiB\"\nfree_gb_months = 0",
    "free_gb_months = 2\n\
     tiers = [{ up_to_gb_months = 10, price_micros = 20000 }, { price_micros = 15000 }]\n\
     operations = { pin_micros = 100, replace_micros = 50, unpin_micros = 0 }",
    "tiers = [{ price_micros = 9007199254740991 }]\noperations = { pin_micros = 9007199254740991 }",
    "free_gb_months = 9007199254740991",
    "free_gb_months = 0\n\
     tiers = [{ up_to_gb_months = 1, price_micros = 1 }, \
     { up_to_gb_months = 2, price_micros = 0 }, \
     { up_to_gb_months = 3, price_micros = 3 }, { price_micros = 7 }]\n\
     operations = { unpin_micros = 3 }",
];

/// Settings that all refuse, and what each names.
const WRONG: &[(&str, &str)] = &[
    ("price = 1", "price"),
    ("currency = \"euro\"", "currency"),
    ("currency = 3", ""),
    ("gigabyte = \"TB\"", "TB"),
    ("free_gb_months = -1", ""),
    ("free_gb_months = 1.5", ""),
    ("tiers = []", "tiers"),
    (
        "tiers = [{ price_micros = 1 }, { price_micros = 1 }]",
        "tiers[0]",
    ),
    (
        "tiers = [{ price_micros = 1, up_to_gb_months = 5 }]",
        "tiers[0]",
    ),
    (
        "tiers = [{ price_micros = 1, up_to_gb_months = 5 }, \
         { price_micros = 1, up_to_gb_months = 5 }, { price_micros = 1 }]",
        "tiers[1].up_to_gb_months",
    ),
    ("operations = { list_micros = 1 }", "list_micros"),
];

#[test]
fn javascript_gives_the_quotes_that_rust_gives() {
    compare("pricing-js");
}

#[test]
fn python_gives_the_quotes_that_rust_gives() {
    compare("pricing-python");
}

#[test]
fn the_golden_vectors_hold_in_javascript() {
    load_with_vectors("pricing-js");
}

#[test]
fn the_golden_vectors_hold_in_python() {
    load_with_vectors("pricing-python");
}

/// The vectors that ship with the Rust plugin; the host runs them before it takes a candidate in.
fn load_with_vectors(example: &str) {
    let house = House::cached();
    let path = examples().join("../../plugins/pricing-tiered/vectors.json");
    let vectors = fs::read_to_string(path).unwrap();
    for (vectors, is_true) in [
        (vectors.clone(), true),
        (vectors.replace("GB-months", "TB-months"), false),
    ] {
        fs::write(house.dir.path().join("price.vectors.json"), vectors).unwrap();
        let manifest = format!("[settings]\n{}", limits(example));
        put_bytes(
            house.dir.path(),
            &example_bytes(example),
            "price",
            &manifest,
        );
        house.plugins.rescan();
        let info = house.last("price");
        assert_eq!(info.error.is_none(), is_true, "{info:?}");
    }
}

fn compare(example: &str) {
    let (ours, theirs) = (House::new(), House::cached());
    let wasm = example_bytes(example);
    let limits = limits(example);
    let install = |plan: &str| {
        let manifest = format!("[settings]\n{plan}\n{limits}");
        put_bytes(theirs.dir.path(), &wasm, "price", &manifest);
        theirs.plugins.rescan();
        let rust = ours.install("pricing-tiered", "price", &format!("[settings]\n{plan}"));
        (rust, theirs.last("price"))
    };
    let mut quotes = 0;
    for plan in PLANS {
        let (rust, other) = install(plan);
        assert_eq!((rust.error, other.error), (None, None), "{plan}");
        for used in usages() {
            let (rust, other) = (said(&ours, &used), said(&theirs, &used));
            assert_eq!(rust, other, "{plan}: {used:?}");
            quotes += usize::from(rust.is_ok());
        }
    }
    assert!(quotes > 100, "only {quotes} quotes were compared");
    for (settings, named) in WRONG {
        let (rust, other) = install(settings);
        for error in [rust.error, other.error] {
            let error = error.unwrap_or_else(|| panic!("{settings} is not refused"));
            assert!(error.contains(named), "{settings}: {error}");
        }
    }
}

/// Around every bound that the plans have, and beyond what fits.
fn usages() -> Vec<(u128, Operations)> {
    let operations = |pin, replace, unpin| Operations {
        pin,
        replace,
        unpin,
    };
    let around = |at: u128| [at.saturating_sub(1), at, at + 1];
    let mut usages: Vec<(u128, Operations)> = [0, 1, 2, 3, 4, 10, 12, 1_001, 51_000]
        .iter()
        .flat_map(|months| around(months * GB_MONTH))
        .chain(around(GB_MONTH / 2))
        .chain(around(GB_MONTH * 7 / 3))
        .chain(around((1 << 30) * 30 * 86_400))
        .map(|byte_seconds| (byte_seconds, operations(12, 1, 3)))
        .collect();
    usages.push((1 << 100, Operations::default()));
    usages.push((u128::MAX / 1_000, Operations::default()));
    usages.push((0, operations(u64::MAX, u64::MAX, u64::MAX)));
    usages.push((GB_MONTH, operations(0, 0, u64::MAX)));
    usages
}

/// Lines and total, or why there are none; without which plugin said so.
fn said(house: &House, used: &(u128, Operations)) -> Result<Quote, String> {
    let (byte_seconds, operations) = used;
    let plugin = String::new;
    match house.quote_for(&usage(*byte_seconds, *operations)) {
        Ok(quote) => Ok(Quote {
            plugin: plugin(),
            digest: plugin(),
            ..quote
        }),
        Err(error) => Err(error.to_string()),
    }
}

/// What the example's own manifest says under `[limits]`.
fn limits(example: &str) -> String {
    let path = examples().join(format!("{example}/{example}.toml"));
    let text = fs::read_to_string(path).unwrap();
    text[text.find("[limits]").unwrap()..].to_owned()
}

/// A built example. It is built if it is missing or older than what it is built from.
fn example_bytes(example: &str) -> Vec<u8> {
    let dist = examples().join("dist");
    fs::create_dir_all(&dist).unwrap();
    let lock = File::create(dist.join(format!(".{example}.lock"))).unwrap();
    lock.lock().unwrap();
    let component = dist.join(format!("{example}.wasm"));
    let built = fs::metadata(&component)
        .and_then(|file| file.modified())
        .ok();
    let sources = [examples().join(example), examples().join("../../wit")];
    if built.is_none() || built < sources.iter().filter_map(|root| newest(root)).max() {
        let status = Command::new(examples().join("build"))
            .arg(example)
            .status()
            .unwrap();
        assert!(status.success(), "examples/plugins/build {example} failed");
    }
    fs::read(component).unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins")
}

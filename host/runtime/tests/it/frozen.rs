//! Released contracts: their copies never change, what is written today has all of them, and a
//! component that was built against one still loads and answers.

mod contract;

use crate::house::{Ask, House, account, usage};
use contract::Contract;
use holdfast_model::usage::Operations;
use holdfast_model::{Currency, Money, UnixMillis};
use holdfast_runtime::{
    Entry, Invoice, PluginInfo, Progress, QuoteLine, Severity, Snapshot, Step, Verdict,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each released version and the SHA-256 of its copy, as [`digest`] makes it. A line is added with
/// each release and none is ever changed.
const RELEASED: &[(&str, &str)] = &[(
    "1.0.0",
    "bce8fd35be0d6fe31b154cc0fd65357a9210a7bf3c1981ea03c857866a7b3631",
)];

fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// Over every file's path, length and bytes, sorted by path.
fn digest(folder: &Path) -> String {
    let mut files = BTreeMap::new();
    gather(folder, folder, &mut files);
    let mut hash = Sha256::new();
    for (path, bytes) in files {
        hash.update(format!("{path} {}\n", bytes.len()));
        hash.update(bytes);
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn gather(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            files.insert(name.to_owned(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_released_contract_never_changes() {
    for (version, released) in RELEASED {
        assert_eq!(
            digest(&wit().join("frozen").join(version)),
            *released,
            "wit/frozen/{version} was changed; take it back, and write a new version instead"
        );
    }
    let copies = fs::read_dir(wit().join("frozen")).unwrap().count();
    assert_eq!(copies, RELEASED.len(), "a copy has no digest here");
}

#[test]
fn what_is_written_today_has_all_that_was_released() {
    let newest = Contract::of_folder(&wit());
    for (version, _) in RELEASED {
        let released = Contract::of_folder(&wit().join("frozen").join(version));
        let broken = newest.breaks(&released);
        assert!(
            broken.is_empty(),
            "plugins built for {version} would break:\n  {}",
            broken.join("\n  ")
        );
    }
}

/// Takes a frozen guest in.
fn install(house: &House, version: &str, kind: &str, manifest: &str) -> PluginInfo {
    let component = format!("frozen-{}-{kind}", version.replace('.', "-"));
    let info = house.install(&component, kind, manifest);
    assert_eq!(
        (info.state.as_str(), info.error.as_ref()),
        ("live", None),
        "{version} {kind}"
    );
    info
}

#[test]
fn an_authorizer_of_each_contract_answers() {
    for (version, _) in RELEASED {
        let house = House::new();
        install(&house, version, "authorizer", "");
        let ask = Ask {
            request_count: 7,
            pinned_bytes: u128::MAX,
            time: UnixMillis::new(11),
            ..Ask::new(&[("plan", "9")])
        };
        let Verdict::Deny {
            exhausted, message, ..
        } = ask.of(&house.plugins).unwrap()
        else {
            panic!("{version}: allowed");
        };
        assert!(exhausted);
        assert_eq!(
            message,
            "Action::CreateRequest system:test true acme/web acme Some(\"9\") Some(Ok(9)) None None 7 \
             340282366920938463463374607431768211455 None 11",
            "{version}"
        );
    }
}

#[test]
fn a_pricing_plugin_of_each_contract_answers() {
    for (version, _) in RELEASED {
        let house = House::new();
        install(&house, version, "pricing", "");
        let quote = house
            .quote_for(&usage(u128::from(u64::MAX), Operations::default()))
            .unwrap();
        assert_eq!(quote.total.micros, 4, "{version}: a micro for each meter");
        assert_eq!(quote.lines[0].quantity, u128::from(u64::MAX));
        assert_eq!(quote.lines[0].explanation, "of acme/web");
    }
}

#[test]
fn a_payment_plugin_of_each_contract_answers() {
    for (version, _) in RELEASED {
        let house = House::new();
        install(&house, version, "payment", "");
        let total = Money {
            micros: 7,
            currency: Currency::parse("EUR").unwrap(),
        };
        let invoice = Invoice {
            id: "inv-1".into(),
            account: account(),
            attributes: BTreeMap::new(),
            period: usage(0, Operations::default()).period,
            lines: vec![QuoteLine {
                item: "storage".into(),
                explanation: "as agreed".into(),
                quantity: 1,
                unit: "byte-second".into(),
                amount: total,
            }],
            total,
            due: UnixMillis::new(3),
        };
        let Step::Pending { memo, .. } = collect(&house, &invoice, "") else {
            panic!("{version}: it does not wait");
        };
        assert_eq!(memo, "inv-1-key");
        let Step::Collected(receipt) = collect(&house, &invoice, &memo) else {
            panic!("{version}: it does not collect");
        };
        assert_eq!((receipt.reference, receipt.amount), (memo, total));
    }
}

fn collect(house: &House, invoice: &Invoice, memo: &str) -> Step {
    let progress = Progress {
        attempt: 1,
        idempotency_key: "inv-1-key".into(),
        memo: memo.into(),
        time: UnixMillis::new(2),
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let step = house.plugins.collect("payment", invoice, &progress);
    runtime.block_on(step).unwrap()
}

#[test]
fn a_configuration_plugin_of_each_contract_answers() {
    for (version, _) in RELEASED {
        let house = House::in_environment(&[("FROZEN_A", "ice")]);
        install(
            &house,
            version,
            "config",
            "[environment]\nallow = [\"FROZEN_*\"]\n",
        );
        let now = |revision| Snapshot {
            revision,
            values: vec![Entry {
                key: "store.kind".into(),
                value: "\"memory\"".into(),
            }],
        };
        let supplied = house.plugins.supply(&now(1)).unwrap();
        assert_eq!(supplied[0].1[0].key, "frozen.of_1", "{version}");
        assert_eq!(supplied[0].1[0].value, "\"ice\"");
        let check = |revision| {
            house
                .plugins
                .check_configuration(&now(revision), Some(&now(1)))
        };
        assert_eq!(check(12).unwrap(), []);
        let (_, finding) = check(13).unwrap().remove(0);
        assert_eq!(finding.severity, Severity::Refuse);
        assert_eq!(finding.message, "unlucky after Some(1)");
    }
}

//! What each stage refuses, and that a refusal disturbs nothing.

use crate::house::{House, component_bytes, counted, told, variant};
use holdfast_runtime::{
    InstallParts, PluginKind, Plugins, PluginsConfig, ReloadError, SigningKey, Trust,
};
use std::collections::BTreeMap;
use std::fs;

/// A quote of seven micro-units for nothing at all.
const SEVEN: &str = r#"{"ok": {
    "lines": [{"kind": "charge", "item": "flat", "explanation": "as told", "quantity": "1",
               "unit": "operation", "amount": {"micros": 7, "currency": "EUR"}}],
    "total": {"micros": 7, "currency": "EUR"}}}"#;

fn vectors(deed: &str, output: &str) -> String {
    format!(
        r#"{{"kind": "pricing", "vectors": [{{"name": "seven", "settings": {{"do": "{deed}"}},
            "input": {{"account": "acme/web", "meters": []}}, "output": {output}}}]}}"#
    )
}

fn parts(manifest: &str) -> InstallParts {
    InstallParts {
        wasm: component_bytes("hostile-pricing"),
        manifest: Some(manifest.into()),
        ..InstallParts::default()
    }
}

fn refused(outcome: Result<impl std::fmt::Debug, ReloadError>) -> (&'static str, String) {
    match outcome {
        Err(ReloadError::Refused { stage, why, .. }) => (stage, why),
        other => panic!("was not refused: {other:?}"),
    }
}

#[test]
fn each_stage_names_itself_and_leaves_what_serves() {
    let house = House::new();
    house.install("hostile-pricing", "price", &told("price-7"));
    let before = fs::read(house.dir.path().join("price.toml")).unwrap();
    let good = told("price-8");
    let wrong_vectors = InstallParts {
        vectors: Some(vectors("price-8", SEVEN)),
        ..parts(&good)
    };
    let no_vectors = InstallParts {
        vectors: Some("{}".into()),
        ..parts(&good)
    };
    let core_module = InstallParts {
        wasm: b"\0asm\x01\0\0\0".to_vec(),
        ..parts(&good)
    };
    // Other bytes than what serves: those are compiled already.
    let too_large = InstallParts {
        wasm: variant("hostile-pricing", 1),
        ..parts("[limits]\nwasm_bytes = 9")
    };
    let long_signature = InstallParts {
        signature: Some("x".repeat(1_000)),
        ..parts(&good)
    };
    let bad_signature = InstallParts {
        signature: Some("x".into()),
        ..parts(&good)
    };
    for (parts, stage, said) in [
        (long_signature, "read", "the signature has 1000 bytes"),
        (bad_signature, "signature", "price.sig is no signature"),
        (core_module, "admit", "core module: build for wasm32-wasip2"),
        (parts("[promote]\nby = \"magic\""), "manifest", "magic"),
        (
            parts("[breaker]\nfailures = 0"),
            "manifest",
            "breaker.failures",
        ),
        (too_large, "compile", "may have 9"),
        (parts(&told("init-error")), "init", "this will never do"),
        (parts(&told("init-trap")), "init", "init: trapped"),
        (
            no_vectors,
            "vectors",
            "price.vectors.json: missing field `kind`",
        ),
        (
            wrong_vectors,
            "vectors",
            "seven: lines[0].amount.micros is 8, and must be 7",
        ),
    ] {
        let (at, why) = refused(house.plugins.install("price", parts));
        assert_eq!(at, stage, "{why}");
        assert!(why.contains(said), "{why}");
        assert!(counted(&house.plugins, "holdfast_plugin_refusals_total", stage) > 0);
        assert_eq!(house.quote().unwrap().total.micros, 7);
        let after = fs::read(house.dir.path().join("price.toml")).unwrap();
        assert_eq!(
            after, before,
            "a refused installation wrote into the folder"
        );
    }
    assert_eq!(house.plugins.list().len(), 1);
    let (_, why) = refused(house.plugins.install("../price", parts(&good)));
    assert!(why.contains("name is not usable"), "{why}");
}

#[test]
fn what_is_installed_is_in_the_folder_and_passes_its_vectors() {
    let house = House::new();
    let installed = house.plugins.install(
        "price",
        InstallParts {
            vectors: Some(vectors("price-7", SEVEN)),
            ..parts(&told("price-9"))
        },
    );
    let info = installed.unwrap();
    assert_eq!((info.state.as_str(), info.generation), ("live", 1));
    // Its vectors bring their own settings; what serves has the operator's.
    assert_eq!(house.quote().unwrap().total.micros, 9);
    for ending in ["wasm", "toml", "vectors.json"] {
        assert!(house.dir.path().join(format!("price.{ending}")).is_file());
    }
    house.plugins.rescan();
    assert_eq!(house.last("price").generation, 1, "it was loaded twice");
}

#[test]
fn vectors_in_the_folder_are_asked_and_may_expect_errors_and_refusals() {
    let house = House::new();
    let place = |text: &str| {
        fs::write(house.dir.path().join("price.vectors.json"), text).unwrap();
        house.install("hostile-pricing", "price", &told("price-7"))
    };
    for (deed, output, said) in [
        ("price-7", SEVEN, None),
        (
            "rating-error",
            r#"{"error": {"invalid_usage": "no such usage"}}"#,
            None,
        ),
        ("init-error", r#"{"error": {"init": "never do"}}"#, None),
        ("price-7", r#"{"error": {"init": "x"}}"#, Some("took them")),
        ("init-error", SEVEN, Some("never do")),
        ("rating-error", SEVEN, Some("an answer is expected")),
        ("trap", SEVEN, Some("trapped")),
        ("wrong-sum", SEVEN, Some("sum up to")),
    ] {
        let info = place(&vectors(deed, output));
        match said {
            None => assert_eq!((info.state.as_str(), info.error), ("live", None), "{deed}"),
            Some(said) => {
                let why = info.error.unwrap();
                assert!(
                    why.contains("golden vectors") && why.contains(said),
                    "{why}"
                );
            }
        }
    }
}

#[test]
fn only_those_who_are_trusted_for_a_kind_can_ship_it() {
    let (accountant, guard) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let dir = tempfile::tempdir().unwrap();
    let open = |is_required| {
        Plugins::open(PluginsConfig {
            dir: dir.path().to_owned(),
            trust: Trust {
                keys: BTreeMap::from([
                    (PluginKind::Pricing, vec![accountant.public()]),
                    (PluginKind::Authorizer, vec![guard.public()]),
                ]),
                is_required,
            },
            ..PluginsConfig::default()
        })
        .unwrap()
    };
    let plugins = open(true);
    let by = |key: &SigningKey, digest_of: &[u8]| InstallParts {
        signature: Some(key.sign(&sha256(digest_of)).to_string()),
        ..parts(&told("price-7"))
    };
    let wasm = component_bytes("hostile-pricing");
    for (parts, said) in [
        (parts(&told("price-7")), "price.sig is missing"),
        (by(&guard, &wasm), "not trusted for its kind"),
        (by(&accountant, b"another"), "changed after it was signed"),
        (by(&SigningKey::generate().unwrap(), &wasm), "not trusted"),
    ] {
        let (stage, why) = refused(plugins.install("price", parts));
        assert_eq!(stage, "signature", "{why}");
        assert!(why.contains(said), "{why}");
    }
    plugins.install("price", by(&accountant, &wasm)).unwrap();
    drop(plugins);
    // The same from the folder, and a signature that goes takes the plugin's next load with it.
    let plugins = open(true);
    assert_eq!(plugins.list()[0].state, "live");
    fs::remove_file(dir.path().join("price.sig")).unwrap();
    plugins.rescan();
    let states: Vec<_> = plugins.list().into_iter().map(|info| info.state).collect();
    assert_eq!(states, ["live", "refused"]);
    drop(plugins);
    assert_eq!(open(true).list()[0].state, "refused");
    assert_eq!(open(false).list()[0].state, "live");
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

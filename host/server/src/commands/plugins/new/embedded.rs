//! The files of a new project, embedded in the binary: templates from `plugins/templates`, the
//! contract from `wit`, and for Rust the source of the SDK. The SDK comes as a folder of the
//! project because it is on no registry: so a project builds anywhere, and against the contract of
//! the host that made it.

use super::Language;
use holdfast_runtime::PluginKind as Kind;

/// A file of a project.
pub(super) struct Entry {
    /// Where in the project.
    pub(super) path: String,
    /// What it says.
    pub(super) text: &'static str,
    /// Whether the project's name is to be put in.
    pub(super) is_template: bool,
}

/// A file of the repository's with its name.
macro_rules! embedded {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $folder, "/", $name)),
        )),*]
    };
}

type Files = &'static [(&'static str, &'static str)];

const WIT: Files = embedded!("wit":
    "authorizer.wit", "config.wit", "log.wit", "payment.wit", "pricing.wit", "types.wit",
    "deps/LICENSE", "deps/clocks.wit", "deps/http.wit", "deps/io.wit",
);

const SDK: Files = embedded!("plugins/sdk/src":
    "authorizer.rs",
    "bindings.rs",
    "config.rs",
    "date.rs",
    "http.rs",
    "http/url.rs",
    "http/wasi.rs",
    "lib.rs",
    "log.rs",
    "money.rs",
    "payment.rs",
    "pricing.rs",
    "settings.rs",
    "storage.rs",
);

const TESTKIT: Files = embedded!("plugins/testkit/src":
    "call.rs",
    "lib.rs",
    "script.rs",
    "variables.rs",
    "vectors.rs",
    "vectors/answer.rs",
    "vectors/question.rs",
    "wants.rs",
);

const RUST: Files = embedded!("plugins/templates/rust":
    "Cargo.lock", "Cargo.toml", "Makefile", "README.md", "gitignore", "rust-toolchain.toml",
);

const RUST_SDK: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../plugins/templates/rust/sdk.toml"
));

const RUST_TESTKIT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../plugins/templates/rust/testkit.toml"
));

/// For the kinds whose instances are made by the thousand.
const RUST_HOT: Files = embedded!("plugins/templates/rust": "small-stack.toml");

const RUST_AUTHORIZER: Files =
    embedded!("plugins/templates/rust/authorizer": "lib.rs", "plugin.toml", "vectors.json");
const RUST_PRICING: Files =
    embedded!("plugins/templates/rust/pricing": "lib.rs", "plugin.toml", "vectors.json");
const RUST_PAYMENT: Files =
    embedded!("plugins/templates/rust/payment": "lib.rs", "plugin.toml", "vectors.json");
const RUST_CONFIG: Files =
    embedded!("plugins/templates/rust/config": "lib.rs", "plugin.toml", "vectors.json");

const JS: Files = embedded!("plugins/templates/js":
    "Makefile", "README.md", "gitignore", "package.json", "plugin.js", "plugin.test.mjs",
    "plugin.toml",
);

const PYTHON: Files = embedded!("plugins/templates/python":
    "Makefile", "README.md", "app.py", "gitignore", "plugin.toml", "rate.py", "requirements.txt",
    "test_rate.py",
);

/// The same prices in every language give the same answers, to the byte.
const PRICING_VECTORS: Files = embedded!("plugins/templates/rust/pricing": "vectors.json");

/// The files of a project; none if there is no template for it.
pub(super) fn entries(kind: Kind, lang: Language) -> Option<Vec<Entry>> {
    let mut entries = match (lang, kind) {
        (Language::Rust, Kind::Authorizer) => hot(rust(RUST_AUTHORIZER)),
        (Language::Rust, Kind::Pricing) => hot(rust(RUST_PRICING)),
        (Language::Rust, Kind::Payment) => rust(RUST_PAYMENT),
        (Language::Rust, Kind::Config) => rust(RUST_CONFIG),
        (Language::Js, Kind::Pricing) => of_two(JS, PRICING_VECTORS),
        (Language::Python, Kind::Pricing) => of_two(PYTHON, PRICING_VECTORS),
        _ => return None,
    };
    entries.extend(verbatim("wit", WIT));
    Some(entries)
}

fn rust(of_kind: Files) -> Vec<Entry> {
    let mut entries = of_two(RUST, of_kind);
    entries.push(Entry {
        path: "vendor/holdfast-plugin/Cargo.toml".into(),
        text: RUST_SDK,
        is_template: false,
    });
    entries.extend(verbatim("vendor/holdfast-plugin/src", SDK));
    entries.push(Entry {
        path: "vendor/holdfast-testkit/Cargo.toml".into(),
        text: RUST_TESTKIT,
        is_template: false,
    });
    entries.extend(verbatim("vendor/holdfast-testkit/src", TESTKIT));
    entries
}

fn hot(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.extend(templates(RUST_HOT));
    entries
}

fn of_two(one: Files, other: Files) -> Vec<Entry> {
    let mut entries = templates(one);
    entries.extend(templates(other));
    entries
}

fn templates(files: Files) -> Vec<Entry> {
    let entry = |(name, text): &(&str, &'static str)| Entry {
        path: match *name {
            // With its dot it would act in the repository itself.
            "gitignore" => ".gitignore".to_owned(),
            "small-stack.toml" => ".cargo/config.toml".to_owned(),
            "lib.rs" => "src/lib.rs".to_owned(),
            name => name.to_owned(),
        },
        text,
        is_template: true,
    };
    files.iter().map(entry).collect()
}

fn verbatim(folder: &str, files: Files) -> Vec<Entry> {
    let entry = |(name, text): &(&str, &'static str)| Entry {
        path: format!("{folder}/{name}"),
        text,
        is_template: false,
    };
    files.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    /// The names of the files below a folder of the repository.
    fn names(folder: &str) -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(folder);
        let mut names = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    names.insert(
                        path.strip_prefix(&root)
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    );
                }
            }
        }
        names
    }

    #[test]
    fn nothing_of_the_contract_and_the_sdk_is_left_out() {
        for (folder, files, left_out) in [
            ("wit", WIT, &["README.md"][..]),
            ("plugins/sdk/src", SDK, &[]),
            ("plugins/testkit/src", TESTKIT, &[]),
        ] {
            let there: BTreeSet<String> = names(folder)
                .into_iter()
                .filter(|name| !left_out.contains(&name.as_str()) && !name.starts_with("frozen/"))
                .collect();
            let embedded: BTreeSet<String> =
                files.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(embedded, there, "the list of {folder} in {}", file!());
        }
    }
}

//! `holdfast plugin new`: a project that builds and passes its tests at once.

mod embedded;

use crate::commands::{Failure, terminal};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use embedded::Entry;
use holdfast_runtime::PluginKind as Kind;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Letters of a project's name: it becomes the plugin's, and that of a package in each language.
const NAME_CHARS_MAX: usize = 48;

/// Names that a package cannot have, or that would stand in the way of what it is built from.
const TAKEN: [&str; 12] = [
    "alloc",
    "config",
    "core",
    "crate",
    "holdfast-plugin",
    "proc-macro",
    "self",
    "serde",
    "std",
    "super",
    "test",
    "wit-bindgen",
];

#[derive(Debug, Args)]
pub(in crate::commands) struct New {
    /// What it is to be called: the plugin, the project, and the folder unless --dir names another.
    name: String,
    /// What it is to do.
    #[arg(long)]
    kind: KindName,
    /// In which language.
    #[arg(long, default_value = "rust")]
    lang: Language,
    /// Where to [default: a folder of that name, here].
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// The kinds, as arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum KindName {
    /// Refuses calls, by quotas for example.
    Authorizer,
    /// Prices usage.
    Pricing,
    /// Collects the money for invoices.
    Payment,
    /// Supplies configuration or checks it.
    Config,
}

/// The languages that there are templates for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum Language {
    /// Rust, with the SDK.
    Rust,
    /// JavaScript, built by componentize-js.
    Js,
    /// Python, built by componentize-py.
    Python,
}

impl KindName {
    const fn kind(self) -> Kind {
        match self {
            Self::Authorizer => Kind::Authorizer,
            Self::Pricing => Kind::Pricing,
            Self::Payment => Kind::Payment,
            Self::Config => Kind::Config,
        }
    }
}

impl New {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        check_name(&self.name)?;
        let kind = self.kind.kind();
        let entries =
            embedded::entries(kind, self.lang).with_context(|| no_template(kind, self.lang))?;
        let dir = self.dir.unwrap_or_else(|| PathBuf::from(&self.name));
        must_be_free(&dir)?;
        for entry in &entries {
            write(&dir, entry, &self.name, kind)?;
        }
        let how = match self.lang {
            Language::Rust => "needs rustup and make",
            Language::Js => "needs Node 20 or later and make",
            Language::Python => "needs Python 3.10 or later and make",
        };
        terminal::say(&format!(
            "{} is made: a plugin for {kind} ({} files, {how})\n\n  cd {}\n  make test\n\nIts README.md \
             says the rest.",
            dir.display(),
            entries.len(),
            dir.display(),
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn no_template(kind: Kind, lang: Language) -> String {
    let lang = match lang {
        Language::Rust => "Rust",
        Language::Js => "JavaScript",
        Language::Python => "Python",
    };
    format!(
        "there is no template for a {kind} plugin in {lang}; there is one in Rust (--lang rust), and \
         in {lang} for --kind pricing"
    )
}

fn check_name(name: &str) -> Result<(), Failure> {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= NAME_CHARS_MAX
        && name.bytes().all(letters);
    if !is_plain {
        bail!(
            "{name:?} is no name for a plugin; write at most {NAME_CHARS_MAX} small letters, digits \
             and single hyphens, a letter first: pricing-flat"
        );
    }
    if TAKEN.contains(&name) {
        bail!("{name:?} is taken in one of the languages; write another, such as {name}-plugin");
    }
    Ok(())
}

/// Nothing that is there is written over.
fn must_be_free(dir: &Path) -> Result<(), Failure> {
    let mut there = match fs::read_dir(dir) {
        Ok(there) => there,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", dir.display())),
    };
    if there.next().is_some() {
        bail!(
            "{} is not empty; name another folder with --dir, or another plugin",
            dir.display()
        );
    }
    Ok(())
}

fn write(dir: &Path, entry: &Entry, name: &str, kind: Kind) -> Result<(), Failure> {
    let text = if entry.is_template {
        entry
            .text
            .replace("plugin-name", name)
            .replace("plugin_name", &name.replace('-', "_"))
            .replace("plugin-kind", kind.as_str())
    } else {
        entry.text.to_owned()
    };
    let text = match entry.path.as_str() {
        "Cargo.lock" => in_order(&text),
        _ => text,
    };
    let path = dir.join(&entry.path);
    let folder = path.parent().unwrap_or(dir);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The lock with its packages in the order of their names: Cargo takes it for out of date if the
/// project's own stands where the template's stood.
fn in_order(lock: &str) -> String {
    let mut parts = lock.split("[[package]]\n");
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    packages.sort_by_key(|package| package.lines().next());
    let packages = packages.join("\n\n[[package]]\n");
    format!("{head}[[package]]\n{packages}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_stays_in_order() {
        let lock = "version = 4\n\n[[package]]\nname = \"z\"\n\n[[package]]\nname = \"a\"\nx = 1\n";
        let sorted =
            "version = 4\n\n[[package]]\nname = \"a\"\nx = 1\n\n[[package]]\nname = \"z\"\n";
        assert_eq!(in_order(lock), sorted);
        assert_eq!(in_order(sorted), sorted);
    }

    #[test]
    fn names_fit_every_language() {
        for name in ["pricing-flat", "a", "x2-y3"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        for name in [
            "", "-a", "a-", "a--b", "A", "1a", "a b", "a/b", "..", "core", &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        assert!(must_be_free(&dir.path().join("new")).is_ok());
        assert!(must_be_free(dir.path()).is_ok());
        fs::write(dir.path().join("mine"), "mine").unwrap();
        assert!(must_be_free(dir.path()).is_err());
    }
}

//! The hostile kit: plugins that misbehave in every way that we know of, and what the host must say
//! to each. The tests run it, and so does `holdfast plugin attack`.
//!
//! `kit.json` lists the cases. A case makes a file (mostly a hostile component with settings that
//! say what to do), lets an [`Arena`] take it in beside two well-behaved plugins, calls it, and
//! compares what the host says with what is written. After each, the well-behaved ones must still
//! answer, and nothing of the hostile one may be left.

use crate::call::{AuthorizeCall, QuoteCall, Verdict};
use crate::error::PluginError;
use crate::plugins::{Plugins, PluginsConfig};
use holdfast_model::usage::Operations;
use holdfast_model::{AccountId, Action, Period, PrincipalId, Role, Roles, UnixMillis, Usage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The kit's list of cases, beside the components.
const LIST: &str = "kit.json";

/// The name under which each case is put into the folder.
const ATTACKER: &str = "hostile";

/// What the well-behaved pricing plugin asks for, in millionths of a euro.
const FAIR_PRICE: i64 = 7;

/// A call is made twice: what the first one spoils must not be there for the second.
const CALLS: usize = 2;

/// The kit cannot be used. What a plugin does is never an error here.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// A file that cannot be read or written.
    #[error("{}: {source}; build the kit with plugins/build", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list or a case makes no sense.
    #[error("{LIST}: {0}")]
    List(String),
    /// The plugins cannot be opened, or a well-behaved one does not work from the start.
    #[error("the arena cannot be opened: {0}")]
    Arena(String),
}

/// What a case is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Authorizer,
    Pricing,
}

/// One way to misbehave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is, in a few words.
    pub name: String,
    target: Target,
    /// What differs from the plain hostile component.
    #[serde(default)]
    file: FileChange,
    /// What it is told to do.
    #[serde(default, rename = "do")]
    deed: Option<String>,
    /// Its `[limits]`.
    #[serde(default)]
    limits: toml::Table,
    answer: Answer,
}

/// Whether calls of a hostile plugin share instances, as `isolation` in its manifest says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// They do.
    Warm,
    /// Each has an instance of its own.
    Call,
}

/// What the host must say. In a text, `*` stands for what differs from build to build.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The file is listed as refused, for this reason.
    Refused(String),
    /// It is taken in, and each call fails like this.
    Fails(String),
    /// It is taken in, and its calls are as good as any.
    Harmless,
}

/// How the file is made of the component; in this order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileChange {
    /// Another component, or a whole file as text.
    component: Option<String>,
    /// The file itself, in hex.
    hex: Option<String>,
    /// A text in it, and another of the same length.
    replace: Option<(String, String)>,
    /// Only the first so many of a hundred parts of it.
    keep_percent: Option<usize>,
    /// So many bytes, the rest noughts.
    grow_to_bytes: Option<u64>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attacked {
    /// Which.
    pub case: String,
    /// What the host must say.
    pub expected: String,
    /// What it says.
    pub said: String,
    /// Whether that is the same and nobody else was hurt.
    pub is_held: bool,
    /// How long it took in all, loading included.
    pub millis: u64,
}

/// The cases and the components that they are made of.
#[derive(Debug)]
pub struct Kit {
    dir: PathBuf,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(rename = "about")]
    _about: String,
    cases: Vec<Case>,
}

impl Kit {
    /// Reads `kit.json` in a folder that has the hostile components too.
    ///
    /// # Errors
    /// A file that is not there, or a list that makes no sense.
    pub fn read(dir: &Path) -> Result<Self, KitError> {
        let path = dir.join(LIST);
        let text = fs::read_to_string(&path).map_err(|source| KitError::File { path, source })?;
        let list: List =
            serde_json::from_str(&text).map_err(|error| KitError::List(error.to_string()))?;
        Ok(Self {
            dir: dir.to_owned(),
            cases: list.cases,
        })
    }

    /// The cases, in the order of the list.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    fn component(&self, name: &str) -> Result<Vec<u8>, KitError> {
        let path = self.dir.join(format!("{name}.wasm"));
        fs::read(&path).map_err(|source| KitError::File { path, source })
    }
}

impl Case {
    fn manifest(&self, isolation: Isolation) -> String {
        let isolation = match isolation {
            Isolation::Warm => "warm",
            Isolation::Call => "call",
        };
        let mut manifest = toml::Table::from_iter([("isolation".to_owned(), isolation.into())]);
        if let Some(deed) = &self.deed {
            let settings = toml::Table::from_iter([("do".to_owned(), deed.clone().into())]);
            manifest.insert("settings".into(), settings.into());
        }
        manifest.insert("limits".into(), self.limits.clone().into());
        manifest.to_string()
    }

    fn bytes(&self, kit: &Kit) -> Result<Vec<u8>, KitError> {
        let wrong = |what: &str| KitError::List(format!("{}: {what}", self.name));
        let usual = match self.target {
            Target::Authorizer => "hostile-authorizer",
            Target::Pricing => "hostile-pricing",
        };
        let mut bytes = match &self.file.hex {
            Some(hex) => unhex(hex).ok_or_else(|| wrong("hex: write pairs of digits"))?,
            None => kit.component(self.file.component.as_deref().unwrap_or(usual))?,
        };
        if let Some((from, to)) = &self.file.replace {
            let (from, to) = (from.as_bytes(), to.as_bytes());
            if from.len() != to.len() || !replace(&mut bytes, from, to) {
                return Err(wrong(
                    "replace: write a text of the file and one of the same length",
                ));
            }
        }
        if let Some(percent) = self.file.keep_percent {
            bytes.truncate(bytes.len().saturating_mul(percent) / 100);
        }
        Ok(bytes)
    }
}

impl Answer {
    fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Fails(text) => text,
            Self::Harmless => "",
        }
    }
}

/// A plugins folder with two well-behaved plugins, into which cases are let one by one.
#[derive(Debug)]
pub struct Arena {
    dir: PathBuf,
    isolation: Isolation,
    plugins: Plugins,
}

impl Arena {
    /// Opens a folder, which should be empty; cases run as `isolation` says.
    ///
    /// # Errors
    /// A folder that cannot be written, or the well-behaved plugins do not work.
    pub fn open(kit: &Kit, dir: &Path, isolation: Isolation) -> Result<Self, KitError> {
        let fair = format!("[settings]\ndo = \"price-{FAIR_PRICE}\"\n");
        place(dir, "fair-price.toml", fair.as_bytes(), None)?;
        for (name, component) in [
            ("fair-gate.wasm", "hostile-authorizer"),
            ("fair-price.wasm", "hostile-pricing"),
        ] {
            place(dir, name, &kit.component(component)?, None)?;
        }
        let config = PluginsConfig {
            dir: dir.to_owned(),
            ..PluginsConfig::default()
        };
        let plugins = Plugins::open(config).map_err(|error| KitError::Arena(error.to_string()))?;
        let arena = Self {
            dir: dir.to_owned(),
            isolation,
            plugins,
        };
        match arena.hurt() {
            Some(how) => Err(KitError::Arena(how)),
            None => Ok(arena),
        }
    }

    /// The plugins, for whoever wants to look at them between the cases.
    #[must_use]
    pub const fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Lets a case in, calls it, and puts it out again.
    ///
    /// # Errors
    /// A folder that cannot be written, or a case that cannot be made of the kit's files.
    pub fn attack(&self, kit: &Kit, case: &Case) -> Result<Attacked, KitError> {
        let start = Instant::now();
        let bytes = case.bytes(kit)?;
        let file = |ending: &str| format!("{ATTACKER}.{ending}");
        place(
            &self.dir,
            &file("toml"),
            case.manifest(self.isolation).as_bytes(),
            None,
        )?;
        place(&self.dir, &file("wasm"), &bytes, case.file.grow_to_bytes)?;
        self.plugins.rescan();
        let mut said = self.said(case);
        let expected = case.answer.text();
        let mut is_held = fits(expected, &said);
        let while_there = match case.target {
            Target::Authorizer => self.hurt_price(),
            Target::Pricing => self.hurt_gate(),
        };
        for ending in ["wasm", "toml"] {
            let path = self.dir.join(file(ending));
            fs::remove_file(&path).map_err(|source| KitError::File { path, source })?;
        }
        self.plugins.rescan();
        if let Some(how) = while_there.or_else(|| self.hurt()) {
            is_held = false;
            said.push_str("; and beside it: ");
            said.push_str(&how);
        }
        Ok(Attacked {
            case: case.name.clone(),
            expected: expected.to_owned(),
            said,
            is_held,
            millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// What the host says to a case that lies in the folder.
    fn said(&self, case: &Case) -> String {
        let infos = self.plugins.list();
        let Some(info) = infos.into_iter().rfind(|info| info.name == ATTACKER) else {
            return "it is not listed".into();
        };
        match (&case.answer, info.error) {
            (Answer::Refused(_), Some(error)) => return error,
            (Answer::Refused(_), None) => return format!("it was taken in: {}", info.state),
            (_, Some(error)) => return format!("it was refused: {error}"),
            (_, None) => {}
        }
        let mut said = String::new();
        for _ in 0..CALLS {
            let again = match case.target {
                Target::Authorizer => told(self.authorize().map(|_| ())),
                Target::Pricing => told(self.quote().map(|_| ())),
            };
            if !fits(case.answer.text(), &again) {
                return again;
            }
            said = again;
        }
        said
    }

    /// How the well-behaved plugins are hurt, or what else is not as it was.
    fn hurt(&self) -> Option<String> {
        let infos = self.plugins.list();
        let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        if names != ["fair-gate", "fair-price"] || infos.iter().any(|info| info.error.is_some()) {
            return Some(format!("the folder has {infos:?}"));
        }
        self.hurt_gate().or_else(|| self.hurt_price())
    }

    fn hurt_gate(&self) -> Option<String> {
        match self.authorize() {
            Ok(Verdict::Allow) => None,
            other => Some(format!("the authorizer says {other:?}")),
        }
    }

    fn hurt_price(&self) -> Option<String> {
        match self.quote() {
            Ok(FAIR_PRICE) => None,
            other => Some(format!("the price is {other:?}")),
        }
    }

    fn authorize(&self) -> Result<Verdict, PluginError> {
        let account = account()?;
        self.plugins.authorize(&AuthorizeCall {
            action: Action::CreateRequest,
            principal: &PrincipalId::of_worker("attack"),
            roles: Roles::NONE.with(Role::TenantUser),
            account: &account,
            attributes: &BTreeMap::new(),
            cid: None,
            meta: None,
            request_count: 0,
            pinned_bytes: 0,
            dag_size: None,
            time: UnixMillis::EPOCH,
        })
    }

    fn quote(&self) -> Result<i64, PluginError> {
        let account = account()?;
        let usage = Usage {
            period: Period {
                start: UnixMillis::EPOCH,
                end: UnixMillis::new(86_400_000),
            },
            byte_millis: 1,
            level_bytes: 1,
            operations: Operations::default(),
        };
        let quote = self.plugins.quote(&QuoteCall {
            account: &account,
            tenant: account.tenant(),
            attributes: &BTreeMap::new(),
            usage: &usage,
        })?;
        Ok(quote.total.micros)
    }
}

fn account() -> Result<AccountId, PluginError> {
    AccountId::parse("acme/web").map_err(|error| PluginError::Failed {
        plugin: ATTACKER.into(),
        why: error.to_string(),
    })
}

fn told(outcome: Result<(), PluginError>) -> String {
    outcome.map_or_else(|error| error.to_string(), |()| String::new())
}

/// Puts a file into a folder as an installer does: beside, then by a rename.
fn place(dir: &Path, name: &str, bytes: &[u8], grow_to: Option<u64>) -> Result<(), KitError> {
    let beside = dir.join(format!(".{name}.tmp"));
    let write = || {
        fs::write(&beside, bytes)?;
        if let Some(length) = grow_to {
            fs::File::options()
                .write(true)
                .open(&beside)?
                .set_len(length)?;
        }
        fs::rename(&beside, dir.join(name))
    };
    write().map_err(|source| KitError::File {
        path: dir.join(name),
        source,
    })
}

/// Writes one text over another everywhere; false if it is nowhere.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) -> bool {
    let places: Vec<usize> = bytes
        .windows(from.len().max(1))
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    for at in &places {
        if let Some(place) = bytes.get_mut(*at..at.saturating_add(to.len())) {
            place.copy_from_slice(to);
        }
    }
    !places.is_empty()
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Whether a text is as written, where `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut left) = text.strip_prefix(begin) else {
        return false;
    };
    let (middles, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for middle in middles.split('*') {
        match left.split_once(middle) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_all_else_for_itself() {
        for (pattern, text, is_fit) in [
            ("", "", true),
            ("", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*c", "ac", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("*b", "ab", true),
            ("a*", "ba", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(fits(pattern, text), is_fit, "{pattern} {text}");
        }
    }

    #[test]
    fn hex_is_read_or_refused() {
        assert_eq!(unhex("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(unhex(""), Some(Vec::new()));
        for wrong in ["0", "0g", "é0"] {
            assert_eq!(unhex(wrong), None);
        }
    }

    #[test]
    fn a_text_is_replaced_everywhere() {
        let mut bytes = b"-ab-ab-".to_vec();
        assert!(replace(&mut bytes, b"ab", b"xy"));
        assert_eq!(bytes, b"-xy-xy-");
        assert!(!replace(&mut bytes, b"ab", b"xy"));
    }
}

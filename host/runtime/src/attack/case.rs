//! One way to misbehave: how its file is made, and what the host must say to it.

use super::{Kit, KitError};
use crate::kind::Kind;
use crate::registry::InstallParts;
use serde::Deserialize;

/// What a case is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    Authorizer,
    Pricing,
    Payment,
    Config,
}

impl Target {
    /// The hostile component of the kind, which behaves well unless it is told otherwise.
    pub(super) const fn component(self) -> &'static str {
        match self {
            Self::Authorizer => "hostile-authorizer",
            Self::Pricing => "hostile-pricing",
            Self::Payment => "hostile-payment",
            Self::Config => "hostile-config",
        }
    }

    /// What a well-behaved one answers to the question of its kind.
    const fn fair_answer(self) -> &'static str {
        match self {
            Self::Authorizer => "allow",
            Self::Pricing => "the price is 7",
            Self::Payment => "a step",
            Self::Config => "nothing amiss",
        }
    }
}

/// One way to misbehave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is, in a few words.
    pub name: String,
    pub(super) target: Target,
    /// What differs from the plain hostile component.
    #[serde(default)]
    pub(super) file: FileChange,
    /// What it is told to do.
    #[serde(default, rename = "do")]
    deed: Option<String>,
    /// Its `[limits]`.
    #[serde(default)]
    limits: toml::Table,
    /// Whom it calls, if it calls anybody.
    #[serde(default)]
    calls: Option<Calls>,
    pub(super) answer: Answer,
    /// What the host writes into the plugin's log at each call, where its operator finds it.
    #[serde(default)]
    pub(super) log: Option<String>,
}

/// Whom a case calls, and what a careless operator lets it call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Calls {
    /// The address; `{port}` stands for that of the kit's own server.
    url: String,
    /// Hosts that its manifest grants, with all private addresses that can be opened there.
    granted: Vec<String>,
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
pub(super) enum Answer {
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
pub(super) struct FileChange {
    /// Another component, or a whole file as text.
    component: Option<String>,
    /// The file itself, in hex.
    hex: Option<String>,
    /// A text in it, and another of the same length.
    replace: Option<(String, String)>,
    /// Only the first so many of a hundred parts of it.
    keep_percent: Option<usize>,
    /// So many bytes, the rest noughts.
    pub(super) grow_to_bytes: Option<u64>,
    /// Written in place in so many pieces, and looked at after each.
    pub(super) pieces: Option<usize>,
    /// Replaced so many times by half of it and by the whole, and looked at each time.
    pub(super) storm: Option<usize>,
}

impl Case {
    /// Whether it calls somebody, for which it needs the kit's own server and resolver.
    #[must_use]
    pub const fn calls_out(&self) -> bool {
        self.calls.is_some()
    }

    /// The kind of plugin that it is, or passes itself off as.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.target {
            Target::Authorizer => Kind::Authorizer,
            Target::Pricing => Kind::Pricing,
            Target::Payment => Kind::Payment,
            Target::Config => Kind::Config,
        }
    }

    /// What an operator hands over to have a host take the case in as a candidate, which never
    /// serves. `port` is that of the server that the case calls, if it calls one.
    ///
    /// # Errors
    /// A case that cannot be made of the kit's files.
    pub fn parts(
        &self,
        kit: &Kit,
        isolation: Isolation,
        port: u16,
    ) -> Result<InstallParts, KitError> {
        let by_hand = "\n[promote]\nby = \"hand\"\n";
        Ok(InstallParts {
            wasm: self.bytes(kit)?,
            manifest: Some(self.manifest(isolation, port) + by_hand),
            signature: None,
            vectors: None,
        })
    }

    /// Whether it is about a file that lies in a folder, so that no API takes it.
    #[must_use]
    pub const fn is_of_a_folder(&self) -> bool {
        self.file.grow_to_bytes.is_some() || self.file.pieces.is_some() || self.file.storm.is_some()
    }

    /// Whether the host must refuse to take it in.
    #[must_use]
    pub const fn is_to_be_refused(&self) -> bool {
        matches!(self.answer, Answer::Refused(_))
    }

    /// Whether it only takes its time: it is taken in, and its calls are as good as any.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        matches!(self.answer, Answer::Harmless)
    }

    /// What the host must say, empty for nothing but a fair answer. `*` stands for anything.
    #[must_use]
    pub fn expected(&self) -> &str {
        self.answer.text()
    }

    /// What a candidate's answer comes down to: nothing if it is the fair one.
    #[must_use]
    pub fn heard(&self, tried: &str, is_answered: bool) -> String {
        match is_answered && tried == self.target.fair_answer() {
            true => String::new(),
            false => tried.to_owned(),
        }
    }

    /// Whether what the host did and says is what it must do and say. A refusal is never taken for
    /// an answer, whatever its words.
    #[must_use]
    pub fn is_held_by(&self, is_taken_in: bool, said: &str) -> bool {
        is_taken_in != self.is_to_be_refused() && fits(self.expected(), said)
    }

    /// Its `NAME.toml`, where the kit's server has this port.
    pub(super) fn manifest(&self, isolation: Isolation, port: u16) -> String {
        let isolation = match isolation {
            Isolation::Warm => "warm",
            Isolation::Call => "call",
        };
        let mut manifest = toml::Table::from_iter([("isolation".to_owned(), isolation.into())]);
        let mut settings = toml::Table::new();
        if let Some(deed) = &self.deed {
            settings.insert("do".into(), deed.clone().into());
        }
        if let Some(calls) = &self.calls {
            let url = calls.url.replace("{port}", &port.to_string());
            settings.insert("url".into(), url.into());
            let rules = calls.granted.iter().map(|host| grant(host, port));
            manifest.insert("egress".into(), toml::Value::Array(rules.collect()));
        }
        manifest.insert("settings".into(), settings.into());
        manifest.insert("limits".into(), self.limits.clone().into());
        manifest.to_string()
    }

    pub(super) fn bytes(&self, kit: &Kit) -> Result<Vec<u8>, KitError> {
        let wrong = |what: &str| KitError::List(format!("{}: {what}", self.name));
        let usual = self.target.component();
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

/// A rule that lets a plugin call all of a host, wherever its name leads that can be opened.
fn grant(host: &str, port: u16) -> toml::Value {
    let texts = |texts: &[&str]| -> toml::Value {
        let texts = texts.iter().map(|text| toml::Value::from(*text));
        toml::Value::Array(texts.collect())
    };
    let rule = [
        ("scheme", "http".into()),
        ("host", host.into()),
        ("port", i64::from(port).into()),
        ("methods", texts(&["GET"])),
        ("allow_private", texts(&["127.0.0.1", "169.254.0.0/16"])),
    ];
    let rule = rule.map(|(key, value): (&str, toml::Value)| (key.to_owned(), value));
    toml::Value::Table(rule.into_iter().collect())
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Fails(text) => text,
            Self::Harmless => "",
        }
    }
}

/// Whether a text is as written, where `*` stands for anything.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_refusal_is_no_answer_and_an_answer_no_refusal() {
        let case = |answer: &str| -> Case {
            let text =
                format!("{{\"name\": \"x\", \"target\": \"pricing\", \"answer\": {answer}}}");
            serde_json::from_str(&text).unwrap()
        };
        for (answer, held_if_taken_in, held_if_refused) in [
            ("{\"fails\": \"*\"}", true, false),
            ("{\"fails\": \"no\"}", true, false),
            ("{\"refused\": \"*\"}", false, true),
            ("{\"refused\": \"no\"}", false, true),
        ] {
            let case = case(answer);
            assert_eq!(case.is_held_by(true, "no"), held_if_taken_in, "{answer}");
            assert_eq!(case.is_held_by(false, "no"), held_if_refused, "{answer}");
        }
        assert!(case("\"harmless\"").is_held_by(true, ""));
        assert!(!case("\"harmless\"").is_held_by(false, ""));
    }

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
}

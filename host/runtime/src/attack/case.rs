//! One way to misbehave: how its file is made, and what the host must say to it.

use super::{Kit, KitError};
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
    pub(super) answer: Answer,
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
}

impl Case {
    pub(super) fn manifest(&self, isolation: Isolation) -> String {
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

impl Answer {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Fails(text) => text,
            Self::Harmless => "",
        }
    }
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
}

//! One rule.

use crate::pattern::Pattern;
use crate::quantity::Quantity;
use holdfast_plugin::config::{Entry, Finding, Severity, Snapshot};
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;

/// Letters of a reason, and of a value that is shown: a finding is one line of 1,024 bytes.
const BECAUSE_BYTES_MAX: usize = 256;
const SHOWN_CHARS_MAX: usize = 64;

/// A rule as settings write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleSettings {
    key: String,
    min: Option<Value>,
    max: Option<Value>,
    equals: Option<Value>,
    one_of: Option<Vec<Value>>,
    #[serde(default)]
    fixed: bool,
    #[serde(default)]
    present: bool,
    #[serde(default)]
    severity: Level,
    because: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    #[default]
    Refuse,
    Warn,
}

/// A rule, ready to use.
#[derive(Debug)]
pub(crate) struct Rule {
    pattern: Pattern,
    min: Option<Quantity>,
    max: Option<Quantity>,
    allowed: Option<Vec<Value>>,
    is_fixed: bool,
    /// The key that must be there.
    present: Option<String>,
    level: Level,
    because: Option<String>,
}

impl Rule {
    /// Reads a rule; the error begins with the key of it that is wrong.
    pub(crate) fn of(settings: RuleSettings) -> Result<Self, String> {
        let pattern = Pattern::parse(&settings.key)?;
        let (min, max) = bounds(&settings)?;
        let allowed = match (settings.equals, settings.one_of) {
            (Some(_), Some(_)) => return Err("one_of: write it or equals, not both".into()),
            (Some(value), None) => Some(vec![value]),
            (None, Some(values)) if values.is_empty() => {
                return Err("one_of: write the values that are allowed".into());
            }
            (None, values) => values,
        };
        let present = match (settings.present, pattern.plain()) {
            (true, None) => {
                return Err("present: a key with a * may be any; write one without".into());
            }
            (true, plain) => plain,
            (false, _) => None,
        };
        let demands = [
            min.is_some(),
            max.is_some(),
            allowed.is_some(),
            settings.fixed,
        ];
        if !demands.contains(&true) && present.is_none() {
            return Err(format!(
                "key: {} has no rule; write min, max, equals, one_of, fixed or present",
                settings.key
            ));
        }
        let because = settings.because;
        let is_line =
            |text: &String| text.len() <= BECAUSE_BYTES_MAX && !text.chars().any(char::is_control);
        if !because.iter().all(is_line) {
            return Err(format!(
                "because: write one line of at most {BECAUSE_BYTES_MAX} bytes"
            ));
        }
        Ok(Self {
            pattern,
            min,
            max,
            allowed,
            is_fixed: settings.fixed,
            present,
            level: settings.severity,
            because,
        })
    }

    /// What breaks it.
    pub(crate) fn check(&self, proposed: &Snapshot, current: Option<&Snapshot>) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(key) = &self.present
            && proposed.value(key).is_none_or(|json| json.trim() == "null")
        {
            findings.push(self.finding(key, "it is missing, and must be there".into()));
        }
        let meant = |entry: &&Entry| self.pattern.matches(&entry.key);
        for entry in proposed.values.iter().filter(meant) {
            if let Some(why) = self.broken_by(entry) {
                findings.push(self.finding(&entry.key, why));
            }
            if self.is_fixed
                && let Some(before) = current.and_then(|current| current.value(&entry.key))
                && parsed(before) != parsed(&entry.value)
            {
                let (from, to) = (shown(before), shown(&entry.value));
                let why =
                    format!("it changes from {from} to {to}, and may not while the host runs");
                findings.push(self.finding(&entry.key, why));
            }
        }
        if self.is_fixed {
            let gone = |entry: &&Entry| meant(entry) && proposed.value(&entry.key).is_none();
            for entry in current
                .iter()
                .flat_map(|current| &current.values)
                .filter(gone)
            {
                let why = "it goes away, and may not while the host runs";
                findings.push(self.finding(&entry.key, why.into()));
            }
        }
        findings
    }

    fn broken_by(&self, entry: &Entry) -> Option<String> {
        let value = parsed(&entry.value);
        if value.is_null() {
            return None;
        }
        let is = format!("it is {}", shown(&entry.value));
        if let Some(allowed) = &self.allowed
            && !allowed.contains(&value)
        {
            let list: Vec<String> = allowed.iter().map(|one| shown(&one.to_string())).collect();
            return Some(format!("{is}; write {}", list.join(" or ")));
        }
        for (bound, wrong, word) in [
            (&self.min, Ordering::Less, "at least"),
            (&self.max, Ordering::Greater, "at most"),
        ] {
            let Some(bound) = bound else { continue };
            let order = Quantity::of(&value).and_then(|quantity| quantity.compare(bound));
            if order.is_none_or(|order| order == wrong) {
                return Some(format!("{is}; write {word} {bound}"));
            }
        }
        None
    }

    fn finding(&self, key: &str, why: String) -> Finding {
        let message = match &self.because {
            Some(because) => format!("{why}: {because}"),
            None => why,
        };
        Finding {
            key: key.into(),
            severity: match self.level {
                Level::Refuse => Severity::Refuse,
                Level::Warn => Severity::Warn,
            },
            message,
        }
    }
}

fn bounds(settings: &RuleSettings) -> Result<(Option<Quantity>, Option<Quantity>), String> {
    let read = |name: &str, value: &Option<Value>| match value {
        None => Ok(None),
        Some(value) => match Quantity::of(value) {
            Some(quantity) => Ok(Some(quantity)),
            None => Err(format!(
                "{name}: {} is no amount; write a whole number, a size such as \"64MiB\" or a time \
                 such as \"10s\"",
                shown(&value.to_string())
            )),
        },
    };
    let (min, max) = (read("min", &settings.min)?, read("max", &settings.max)?);
    if let (Some(min), Some(max)) = (&min, &max) {
        match min.compare(max) {
            Some(Ordering::Less | Ordering::Equal) => {}
            Some(Ordering::Greater) => return Err(format!("max: {max} is below the min of {min}")),
            None => {
                return Err(format!(
                    "max: {max} and the min of {min} are not of one kind"
                ));
            }
        }
    }
    Ok((min, max))
}

/// What cannot be read as JSON is a text.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.into()))
}

/// A value for people: one line, cut.
fn shown(json: &str) -> String {
    let mut line: String = json
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN_CHARS_MAX)
        .collect();
    if json.chars().nth(SHOWN_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

//! How one value is read and written.

use super::layers::{Environment, Raw};
use holdfast_runtime::PublicKey;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Why a value cannot be used, and what to write.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) wrong: String,
    pub(super) write: String,
}

impl Wrong {
    pub(super) fn new(raw: &Raw, is_no: &str, write: &str) -> Self {
        Self {
            wrong: format!("{} is no {is_no}", shown(raw)),
            write: write.to_owned(),
        }
    }
}

/// A value that stands behind one key.
pub(super) trait Setting: Clone + PartialEq + Sized {
    /// What to write, as TOML, where there is no default.
    const EXAMPLE: &'static str;

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(raw: &Raw, environment: &Environment) -> Result<Self, Wrong>;

    /// Writes it as TOML; nothing if it stands for "not set".
    fn toml(&self) -> Option<String>;

    /// The same for eyes that may not see secrets.
    fn shown(&self) -> Option<String> {
        self.toml()
    }
}

fn shown(raw: &Raw) -> String {
    /// Enough to recognise a value by.
    const SHOWN_CHARS_MAX: usize = 60;
    match raw {
        Raw::Text(text) | Raw::Str(text) => {
            format!(
                "{:?}",
                text.chars().take(SHOWN_CHARS_MAX).collect::<String>()
            )
        }
        Raw::Int(number) => number.to_string(),
        Raw::Bool(truth) => truth.to_string(),
        Raw::List(_) => "a list".to_owned(),
        Raw::Other(kind) => format!("a {kind}"),
    }
}

/// The text of a value that must be one.
pub(super) fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) | Raw::Str(text) => Some(text),
        _ => None,
    }
}

/// The whole number of a value that must be one.
pub(super) fn number(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Int(number) => u64::try_from(*number).ok(),
        Raw::Text(text) => text.replace('_', "").parse().ok(),
        _ => None,
    }
}

impl Setting for bool {
    const EXAMPLE: &'static str = "true";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        match raw {
            Raw::Bool(truth) => Ok(*truth),
            Raw::Text(text) if text == "true" => Ok(true),
            Raw::Text(text) if text == "false" => Ok(false),
            _ => Err(Wrong::new(raw, "truth value", "write true or false")),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Setting for String {
    const EXAMPLE: &'static str = "\"…\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        match text(raw) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(Wrong::new(
                raw,
                "text",
                "write some text in quotes, or take the key out",
            )),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Setting for PathBuf {
    const EXAMPLE: &'static str = "\"/path/to/it\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        match text(raw) {
            Some(text) if !text.is_empty() => Ok(Self::from(text)),
            _ => Err(Wrong::new(
                raw,
                "path",
                "write a path in quotes, or take the key out",
            )),
        }
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.display().to_string()))
    }
}

impl Setting for SocketAddr {
    const EXAMPLE: &'static str = "\"127.0.0.1:8420\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || {
            Wrong::new(
                raw,
                "address to listen at",
                "write an IP address and a port, such as \"127.0.0.1:8420\" or \"[::]:8420\"",
            )
        };
        text(raw)
            .and_then(|text| text.parse().ok())
            .ok_or_else(wrong)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for IpAddr {
    const EXAMPLE: &'static str = "\"10.0.0.1\"";

    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || Wrong::new(raw, "IP address", "write one such as \"10.0.0.1\"");
        text(raw)
            .and_then(|text| text.parse().ok())
            .ok_or_else(wrong)
    }

    fn toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

impl Setting for Vec<String> {
    const EXAMPLE: &'static str = "[\"…\"]";

    /// A list, or one text for a list of one. In the environment commas stand between.
    fn read(raw: &Raw, _: &Environment) -> Result<Self, Wrong> {
        let wrong = || Wrong::new(raw, "list of texts", "write a list such as [\"a\", \"b\"]");
        match raw {
            Raw::Str(text) => Ok(vec![text.clone()]),
            Raw::Text(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|t| !t.is_empty())
                .map(str::to_owned)
                .collect()),
            Raw::List(list) => list
                .iter()
                .map(|raw| text(raw).map(str::to_owned).ok_or_else(wrong))
                .collect(),
            _ => Err(wrong()),
        }
    }

    fn toml(&self) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|text| quoted(text)).collect();
        Some(format!("[{}]", texts.join(", ")))
    }
}

impl Setting for Vec<PublicKey> {
    const EXAMPLE: &'static str = "[\"ed25519:…\"]";

    fn read(raw: &Raw, environment: &Environment) -> Result<Self, Wrong> {
        let texts = Vec::<String>::read(raw, environment)?;
        let parsed = texts.iter().map(|text| PublicKey::parse(text));
        parsed.collect::<Result<_, _>>().map_err(|_| {
            Wrong::new(
                raw,
                "list of public keys",
                "write [\"ed25519:…\"] with 64 hex digits each, as `holdfast plugin keygen` shows",
            )
        })
    }

    fn toml(&self) -> Option<String> {
        let texts: Vec<String> = self.iter().map(|key| quoted(&key.to_string())).collect();
        Some(format!("[{}]", texts.join(", ")))
    }
}

impl<T: Setting> Setting for Option<T> {
    const EXAMPLE: &'static str = T::EXAMPLE;

    fn read(raw: &Raw, environment: &Environment) -> Result<Self, Wrong> {
        T::read(raw, environment).map(Some)
    }

    fn toml(&self) -> Option<String> {
        self.as_ref().and_then(T::toml)
    }

    fn shown(&self) -> Option<String> {
        self.as_ref().and_then(T::shown)
    }
}

pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

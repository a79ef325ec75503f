//! Values that nobody but their user may see.

use super::layers::{Environment, Raw};
use super::setting::{Setting, Wrong, quoted, text};
use std::fmt;
use std::path::{Path, PathBuf};

/// What stands for a secret where it is not shown.
pub(super) const REDACTED: &str = "(redacted)";

/// A secret: written as it is, or as `env:NAME` or `file:PATH`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
    is_literal: bool,
}

impl Secret {
    /// The secret itself. Not for logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// The file that it came from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether it stands in the configuration itself.
    pub(super) const fn is_literal(&self) -> bool {
        self.is_literal
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Setting for Secret {
    const EXAMPLE: &'static str = "\"file:/run/secrets/NAME\"";

    fn read(raw: &Raw, environment: &Environment) -> Result<Self, Wrong> {
        let wrong = |wrong: String| Wrong {
            wrong,
            write: "write \"env:NAME\" or \"file:PATH\" and put the secret there".to_owned(),
        };
        // What was written is never shown: it may be the secret.
        let text = text(raw).ok_or_else(|| wrong("is no text".to_owned()))?;
        let (value, file) = if let Some(name) = text.strip_prefix("env:") {
            let value = environment.get(name).cloned();
            (
                value.ok_or_else(|| wrong(format!("the variable {name} is not set")))?,
                None,
            )
        } else if let Some(path) = text.strip_prefix("file:") {
            let value = std::fs::read_to_string(path)
                .map_err(|e| wrong(format!("{path} cannot be read: {e}")))?;
            (
                value.trim_end_matches(['\r', '\n']).to_owned(),
                Some(PathBuf::from(path)),
            )
        } else {
            (text.to_owned(), None)
        };
        if value.is_empty() {
            return Err(wrong("is empty".to_owned()));
        }
        let is_literal = value == text;
        Ok(Self {
            value,
            file,
            is_literal,
        })
    }

    fn toml(&self) -> Option<String> {
        None
    }

    fn shown(&self) -> Option<String> {
        Some(quoted(REDACTED))
    }
}

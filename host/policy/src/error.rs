//! Why policies cannot be used.

use holdfast_model::ErrorKind;
use std::fmt;
use std::path::PathBuf;

/// Characters of a source line that a finding shows; the rest is cut.
const EXCERPT_CHARS_MAX: usize = 160;

/// One thing that is wrong in a policy file or the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 when it is about the file as a whole.
    pub column: usize,
    /// The line with a caret under the place; empty when it is about the file as a whole.
    pub excerpt: String,
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub mend: String,
}

impl Finding {
    /// About a file as a whole.
    pub(crate) fn whole(file: &str, why: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            excerpt: String::new(),
            why: why.into(),
            mend: mend.into(),
        }
    }

    /// About the place at a byte offset of a file's text.
    pub(crate) fn at(
        (file, text): (&str, &str),
        offset: usize,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before
            .get(line_start..)
            .map_or(0, |part| part.chars().count());
        let line: String = text
            .get(line_start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(EXCERPT_CHARS_MAX)
            .collect();
        let number = before.matches('\n').count() + 1;
        let gutter = number.to_string().len();
        let (pad, under) = (
            " ".repeat(gutter),
            " ".repeat(column.min(EXCERPT_CHARS_MAX)),
        );
        Self {
            file: file.into(),
            line: number,
            column: column + 1,
            excerpt: format!("  {number} | {line}\n  {pad} | {under}^"),
            why: why.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}; {}", self.why, self.mend)?;
        if !self.excerpt.is_empty() {
            write!(f, "\n{}", self.excerpt)?;
        }
        Ok(())
    }
}

/// Why policies cannot be used. Whatever was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file or folder cannot be read.
    #[error("{}: {source}; the folder must hold schema.cedarschema and *.cedar, readable for the host", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file says something that cannot be taken.
    #[error("{0}")]
    Refused(Box<Finding>),
    /// More than one thing is wrong.
    #[error("{} problems in the policies:\n{}", .0.len(), listed(.0))]
    Several(Vec<PolicyError>),
    /// The host's own part failed; no policy is to blame.
    #[error("the policy engine cannot be set up: {0}")]
    Setup(String),
}

impl PolicyError {
    /// The kind, for metrics and exit codes.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } => ErrorKind::Unavailable,
            Self::Refused(_) => ErrorKind::Invalid,
            Self::Several(problems) => problems.first().map_or(ErrorKind::Invalid, Self::kind),
            Self::Setup(_) => ErrorKind::Internal,
        }
    }

    /// One error for all problems, or none if there are none.
    pub(crate) fn of_all(mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 | 1 => problems.pop(),
            _ => Some(Self::Several(problems)),
        }
    }
}

impl From<Finding> for PolicyError {
    fn from(finding: Finding) -> Self {
        Self::Refused(Box::new(finding))
    }
}

fn listed(problems: &[PolicyError]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

//! Log lines on standard error, at a level that can be changed while the program runs.

use crate::config::{Complaint, Log, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// The handle to the level.
#[derive(Debug, Clone)]
pub struct Telemetry {
    level: reload::Handle<EnvFilter, Registry>,
}

/// Why lines cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Somebody else in the process writes them already.
    #[error("log lines are being written already: {0}")]
    Taken(String),
}

/// The filter of a level, as the configuration has it.
///
/// # Errors
/// Text that is no level.
pub fn filter(log: &Log) -> Result<EnvFilter, Complaint> {
    let wrong = |why: String| {
        let write =
            "write error, warn, info, debug or trace, or per module as in \"info,holdfast=debug\"";
        Complaint::new("log.level", why, write)
    };
    // The filter takes any word for a module's name: a mistyped level would silence everything.
    let is_level = |word: &str| word.parse::<tracing::level_filters::LevelFilter>().is_ok();
    let parts: Vec<&str> = log.level.split(',').map(str::trim).collect();
    let typo = parts
        .iter()
        .find(|part| !part.contains('=') && !is_level(part));
    if let Some(part) = typo {
        return Err(wrong(format!("{part:?} is no level")));
    }
    // The filter itself takes no spaces.
    EnvFilter::builder()
        .parse(parts.join(","))
        .map_err(|e| wrong(format!("{:?} is no level ({e})", log.level)))
}

impl Telemetry {
    /// Begins to write lines.
    ///
    /// # Errors
    /// Lines are written already.
    pub fn start(log: &Log, level: EnvFilter) -> Result<Self, TelemetryError> {
        let (level, handle) = reload::Layer::new(level);
        let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
        let lines = match log.format {
            LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
            LogFormat::Text => {
                let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
                lines.with_ansi(is_terminal).boxed()
            }
        };
        tracing_subscriber::registry()
            .with(level)
            .with(lines)
            .try_init()
            .map_err(|e| TelemetryError::Taken(e.to_string()))?;
        Ok(Self { level: handle })
    }

    /// Changes the level.
    pub fn set(&self, level: EnvFilter) {
        // It fails only when the subscriber is gone, and then there are no lines to filter.
        let _ = self.level.reload(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_and_typing_errors_are_not() {
        let of = |level: &str| {
            filter(&Log {
                level: level.to_owned(),
                ..Log::default()
            })
        };
        for level in ["info", "warn,holdfast=debug", "OFF", "debug, hyper=warn"] {
            assert!(of(level).is_ok(), "{level}");
        }
        for level in ["inof", "info,holdfast=loud", "info,debgu"] {
            assert_eq!(of(level).unwrap_err().key, "log.level", "{level}");
        }
    }
}

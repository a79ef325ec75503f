//! A config plugin that misbehaves as its settings say (`{"do": "loop"}`, and `"url"` where it
//! calls somebody); see `hostile-pricing`. What begins with `check-` is done in `check`, all else
//! in `supply`.

use holdfast_plugin::config::{
    Config, ConfigError, Entry, Finding, Host, Level, Metadata, Need, Severity, Snapshot, log,
};
use hostile_deeds as deeds;

struct Hostile {
    deed: String,
    /// Whom it calls, if it calls anybody.
    url: String,
}

impl Config for Hostile {
    fn describe() -> Metadata {
        let deed = deeds::in_describe();
        deeds::common(deed);
        Metadata {
            name: deeds::name(deed, "hostile-config"),
            version: env!("CARGO_PKG_VERSION").into(),
            description: "misbehaves as told".into(),
        }
    }

    fn init(settings: &str) -> Result<Self, String> {
        let mut words = settings.split('"').skip(3).step_by(4).map(str::to_owned);
        let deed = words.next().unwrap_or_else(|| "nothing".into());
        deeds::init(&deed)?;
        let url = words.next().unwrap_or_default();
        Ok(Self { deed, url })
    }

    fn needs(&self) -> Vec<Need> {
        if let Some(deed) = self.deed.strip_prefix("needs-") {
            deeds::common(deed);
        }
        Vec::new()
    }

    fn supply(&self, _current: &Snapshot, host: &Host<'_>) -> Result<Vec<Entry>, ConfigError> {
        deeds::common(&self.deed);
        let entry = |key: &str, value: String| Entry {
            key: key.into(),
            value,
        };
        let one = |key: &str, value: &str| Ok(vec![entry(key, value.into())]);
        if let Some(called) = deeds::call_out(&self.deed, &self.url, host.http) {
            called.map_err(ConfigError::Unavailable)?;
            return Ok(Vec::new());
        }
        match self.deed.as_str() {
            "call-storm" => loop {
                std::hint::black_box(host.environment.get("PATH"));
            },
            "log-flood" => {
                for _ in 0..10_000 {
                    log(Level::Info, &"x".repeat(64));
                }
                Ok(Vec::new())
            }
            "giant-question" => {
                std::hint::black_box(host.environment.get(&"x".repeat(1 << 21)));
                Ok(Vec::new())
            }
            "many-entries" => Ok(vec![entry("limits.pins", "1".into()); 1_001]),
            "million-entries" => Ok(vec![entry("limits.pins", "1".into()); 1_000_000]),
            "twice" => Ok(vec![entry("limits.pins", "1".into()); 2]),
            "gigabyte-value" => Ok(vec![entry("limits.pins", deeds::gigabyte())]),
            "not-utf8" => Ok(vec![entry("limits.pins", deeds::not_utf8())]),
            "giant-value" => Ok(vec![entry(
                "limits.pins",
                format!("{:?}", "x".repeat(1 << 21)),
            )]),
            "long-value" => Ok(vec![entry(
                "limits.pins",
                format!("{:?}", "x".repeat(1 << 17)),
            )]),
            "long-key" => one(&"x".repeat(257), "1"),
            "empty-key" => one("", "1"),
            "key-control-characters" => one("a\r\nb", "1"),
            "no-json" => one("limits.pins", "{\u{1b}[2J"),
            "unavailable" => Err(ConfigError::Unavailable("a\r\nb\u{1b}[2J".into())),
            "gigabyte-error" => Err(ConfigError::Malformed(deeds::gigabyte())),
            _ => Ok(Vec::new()),
        }
    }

    fn check(
        &self,
        _proposed: &Snapshot,
        _current: Option<&Snapshot>,
        _host: &Host<'_>,
    ) -> Result<Vec<Finding>, ConfigError> {
        let Some(deed) = self.deed.strip_prefix("check-") else {
            return Ok(Vec::new());
        };
        deeds::common(deed);
        let finding = |severity: Severity, message: &str| Finding {
            key: "limits.pins".into(),
            severity,
            message: message.into(),
        };
        match deed {
            "many-findings" => Ok(vec![finding(Severity::Warn, "x"); 1_001]),
            "million-findings" => Ok(vec![finding(Severity::Warn, "x"); 1_000_000]),
            "gigabyte-message" => Ok(vec![finding(Severity::Warn, &deeds::gigabyte())]),
            "control-characters" => Ok(vec![finding(Severity::Warn, "a\r\nERROR all is lost")]),
            "long-message" => Ok(vec![finding(Severity::Refuse, &"x".repeat(1_025))]),
            "other-severity" => Ok(vec![finding(Severity::Other("dire\r\n".into()), "x")]),
            _ => Ok(Vec::new()),
        }
    }
}

/// Runs while an instance is made, before anything is asked of it.
#[used]
#[expect(
    unsafe_code,
    reason = "a section that the linker takes the first calls from"
)]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = deeds::at_start;

holdfast_plugin::export_config!(Hostile);

//! The annotated reference of every key: `schema/config.toml`.

use super::field::Reload;
use super::layers::KeyPath;
use super::sections::Config;
use std::fmt::Write;

/// Every key with its default and its meaning, as TOML that means just the defaults.
#[must_use]
pub fn reference() -> String {
    let mut out = Reference {
        text: HEAD.to_owned(),
        in_example: false,
    };
    Config::default().describe(&mut out);
    out.text
}

const HEAD: &str = "\
# Every setting of Holdfast with its default. Written from the program's own definitions.
#
# Layers, each over the one before: these defaults; holdfast.toml (or --config FILE); the files of
# --config-dir DIR (a mounted config map: a file named section.key holds a value, *.toml a part);
# what config plugins supply; the environment (HOLDFAST_SECTION__KEY, lists with commas); flags. A
# secret may be written \"env:NAME\" or \"file:PATH\". `holdfast config check` names everything
# that is wrong, and asks no plugin.
#
# [live] counts at once when the file changes or on SIGHUP; [restart] after a restart.
";

pub(super) struct Reference {
    text: String,
    /// Keys below a free name are shown as comments: with the file as it is there is none.
    in_example: bool,
}

impl Reference {
    pub(super) fn section(&mut self, path: &KeyPath, about: &[&str]) {
        self.text.push('\n');
        for line in about {
            self.line(&format!("#{line}"));
        }
        if !path.0.is_empty() {
            let mark = if self.in_example { "# " } else { "" };
            self.line(&format!("{mark}[{path}]"));
        }
    }

    pub(super) fn key(
        &mut self,
        name: &str,
        docs: &[&str],
        reload: Reload,
        value: Option<String>,
        example: &str,
    ) {
        let reload = match reload {
            Reload::Live => "live",
            Reload::Restart => "restart",
        };
        self.text.push('\n');
        for (at, line) in docs.iter().enumerate() {
            let end = if at + 1 == docs.len() {
                format!(" [{reload}]")
            } else {
                String::new()
            };
            self.line(&format!("#{line}{end}"));
        }
        match value {
            Some(value) if !self.in_example => self.line(&format!("{name} = {value}")),
            Some(value) => self.line(&format!("# {name} = {value}")),
            None => self.line(&format!("# {name} = {example}")),
        }
    }

    pub(super) fn example(&mut self, describe: impl FnOnce(&mut Self)) {
        self.in_example = true;
        describe(self);
        self.in_example = false;
    }

    fn line(&mut self, line: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "{}", line.trim_end());
    }
}

//! A case gone through again and again, for whoever looks at what that leaves behind.

use super::arena::{ATTACKER, Arena};
use super::case::{Answer, Case};
use super::{Kit, KitError, calls};
use crate::registry::InstallParts;

/// Neither taken out of service for its failures nor taken back for them.
const CALM: [(&str, &str, i64); 2] = [
    ("breaker", "failures", 1_000_000),
    ("promote", "watch_ms", 0),
];

/// A case in front of an arena, until this is dropped.
#[derive(Debug)]
pub struct Siege<'a> {
    arena: &'a Arena,
    case: &'a Case,
    parts: InstallParts,
    rounds: u64,
}

impl Arena {
    /// Makes a case ready to be gone through again and again, with other limits than its own, so
    /// that each round is short.
    ///
    /// # Errors
    /// A case that cannot be made of the kit's files.
    pub fn besiege<'a>(
        &'a self,
        kit: &Kit,
        case: &'a Case,
        limits: &[(&str, i64)],
    ) -> Result<Siege<'a>, KitError> {
        let manifest = self.manifest(case);
        let wrong = |e: toml::de::Error| KitError::List(format!("{}: {e}", case.name));
        let mut manifest: toml::Table = manifest.parse().map_err(wrong)?;
        let limits = limits.iter().map(|(key, value)| ("limits", *key, *value));
        for (section, key, value) in CALM.into_iter().chain(limits) {
            let section = manifest
                .entry(section)
                .or_insert_with(|| toml::Table::new().into());
            if let Some(section) = section.as_table_mut() {
                section.insert(key.to_owned(), value.into());
            }
        }
        Ok(Siege {
            arena: self,
            case,
            parts: InstallParts {
                wasm: case.bytes(kit)?,
                manifest: Some(manifest.to_string()),
                ..InstallParts::default()
            },
            rounds: 0,
        })
    }
}

impl Siege<'_> {
    /// Goes through the case once. One that is about what lies in a folder is put there anew; one
    /// that is refused for what it is or does is handed over to be installed, which spares a look
    /// at all others; any other is called once it is there. The answer is how it was not as it must
    /// be; with other limits than its own, it may fail in other words.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn round(&mut self) -> Result<Option<String>, KitError> {
        let is_of_a_folder = self.case.is_of_a_folder();
        if self.case.is_to_be_refused() && !is_of_a_folder {
            let plugins = self.arena.plugins();
            let installed = plugins.install(ATTACKER, self.parts.clone());
            return Ok(installed.ok().map(|info| format!("{info:?}")));
        }
        let comes_in = self.rounds == 0 || is_of_a_folder;
        self.rounds = self.rounds.saturating_add(1);
        if comes_in {
            // What was refused is not looked at again before one of its files is another.
            let manifest = self.parts.manifest.as_deref().unwrap_or_default();
            let manifest = format!("{manifest}\n# round {}\n", self.rounds);
            let wrong = self.arena.put_in(self.case, &manifest, &self.parts.wasm)?;
            if let Some(wrong) = wrong.or_else(|| self.not_as_expected()) {
                return Ok(Some(wrong));
            }
        }
        if self.case.is_to_be_refused() {
            return Ok(None);
        }
        self.arena.outside().begin();
        let said = calls::ask(self.arena.plugins(), self.case.target, ATTACKER);
        Ok(match (&self.case.answer, said) {
            (Answer::Fails(_), Ok(())) => Some("it did not fail".into()),
            (Answer::Harmless, Err(why)) => Some(why),
            _ => None,
        })
    }

    /// How the folder does not have the case as it must.
    fn not_as_expected(&self) -> Option<String> {
        let infos = self.arena.plugins().list();
        let info = infos.into_iter().rfind(|info| info.name == ATTACKER);
        let is_refused = info.as_ref().is_none_or(|info| info.error.is_some());
        (is_refused != self.case.is_to_be_refused()).then(|| format!("{info:?}"))
    }
}

impl Drop for Siege<'_> {
    fn drop(&mut self) {
        if self.rounds > 0 {
            // What stays because it cannot be removed is found by the next case.
            let _ = self.arena.put_out();
        }
    }
}

//! A plugins folder with well-behaved plugins, into which cases are let one by one.

use super::calls::{self, FAIR_PRICE};
use super::case::{Answer, Case, Isolation, Target, fits};
use super::laying::place;
use super::outside::Outside;
use super::{Attacked, Kit, KitError};
use crate::job::JobsConfig;
use crate::logs::{LogLine, Speaker};
use crate::plugins::{Plugins, PluginsConfig};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The name under which each case is put into the folder.
pub(super) const ATTACKER: &str = "hostile";

/// Where compiled components are kept, in the folder: cases are mostly made of the same few.
const CACHE: &str = ".compiled";

/// Lines of its log that are looked at: more than its calls make.
const LINES: usize = 100;

/// A call is made twice: what the first one spoils must not be there for the second.
const CALLS: usize = 2;

/// A well-behaved plugin of each kind, by the order of their names.
const FAIR: [(&str, Target); 4] = [
    ("fair-config", Target::Config),
    ("fair-gate", Target::Authorizer),
    ("fair-pay", Target::Payment),
    ("fair-price", Target::Pricing),
];

/// A plugins folder with a well-behaved plugin of each kind, into which cases are let one by one.
#[derive(Debug)]
pub struct Arena {
    dir: PathBuf,
    isolation: Isolation,
    plugins: Plugins,
    /// Whom hostile plugins call.
    outside: Outside,
}

impl Arena {
    /// Opens a folder, which should be empty; cases run as `isolation` says.
    ///
    /// # Errors
    /// A folder that cannot be written, or the well-behaved plugins do not work.
    pub fn open(kit: &Kit, dir: &Path, isolation: Isolation) -> Result<Self, KitError> {
        let fair = format!("[settings]\ndo = \"price-{FAIR_PRICE}\"\n");
        place(dir, "fair-price.toml", fair.as_bytes(), None)?;
        for (name, target) in FAIR {
            let component = kit.component(target.component())?;
            place(dir, &format!("{name}.wasm"), &component, None)?;
        }
        let outside = Outside::open().map_err(KitError::Outside)?;
        let config = PluginsConfig {
            dir: dir.to_owned(),
            cache: Some(dir.join(CACHE)),
            jobs: JobsConfig {
                resolver: Some(outside.resolver()),
                ..JobsConfig::default()
            },
            ..PluginsConfig::default()
        };
        let plugins = Plugins::open(config).map_err(|error| KitError::Arena(error.to_string()))?;
        let arena = Self {
            dir: dir.to_owned(),
            isolation,
            plugins,
            outside,
        };
        match arena.hurt() {
            Some(how) => Err(KitError::Arena(how)),
            None => Ok(arena),
        }
    }

    /// The plugins, for whoever wants to look at them between the cases.
    #[must_use]
    pub const fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// Asks a well-behaved plugin that runs hot, of another kind than the case.
    ///
    /// # Errors
    /// An answer that is not the fair one.
    pub fn ask_beside(&self, case: &Case) -> Result<(), String> {
        let (target, name) = match case.target {
            Target::Authorizer => (Target::Pricing, "fair-price"),
            Target::Pricing | Target::Payment | Target::Config => (Target::Authorizer, "fair-gate"),
        };
        calls::ask(&self.plugins, target, name)
    }

    /// Lets a case in, calls it, and puts it out again.
    ///
    /// # Errors
    /// A folder that cannot be written, or a case that cannot be made of the kit's files.
    pub fn attack(&self, kit: &Kit, case: &Case) -> Result<Attacked, KitError> {
        let start = Instant::now();
        let bytes = case.bytes(kit)?;
        let on_the_way = self.put_in(case, &self.manifest(case), &bytes)?;
        let (is_taken_in, mut said) = self.said(case);
        let expected = case.answer.text();
        let mut is_held = case.is_held_by(is_taken_in, &said);
        let while_there = on_the_way.or_else(|| self.hurt_beside(case.target));
        self.put_out()?;
        if let Some(how) = while_there.or_else(|| self.hurt()) {
            is_held = false;
            said.push_str("; and beside it: ");
            said.push_str(&how);
        }
        Ok(Attacked {
            case: case.name.clone(),
            expected: expected.to_owned(),
            said,
            is_held,
            millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Whom hostile plugins call.
    pub(super) const fn outside(&self) -> &Outside {
        &self.outside
    }

    /// A case's `NAME.toml` here.
    pub(super) fn manifest(&self, case: &Case) -> String {
        case.manifest(self.isolation, self.outside.port())
    }

    /// Puts a case's files into the folder and has the host look at them. The answer is what was
    /// wrong meanwhile.
    pub(super) fn put_in(
        &self,
        case: &Case,
        manifest: &str,
        bytes: &[u8],
    ) -> Result<Option<String>, KitError> {
        let file = |ending: &str| format!("{ATTACKER}.{ending}");
        place(&self.dir, &file("toml"), manifest.as_bytes(), None)?;
        let wrong = self.let_in(case, &file("wasm"), bytes)?;
        self.plugins.rescan();
        Ok(wrong)
    }

    /// Takes a case's files out of the folder again.
    pub(super) fn put_out(&self) -> Result<(), KitError> {
        for ending in ["wasm", "toml"] {
            let path = self.dir.join(format!("{ATTACKER}.{ending}"));
            fs::remove_file(&path).map_err(|source| KitError::File { path, source })?;
        }
        self.plugins.rescan();
        Ok(())
    }

    /// Puts a case's component into the folder in its own way. The answer is what was wrong
    /// meanwhile.
    fn let_in(&self, case: &Case, name: &str, bytes: &[u8]) -> Result<Option<String>, KitError> {
        let mut wrong = None;
        case.lay(&self.dir, name, bytes, |is_half| {
            wrong = wrong.take().or_else(|| self.wrong_now(case, is_half));
        })?;
        Ok(wrong)
    }

    /// What is wrong after a look at the folder: half a component that is not refused, or a fair
    /// plugin that is hurt.
    fn wrong_now(&self, case: &Case, is_half: bool) -> Option<String> {
        self.plugins.rescan();
        let infos = self.plugins.list();
        let is_refused = infos
            .iter()
            .any(|info| info.name == ATTACKER && info.error.is_some());
        match is_half == is_refused {
            true => self.hurt_beside(case.target),
            false => Some(format!(
                "half of it: {is_half}, and the folder has {infos:?}"
            )),
        }
    }

    /// Whether the host took in a case that lies in the folder, and what it says to it.
    fn said(&self, case: &Case) -> (bool, String) {
        let infos = self.plugins.list();
        let Some(info) = infos.into_iter().rfind(|info| info.name == ATTACKER) else {
            return (false, "it is not listed".into());
        };
        match (&case.answer, info.error) {
            (Answer::Refused(_), Some(error)) => (false, error),
            (Answer::Refused(_), None) => (true, format!("it was taken in: {}", info.state)),
            (_, Some(error)) => (false, format!("it was refused: {error}")),
            (_, None) => (true, self.called(case, info.generation)),
        }
    }

    /// What a case that was taken in comes to when it is called.
    fn called(&self, case: &Case, generation: u64) -> String {
        let mut said = String::new();
        for call in 1..=CALLS {
            self.outside.begin();
            let again = calls::ask(&self.plugins, case.target, ATTACKER);
            let again = again.err().unwrap_or_default();
            if !fits(case.answer.text(), &again) {
                return again;
            }
            said = again;
            if let Some(how) = self.log_is_not(case, generation, call) {
                return format!("{said}; {how}");
            }
        }
        said
    }

    /// How the log after so many calls is not as it must be: for each call one line of the host's.
    fn log_is_not(&self, case: &Case, generation: u64, calls: usize) -> Option<String> {
        let expected = case.log.as_ref()?;
        let is_about = |line: &LogLine| line.generation == generation && line.by == Speaker::Host;
        let lines = self.plugins.logs(ATTACKER, LINES);
        let lines: Vec<String> = lines
            .into_iter()
            .filter(is_about)
            .map(|line| line.line)
            .collect();
        let is_as_expected = |line: &String| fits(expected, line);
        if lines.len() == calls && lines.iter().all(is_as_expected) {
            return None;
        }
        Some(format!(
            "its log must have {expected:?} for each of {calls} calls, and has {lines:?}"
        ))
    }

    /// How the well-behaved plugins are hurt, or what else is not as it was.
    fn hurt(&self) -> Option<String> {
        let infos = self.plugins.list();
        let names: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
        if names != FAIR.map(|(name, _)| name) || infos.iter().any(|info| info.error.is_some()) {
            return Some(format!("the folder has {infos:?}"));
        }
        FAIR.into_iter().find_map(|fair| self.hurt_of(fair))
    }

    /// The same while a hostile plugin is there. Those of its own kind are asked together with it,
    /// or it is asked in their place; only payment plugins are asked by name.
    fn hurt_beside(&self, hostile: Target) -> Option<String> {
        let is_apart =
            |(_, target): &(&str, Target)| *target == Target::Payment || *target != hostile;
        FAIR.into_iter()
            .filter(is_apart)
            .find_map(|fair| self.hurt_of(fair))
    }

    fn hurt_of(&self, (name, target): (&str, Target)) -> Option<String> {
        let told = calls::ask(&self.plugins, target, name);
        told.err().map(|why| format!("{name} says {why}"))
    }
}

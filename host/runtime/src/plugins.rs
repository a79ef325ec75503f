//! The door.

mod jobs;

use crate::call::{AuthorizeCall, Heard, Quote, QuoteCall, Verdict};
use crate::compile::Compiler;
use crate::error::PluginError;
use crate::foundry::Foundry;
use crate::info::PluginInfo;
use crate::job::{Jobs, JobsConfig};
use crate::keeper::Keeper;
use crate::logs::LogLine;
use crate::plugin::Candidate;
use crate::registry::{Ground, InstallParts, Registry, ReloadError, ReloadMetrics, Tried};
use crate::shadow::ShadowReport;
use crate::state::Keep;
use crate::trust::Trust;
use crate::watch::Watch;
use prometheus::core::Collector;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where plugins are and how they are kept.
#[derive(Debug, Clone)]
pub struct PluginsConfig {
    /// The watched folder: `NAME.wasm`, beside it perhaps `NAME.toml` with settings and limits.
    pub dir: PathBuf,
    /// Where compiled components are cached: a folder that only the host can reach. It is made if
    /// it is not there.
    pub cache: Option<PathBuf>,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// What all plugins together may come to hold in memory. It is set aside when a plugin is
    /// loaded, not used: most never come near their limits.
    pub memory_bytes: u64,
    /// What payment and config plugins have to do with.
    pub jobs: JobsConfig,
    /// Where it is kept what was promoted and what was rolled back; only the host can write it.
    /// Without it a restart takes the folder as it is.
    pub state: Option<PathBuf>,
    /// Whose plugins are taken.
    pub trust: Trust,
}

impl PluginsConfig {
    /// Memory for plugins, if nothing else is said: room for thirty with the usual limits, those
    /// counted that stand by for a rollback.
    pub const MEMORY_BYTES: u64 = 8 * 1024 * 1024 * 1024;
}

impl Default for PluginsConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            cache: None,
            compiler: Compiler::default(),
            memory_bytes: Self::MEMORY_BYTES,
            jobs: JobsConfig::default(),
            state: None,
            trust: Trust::default(),
        }
    }
}

/// The plugins.
#[derive(Debug)]
pub struct Plugins {
    registry: Arc<Registry>,
    /// Dropped before the registry, so that neither thread outlives the door.
    _watch: Watch,
    _keeper: Keeper,
}

impl Plugins {
    /// Loads what is in the folder (a bad file is reported and left out) and begins to watch it. A
    /// folder that is not there is made.
    ///
    /// # Errors
    /// A folder that cannot be made, or a machine on which WebAssembly cannot run.
    pub fn open(config: PluginsConfig) -> Result<Self, PluginError> {
        let dir = config.dir.clone();
        let failed = |why: String| PluginError::Failed {
            plugin: dir.display().to_string(),
            why,
        };
        std::fs::create_dir_all(&dir)
            .map_err(|e| failed(format!("the plugins folder cannot be made ({e})")))?;
        let foundry = Foundry::start(&config).map_err(failed)?;
        let keep = Keep::open(config.state.as_deref()).map_err(|e| {
            failed(format!(
                "the folder for what is promoted cannot be made ({e})"
            ))
        })?;
        let metrics = ReloadMetrics::new().map_err(|e| failed(e.to_string()))?;
        let jobs = Jobs::new(config.jobs).map_err(|e| failed(e.to_string()))?;
        let ground = Ground {
            dir: dir.clone(),
            foundry,
            jobs,
            trust: config.trust,
            keep,
        };
        let no_thread = |e: std::io::Error| failed(format!("no thread can be started ({e})"));
        let registry = Arc::new(Registry::new(ground, metrics).map_err(no_thread)?);
        // The watch begins first: what changes while the first scan runs is seen by one of the two.
        let watch = Watch::start(&dir, Arc::clone(&registry)).map_err(no_thread)?;
        let keeper = Keeper::start(Arc::clone(&registry)).map_err(no_thread)?;
        registry.rescan();
        Ok(Self {
            registry,
            _watch: watch,
            _keeper: keeper,
        })
    }

    /// Asks every authorizer, in the order of their names; the first that objects decides.
    ///
    /// # Errors
    /// One fails. That is no permission: the caller must refuse.
    pub fn authorize(&self, call: &AuthorizeCall<'_>) -> Result<Verdict, PluginError> {
        self.ask(call, |_, _| {})
    }

    /// The same, and which component said what: those that were asked, in their order. The last one
    /// is the one that objected or failed, if one did.
    ///
    /// # Errors
    /// One fails. That is no permission: the caller must refuse.
    pub fn authorize_heard(
        &self,
        call: &AuthorizeCall<'_>,
        heard: &mut Vec<Heard>,
    ) -> Result<Verdict, PluginError> {
        self.ask(call, |candidate, verdict| {
            heard.push(Heard {
                name: Arc::clone(&candidate.name),
                digest: Arc::clone(&candidate.digest),
                verdict,
            });
        })
    }

    /// Tells of each that was asked; who does not listen pays nothing for it.
    fn ask(
        &self,
        call: &AuthorizeCall<'_>,
        mut tell: impl FnMut(&Candidate, &'static str),
    ) -> Result<Verdict, PluginError> {
        let serving = self.registry.serving();
        if let Some(missing) = &serving.missing_authorizer {
            return Err(PluginError::missing(missing));
        }
        for generation in &serving.authorizers {
            let answer = generation.call(|plugin| plugin.authorize(call));
            let word = match &answer {
                Ok(Verdict::Allow) => "allow",
                Ok(Verdict::Deny { .. }) => "deny",
                Err(_) => "error",
            };
            tell(&generation.plugin.load.candidate, word);
            let verdict = answer?;
            for trial in &serving.authorizer_trials {
                if trial.is_for(&generation.plugin.load.candidate.name) {
                    self.registry.shadow().authorize(trial, call, &verdict);
                }
            }
            if verdict != Verdict::Allow {
                return Ok(verdict);
            }
        }
        for trial in &serving.new_authorizer_trials {
            let live = &Verdict::Allow;
            self.registry.shadow().authorize(trial, call, live);
        }
        Ok(Verdict::Allow)
    }

    /// Whether any authorizer is live, on trial, or missing though it served before a restart (so
    /// that callers can skip gathering facts).
    #[must_use]
    pub fn has_authorizers(&self) -> bool {
        let serving = self.registry.serving();
        !serving.authorizers.is_empty()
            || !serving.new_authorizer_trials.is_empty()
            || serving.missing_authorizer.is_some()
    }

    /// Asks the live pricing component.
    ///
    /// # Errors
    /// None is loaded, or it fails, or its answer breaks the contract.
    pub fn quote(&self, call: &QuoteCall<'_>) -> Result<Quote, PluginError> {
        // An owned hold: a quote may take half a second, and guards are for short stays.
        let serving = Arc::clone(&self.registry.serving());
        if let Some(missing) = &serving.missing_pricing {
            return Err(PluginError::missing(missing));
        }
        let pricing = serving.pricing.as_ref();
        let generation = pricing.ok_or(PluginError::None("pricing"))?;
        let quote = generation.call(|plugin| plugin.quote(call))?;
        for trial in &serving.pricing_trials {
            self.registry.shadow().price(trial, call, &quote);
        }
        Ok(quote)
    }

    /// Which load of the live pricing component answers, if there is one.
    #[must_use]
    pub fn pricing_generation(&self) -> Option<u64> {
        let serving = self.registry.serving();
        let pricing = serving.pricing.as_ref()?;
        Some(pricing.plugin.load.generation)
    }

    /// Everything in the folder, in the order of names: what serves, what stands by, what was
    /// refused. A name whose newest file was refused is there twice, the one that goes on serving
    /// first.
    #[must_use]
    pub fn list(&self) -> Vec<PluginInfo> {
        self.registry.infos()
    }

    /// What serves under a name, or the refusal if nothing does; with all its generations.
    #[must_use]
    pub fn describe(&self, name: &str) -> Option<PluginInfo> {
        let infos = self.registry.infos();
        infos.into_iter().find(|info| info.name == name)
    }

    /// Installs a plugin, or another version of one: it goes through all stages first, and what
    /// does not pass changes nothing. Takes as long as compiling does.
    ///
    /// # Errors
    /// It was refused, or the folder cannot be written.
    pub fn install(&self, name: &str, parts: InstallParts) -> Result<PluginInfo, ReloadError> {
        self.registry.install(name, parts)?;
        self.after(name)
    }

    /// Takes a plugin out, with its files and all its generations. Calls that run end on it.
    ///
    /// # Errors
    /// There is none, or the folder cannot be written.
    pub fn remove(&self, name: &str) -> Result<(), ReloadError> {
        self.registry.remove(name)
    }

    /// Asks the candidate under a name one made-up question of its kind, as it will be asked when
    /// it serves. It blocks, and must not be called from within a future.
    ///
    /// # Errors
    /// There is no candidate. What the candidate does is no error here.
    pub fn try_candidate(&self, name: &str) -> Result<Tried, ReloadError> {
        self.registry.try_candidate(name)
    }

    /// Puts the candidate under a name into service. With its generation's number it goes whatever
    /// the shadow run has shown; also one that was refused for that, or was rolled back.
    ///
    /// # Errors
    /// There is no candidate, or it differs by more than its rule allows.
    pub fn promote(&self, name: &str, generation: Option<u64>) -> Result<PluginInfo, ReloadError> {
        self.registry.promote(name, generation)?;
        self.after(name)
    }

    /// Goes back to the generation before, at once.
    ///
    /// # Errors
    /// There is none, or it was left by a restart and cannot be loaded any more.
    pub fn rollback(&self, name: &str) -> Result<PluginInfo, ReloadError> {
        self.registry.rollback(name)?;
        self.after(name)
    }

    /// How the candidate under a name compares with what serves; without one, how the last did.
    #[must_use]
    pub fn shadow_report(&self, name: &str) -> Option<ShadowReport> {
        self.registry.report(name)
    }

    /// The last lines that a plugin wrote, the oldest first.
    #[must_use]
    pub fn logs(&self, name: &str, max: usize) -> Vec<LogLine> {
        self.registry.log(name, max)
    }

    fn after(&self, name: &str) -> Result<PluginInfo, ReloadError> {
        let info = self.describe(name);
        info.ok_or_else(|| ReloadError::NotFound(name.to_owned()))
    }

    /// How often what [`list`](Self::list) shows has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.registry.changes()
    }

    /// Looks at the folder now instead of when the watcher does; returns once all is taken in.
    pub fn rescan(&self) {
        self.registry.rescan();
    }

    /// Waits until what is listed fulfils a condition; false if it does not in time.
    #[must_use]
    pub fn wait_until(&self, timeout: Duration, ready: impl Fn(&[PluginInfo]) -> bool) -> bool {
        self.registry.wait(timeout, ready)
    }

    /// The metrics, for the registry of whoever serves them.
    #[must_use]
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let mut all = self.registry.foundry().metrics.collectors();
        all.extend(self.registry.metrics().collectors());
        all.extend(self.registry.jobs().collectors());
        all
    }
}

//! The configuration in force, and how another takes its place: read, check, let everybody prepare,
//! and only when nobody objects let everybody switch. A bad candidate changes nothing.

use super::field::{Change, Reload};
use super::problem::{Complaint, Origin, Problem, Problems};
use super::sections::Config;
use super::watch::Look;
use super::{Environment, Inspect, Loaded, Sources, advice, load, load_with};
use arc_swap::ArcSwap;
use holdfast_runtime::Plugins;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Puts what was prepared into force. Cannot fail.
pub type Commit = Box<dyn FnOnce() + Send>;

/// Prepares for a candidate, or says what is wrong with it.
pub type Subscriber = Box<dyn Fn(&Config) -> Result<Commit, Complaint> + Send + Sync>;

/// The configuration in force.
pub struct Live {
    sources: Sources,
    inspect: Inspect,
    current: ArcSwap<Config>,
    /// What was in force at the start: what a restart would change is told against it.
    started: ArcSwap<Config>,
    /// Who else has a say, once they are there.
    plugins: OnceLock<Arc<Plugins>>,
    /// Grows with each configuration in force.
    revision: AtomicU64,
    files: Mutex<Vec<PathBuf>>,
    first_look: Look,
    subscribers: Mutex<Vec<Subscriber>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Begins with what was loaded.
    #[must_use]
    pub fn new(sources: Sources, inspect: Inspect, loaded: Loaded) -> Self {
        Self {
            sources,
            inspect,
            current: ArcSwap::from_pointee(loaded.config.clone()),
            started: ArcSwap::from_pointee(loaded.config),
            plugins: OnceLock::new(),
            revision: AtomicU64::new(0),
            files: Mutex::new(loaded.files),
            first_look: loaded.look,
            subscribers: Mutex::default(),
        }
    }

    /// What is in force now.
    #[must_use]
    pub fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// The environment as the program found it.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.sources.environment
    }

    /// The files whose change is a reason to reload.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().clone()
    }

    /// How the files looked at the start.
    #[must_use]
    pub fn first_look(&self) -> Look {
        self.first_look.clone()
    }

    /// Has somebody told of every candidate from now on.
    pub fn subscribe(&self, subscriber: Subscriber) {
        self.subscribers.lock().push(subscriber);
    }

    /// Asks config plugins from now on, also about what was loaded without them: before anything
    /// was made of it.
    ///
    /// # Errors
    /// What keeps the host from starting: a plugin that fails or refuses, or wrong entries.
    pub fn consult(&self, plugins: Arc<Plugins>) -> Result<(), Problems> {
        let asked = self.plugins.get_or_init(|| plugins);
        if !asked.has_config() {
            return Ok(());
        }
        let loaded = self.read(None)?;
        *self.files.lock() = loaded.files;
        let config = Arc::new(loaded.config);
        self.started.store(Arc::clone(&config));
        self.current.store(config);
        Ok(())
    }

    /// Reads all layers and has plugins check them beside what is in force.
    fn read(&self, current: Option<&Config>) -> Result<Loaded, Problems> {
        let files = load(&self.sources, self.inspect)?;
        let Some(plugins) = self.plugins.get().filter(|plugins| plugins.has_config()) else {
            return Ok(files);
        };
        let revision = self.revision.load(Ordering::Relaxed);
        let supplied = advice::supply(plugins, &files.config, revision)?;
        let loaded = match supplied.is_empty() {
            true => files,
            false => load_with(&self.sources, self.inspect, &supplied)?,
        };
        let next = revision.saturating_add(1);
        advice::check(plugins, &loaded.config, current, next)?;
        Ok(loaded)
    }

    /// Reads everything again and puts it into force; says which values are other ones now.
    ///
    /// # Errors
    /// What is wrong with the candidate; the former configuration stays in force.
    pub fn reload(&self) -> Result<Vec<Change>, Problems> {
        let loaded = self.read(Some(&self.get()))?;
        // Held to the end: two reloads at once would mix what they switch.
        let subscribers = self.subscribers.lock();
        let mut commits = Vec::new();
        let mut problems = Vec::new();
        for subscriber in subscribers.iter() {
            match subscriber(&loaded.config) {
                Ok(commit) => commits.push(commit),
                Err(Complaint { key, wrong, write }) => {
                    problems.push(Problem {
                        origin: Origin::Default,
                        key,
                        wrong,
                        write,
                    });
                }
            }
        }
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        for commit in commits {
            commit();
        }
        let changes = self.current.load().changes(&loaded.config);
        *self.files.lock() = loaded.files;
        self.current.store(Arc::new(loaded.config));
        self.revision.fetch_add(1, Ordering::Relaxed);
        drop(subscribers);
        Ok(changes)
    }

    /// The keys that are written otherwise than at the start and count after a restart only.
    #[must_use]
    pub fn waiting_for_restart(&self) -> Vec<String> {
        let changes = self.started.load().changes(&self.current.load());
        let waiting = changes
            .into_iter()
            .filter(|change| change.reload == Reload::Restart);
        waiting.map(|change| change.key).collect()
    }
}

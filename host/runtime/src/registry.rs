//! What is loaded, and how it is replaced.
//!
//! A package goes through its stages (`intake`) beside what serves, becomes live at once or after a
//! trial (`promote`), and is watched for a while after that. What it replaces stays loaded, so that
//! going back is a swap. Three locks, taken in this order: `intake` (one package at a time; held
//! while things compile), `shelf` (what there is; held for moments), and the one behind `changes`.

mod attempt;
mod intake;
mod listing;
mod loaded;
mod metrics;
mod promote;
mod refusal;
mod shelf;

use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::folder::{self, Unread};
use crate::foundry::Foundry;
use crate::generation::{Bell, Generation};
use crate::info::PluginInfo;
use crate::job::{JobPlugin, Jobs};
use crate::kind::Kind;
use crate::logs::{LogLine, Logs};
use crate::plugin::Plugin;
use crate::shadow::{AuthorizerTrial, PricingTrial, Shadow, ShadowReport};
use crate::state::Keep;
use crate::trust::Trust;
use arc_swap::ArcSwap;
use loaded::{Candidacy, Loaded};
use parking_lot::{Condvar, Mutex};
use refusal::Refusal;
use shelf::{Shelf, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use attempt::Tried;
pub use intake::InstallParts;
pub(crate) use metrics::ReloadMetrics;
pub use refusal::ReloadError;
pub(crate) use refusal::{NotStarted, Stage};

/// What serves calls, replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    /// In the order of their names.
    pub(crate) authorizers: Vec<Arc<Generation<Plugin<Authorizer>>>>,
    /// The live one.
    pub(crate) pricing: Option<Arc<Generation<Plugin<Pricing>>>>,
    /// All of them, by name: who wants money collected says by whom.
    pub(crate) payments: BTreeMap<String, Arc<Generation<JobPlugin<Payment>>>>,
    /// In the order of their names.
    pub(crate) configs: Vec<Arc<Generation<JobPlugin<Config>>>>,
    /// An authorizer that served before a restart and cannot be loaded: nothing is allowed without
    /// it.
    pub(crate) missing_authorizer: Option<String>,
    /// The same of what priced: nothing else prices in its place.
    pub(crate) missing_pricing: Option<String>,
    /// Candidates that shadow the authorizer of their name.
    pub(crate) authorizer_trials: Vec<Arc<AuthorizerTrial>>,
    /// Candidates for whose name there is no authorizer yet: without one, everything is allowed.
    pub(crate) new_authorizer_trials: Vec<Arc<AuthorizerTrial>>,
    /// Candidates that shadow the live pricing plugin.
    pub(crate) pricing_trials: Vec<Arc<PricingTrial>>,
}

/// What a registry stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The watched folder.
    pub(crate) dir: PathBuf,
    /// What plugins are made with.
    pub(crate) foundry: Foundry,
    /// What jobs run on.
    pub(crate) jobs: Jobs,
    /// Whose plugins are taken.
    pub(crate) trust: Trust,
    /// What survives a restart.
    pub(crate) keep: Keep,
}

/// The folder's plugins.
#[derive(Debug)]
pub(crate) struct Registry {
    ground: Ground,
    serving: ArcSwap<Serving>,
    /// One package at a time.
    intake: Mutex<()>,
    shelf: Mutex<Shelf>,
    /// One writer of the state file at a time, each with the newest state.
    persisting: Mutex<()>,
    /// How often what is listed has changed.
    changes: Mutex<u64>,
    changed: Condvar,
    bell: Arc<Bell>,
    shadow: Shadow,
    logs: Logs,
    metrics: ReloadMetrics,
}

/// When a file that has changed is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// At once: the caller knows that nobody writes.
    Once,
    /// When the next look finds the same. An editor that empties a file before it writes it must
    /// not give a plugin empty settings for a moment.
    Twice,
}

/// What a scan found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// All files are at rest.
    Settled,
    /// One is still being written: look again soon.
    Unsettled,
}

impl Registry {
    /// Nothing loaded yet.
    pub(crate) fn new(ground: Ground, metrics: ReloadMetrics) -> std::io::Result<Self> {
        let bell = Arc::new(Bell::default());
        Ok(Self {
            ground,
            serving: ArcSwap::default(),
            intake: Mutex::new(()),
            shelf: Mutex::default(),
            persisting: Mutex::new(()),
            changes: Mutex::new(0),
            changed: Condvar::new(),
            shadow: Shadow::start(Arc::clone(&bell), metrics.clone())?,
            bell,
            logs: Logs::default(),
            metrics,
        })
    }

    /// What serves now.
    pub(crate) fn serving(&self) -> arc_swap::Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// Where candidates run beside what serves.
    pub(crate) const fn shadow(&self) -> &Shadow {
        &self.shadow
    }

    /// Rung when somebody must look after the plugins.
    pub(crate) const fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// What plugins are made with.
    pub(crate) const fn foundry(&self) -> &Foundry {
        &self.ground.foundry
    }

    /// What jobs run on.
    pub(crate) const fn jobs(&self) -> &Jobs {
        &self.ground.jobs
    }

    /// The metrics of reloads.
    pub(crate) const fn metrics(&self) -> &ReloadMetrics {
        &self.metrics
    }

    /// How often what is listed has changed.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.lock()
    }

    /// Everything, in the order of names.
    pub(crate) fn infos(&self) -> Vec<PluginInfo> {
        self.shelf.lock().infos()
    }

    /// The report of the candidate under a name, or of the last one.
    pub(crate) fn report(&self, name: &str) -> Option<ShadowReport> {
        let shelf = self.shelf.lock();
        let slot = shelf.slots.get(name)?;
        let running = slot.candidate.as_ref().and_then(Candidacy::report);
        running.or_else(|| slot.report.clone())
    }

    /// The last lines that a plugin wrote.
    pub(crate) fn log(&self, name: &str, most: usize) -> Vec<LogLine> {
        self.logs.last(name, most)
    }

    /// Waits until what is listed fulfils a condition; false if it does not in time.
    pub(crate) fn wait(&self, timeout: Duration, ready: impl Fn(&[PluginInfo]) -> bool) -> bool {
        let until = Instant::now().checked_add(timeout);
        loop {
            let seen = self.changes();
            if ready(&self.infos()) {
                return true;
            }
            let mut changes = self.changes.lock();
            while *changes == seen {
                let is_over = until
                    .is_none_or(|until| self.changed.wait_until(&mut changes, until).timed_out());
                if is_over {
                    drop(changes);
                    return ready(&self.infos());
                }
            }
        }
    }

    /// Looks at the folder now; for who has just changed it.
    pub(crate) fn rescan(&self) {
        self.scan(Look::Once);
    }

    /// Looks at the folder and takes in what has changed. Every file is read whole and told by its
    /// digest: times lie, and a few files cost nothing.
    pub(crate) fn scan(&self, look: Look) -> Scan {
        let _intake = self.intake.lock();
        let dir = &self.ground.dir;
        let names = match folder::names(dir) {
            Ok(names) => names,
            Err(error) => {
                // What serves goes on serving: a folder that is away for a moment is no order to
                // stop.
                tracing::error!(dir = %dir.display(), %error, "the plugins folder cannot be read");
                return Scan::Settled;
            }
        };
        self.drop_missing(&names);
        let mut found = Scan::Settled;
        for name in names {
            let read = match folder::check_name(&name) {
                Ok(()) => folder::read(dir, &name),
                Err(why) => Err(Unread::Wrong(why)),
            };
            match read {
                Ok(files) => {
                    let fingerprint = files.package.fingerprint;
                    let waits = look == Look::Twice
                        && self.shelf.lock().slot(&name).sees_first(fingerprint);
                    match waits {
                        true => found = Scan::Unsettled,
                        false => self.take_in(&name, &files),
                    }
                }
                Err(Unread::Wrong(why)) => self.refuse_unread(&name, why),
                // What went between listing and reading is seen by the look that its going causes.
                Err(Unread::Unsettled | Unread::Gone) => found = Scan::Unsettled,
            }
        }
        self.persist();
        found
    }

    fn drop_missing(&self, names: &BTreeSet<String>) {
        let mut shelf = self.shelf.lock();
        names.clone_into(&mut shelf.names);
        let gone: Vec<String> = shelf.slots.keys().cloned().collect();
        let mut is_changed = false;
        for name in gone.into_iter().filter(|name| !names.contains(name)) {
            let Some(slot) = shelf.slots.remove(&name) else {
                continue;
            };
            tracing::info!(plugin = name, "plugin removed");
            self.count_reload("removed");
            self.metrics.forget(&name);
            let candidate = slot.candidate.as_ref().map(Candidacy::loaded);
            let previous = slot.previous.and_then(shelf::Previous::loaded);
            for loaded in [slot.live, previous, candidate].into_iter().flatten() {
                shelf.retire(&name, &loaded);
            }
            is_changed = true;
        }
        if is_changed {
            self.publish(&shelf);
        }
    }

    fn refuse_unread(&self, name: &str, why: String) {
        self.restore(name, None);
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        if slot.refused.as_ref().is_some_and(|known| known.why == why) {
            return;
        }
        slot.tried = None;
        let refusal = Refusal {
            stage: Stage::Read,
            kind: None,
            digest: String::new(),
            generation: 0,
            why,
        };
        self.refuse(name, slot, refusal);
        self.publish(&shelf);
    }

    fn refuse(&self, name: &str, slot: &mut Slot, refusal: Refusal) {
        let then = match (&slot.live, slot.missing()) {
            (Some(_), _) => "what was loaded before under its name stays live",
            (None, Some(_)) => {
                "it served before the restart: what it had a say in is refused until it is mended or its files are removed"
            }
            (None, None) => "nothing serves under its name",
        };
        tracing::error!(
            plugin = name,
            stage = refusal.stage.as_str(),
            why = refusal.why,
            then,
            "plugin refused"
        );
        self.count_reload("refused");
        self.metrics.refused(refusal.stage);
        slot.refused = Some(refusal);
    }

    fn count_reload(&self, outcome: &str) {
        let reloads = &self.ground.foundry.metrics.reloads;
        reloads.with_label_values(&[outcome]).inc();
    }

    /// Puts what is on the shelf into service, in one swap.
    fn publish(&self, shelf: &Shelf) {
        let serving = serving(shelf);
        let before = self.serving.load();
        let name = |serving: &Serving| {
            let pricing = &serving.pricing.as_ref()?.plugin;
            let name = pricing.load.candidate.name.to_string();
            Some((name, pricing.load.generation))
        };
        if let (was, Some((plugin, generation))) = (name(&before), name(&serving))
            && was.as_ref() != Some(&(plugin.clone(), generation))
        {
            tracing::info!(plugin, generation, ?was, "pricing component is live");
        }
        drop(before);
        self.serving.store(Arc::new(serving));
        self.tell();
    }

    /// Tells who waits that what is listed has changed.
    fn tell(&self) {
        let mut changes = self.changes.lock();
        *changes = changes.saturating_add(1);
        self.ground
            .foundry
            .metrics
            .generation
            .set(i64::try_from(*changes).unwrap_or(i64::MAX));
        self.changed.notify_all();
    }

    /// Writes down what serves. A host that cannot goes on, and says so.
    fn persist(&self) {
        let _writer = self.persisting.lock();
        let kept = self.shelf.lock().kept(self.ground.keep.all());
        if let Err(error) = self.ground.keep.write(kept) {
            self.metrics.unkept.inc();
            tracing::error!(%error, "what serves cannot be written down: a restart will take the plugins folder as it is; look at the disk and at the rights of the state folder");
        }
    }
}

fn serving(shelf: &Shelf) -> Serving {
    let mut serving = Serving::default();
    let live_pricing = shelf.live_pricing();
    for (name, slot) in &shelf.slots {
        match &slot.live {
            Some(Loaded::Authorizer(generation)) => {
                serving.authorizers.push(Arc::clone(generation));
            }
            Some(Loaded::Pricing(generation)) if live_pricing == Some(name) => {
                serving.pricing = Some(Arc::clone(generation));
            }
            Some(Loaded::Payment(generation)) => {
                serving
                    .payments
                    .insert(name.clone(), Arc::clone(generation));
            }
            Some(Loaded::Config(generation)) => serving.configs.push(Arc::clone(generation)),
            Some(Loaded::Pricing(_)) | None => {}
        }
        match slot.missing() {
            Some(Kind::Authorizer) => serving.missing_authorizer = Some(name.clone()),
            Some(Kind::Pricing) => serving.missing_pricing = Some(name.clone()),
            Some(Kind::Payment | Kind::Config) | None => {}
        }
        match &slot.candidate {
            Some(Candidacy::Authorizer(trial)) => match slot.live {
                Some(_) => serving.authorizer_trials.push(Arc::clone(trial)),
                None => serving.new_authorizer_trials.push(Arc::clone(trial)),
            },
            Some(Candidacy::Pricing(trial)) => serving.pricing_trials.push(Arc::clone(trial)),
            Some(Candidacy::Waiting(..)) | None => {}
        }
    }
    if serving.missing_pricing.is_some() {
        serving.pricing = None;
    }
    serving
}

//! What is loaded, and how it is replaced: a candidate takes the place of the one that runs only
//! once it has been compiled, linked and has taken its settings.

use crate::admit::admit;
use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::call::PluginInfo;
use crate::engine::Recipe;
use crate::folder::{self, Files, Unread};
use crate::foundry::Foundry;
use crate::job::{JobPlugin, Jobs};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::metrics::RuntimeMetrics;
use crate::plugin::{Candidate, Plugin};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use wasmtime::component::Component;

/// What serves calls, replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    /// In the order of their names.
    pub(crate) authorizers: Vec<Arc<Plugin<Authorizer>>>,
    /// The live one.
    pub(crate) pricing: Option<Arc<Plugin<Pricing>>>,
    /// All of them, by name: who wants money collected says by whom.
    pub(crate) payments: BTreeMap<String, Arc<JobPlugin<Payment>>>,
    /// In the order of their names.
    pub(crate) configs: Vec<Arc<JobPlugin<Config>>>,
    /// Everything, as it is listed.
    pub(crate) infos: Vec<PluginInfo>,
}

/// The folder's plugins.
#[derive(Debug)]
pub(crate) struct Registry {
    dir: PathBuf,
    foundry: Foundry,
    jobs: Jobs,
    serving: ArcSwap<Serving>,
    /// One scan at a time.
    shelf: Mutex<Shelf>,
    /// How often what serves has changed.
    changes: Mutex<u64>,
    changed: Condvar,
}

/// What is known of each name, and the last number given to a load.
#[derive(Debug, Default)]
struct Shelf {
    slots: BTreeMap<String, Slot>,
    generation: u64,
}

/// One name.
#[derive(Debug)]
struct Slot {
    /// What serves, if anything under this name was ever good.
    loaded: Option<Loaded>,
    /// What was last tried, good or bad, so that it is not tried again.
    tried: Option<[u8; 32]>,
    /// What the last look saw.
    seen: Option<[u8; 32]>,
    /// Why the last candidate was refused.
    refused: Option<Refusal>,
    modified: SystemTime,
}

#[derive(Debug, Clone)]
struct Refusal {
    digest: String,
    kind: Option<Kind>,
    why: String,
}

#[derive(Debug, Clone)]
enum Loaded {
    Authorizer(Arc<Plugin<Authorizer>>),
    Pricing(Arc<Plugin<Pricing>>),
    Payment(Arc<JobPlugin<Payment>>),
    Config(Arc<JobPlugin<Config>>),
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
    pub(crate) fn new(dir: PathBuf, foundry: Foundry, jobs: Jobs) -> Self {
        Self {
            jobs,
            dir,
            foundry,
            serving: ArcSwap::default(),
            shelf: Mutex::default(),
            changes: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    /// What serves now.
    pub(crate) fn serving(&self) -> arc_swap::Guard<Arc<Serving>> {
        self.serving.load()
    }

    /// What jobs run on.
    pub(crate) const fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The metrics.
    pub(crate) const fn metrics(&self) -> &RuntimeMetrics {
        &self.foundry.metrics
    }

    /// How often what serves has changed.
    pub(crate) fn changes(&self) -> u64 {
        *self.changes.lock()
    }

    /// Waits until what is listed fulfils a condition; false if it does not in time.
    pub(crate) fn wait(&self, timeout: Duration, ready: impl Fn(&[PluginInfo]) -> bool) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut changes = self.changes.lock();
        loop {
            if ready(&self.serving().infos) {
                return true;
            }
            let is_over =
                until.is_none_or(|until| self.changed.wait_until(&mut changes, until).timed_out());
            if is_over {
                return ready(&self.serving().infos);
            }
        }
    }

    /// Looks at the folder and takes in what has changed. Every file is read whole and told by its
    /// digest: times lie, and a few files cost nothing.
    pub(crate) fn scan(&self, look: Look) -> Scan {
        let mut shelf = self.shelf.lock();
        let names = match folder::names(&self.dir) {
            Ok(names) => names,
            Err(error) => {
                // What serves goes on serving: a folder that is away for a moment is no order to
                // stop.
                tracing::error!(dir = %self.dir.display(), %error, "the plugins folder cannot be read");
                return Scan::Settled;
            }
        };
        let mut is_changed = false;
        let mut found = Scan::Settled;
        shelf.slots.retain(|name, _| {
            let stays = names.contains(name);
            if !stays {
                tracing::info!(plugin = name, "plugin removed");
                self.foundry
                    .metrics
                    .reloads
                    .with_label_values(&["removed"])
                    .inc();
                is_changed = true;
            }
            stays
        });
        for name in names {
            let read = match folder::check_name(&name) {
                Ok(()) => folder::read(&self.dir, &name),
                Err(why) => Err(Unread::Wrong(why)),
            };
            match read {
                Ok(files) if look == Look::Twice && shelf.sees_first(&name, &files) => {
                    found = Scan::Unsettled;
                }
                Ok(files) => is_changed |= self.take_in(&mut shelf, &name, &files),
                Err(Unread::Wrong(why)) => is_changed |= self.refuse_unread(&mut shelf, &name, why),
                Err(Unread::Unsettled) => found = Scan::Unsettled,
                // It went between listing and reading; the folder changes, so another look follows.
                Err(Unread::Gone) => found = Scan::Unsettled,
            }
        }
        if is_changed {
            self.publish(&shelf);
        }
        found
    }

    /// Loads what is new under a name. True if what is listed changes.
    fn take_in(&self, shelf: &mut Shelf, name: &str, files: &Files) -> bool {
        let generation = shelf.generation.saturating_add(1);
        let compiled = shelf.compiled(&folder::hex(&files.digest));
        let slot = shelf.slots.entry(name.to_owned()).or_insert_with(Slot::new);
        let is_touched = slot.modified != files.modified;
        slot.modified = files.modified;
        if slot.tried == Some(files.fingerprint) {
            return is_touched;
        }
        slot.tried = Some(files.fingerprint);
        let start = Instant::now();
        match self.load(name, files, compiled, generation) {
            Ok(loaded) => {
                tracing::info!(
                    plugin = name,
                    kind = loaded.kind().as_str(),
                    generation,
                    digest = folder::hex(&files.digest),
                    millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "plugin loaded"
                );
                self.foundry
                    .metrics
                    .reloads
                    .with_label_values(&["loaded"])
                    .inc();
                slot.loaded = Some(loaded);
                slot.refused = None;
                shelf.generation = generation;
            }
            Err(refusal) => self.refuse(name, slot, refusal),
        }
        true
    }

    fn refuse_unread(&self, shelf: &mut Shelf, name: &str, why: String) -> bool {
        let slot = shelf.slots.entry(name.to_owned()).or_insert_with(Slot::new);
        if slot.refused.as_ref().is_some_and(|known| known.why == why) {
            return false;
        }
        slot.tried = None;
        let refusal = Refusal {
            digest: String::new(),
            kind: None,
            why,
        };
        self.refuse(name, slot, refusal);
        true
    }

    fn refuse(&self, name: &str, slot: &mut Slot, refusal: Refusal) {
        let stays = slot.loaded.is_some();
        tracing::error!(
            plugin = name,
            why = refusal.why,
            stays,
            "plugin refused; what was loaded before under its name stays live"
        );
        self.foundry
            .metrics
            .reloads
            .with_label_values(&["refused"])
            .inc();
        slot.refused = Some(refusal);
    }

    fn load(
        &self,
        name: &str,
        files: &Files,
        compiled: Option<Component>,
        generation: u64,
    ) -> Result<Loaded, Refusal> {
        let digest = folder::hex(&files.digest);
        let refusal = |kind: Option<Kind>, why: String| Refusal {
            digest: digest.clone(),
            kind,
            why,
        };
        let kind = admit(&files.wasm).map_err(|why| refusal(None, format!("{name}.wasm {why}")))?;
        let in_manifest = |why| refusal(Some(kind), format!("{name}.toml: {why}"));
        let manifest = Manifest::parse(&files.manifest).map_err(in_manifest)?;
        let usual = Limits::of(kind);
        let candidate = Candidate {
            name: name.to_owned(),
            digest: digest.clone(),
            settings: manifest.settings_json().map_err(in_manifest)?,
            limits: usual.overlaid(&manifest.limits).map_err(in_manifest)?,
            isolation: manifest.isolation,
        };
        let in_wasm = |why| refusal(Some(kind), format!("{name}.wasm {why}"));
        let grants = manifest.grants(kind).map_err(in_manifest)?;
        let foundry = &self.foundry;
        let floor = match kind {
            Kind::Authorizer | Kind::Pricing => None,
            Kind::Payment | Kind::Config => Some(self.jobs.floor().map_err(in_wasm)?),
        };
        let recipe = Recipe::of(kind);
        let engine = floor
            .as_ref()
            .map_or_else(|| foundry.engines.of(recipe), |floor| floor.engine());
        let component = match compiled {
            Some(component) => component,
            None => foundry
                .compile(&candidate, recipe, engine, &files.wasm)
                .map_err(in_wasm)?,
        };
        let loaded = match (kind, &floor) {
            (Kind::Payment, Some(floor)) => {
                JobPlugin::load(floor, candidate, component, generation, grants, foundry)
                    .map(|plugin| Loaded::Payment(Arc::new(plugin)))
            }
            (_, Some(floor)) => {
                JobPlugin::load(floor, candidate, component, generation, grants, foundry)
                    .map(|plugin| Loaded::Config(Arc::new(plugin)))
            }
            (Kind::Authorizer, None) => Plugin::load(foundry, candidate, component, generation)
                .map(|plugin| Loaded::Authorizer(Arc::new(plugin))),
            (_, None) => Plugin::load(foundry, candidate, component, generation)
                .map(|plugin| Loaded::Pricing(Arc::new(plugin))),
        };
        loaded.map_err(in_wasm)
    }

    /// Puts what is on the shelf into service, in one swap.
    fn publish(&self, shelf: &Shelf) {
        let serving = shelf.serving();
        let before = self.serving.load();
        let name = |serving: &Serving| {
            let pricing = serving.pricing.as_ref()?;
            Some((pricing.candidate.name.clone(), pricing.generation))
        };
        if let (was, Some((plugin, generation))) = (name(&before), name(&serving))
            && was.as_ref() != Some(&(plugin.clone(), generation))
        {
            tracing::info!(plugin, generation, ?was, "pricing component is live");
        }
        drop(before);
        self.serving.store(Arc::new(serving));
        let mut changes = self.changes.lock();
        *changes = changes.saturating_add(1);
        self.foundry
            .metrics
            .generation
            .set(i64::try_from(*changes).unwrap_or(i64::MAX));
        self.changed.notify_all();
    }
}

impl Shelf {
    fn serving(&self) -> Serving {
        let mut serving = Serving::default();
        let live = self.live_pricing();
        for (name, slot) in &self.slots {
            match &slot.loaded {
                Some(Loaded::Authorizer(plugin)) => {
                    serving.authorizers.push(Arc::clone(plugin));
                    serving.infos.push(plugin.info("live"));
                }
                Some(Loaded::Pricing(plugin)) => {
                    let is_live = live == Some(name);
                    let state = if is_live { "live" } else { "standby" };
                    serving.infos.push(plugin.info(state));
                    if is_live {
                        serving.pricing = Some(Arc::clone(plugin));
                    }
                }
                Some(Loaded::Payment(plugin)) => {
                    serving.payments.insert(name.clone(), Arc::clone(plugin));
                    serving.infos.push(plugin.info("live"));
                }
                Some(Loaded::Config(plugin)) => {
                    serving.configs.push(Arc::clone(plugin));
                    serving.infos.push(plugin.info("live"));
                }
                None => {}
            }
            if let Some(refusal) = &slot.refused {
                serving.infos.push(refusal.info(name));
            }
        }
        serving
    }

    /// Whether these files are new and were not yet seen by the look before.
    fn sees_first(&mut self, name: &str, files: &Files) -> bool {
        let slot = self.slots.entry(name.to_owned()).or_insert_with(Slot::new);
        let before = slot.seen.replace(files.fingerprint);
        slot.tried != Some(files.fingerprint) && before != Some(files.fingerprint)
    }

    /// The compiled component, if one with this digest serves already.
    fn compiled(&self, digest: &str) -> Option<Component> {
        self.slots.values().find_map(|slot| match &slot.loaded {
            Some(Loaded::Authorizer(plugin)) if plugin.candidate.digest == digest => {
                Some(plugin.component.clone())
            }
            Some(Loaded::Pricing(plugin)) if plugin.candidate.digest == digest => {
                Some(plugin.component.clone())
            }
            Some(Loaded::Payment(plugin)) if plugin.candidate.digest == digest => {
                Some(plugin.component.clone())
            }
            Some(Loaded::Config(plugin)) if plugin.candidate.digest == digest => {
                Some(plugin.component.clone())
            }
            _ => None,
        })
    }

    /// The pricing plugin whose file is the newest; of equally old ones, the last by name.
    fn live_pricing(&self) -> Option<&String> {
        self.slots
            .iter()
            .filter(|(_, slot)| matches!(slot.loaded, Some(Loaded::Pricing(_))))
            .max_by(|(a, x), (b, y)| (x.modified, a).cmp(&(y.modified, b)))
            .map(|(name, _)| name)
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            loaded: None,
            tried: None,
            seen: None,
            refused: None,
            modified: SystemTime::UNIX_EPOCH,
        }
    }
}

impl Refusal {
    fn info(&self, name: &str) -> PluginInfo {
        PluginInfo {
            name: name.to_owned(),
            kind: self
                .kind
                .map_or_else(String::new, |kind| kind.as_str().into()),
            version: String::new(),
            digest: self.digest.clone(),
            generation: 0,
            state: "refused".into(),
            error: Some(self.why.clone()),
        }
    }
}

impl Loaded {
    const fn kind(&self) -> Kind {
        match self {
            Self::Authorizer(_) => Kind::Authorizer,
            Self::Pricing(_) => Kind::Pricing,
            Self::Payment(_) => Kind::Payment,
            Self::Config(_) => Kind::Config,
        }
    }
}

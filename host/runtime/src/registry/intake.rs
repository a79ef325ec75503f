//! The stages that a package goes through before it may serve.

use super::loaded::Loaded;
use super::refusal::{Refusal, ReloadError, Stage};
use super::shelf::Previous;
use super::{Candidacy, Registry};
use crate::admit::admit;
use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::engine::Recipe;
use crate::folder::{self, Found};
use crate::generation::{Generation, Rules};
use crate::job::{Grants, JobPlugin, JobVectored};
use crate::kind::Kind;
use crate::limits::{Limits, MANIFEST_BYTES_MAX, WASM_BYTES_CEILING};
use crate::manifest::Manifest;
use crate::package::{Package, hex};
use crate::plugin::{Candidate, Plugin};
use crate::promotion::PromoteBy;
use crate::signature::SIGNATURE_FILE_BYTES_MAX;
use crate::vectors::{self, VECTORS_BYTES_MAX, Vectored, Vectors};
use std::fs;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Engine;
use wasmtime::component::Component;

/// What an operator hands over to be installed.
#[derive(Debug, Clone, Default)]
pub struct InstallParts {
    /// The component.
    pub wasm: Vec<u8>,
    /// `NAME.toml`.
    pub manifest: Option<String>,
    /// `NAME.sig`.
    pub signature: Option<String>,
    /// `NAME.vectors.json`.
    pub vectors: Option<String>,
}

/// A package whose kind and rules are known.
struct Draft<'a> {
    package: &'a Package,
    kind: Kind,
    candidate: Candidate,
    grants: Grants,
    rules: Rules,
}

impl Draft<'_> {
    fn refusal(&self, stage: Stage, why: String) -> Refusal {
        Refusal {
            stage,
            kind: Some(self.kind),
            digest: self.candidate.digest.clone(),
            generation: 0,
            why,
        }
    }
}

impl Registry {
    /// Takes in what the folder has under a name, unless it was tried already.
    pub(super) fn take_in(&self, name: &str, found: &Found) {
        let package = &found.package;
        let was_known = std::mem::replace(&mut self.shelf.lock().slot(name).is_restored, true);
        if !was_known {
            self.restore(name, package);
        }
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        let is_touched = slot.modified != found.modified;
        slot.modified = found.modified;
        if slot.tried == Some(package.fingerprint) {
            if is_touched {
                self.publish(&shelf);
            }
            return;
        }
        slot.tried = Some(package.fingerprint);
        let rejected = slot.rejected.as_ref();
        let rejected = rejected.filter(|old| old.fingerprint == package.fingerprint.hex());
        if let Some(rejected) = rejected {
            let refusal = Refusal {
                stage: Stage::Watch,
                kind: slot.live.as_ref().map(|live| live.member().kind()),
                digest: hex(&package.digest),
                generation: 0,
                why: rejected.why.clone(),
            };
            self.refuse(name, slot, refusal);
            self.publish(&shelf);
            return;
        }
        drop(shelf);
        self.try_package(name, package, false);
    }

    /// Has a package go through its stages and, if it passes, into service or into the shadow.
    pub(super) fn try_package(&self, name: &str, package: &Package, is_forced: bool) {
        match self.prepare(name, package) {
            Ok(loaded) => self.accept(name, loaded, package, is_forced),
            Err(refusal) => {
                let mut shelf = self.shelf.lock();
                self.refuse(name, shelf.slot(name), refusal);
                self.publish(&shelf);
            }
        }
    }

    /// Installs a package: only if it passes is anything written into the folder.
    pub(crate) fn install(&self, name: &str, parts: InstallParts) -> Result<(), ReloadError> {
        let _intake = self.intake.lock();
        let unread = |why: String| {
            self.count_reload("refused");
            self.metrics.refused(Stage::Read);
            ReloadError::Refused {
                plugin: name.to_owned(),
                stage: Stage::Read.as_str(),
                why,
            }
        };
        folder::check_name(name).map_err(unread)?;
        check_sizes(&parts).map_err(unread)?;
        let manifest = parts.manifest.unwrap_or_default();
        let package = Package::new(parts.wasm, manifest, parts.signature, parts.vectors);
        let loaded = self.prepare(name, &package).map_err(|refusal| {
            self.count_reload("refused");
            self.metrics.refused(refusal.stage);
            ReloadError::refused(name, &refusal)
        })?;
        let dir = &self.ground.dir;
        let written = folder::write(dir, name, &package)
            .and_then(|()| fs::metadata(dir.join(format!("{name}.wasm")))?.modified());
        let modified = written.map_err(|e| ReloadError::Unwritten {
            plugin: name.to_owned(),
            why: e.to_string(),
        })?;
        let mut shelf = self.shelf.lock();
        shelf.names.insert(name.to_owned());
        let slot = shelf.slot(name);
        slot.tried = Some(package.fingerprint);
        slot.modified = modified;
        slot.is_restored = true;
        drop(shelf);
        self.accept(name, loaded, &package, false);
        self.persist();
        Ok(())
    }

    /// Loads what served under a name before a restart, if the folder holds something else by now.
    fn restore(&self, name: &str, in_folder: &Package) {
        let kept = self.ground.keep.of(name);
        let is_other = |live: &String| *live != in_folder.fingerprint.hex();
        let live = kept.live.filter(is_other).map(|fingerprint| {
            let package = self.ground.keep.get(&fingerprint);
            package.and_then(|package| self.prepare(name, &package).map_err(|r| r.why))
        });
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        slot.previous = kept.previous.map(Previous::Kept);
        slot.rejected = kept.rejected;
        match live {
            Some(Ok(loaded)) => {
                tracing::info!(
                    plugin = name,
                    generation = loaded.member().number(),
                    digest = loaded.member().candidate().digest,
                    "plugin loaded as it served before the restart; the folder holds another"
                );
                slot.live = Some(loaded);
                slot.since = Instant::now();
            }
            Some(Err(why)) => {
                tracing::error!(
                    plugin = name,
                    why,
                    "what served before the restart cannot be loaded; the folder's file is tried"
                );
                // Better what was put aside than nothing at all.
                slot.rejected = None;
            }
            None => {}
        }
    }

    /// The stages up to the golden vectors. Where memory is short, what is only kept to go back to
    /// gives way.
    pub(super) fn prepare(&self, name: &str, package: &Package) -> Result<Loaded, Refusal> {
        let start = Instant::now();
        let number = {
            let mut shelf = self.shelf.lock();
            shelf.generation = shelf.generation.saturating_add(1);
            shelf.generation
        };
        let loaded = match self.stages(name, package, number) {
            Err(refusal) if refusal.stage == Stage::Start && self.give_way(name) => {
                self.stages(name, package, number)
            }
            other => other,
        };
        match &loaded {
            Ok(loaded) => {
                tracing::info!(
                    plugin = name,
                    kind = %loaded.member().kind(),
                    generation = number,
                    digest = loaded.member().candidate().digest,
                    millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "plugin loaded"
                );
                self.count_reload("loaded");
            }
            Err(_) => {
                // Nobody has seen the number.
                let mut shelf = self.shelf.lock();
                shelf.generation = shelf.generation.saturating_sub(1);
            }
        }
        loaded
    }

    fn stages(&self, name: &str, package: &Package, number: u64) -> Result<Loaded, Refusal> {
        let draft = self.draft(name, package)?;
        match draft.kind {
            Kind::Authorizer => self
                .load::<Authorizer>(draft, number)
                .map(|generation| Loaded::Authorizer(Arc::new(generation))),
            Kind::Pricing => self
                .load::<Pricing>(draft, number)
                .map(|generation| Loaded::Pricing(Arc::new(generation))),
            Kind::Payment => self
                .load_job::<Payment>(draft, number)
                .map(|generation| Loaded::Payment(Arc::new(generation))),
            Kind::Config => self
                .load_job::<Config>(draft, number)
                .map(|generation| Loaded::Config(Arc::new(generation))),
        }
    }

    /// The stages before anything is compiled.
    fn draft<'a>(&self, name: &str, package: &'a Package) -> Result<Draft<'a>, Refusal> {
        let digest = hex(&package.digest);
        let refusal = |stage, kind, why| Refusal {
            stage,
            kind,
            digest: digest.clone(),
            generation: 0,
            why,
        };
        let trust = &self.ground.trust;
        let unsigned =
            |kind, why: String| refusal(Stage::Signature, kind, format!("{name}.sig {why}"));
        trust.check(package).map_err(|why| unsigned(None, why))?;
        let kind = admit(&package.wasm)
            .map_err(|why| refusal(Stage::Admit, None, format!("{name}.wasm {why}")))?;
        trust
            .check_kind(package, kind)
            .map_err(|why| unsigned(Some(kind), why))?;
        let in_manifest = |why| refusal(Stage::Manifest, Some(kind), format!("{name}.toml: {why}"));
        let manifest = Manifest::parse(&package.manifest).map_err(in_manifest)?;
        manifest.check_promotion(kind).map_err(in_manifest)?;
        let candidate = Candidate {
            name: name.to_owned(),
            digest: digest.clone(),
            settings: manifest.settings_json().map_err(in_manifest)?,
            limits: Limits::of(kind)
                .overlaid(&manifest.limits)
                .map_err(in_manifest)?,
            isolation: manifest.isolation,
            ring: self.logs.of(name),
        };
        let grants = manifest.grants(kind).map_err(in_manifest)?;
        Ok(Draft {
            package,
            kind,
            candidate,
            grants,
            rules: Rules {
                breaker: manifest.breaker,
                promotion: manifest.promote,
                fingerprint: package.fingerprint,
                bell: Arc::clone(&self.bell),
            },
        })
    }

    fn load<W: Vectored>(
        &self,
        draft: Draft<'_>,
        number: u64,
    ) -> Result<Generation<Plugin<W>>, Refusal> {
        let name = draft.candidate.name.clone();
        let in_wasm = |stage, why| draft.refusal(stage, format!("{name}.wasm {why}"));
        let vectors = match &draft.package.vectors {
            Some(text) => Some(Vectors::<W>::parse(text).map_err(|why| {
                draft.refusal(Stage::Vectors, format!("{name}.vectors.json: {why}"))
            })?),
            None => None,
        };
        let foundry = &self.ground.foundry;
        let component = self.component(&draft, foundry.engines.of(Recipe::of(draft.kind)))?;
        let plugin = Plugin::<W>::load(foundry, draft.candidate.clone(), component, number)
            .map_err(|why| in_wasm(Stage::Start, why))?;
        if let Some(vectors) = vectors {
            let outcomes = vectors.run(&plugin);
            if let Some(why) = vectors::complaint(&outcomes) {
                return Err(in_wasm(Stage::Vectors, why));
            }
            tracing::debug!(
                plugin = name,
                vectors = vectors.len(),
                "golden vectors passed"
            );
        }
        Ok(Generation::new(plugin, draft.rules))
    }

    /// The same for a job, whose vectors have recorded exchanges.
    fn load_job<W: JobVectored>(
        &self,
        draft: Draft<'_>,
        number: u64,
    ) -> Result<Generation<JobPlugin<W>>, Refusal> {
        let name = draft.candidate.name.clone();
        let kind = draft.kind;
        let digest = draft.candidate.digest.clone();
        let refused = |stage, why| Refusal {
            stage,
            kind: Some(kind),
            digest: digest.clone(),
            generation: 0,
            why,
        };
        let in_wasm = |why| refused(Stage::Start, format!("{name}.wasm {why}"));
        let floor = self.ground.jobs.floor().map_err(in_wasm)?;
        let component = self.component(&draft, floor.engine())?;
        let Draft {
            package,
            candidate,
            grants,
            rules,
            ..
        } = draft;
        let foundry = &self.ground.foundry;
        let plugin = JobPlugin::<W>::load(&floor, candidate, component, number, grants, foundry)
            .map_err(in_wasm)?;
        if let Some(text) = &package.vectors {
            let outcomes = plugin
                .run_vectors(text)
                .map_err(|why| refused(Stage::Vectors, format!("{name}.vectors.json: {why}")))?;
            if let Some(why) = vectors::complaint(&outcomes) {
                return Err(refused(Stage::Vectors, format!("{name}.wasm {why}")));
            }
        }
        Ok(Generation::new(plugin, rules))
    }

    fn component(&self, draft: &Draft<'_>, engine: &Engine) -> Result<Component, Refusal> {
        if let Some(component) = self.compiled(&draft.candidate.digest) {
            return Ok(component);
        }
        let recipe = Recipe::of(draft.kind);
        let foundry = &self.ground.foundry;
        foundry
            .compile(&draft.candidate, recipe, engine, &draft.package.wasm)
            .map_err(|why| {
                let name = &draft.candidate.name;
                draft.refusal(Stage::Compile, format!("{name}.wasm {why}"))
            })
    }

    /// The compiled component, if one with this digest is loaded already.
    fn compiled(&self, digest: &str) -> Option<Component> {
        let shelf = self.shelf.lock();
        shelf.slots.values().find_map(|slot| {
            let candidate = slot.candidate.as_ref().map(Candidacy::loaded);
            let all = [slot.live.as_ref(), candidate.as_ref()];
            all.into_iter().flatten().find_map(|loaded| {
                let member = loaded.member();
                (member.candidate().digest == digest).then(|| member.component().clone())
            })
        })
    }

    /// Puts aside what is kept warm under a name to go back to; its files stay. False if there is
    /// nothing, or if it could not be gone back to then.
    fn give_way(&self, name: &str) -> bool {
        let mut shelf = self.shelf.lock();
        let slot = shelf.slot(name);
        let Some(Previous::Warm(loaded)) = slot.previous.take() else {
            return false;
        };
        let fingerprint = loaded.member().fingerprint();
        if !self.ground.keep.has(&fingerprint) {
            slot.previous = Some(Previous::Warm(loaded));
            return false;
        }
        slot.previous = Some(Previous::Kept(fingerprint.hex()));
        shelf.retire(name, &loaded);
        true
    }

    /// A package has passed: it serves at once, or runs beside what serves.
    fn accept(&self, name: &str, loaded: Loaded, package: &Package, is_forced: bool) {
        if let Err(error) = self.ground.keep.put(package) {
            self.metrics.unkept.inc();
            tracing::error!(plugin = name, %error, "its files cannot be kept: a rollback will not survive a restart; look at the disk and at the rights of the state folder");
        }
        let was_live = self.ground.keep.of(name).live == Some(package.fingerprint.hex());
        let mut shelf = self.shelf.lock();
        let prices = shelf.live_pricing().is_some();
        let slot = shelf.slot(name);
        slot.refused = None;
        if let Some(candidacy) = slot.candidate.take() {
            slot.report = candidacy.report();
            shelf.retire(name, &candidacy.loaded());
        }
        let compares = prices || matches!(loaded, Loaded::Authorizer(_));
        let by = loaded.member().promotion().by;
        let serves = match by {
            PromoteBy::AtOnce => true,
            // Without anything to compare it with, its rule would never come to an end.
            PromoteBy::Shadow => !compares,
            PromoteBy::Hand => false,
        };
        let is_back = was_live && shelf.slot(name).live.is_none();
        if is_forced || is_back || serves {
            let by = if is_forced { "hand" } else { "rule" };
            self.promote_slot(&mut shelf, name, loaded, by);
        } else {
            shelf.slot(name).candidate = Some(Candidacy::of(loaded));
        }
        self.publish(&shelf);
        drop(shelf);
        self.bell.ring();
    }
}

fn check_sizes(parts: &InstallParts) -> Result<(), String> {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    for (part, bytes, most) in [
        ("the component", parts.wasm.len(), WASM_BYTES_CEILING),
        ("the manifest", text(&parts.manifest), MANIFEST_BYTES_MAX),
        (
            "the signature",
            text(&parts.signature),
            SIGNATURE_FILE_BYTES_MAX,
        ),
        ("the vectors", text(&parts.vectors), VECTORS_BYTES_MAX),
    ] {
        if bytes > most {
            return Err(format!("{part} has {bytes} bytes, and may have {most}"));
        }
    }
    Ok(())
}

//! The stages that a package goes through before it may serve.

use crate::admit::admit;
use crate::bindings::authorizer::Authorizer;
use crate::bindings::config::Config;
use crate::bindings::payment::Payment;
use crate::bindings::pricing::Pricing;
use crate::engine::Recipe;
use crate::generation::{Generation, Rules};
use crate::job::{Grants, JobPlugin, JobVectored};
use crate::kind::Kind;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::package::{Package, hex};
use crate::plugin::{Candidate, Plugin};
use crate::registry::loaded::Loaded;
use crate::registry::refusal::Refusal;
use crate::registry::shelf::Previous;
use crate::registry::{Candidacy, NotStarted, Registry, Stage};
use crate::vectors::{self, Vectored, Vectors};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::Engine;
use wasmtime::component::Component;

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
            digest: self.candidate.digest.to_string(),
            generation: 0,
            why,
        }
    }
}

impl Registry {
    /// The stages up to the golden vectors. Where memory is short, what is only kept to go back to
    /// gives way.
    pub(in crate::registry) fn prepare(
        &self,
        name: &str,
        package: &Package,
    ) -> Result<Loaded, Refusal> {
        let start = Instant::now();
        let number = {
            let mut shelf = self.shelf.lock();
            shelf.generation = shelf.generation.saturating_add(1);
            shelf.generation
        };
        let loaded = match self.stages(name, package, number) {
            Err(refusal) if refusal.stage == Stage::Memory && self.give_way(name) => {
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
                    digest = &*loaded.member().candidate().digest,
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
        // Its kind is named all the same, if it has one: without some kinds a host must not go on.
        trust
            .check(package)
            .map_err(|why| unsigned(admit(&package.wasm).ok(), why))?;
        let kind = admit(&package.wasm)
            .map_err(|why| refusal(Stage::Admit, None, format!("{name}.wasm {why}")))?;
        trust
            .check_kind(package, kind)
            .map_err(|why| unsigned(Some(kind), why))?;
        let in_manifest = |why| refusal(Stage::Manifest, Some(kind), format!("{name}.toml: {why}"));
        let manifest = Manifest::parse(&package.manifest).map_err(in_manifest)?;
        manifest.check_promotion(kind).map_err(in_manifest)?;
        let candidate = Candidate {
            name: name.into(),
            digest: digest.as_str().into(),
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
        let name = Arc::clone(&draft.candidate.name);
        let in_wasm = |stage, why| draft.refusal(stage, format!("{name}.wasm {why}"));
        let vectors = match &draft.package.vectors {
            Some(text) => Some(Vectors::<W>::parse(text).map_err(|why| {
                draft.refusal(Stage::Vectors, format!("{name}.vectors.json: {why}"))
            })?),
            None => None,
        };
        let foundry = &self.ground.foundry;
        let stack_bytes = draft.candidate.limits.stack_bytes;
        let engine = foundry.engines.of(Recipe::of(draft.kind), stack_bytes);
        let engine = engine.map_err(|why| in_wasm(Stage::Link, why))?;
        let component = self.component(&draft, &engine)?;
        let plugin = Plugin::<W>::load(foundry, draft.candidate.clone(), component, number)
            .map_err(|(stage, why)| in_wasm(stage, why))?;
        if let Some(vectors) = vectors {
            let outcomes = vectors.run(&plugin);
            if let Some(why) = vectors::complaint(&outcomes) {
                return Err(in_wasm(Stage::Vectors, why));
            }
            tracing::debug!(
                plugin = &*name,
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
        let name = Arc::clone(&draft.candidate.name);
        let kind = draft.kind;
        let digest = draft.candidate.digest.to_string();
        let refused = |stage, why| Refusal {
            stage,
            kind: Some(kind),
            digest: digest.clone(),
            generation: 0,
            why,
        };
        let in_wasm = |(stage, why): NotStarted| refused(stage, format!("{name}.wasm {why}"));
        let floor = self.ground.jobs.floor(draft.candidate.limits.stack_bytes);
        let floor = floor.map_err(|why| in_wasm((Stage::Link, why)))?;
        let component = self.component(&draft, floor.engine())?;
        let Draft {
            package,
            candidate,
            grants,
            rules,
            ..
        } = draft;
        let foundry = &self.ground.foundry;
        let plugin = JobPlugin::<W>::load(&floor, candidate, component, number, &grants, foundry)
            .map_err(in_wasm)?;
        if let Some(text) = &package.vectors {
            let outcomes = plugin
                .mould
                .run_vectors(text)
                .map_err(|why| refused(Stage::Vectors, format!("{name}.vectors.json: {why}")))?;
            if let Some(why) = vectors::complaint(&outcomes) {
                return Err(refused(Stage::Vectors, format!("{name}.wasm {why}")));
            }
        }
        Ok(Generation::new(plugin, rules))
    }

    fn component(&self, draft: &Draft<'_>, engine: &Engine) -> Result<Component, Refusal> {
        if let Some(component) = self.compiled(&draft.candidate.digest, engine) {
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

    /// The compiled component, if one with this digest is loaded already and runs on this engine.
    fn compiled(&self, digest: &str, engine: &Engine) -> Option<Component> {
        let shelf = self.shelf.lock();
        shelf.slots.values().find_map(|slot| {
            let candidate = slot.candidate.as_ref().map(Candidacy::loaded);
            let all = [slot.live.as_ref(), candidate.as_ref()];
            all.into_iter().flatten().find_map(|loaded| {
                let member = loaded.member();
                let component = member.component();
                let is_it = *member.candidate().digest == *digest;
                (is_it && Engine::same(component.engine(), engine)).then(|| component.clone())
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
}

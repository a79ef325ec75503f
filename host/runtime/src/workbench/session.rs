//! One instance on the workbench.

use super::mirror::{snake, to_json, to_val};
use super::{Asked, Piece, Trial, facts};
use crate::guest::printable;
use crate::inert;
use crate::kind::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, Func, Instance, InstancePre, Linker, LinkerInstance, Resource, ResourceType, Val,
};
use wasmtime::{Engine, ResourceLimiter, Store};

/// What `describe`, `init` or a call may take: some seconds, so that an endless loop ends.
const FUEL_MAX: u64 = 5_000_000_000;

/// Memory of an instance, all its memories together: the most that `[limits]` can give.
const MEMORY_BYTES_MAX: usize = crate::limits::MEMORY_BYTES_CEILING;

/// Lines kept of one call.
const LINES_MAX: usize = 100;

/// Questions kept of one call.
const ASKED_MAX: usize = 10_000;

/// The package of the contract, as interface names begin.
const OURS: &str = "holdfast:plugin/";

/// What is kept beside an instance.
#[derive(Debug, Default)]
pub(super) struct Notes {
    input: Value,
    asked: Vec<Asked>,
    log: Vec<String>,
    environment: BTreeMap<String, String>,
    last_words: Vec<u8>,
    memory_bytes: usize,
}

impl inert::Hear for Notes {
    fn hear(&mut self, bytes: &[u8]) {
        let room = crate::limits::LOG_LINE_BYTES_MAX.saturating_sub(self.last_words.len());
        self.last_words.extend(bytes.iter().take(room));
    }
}

impl ResourceLimiter for Notes {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let sum = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        wasmtime::ensure!(
            sum <= MEMORY_BYTES_MAX,
            "it asked for more than {MEMORY_BYTES_MAX} bytes of memory"
        );
        self.memory_bytes = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= crate::limits::TABLE_ELEMENTS_MAX)
    }
}

/// The call that an authorizer borrows.
struct CallHandle;

/// Links a component: its world's imports answer from the notes, what is inert is inert, and what
/// would call out is a trap.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
    kind: Kind,
) -> wasmtime::Result<InstancePre<Notes>> {
    let mut linker = Linker::new(engine);
    let ty = component.component_type();
    // What calls out has more of WASI than the inert part, and shares its resources: there all of
    // it is a trap, which `describe`, `init` and what asks nobody never meet.
    if matches!(kind, Kind::Authorizer | Kind::Pricing) {
        let names = ty.imports(engine).map(|(name, _)| name.to_owned());
        let names: Vec<String> = names.collect();
        inert::link(&mut linker, names.iter().map(String::as_str))?;
    }
    for (name, import) in ty.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        let (interface, _) = name.split_once('@').unwrap_or((name, ""));
        if !kind.imports().contains(&interface) {
            continue;
        }
        let mut given = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::Resource(_) if interface == "holdfast:plugin/calls" => {
                    given.resource(item, ResourceType::host::<CallHandle>(), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => function(&mut given, interface, item)?,
                _ => {}
            }
        }
    }
    linker.define_unknown_imports_as_traps(component)?;
    linker.instantiate_pre(component)
}

fn function(
    given: &mut LinkerInstance<'_, Notes>,
    interface: &str,
    item: &str,
) -> wasmtime::Result<()> {
    match interface {
        "holdfast:plugin/calls" => {
            let what = snake(item.strip_prefix("[method]call.").unwrap_or(item));
            given.func_new(item, move |mut store, ty, params, results| {
                let about = match params.get(1) {
                    Some(Val::String(name)) => Some(name.as_str()),
                    _ => None,
                };
                // Lifted like this, a borrow is the host's to give back.
                if let Some(Val::Resource(call)) = params.first() {
                    call.resource_drop(&mut store)?;
                }
                let told = store.data_mut().ask(&what, about);
                let told = told.map_err(|why| wasmtime::format_err!("{why}"))?;
                give(results, ty.results().next(), &told)
                    .map_err(|why| wasmtime::format_err!("{what}: {why}"))
            })
        }
        "holdfast:plugin/log" => given.func_new(item, |mut store, _, params, _| {
            if let [Val::Enum(level), Val::String(line)] = params {
                store.data_mut().note(level, line);
            }
            Ok(())
        }),
        "holdfast:plugin/environment" => given.func_new(item, |store, ty, params, results| {
            let granted = &store.data().environment;
            let told = match params.first() {
                Some(Val::String(name)) => granted.get(name).map_or(Value::Null, |v| json!(v)),
                _ => json!(granted.keys().collect::<Vec<_>>()),
            };
            give(results, ty.results().next(), &told).map_err(|why| wasmtime::format_err!("{why}"))
        }),
        _ => Ok(()),
    }
}

fn give(
    results: &mut [Val],
    ty: Option<wasmtime::component::Type>,
    told: &Value,
) -> Result<(), String> {
    let ty = ty.ok_or("has no answer")?;
    let place = results.first_mut().ok_or("has no answer")?;
    *place = to_val(&ty, told)?;
    Ok(())
}

impl Notes {
    fn ask(&mut self, what: &str, about: Option<&str>) -> Result<Value, String> {
        let answer = facts::answer(&self.input, what, about)?;
        if self.asked.len() < ASKED_MAX {
            self.asked.push(Asked {
                what: what.to_owned(),
                about: about.map(str::to_owned),
                answer: answer.clone(),
            });
        }
        Ok(answer)
    }

    fn note(&mut self, level: &str, line: &str) {
        if self.log.len() < LINES_MAX {
            self.log.push(format!("{level}: {}", printable(line)));
        }
    }
}

/// A started instance.
pub(super) struct Session {
    kind: Kind,
    component: Component,
    store: Store<Notes>,
    instance: Instance,
}

impl Session {
    /// Makes an instance.
    pub(super) fn start(piece: &Piece) -> Result<Self, String> {
        let mut store = Store::new(piece.component.engine(), Notes::default());
        store.limiter(|notes| notes);
        let refuel = |e: wasmtime::Error| format!("cannot be started: {e:#}");
        store.set_fuel(FUEL_MAX).map_err(refuel)?;
        let instance = piece.pre.instantiate(&mut store).map_err(refuel)?;
        Ok(Self {
            kind: piece.kind,
            component: piece.component.clone(),
            store,
            instance,
        })
    }

    /// Sets what it may read of the environment.
    pub(super) fn grant(&mut self, environment: Option<&Value>) -> Result<(), String> {
        if let Some(environment) = environment {
            let granted = serde_json::from_value(environment.clone());
            self.store.data_mut().environment =
                granted.map_err(|e| format!("environment: write an object of texts ({e})"))?;
        }
        Ok(())
    }

    /// What it says of itself.
    pub(super) fn describe(&mut self) -> Result<Value, String> {
        let describe = self.export(None, "describe")?;
        let (said, _) = self.run(describe, "describe", &[])?;
        Ok(said)
    }

    /// Hands the settings over; how much fuel that took.
    pub(super) fn init(&mut self, settings: &str) -> Result<u64, String> {
        let init = self.export(None, "init")?;
        let (said, fuel) = self.run(init, "init", &[Val::String(settings.to_owned())])?;
        match said.get("error") {
            Some(why) => Err(format!(
                "init: {}",
                printable(why.as_str().unwrap_or_default())
            )),
            None => Ok(fuel),
        }
    }

    /// What it needs.
    pub(super) fn needs(&mut self) -> Result<Vec<Value>, String> {
        let needs = self.export(None, "needs")?;
        let (said, _) = self.run(needs, "needs", &[])?;
        Ok(said.as_array().cloned().unwrap_or_default())
    }

    /// Memory that it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    /// Asks it what its world is for.
    pub(super) fn call(&mut self, input: &Value) -> Result<Trial, String> {
        let notes = self.store.data_mut();
        notes.asked.clear();
        notes.log.clear();
        let (output, fuel) = match self.kind {
            Kind::Pricing => {
                let input = with_defaults(input)?;
                self.ask("rating", "rate", &[("usage", &input)])?
            }
            Kind::Authorizer => self.authorize(input)?,
            Kind::Config => self.configure(input)?,
            Kind::Payment => {
                return Err("a payment plugin calls out, and here nobody answers".into());
            }
        };
        let notes = self.store.data();
        Ok(Trial {
            output,
            fuel,
            asked: notes.asked.clone(),
            log: notes.log.clone(),
        })
    }

    fn authorize(&mut self, input: &Value) -> Result<(Value, u64), String> {
        facts::check(input)?;
        self.store.data_mut().input = input.clone();
        let authorize = self.export(Some("authorization"), "authorize")?;
        let call = Resource::<CallHandle>::new_own(0)
            .try_into_resource_any(&mut self.store)
            .map_err(|e| format!("cannot be called: {e:#}"))?;
        let (said, fuel) = self.run(authorize, "authorize", &[Val::Resource(call)])?;
        call.resource_drop(&mut self.store)
            .map_err(|e| format!("keeps hold of the call: {e:#}"))?;
        Ok((json!({ "ok": said }), fuel))
    }

    fn configure(&mut self, input: &Value) -> Result<(Value, u64), String> {
        if let Some(current) = input.get("supply") {
            return self.ask("configuration", "supply", &[("supply", current)]);
        }
        let proposed = input.pointer("/check/proposed").ok_or(
            "the input must be {\"supply\": …} or {\"check\": {\"proposed\": …, \"current\": …}}",
        )?;
        let current = input.pointer("/check/current").unwrap_or(&Value::Null);
        let parameters = [("check.proposed", proposed), ("check.current", current)];
        self.ask("configuration", "check", &parameters)
    }

    /// Calls a function with parameters as vectors write them; each has the name of its place.
    fn ask(
        &mut self,
        interface: &str,
        name: &str,
        parameters: &[(&str, &Value)],
    ) -> Result<(Value, u64), String> {
        let func = self.export(Some(interface), name)?;
        let ty = func.ty(&self.store);
        let typed = ty.params().zip(parameters);
        let values = typed
            .map(|((_, ty), (place, json))| {
                to_val(&ty, json).map_err(|why| format!("input.{place}.{why}"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.run(func, name, &values)
    }

    fn run(&mut self, func: Func, name: &str, params: &[Val]) -> Result<(Value, u64), String> {
        let trapped = |e: &dyn std::fmt::Display| format!("{name}: {e}");
        self.store.data_mut().last_words.clear();
        self.store.set_fuel(FUEL_MAX).map_err(|e| trapped(&e))?;
        let mut results = vec![Val::Bool(false); func.ty(&self.store).results().len()];
        if let Err(error) = func.call(&mut self.store, params, &mut results) {
            let words = String::from_utf8_lossy(&self.store.data().last_words).into_owned();
            let words = match words.trim() {
                "" => String::new(),
                words => format!(": {}", printable(words)),
            };
            let cause = error.root_cause();
            return Err(format!("{name}: it trapped ({cause}){words}"));
        }
        let left = self.store.get_fuel().map_err(|e| trapped(&e))?;
        let said = results.first().map_or(Value::Null, to_json);
        Ok((said, FUEL_MAX.saturating_sub(left)))
    }

    /// A function that the component exports, of an interface of ours or by itself.
    fn export(&mut self, interface: Option<&str>, name: &str) -> Result<Func, String> {
        let missing = || format!("exports no {name}; build it with the wit/ of this host");
        let within = match interface {
            None => None,
            Some(interface) => {
                let full = self.full_name(interface).ok_or_else(missing)?;
                let index = self.instance.get_export_index(&mut self.store, None, &full);
                Some(index.ok_or_else(missing)?)
            }
        };
        let index = self
            .instance
            .get_export_index(&mut self.store, within.as_ref(), name)
            .ok_or_else(missing)?;
        self.instance
            .get_func(&mut self.store, index)
            .ok_or_else(missing)
    }

    /// The interface's name with the version that the component has.
    fn full_name(&self, interface: &str) -> Option<String> {
        let engine = self.component.engine();
        let ty = self.component.component_type();
        let wanted = format!("{OURS}{interface}");
        ty.exports(engine).map(|(name, _)| name).find_map(|name| {
            let (bare, _) = name.split_once('@').unwrap_or((name, ""));
            (bare == wanted).then(|| name.to_owned())
        })
    }
}

/// A usage with what a vector may leave out.
fn with_defaults(input: &Value) -> Result<Value, String> {
    let mut input = input.clone();
    let object = input.as_object_mut().ok_or("the input must be an object")?;
    let account = object
        .get("account")
        .and_then(Value::as_str)
        .unwrap_or("acme/web")
        .to_owned();
    let (tenant, _) = account.split_once('/').unwrap_or((account.as_str(), ""));
    for (field, value) in [
        ("tenant", json!(tenant)),
        ("account", json!(account)),
        ("attributes", json!({})),
        ("period", json!({ "start": 0, "end": 0 })),
    ] {
        object.entry(field).or_insert(value);
    }
    Ok(input)
}

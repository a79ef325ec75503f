//! What was in a slot of the pool is gone when the next guest has it.

use super::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use wasmtime::{Func, Instance, Module, Ref, Store, Val};

/// Pages that a guest fills: far more than stay in place.
const PAGES: u64 = 64;

/// Elements of a table that it fills: more than stay in place.
const ELEMENTS: u64 = 8_000;

/// The secret, in every byte of the memory.
const SECRET: u8 = 0xa5;

/// A module with something of each kind, all of which it may change.
fn module(engine: &Engine, data: &str) -> Module {
    let text = format!(
        r#"(module
            (memory (export "memory") 2 {PAGES})
            (data (i32.const 65536) "{data}")
            (global (export "global") (mut i64) (i64.const 7))
            (table (export "table") 4 {ELEMENTS} funcref))"#
    );
    Module::new(engine, wat::parse_str(text).unwrap()).unwrap()
}

fn instance(engine: &Engine, module: &Module) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1_000_000);
    // Refused by the engine that counts none.
    let _ = store.set_fuel(1_000_000_000);
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    (store, instance)
}

/// Writes the secret wherever a guest can.
fn leave(store: &mut Store<()>, instance: &Instance) {
    let memory = instance.get_memory(&mut *store, "memory").unwrap();
    memory.grow(&mut *store, PAGES - 2).unwrap();
    memory.data_mut(&mut *store).fill(SECRET);
    let global = instance.get_global(&mut *store, "global").unwrap();
    global.set(&mut *store, Val::I64(42)).unwrap();
    let table = instance.get_table(&mut *store, "table").unwrap();
    let func = Ref::Func(Some(Func::wrap(&mut *store, || ())));
    table.grow(&mut *store, ELEMENTS - 4, func.clone()).unwrap();
    table.fill(&mut *store, 0, func, ELEMENTS).unwrap();
}

/// Looks for it, also in what is there only after growing.
fn look(store: &mut Store<()>, instance: &Instance, data: &str) {
    let memory = instance.get_memory(&mut *store, "memory").unwrap();
    assert_eq!(memory.size(&*store), 2);
    memory.grow(&mut *store, PAGES - 2).unwrap();
    let mut expected = vec![0; memory.data_size(&*store)];
    expected[65_536..65_536 + data.len()].copy_from_slice(data.as_bytes());
    let at = |(n, (is, was)): (usize, (&u8, &u8))| (is != was).then_some(n);
    let pairs = memory.data(&*store).iter().zip(&expected).enumerate();
    let wrong: Vec<usize> = pairs.filter_map(at).collect();
    assert!(
        wrong.is_empty(),
        "{} bytes from {:?} on",
        wrong.len(),
        wrong.first()
    );
    let global = instance.get_global(&mut *store, "global").unwrap();
    assert_eq!(global.get(&mut *store).i64(), Some(7));
    let table = instance.get_table(&mut *store, "table").unwrap();
    assert_eq!(table.size(&*store), 4);
    table
        .grow(&mut *store, ELEMENTS - 4, Ref::Func(None))
        .unwrap();
    for n in 0..ELEMENTS {
        let is_null = table.get(&mut *store, n).unwrap().is_null();
        assert!(is_null, "element {n}");
    }
}

fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[test]
fn another_size_of_stacks_is_another_engine_made_once() {
    let engines = Engines::start().unwrap();
    let usual = engines.of(Recipe::Timed, WASM_STACK_BYTES).unwrap();
    assert!(Engine::same(&usual, &engines.timed));
    for recipe in [Recipe::Timed, Recipe::Metered] {
        let small = engines.of(recipe, 64 * 1024).unwrap();
        assert_eq!(small.get_max_wasm_stack(), 64 * 1024);
        let again = engines.of(recipe, 64 * 1024).unwrap();
        assert!(Engine::same(&small, &again));
        // What was compiled for one is good for the other.
        let usual = engines.of(recipe, WASM_STACK_BYTES).unwrap();
        assert_eq!(compatibility(&small), compatibility(&usual));
    }
    assert_eq!(engines.others.lock().len(), 2);
    assert_eq!(engines.ticked.lock().len(), 4);
}

#[test]
fn a_slot_that_is_used_again_has_nothing_of_the_guest_before() {
    for recipe in [Recipe::Timed, Recipe::Metered] {
        let mut config = recipe.config();
        // One slot, so that each guest has that of the one before.
        let engine = Engine::new(config.allocation_strategy(pool(1))).unwrap();
        let (one, other) = (module(&engine, "shipped"), module(&engine, "also shipped"));
        let mut place = None;
        for (module, data) in [(&one, "shipped"), (&one, "shipped")]
            .into_iter()
            .chain([(&other, "also shipped"), (&one, "shipped")])
        {
            let (mut store, instance) = instance(&engine, module);
            look(&mut store, &instance, data);
            drop(store);
            let (mut store, instance) = self::instance(&engine, module);
            leave(&mut store, &instance);
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            let here = memory.data_ptr(&store);
            assert_eq!(*place.get_or_insert(here), here, "{recipe:?}");
        }
    }
}

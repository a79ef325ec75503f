//! Binds a component to what its world has.

use crate::guest::Guest;
use crate::inert;
use crate::world::World;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};

/// Links what the world has and the inert imports. What of those nobody has ever called is a trap:
/// only names on the list of inert imports were admitted.
pub(crate) fn link<W: World>(engine: &Engine, component: &Component) -> wasmtime::Result<W::Pre> {
    let mut ours = Linker::<Guest>::new(engine);
    W::link(&mut ours)?;
    refuse_unknown_functions(engine, component, &mut ours)?;
    let mut linker = Linker::new(engine);
    W::link(&mut linker)?;
    let component_type = component.component_type();
    let imports = component_type.imports(engine).map(|(name, _)| name);
    inert::link(&mut linker, imports)?;
    linker.define_unknown_imports_as_traps(component)?;
    W::pre(linker.instantiate_pre(component)?)
}

/// Refuses a component that wants a function of ours which this host does not have: it was built
/// against a newer `wit/`, and would trap in the middle of a call. The linker has our functions and
/// no others, and is of no use afterwards: what was free in it may be taken.
pub(crate) fn refuse_unknown_functions<T: 'static>(
    engine: &Engine,
    component: &Component,
    ours: &mut Linker<T>,
) -> wasmtime::Result<()> {
    for (interface, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !interface.starts_with("holdfast:plugin/") {
            continue;
        }
        for (function, export) in instance.exports(engine) {
            // Only a name that is still free can be given to something.
            let free = matches!(export.ty, ComponentItem::ComponentFunc(_))
                && ours
                    .instance(interface)?
                    .func_new(function, |_, _, _, _| Ok(()))
                    .is_ok();
            wasmtime::ensure!(
                !free,
                "imports {interface}#{function}, which this host does not have; \
                 build it against the wit/ of this version"
            );
        }
    }
    Ok(())
}

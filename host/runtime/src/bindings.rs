//! What wasmtime generates from `wit/`. Nothing outside this crate sees it.

/// The `authorizer` world.
pub(crate) mod authorizer {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "authorizer",
        with: { "holdfast:plugin/calls.call": crate::facts::Facts },
    });
}

/// The `pricing` world.
pub(crate) mod pricing {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "pricing",
    });
}

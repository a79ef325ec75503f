//! What wasmtime generates from `wit/`. Nothing outside this crate sees it.

#![expect(clippy::all, reason = "generated code, documented in the WIT files")]

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

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

/// The `payment` world.
pub(crate) mod payment {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "payment",
        exports: { default: async },
        with: {
            "holdfast:plugin/log": crate::bindings::authorizer::holdfast::plugin::log,
            "holdfast:plugin/types": crate::bindings::authorizer::holdfast::plugin::types,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
        },
    });
}

/// The `config` world.
pub(crate) mod config {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "config",
        exports: { default: async },
        with: {
            "holdfast:plugin/log": crate::bindings::authorizer::holdfast::plugin::log,
            "holdfast:plugin/types": crate::bindings::authorizer::holdfast::plugin::types,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:http": wasmtime_wasi_http::p2::bindings::http,
            "wasi:io": wasmtime_wasi::p2::bindings::io,
        },
    });
}

//! What is generated from `wit/`; the other modules give it a friendlier face.

#![expect(missing_docs, reason = "generated code, documented in the WIT files")]

/// The `authorizer` world.
pub mod authorizer {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "authorizer",
        pub_export_macro: true,
        export_macro_name: "export_authorizer_bindings",
        default_bindings_module: "holdfast_plugin::bindings::authorizer",
    });
}

/// The `pricing` world.
pub mod pricing {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "pricing",
        pub_export_macro: true,
        export_macro_name: "export_pricing_bindings",
        default_bindings_module: "holdfast_plugin::bindings::pricing",
    });
}

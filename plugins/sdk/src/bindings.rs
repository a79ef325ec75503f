//! What is generated from `wit/`; the other modules give it a friendlier face.
//!
//! What several worlds share is generated once, in [`shared`] and [`http`], and the worlds point
//! there, so that an amount of money is one type for all of them.

#![expect(missing_docs, reason = "generated code, documented in the WIT files")]

/// What every world shares.
pub mod shared {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package holdfast:sdk;
            world shared {
                import holdfast:plugin/types@1.0.0;
                import holdfast:plugin/log@1.0.0;
            }
        ",
        generate_all,
        additional_derives: [PartialEq, Eq],
    });
}

/// Outgoing HTTP.
pub mod http {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package holdfast:sdk;
            world http {
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        generate_all,
    });
}

/// The `authorizer` world.
pub mod authorizer {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "authorizer",
        pub_export_macro: true,
        export_macro_name: "export_authorizer_bindings",
        default_bindings_module: "holdfast_plugin::bindings::authorizer",
        with: {
            "holdfast:plugin/types@1.0.0": crate::bindings::shared::holdfast::plugin::types,
            "holdfast:plugin/log@1.0.0": crate::bindings::shared::holdfast::plugin::log,
        },
        additional_derives: [PartialEq, Eq],
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
        with: {
            "holdfast:plugin/types@1.0.0": crate::bindings::shared::holdfast::plugin::types,
        },
        additional_derives: [PartialEq, Eq],
    });
}

/// The `payment` world.
pub mod payment {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "payment",
        pub_export_macro: true,
        export_macro_name: "export_payment_bindings",
        default_bindings_module: "holdfast_plugin::bindings::payment",
        with: {
            "holdfast:plugin/types@1.0.0": crate::bindings::shared::holdfast::plugin::types,
            "holdfast:plugin/log@1.0.0": crate::bindings::shared::holdfast::plugin::log,
            "wasi:clocks/monotonic-clock@0.2.12":
                crate::bindings::http::wasi::clocks::monotonic_clock,
            "wasi:http/outgoing-handler@0.2.12": crate::bindings::http::wasi::http::outgoing_handler,
            "wasi:http/types@0.2.12": crate::bindings::http::wasi::http::types,
            "wasi:io/error@0.2.12": crate::bindings::http::wasi::io::error,
            "wasi:io/poll@0.2.12": crate::bindings::http::wasi::io::poll,
            "wasi:io/streams@0.2.12": crate::bindings::http::wasi::io::streams,
        },
        additional_derives: [PartialEq, Eq],
    });
}

/// The `config` world.
pub mod config {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "config",
        pub_export_macro: true,
        export_macro_name: "export_config_bindings",
        default_bindings_module: "holdfast_plugin::bindings::config",
        with: {
            "holdfast:plugin/types@1.0.0": crate::bindings::shared::holdfast::plugin::types,
            "holdfast:plugin/log@1.0.0": crate::bindings::shared::holdfast::plugin::log,
            "wasi:clocks/monotonic-clock@0.2.12":
                crate::bindings::http::wasi::clocks::monotonic_clock,
            "wasi:http/outgoing-handler@0.2.12": crate::bindings::http::wasi::http::outgoing_handler,
            "wasi:http/types@0.2.12": crate::bindings::http::wasi::http::types,
            "wasi:io/error@0.2.12": crate::bindings::http::wasi::io::error,
            "wasi:io/poll@0.2.12": crate::bindings::http::wasi::io::poll,
            "wasi:io/streams@0.2.12": crate::bindings::http::wasi::io::streams,
        },
        generate_all,
        additional_derives: [PartialEq, Eq],
    });
}

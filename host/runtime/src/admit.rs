//! The first look at a file, before anything is compiled: is it a component, of which world, and
//! does it import only what that world has?

use crate::inert;
use crate::kind::Kind;
use crate::limits::WASM_BYTES_CEILING;
use std::collections::BTreeSet;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload};

/// The version of our package that this host speaks.
const PACKAGE_MAJOR: &str = "1.";

/// Looks at a file; the error says what it is instead and how to mend it.
pub(crate) fn admit(bytes: &[u8]) -> Result<Kind, String> {
    if bytes.is_empty() {
        return Err("is empty; copy the component again".into());
    }
    if bytes.len() > WASM_BYTES_CEILING {
        return Err(format!(
            "has {} bytes, and a plugin may have {WASM_BYTES_CEILING}; build it with --release, opt-level = \"s\" and strip = true",
            bytes.len()
        ));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(
            "is code that was compiled somewhere else, which is never run here; install the component that it was compiled from"
                .into(),
        );
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(
            "is no WebAssembly component (it does not begin as one); build for wasm32-wasip2"
                .into(),
        );
    }
    let names = Names::of(bytes)?;
    let kind = names.kind()?;
    for import in &names.imports {
        let (interface, version) = import.split_once('@').unwrap_or((import, ""));
        let is_ours = kind.imports().contains(&interface);
        if is_ours && !version.starts_with(PACKAGE_MAJOR) {
            return Err(version_error(import));
        }
        let is_wasi = kind.wasi().contains(&interface) || inert::INTERFACES.contains(&interface);
        if !is_ours && !is_wasi {
            return Err(forbidden_import(kind, import));
        }
    }
    Ok(kind)
}

fn forbidden_import(kind: Kind, import: &str) -> String {
    let mend = if import.starts_with("wasi:random") {
        "take BTreeMap for HashMap, whose random state needs it"
    } else if import.starts_with("wasi:clocks") {
        "take times from what the host hands in"
    } else {
        "leave it out"
    };
    format!(
        "imports {import}, which the {} world does not have; {mend}",
        kind.as_str()
    )
}

fn version_error(name: &str) -> String {
    format!(
        "is built for {name}, and this host has holdfast:plugin@1.0.0; build it with the wit/ of this host"
    )
}

/// The names at a component's own level, not those of what is nested in it.
#[derive(Debug, Default)]
struct Names {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

impl Names {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let broken = |e: &dyn std::fmt::Display| {
            format!("is a broken WebAssembly component ({e}); copy or build it again")
        };
        let mut names = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|e| broken(&e))? {
                Payload::Version { encoding, .. } => {
                    depth = depth.saturating_add(1);
                    if depth == 1 && encoding == Encoding::Module {
                        return Err(
                            "is no WebAssembly component (a core module: build for wasm32-wasip2)"
                                .into(),
                        );
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(|e| broken(&e))?;
                        // A type alone (as a world's own `use` makes) brings nothing to call.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            names.imports.insert(import.name.name.to_owned());
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(|e| broken(&e))?;
                        names.exports.insert(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(names)
    }

    fn kind(&self) -> Result<Kind, String> {
        for kind in Kind::ALL {
            let found = self.exports.iter().find(|export| {
                let (interface, _) = export.split_once('@').unwrap_or((export, ""));
                interface == kind.export()
            });
            if let Some(export) = found {
                let (_, version) = export.split_once('@').unwrap_or_default();
                return match version.starts_with(PACKAGE_MAJOR) {
                    true => Ok(kind),
                    false => Err(version_error(export)),
                };
            }
        }
        let exports: Vec<&str> = self.exports.iter().map(String::as_str).take(8).collect();
        Err(format!(
            "exports none of the worlds {} of holdfast:plugin@1.0.0: exports {}",
            Kind::ALL.map(Kind::as_str).join(", "),
            match exports.is_empty() {
                true => "nothing".to_owned(),
                false => exports.join(", "),
            }
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_from_elsewhere_is_told_from_components() {
        let empty = b"\0asm\x0d\0\x01\0";
        let compiled = wasmtime::Engine::default()
            .precompile_component(empty)
            .unwrap();
        let refused = admit(&compiled).unwrap_err();
        assert!(refused.contains("compiled somewhere else"), "{refused}");
    }

    #[test]
    fn what_is_no_component_says_what_it_is() {
        let large = vec![0; WASM_BYTES_CEILING + 1];
        for (bytes, named) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh", "no WebAssembly component"),
            (b"\0asm\x01\0\0\0", "core module"),
            (b"\0asm\x0d\0\x01\0", "exports nothing"),
            (b"\0asm\x0d\0\x01\0\xff\xff", "broken"),
            (b"\0as", "no WebAssembly component"),
            (&large, "may have"),
        ] {
            let refused = admit(bytes).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }
}

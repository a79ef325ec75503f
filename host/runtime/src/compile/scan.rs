//! A look through a component before it is compiled: is anything in it larger than the compiler
//! should have to bear?
//!
//! Compiling takes time in proportion to the file, but for a few things that take more than their
//! size lets expect: a single function of megabytes, blocks nested by the thousand, components
//! within components. All of these are bounded here; whether the file is valid is for the compiler
//! to say.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// Functions of all modules together. Python has some twenty thousand.
const FUNCTIONS_MAX: usize = 200_000;

/// Bytes of one function. The largest that compilers make, the loops of interpreters, have some
/// hundred thousand; memory and time of compiling a function grow faster than its size.
const FUNCTION_BYTES_MAX: usize = 1024 * 1024;

/// Blocks within blocks in one function. A `switch` is one per case.
const BLOCKS_DEEP_MAX: usize = 4_000;

/// Components within components.
const COMPONENTS_DEEP_MAX: usize = 16;

/// Modules and components in one file. Python's libraries are modules of their own.
const PARTS_MAX: usize = 256;

/// Looks through a component. The error says what is too large.
pub(crate) fn check(wasm: &[u8]) -> Result<(), String> {
    let mut depth = 0_usize;
    let mut parts = 0_usize;
    let mut functions = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|e| broken(&e))? {
            Payload::Version { .. } => {
                depth = depth.saturating_add(1);
                parts = parts.saturating_add(1);
                within(
                    "components nested in each other",
                    depth,
                    COMPONENTS_DEEP_MAX,
                )?;
                within("modules and components", parts, PARTS_MAX)?;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CodeSectionEntry(body) => {
                functions = functions.saturating_add(1);
                within("functions", functions, FUNCTIONS_MAX)?;
                check_function(&body)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_function(body: &FunctionBody<'_>) -> Result<(), String> {
    let bytes = body.range().len();
    within("bytes in one function", bytes, FUNCTION_BYTES_MAX)?;
    let mut depth = 0_usize;
    for operator in body.get_operators_reader().map_err(|e| broken(&e))? {
        match operator.map_err(|e| broken(&e))? {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => {
                depth = depth.saturating_add(1);
                within("blocks nested in each other", depth, BLOCKS_DEEP_MAX)?;
            }
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn within(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most {
        return Ok(());
    }
    Err(format!(
        "has more than {most} {what}, which this host does not compile; build it with --release, or split it up"
    ))
}

fn broken(error: &dyn std::fmt::Display) -> String {
    format!("is a broken WebAssembly component ({error}); copy or build it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component around a module with one function of this body.
    fn around(body: &[u8]) -> Vec<u8> {
        let mut function = leb(body.len() + 2);
        function.push(0);
        function.extend(body);
        function.push(0x0b);
        let mut code = vec![1];
        code.extend(function);
        let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a".to_vec();
        module.extend(leb(code.len()));
        module.extend(code);
        within_component(1, &module)
    }

    /// A component with one section.
    fn within_component(section: u8, content: &[u8]) -> Vec<u8> {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.push(section);
        component.extend(leb(content.len()));
        component.extend(content);
        component
    }

    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(number & 0x7f).unwrap();
            number >>= 7;
            if number == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    #[test]
    fn what_is_small_may_pass() {
        check(&around(&[0x01, 0x01])).unwrap();
        check(&within_component(4, &around(&[]))).unwrap();
    }

    #[test]
    fn what_is_too_large_is_named() {
        let long = vec![0x01; FUNCTION_BYTES_MAX];
        let deep = [
            [0x02, 0x40].repeat(BLOCKS_DEEP_MAX + 1),
            vec![0x0b; BLOCKS_DEEP_MAX + 1],
        ]
        .concat();
        let mut nested = around(&[]);
        for _ in 0..COMPONENTS_DEEP_MAX {
            nested = within_component(4, &nested);
        }
        let mut many = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..PARTS_MAX {
            many.extend(b"\x01\x08\0asm\x01\0\0\0");
        }
        for (wasm, named) in [
            (around(&long), "bytes in one function"),
            (around(&deep), "blocks nested"),
            (nested, "components nested"),
            (many, "modules and components"),
        ] {
            let refused = check(&wasm).unwrap_err();
            assert!(refused.contains(named), "{refused}");
        }
    }

    #[test]
    fn what_is_broken_says_so() {
        let whole = around(&[0x01]);
        for wasm in [&around(&[0xff, 0xff])[..], &whole[..whole.len() - 1]] {
            let refused = check(wasm).unwrap_err();
            assert!(refused.contains("broken"), "{refused}");
        }
    }
}

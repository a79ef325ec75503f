//! What a hostile guest does, whatever its world. See `kit.json` for when, and for what the host
//! must say.

mod outside;
mod secret;

pub use outside::call_out;
pub use secret::look_and_leave;

/// What to do before there are settings. The kit writes other words of the same length over these
/// in the finished file: `start-loop`, `start-trap`, `describe-loop`, `describe-trap`, …
static BEFORE: [u8; 32] = *b"hostile-before=nothing..........";

/// Frames that take more than 64 KiB of the engine's stack and less than 512 KiB, at any size from
/// 11 to 87 bytes.
const DEEP: u32 = 6_000;

/// What everybody here can do; returns only if the deed is none of these.
pub fn common(deed: &str) {
    match deed {
        "loop" => forever(),
        "trap" => std::process::abort(),
        "exit" => std::process::exit(0),
        "panic" => out_of_bounds(),
        "panic-control-characters" => forge_log_line(),
        "memory" => bomb(),
        "stack" => drop(std::hint::black_box(dive(1))),
        "deep" => drop(std::hint::black_box(dive_to(DEEP))),
        "wide-stack" => drop(std::hint::black_box(dive_wide(1))),
        "handles" => hoard_handles(),
        _ => {}
    }
}

/// Does what stands in the file for the very start of an instance.
pub extern "C" fn at_start() {
    if let Some(deed) = before().strip_prefix("start-") {
        common(deed);
    }
}

/// What stands in the file for `describe`.
#[must_use]
pub fn in_describe() -> &'static str {
    before().strip_prefix("describe-").unwrap_or_default()
}

/// The name that `describe` gives, or what it is told to give in its place.
#[must_use]
pub fn name(deed: &str, usual: &str) -> String {
    match deed {
        "long" => "x".repeat(300),
        "control" => "a\nb".into(),
        "gigabyte" => gigabyte(),
        _ => usual.into(),
    }
}

/// Does what `init` is told; an error if it is to refuse its settings.
///
/// # Errors
/// As told.
pub fn init(deed: &str) -> Result<(), String> {
    let Some(deed) = deed.strip_prefix("init-") else {
        return Ok(());
    };
    common(deed);
    Err(match deed {
        "error" => "settings.do: this will never do".into(),
        "error-control-characters" => "a\u{1b}[31mb\nERROR all is lost".into(),
        "error-long" => "x".repeat(1 << 16),
        "error-gigabyte" => gigabyte(),
        other => format!("settings.do: no such deed: init-{other}"),
    })
}

/// A text that claims to have a gigabyte, in a memory of a few.
#[must_use]
pub fn gigabyte() -> String {
    const GIGABYTE: usize = 1 << 30;
    let start = Box::leak(Box::new([b'x'])).as_mut_ptr();
    #[expect(
        unsafe_code,
        reason = "lying is what it is for; nobody here reads the text"
    )]
    // SAFETY: none. The memory ends long before the text does.
    unsafe {
        String::from_raw_parts(start, GIGABYTE, GIGABYTE)
    }
}

/// A text that is none: bytes that are not UTF-8.
#[must_use]
pub fn not_utf8() -> String {
    #[expect(unsafe_code, reason = "lying is what it is for")]
    // SAFETY: none. The host must look.
    unsafe {
        String::from_utf8_unchecked(vec![0xc3, 0x28])
    }
}

fn before() -> &'static str {
    let bytes = std::hint::black_box(&BEFORE);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.trim_end_matches('.')
        .strip_prefix("hostile-before=")
        .unwrap_or_default()
}

fn forever() -> ! {
    let mut rounds = 0_u64;
    loop {
        rounds = std::hint::black_box(rounds.wrapping_add(1));
    }
}

fn bomb() -> ! {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

/// Ends at so many frames.
fn dive_to(depth: u32) -> u32 {
    match std::hint::black_box(depth) {
        0 => 0,
        more => dive_to(more.wrapping_sub(1)).wrapping_add(std::hint::black_box(more)),
    }
}

#[expect(
    unconditional_recursion,
    reason = "overflowing the stack is what it is for"
)]
fn dive(depth: u64) -> u64 {
    let below = dive(std::hint::black_box(depth.wrapping_add(1)));
    below.wrapping_mul(std::hint::black_box(depth))
}

/// The same with frames that lie in its memory and not on the engine's stack.
#[expect(
    unconditional_recursion,
    reason = "overflowing the stack is what it is for"
)]
fn dive_wide(depth: u8) -> u8 {
    let frame = std::hint::black_box([depth; 8_192]);
    let below = dive_wide(depth.wrapping_add(1));
    std::hint::black_box(frame)
        .iter()
        .fold(below, |sum, byte| sum ^ byte)
}

fn out_of_bounds() -> ! {
    let empty: [u8; 0] = [];
    let index = std::hint::black_box(3);
    #[expect(clippy::indexing_slicing, reason = "panicking is what it is for")]
    let byte = std::hint::black_box(&empty[..])[index];
    std::process::exit(byte.into())
}

#[expect(clippy::panic, reason = "panicking is what it is for")]
fn forge_log_line() -> ! {
    panic!("\u{1b}[2J\r\nERROR all is lost\0\u{202e}")
}

/// Asks the host for one handle after the other and gives none back.
fn hoard_handles() -> ! {
    loop {
        std::hint::black_box(stdout::get());
    }
}

mod stdout {
    #[cfg(target_arch = "wasm32")]
    #[expect(
        unsafe_code,
        reason = "the standard library asks for one handle and keeps it"
    )]
    pub(crate) fn get() -> u32 {
        #[link(wasm_import_module = "wasi:cli/stdout@0.2.0")]
        unsafe extern "C" {
            #[link_name = "get-stdout"]
            fn get_stdout() -> u32;
        }
        // SAFETY: takes nothing and answers with a new handle, as wasi:cli says.
        unsafe { get_stdout() }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn get() -> u32 {
        0
    }
}

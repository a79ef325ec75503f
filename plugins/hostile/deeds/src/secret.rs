//! A secret, looked for and left: whoever finds it reads what another call has left behind.

use std::cell::Cell;
use std::hint::black_box;

/// What is left on the heap: more than any host keeps in place between two guests.
const HEAP_WORDS: usize = 256 * 1_024;

/// What is left on the stack.
const STACK_WORDS: usize = 1_024;

/// Bytes of a page of a guest's memory.
#[cfg(target_arch = "wasm32")]
const PAGE_BYTES: usize = 64 * 1_024;

thread_local! {
    /// What is left in a static.
    static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// How often the secret is in this instance's memory; then it is left on the heap, on the stack, in
/// a static, and in pages that were not there before.
#[must_use]
pub fn look_and_leave() -> u64 {
    let secret = secret();
    let found = memory::count(secret);
    LEFT.set(secret);
    drop(black_box(vec![secret; HEAP_WORDS]));
    black_box([secret; STACK_WORDS]);
    found
}

/// Worked out each time, so that it does not stand in the component.
fn secret() -> u64 {
    black_box(0x5ec2_e700_0000_0001_u64).wrapping_mul(black_box(0x9e37_79b9_7f4a_7c15))
}

mod memory {
    /// How often a word is in the memory, at places where words are.
    #[cfg(target_arch = "wasm32")]
    pub(super) fn count(word: u64) -> u64 {
        let pages = core::arch::wasm32::memory_size::<0>();
        let end = pages.saturating_mul(super::PAGE_BYTES);
        let mut found = 0_u64;
        // Nothing lies at the address 0.
        for at in (8..end).step_by(8) {
            #[expect(unsafe_code, reason = "looking where it should not is what it is for")]
            // SAFETY: the address is within the memory, and any bytes are a number.
            let read = unsafe { std::ptr::without_provenance::<u64>(at).read_volatile() };
            found = found.saturating_add(u64::from(read == word));
        }
        found
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn count(_: u64) -> u64 {
        0
    }
}

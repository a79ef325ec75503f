//! What an instance holds.

use super::{PARTS_MAX, TABLE_ELEMENTS_MAX};
use crate::error::OverLimit;
use wasmtime::ResourceLimiter;

/// Bytes of a table's element: a pointer.
const ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts what an instance holds. Wasmtime's own limiter bounds each memory by itself; a component
/// can have several, and tables too, so this one sums them.
#[derive(Debug)]
pub(crate) struct Held {
    memory_bytes: usize,
    memory_bytes_max: usize,
}

impl Held {
    /// Nothing yet.
    pub(crate) const fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max,
        }
    }

    /// What it holds now. A memory never shrinks, so it is also the most that it ever held.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    fn grow(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        let sum = self.memory_bytes.saturating_add(bytes);
        if sum > self.memory_bytes_max {
            // An error rather than a refusal: the guest would abort anyway, and this says why.
            return Err(OverLimit(format!(
                "asked for more than its {} bytes of memory; mend it or raise memory_bytes under [limits]",
                self.memory_bytes_max
            ))
            .into());
        }
        self.memory_bytes = sum;
        Ok(true)
    }
}

impl ResourceLimiter for Held {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(OverLimit(format!(
                "asked for a table of more than {TABLE_ELEMENTS_MAX} elements"
            ))
            .into());
        }
        self.grow(
            desired
                .saturating_sub(current)
                .saturating_mul(ELEMENT_BYTES),
        )
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_summed() {
        let mut held = Held::new(10 + 3 * ELEMENT_BYTES);
        assert!(held.memory_growing(0, 6, None).unwrap());
        assert!(held.memory_growing(0, 4, None).unwrap());
        assert!(held.table_growing(0, 1, None).unwrap());
        assert!(held.table_growing(1, 3, None).unwrap());
        assert!(held.memory_growing(4, 5, None).is_err());
        assert!(held.table_growing(3, 4, None).is_err());
        assert_eq!(held.memory_bytes(), 10 + 3 * ELEMENT_BYTES);
    }
}

//! No bytes make the reader of snapshots panic; a pin that it accepts is written and read again.
#![no_main]

use holdfast_model::pin::export::{read_entry, write_entry};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    while let Ok(Some((pin, length))) = read_entry(rest) {
        rest = &rest[length..];
        let Ok(pin) = pin else { continue };
        let mut entry = Vec::new();
        write_entry(&pin, &mut entry);
        assert_eq!(read_entry(&entry), Ok(Some((Ok(pin), entry.len()))));
    }
});

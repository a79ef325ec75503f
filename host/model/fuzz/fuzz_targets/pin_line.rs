//! No text makes the reader of exported lines panic; a pin that it accepts is read again as it is.
#![no_main]

use holdfast_model::pin::export::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok((pin, _)) = parse_line(bytes) else {
        return;
    };
    let line = serde_json::to_vec(&pin).expect("any pin can be written");
    assert_eq!(parse_line(&line), Ok((pin, false)));
});

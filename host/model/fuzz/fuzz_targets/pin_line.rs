//! No text makes the reader of exported lines panic; a pin that it accepts is read again as it is,
//! and the reader of many lines says the same of each.
#![no_main]

use holdfast_model::pin::PinReader;
use holdfast_model::pin::export::parse_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = parse_line(bytes);
    assert_eq!(PinReader::default().line(bytes), read);
    let Ok((pin, _)) = read else {
        return;
    };
    let line = serde_json::to_vec(&pin).expect("any pin can be written");
    assert_eq!(parse_line(&line), Ok((pin, false)));
});

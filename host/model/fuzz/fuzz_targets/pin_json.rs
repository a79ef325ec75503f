//! No text makes the reader of pin JSON panic; a pin that it accepts survives both wire forms.
#![no_main]

use holdfast_model::Pin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(pin) = serde_json::from_slice::<Pin>(bytes) else {
        return;
    };
    let json = serde_json::to_vec(&pin).expect("any pin can be written");
    let read: Pin = serde_json::from_slice(&json).expect("what we write we can read");
    assert_eq!(read, pin);
    assert_eq!(Pin::from_proto(&pin.to_proto()), Ok(pin.into_stored()));
});

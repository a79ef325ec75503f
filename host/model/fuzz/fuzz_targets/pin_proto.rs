//! No bytes make the protobuf reader panic; a pin that it accepts comes back as it went.
#![no_main]

use holdfast_model::Pin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(pin) = Pin::from_proto(bytes) else {
        return;
    };
    assert_eq!(Pin::from_proto(&pin.to_proto()).as_ref(), Ok(&pin));
    let json = serde_json::to_vec(&pin).expect("any pin can be written");
    let read: Pin = serde_json::from_slice(&json).expect("what we write we can read");
    assert_eq!(read, pin);
});

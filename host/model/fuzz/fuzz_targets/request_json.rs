//! No body makes the reader of pin requests panic, and what it accepts is within every limit.
#![no_main]

use holdfast_model::Asked;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match Asked::parse(body).and_then(Asked::check) {
        Ok(request) => assert_eq!(request.check(), Ok(())),
        Err(refused) => assert!(!refused.what.is_empty() && !refused.why.is_empty()),
    }
});

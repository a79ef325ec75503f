//! No text and no bytes make the CID reader panic; what it accepts comes back as it went.
#![no_main]

use holdfast_model::Cid;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let of_text = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| Cid::parse(text).ok());
    let of_bytes = Cid::from_bytes(bytes).ok();
    for cid in of_text.into_iter().chain(of_bytes) {
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        assert_eq!(Cid::parse(&cid.to_string()), Ok(cid));
    }
});

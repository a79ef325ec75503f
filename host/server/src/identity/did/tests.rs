//! Every way in which a proof can be wrong.

use super::*;
use ed25519_dalek::Signer;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;
const BOUND: Bound<'static> = Bound {
    url: "https://pins.example",
    method: "GET",
    path: "/v1/whoami",
};

fn did(codec: [u8; 2], key: &[u8]) -> String {
    let bytes = [codec.as_slice(), key].concat();
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

fn claims(did: &str) -> Value {
    json!({
        "iss": did, "sub": did, "aud": "https://pins.example", "htm": "GET",
        "htu": "https://pins.example/v1/whoami", "iat": NOW, "exp": NOW + 60, "jti": "one",
    })
}

fn said(alg: &str, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": alg, "typ": "JWT" });
    format!("{}.{}", encode(&header), encode(claims))
}

fn signed(said: &str, signature: &[u8]) -> String {
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn ed25519() -> (ed25519_dalek::SigningKey, String) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let did = did([0xed, 0x01], key.verifying_key().as_bytes());
    (key, did)
}

fn with(change: impl FnOnce(&mut Value)) -> Result<Proven, DidError> {
    let (key, did) = ed25519();
    let mut claims = claims(&did);
    change(&mut claims);
    let said = said("EdDSA", &claims);
    let signature = key.sign(said.as_bytes()).to_bytes();
    verify(
        &signed(&said, &signature),
        BOUND,
        UnixMillis::from_seconds(NOW),
    )
}

#[test]
fn each_kind_of_key_signs_a_call() {
    let proven = with(|_| ()).unwrap();
    assert!(proven.did.starts_with("did:key:z6Mk"), "{}", proven.did);
    assert_eq!(proven.used.until, UnixMillis::from_seconds(NOW + 120));

    let key = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(true);
    let name = did([0xe7, 0x01], point.as_bytes());
    assert!(name.starts_with("did:key:zQ3s"), "{name}");
    let text = said("ES256K", &claims(&name));
    let signature: k256::ecdsa::Signature = key.sign(text.as_bytes());
    let now = UnixMillis::from_seconds(NOW);
    let bytes = signature.to_bytes();
    assert_eq!(
        verify(&signed(&text, &bytes), BOUND, now).unwrap().did,
        name
    );

    // The same signature in its other form.
    let (r, s) = signature.split_scalars();
    let high = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let refused = verify(&signed(&text, &high.to_bytes()), BOUND, now);
    assert_eq!(refused, Err(DidError::Signature));

    let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let point = key.verifying_key().to_encoded_point(true);
    let name = did([0x80, 0x24], point.as_bytes());
    assert!(name.starts_with("did:key:zDn"), "{name}");
    let text = said("ES256", &claims(&name));
    let signature: p256::ecdsa::Signature = key.sign(text.as_bytes());
    let proof = signed(&text, &signature.to_bytes());
    let proven = verify(&proof, BOUND, now).unwrap();
    assert_eq!(proven.did, name);
    // Here either form counts: JOSE asks for none, and half of what browsers sign with this curve
    // has a high S. Still it is one proof, which is used up in both.
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    assert_ne!(
        signature.normalize_s().is_some(),
        other.normalize_s().is_some()
    );
    let again = verify(&signed(&text, &other.to_bytes()), BOUND, now).unwrap();
    assert_eq!(again.used.digest, proven.used.digest);
    // A key of one kind under the name of another kind's algorithm.
    let text = said("ES256K", &claims(&name));
    let signature: p256::ecdsa::Signature = key.sign(text.as_bytes());
    let proof = signed(&text, &signature.to_bytes());
    assert_eq!(verify(&proof, BOUND, now), Err(DidError::Header));
}

#[test]
fn a_proof_is_for_one_call_now() {
    use DidError::{Garbled, Key, Other, Times};
    let put = |claim: &'static str, value: Value| with(move |claims| claims[claim] = value);
    for (claim, value, why) in [
        ("aud", json!("https://other.example"), Other("aud")),
        ("aud", json!(7), Garbled),
        ("htm", json!("POST"), Other("htm")),
        ("htm", json!("get"), Other("htm")),
        ("htu", json!("https://pins.example/v1/keys"), Other("htu")),
        (
            "htu",
            json!("https://pins.example.evil/v1/whoami"),
            Other("htu"),
        ),
        ("htu", json!("http://pins.example/v1/whoami"), Other("htu")),
        ("exp", json!(NOW), Times),
        ("exp", json!(NOW + 301), Times),
        ("exp", json!(NOW - 10), Times),
        ("iat", json!(NOW + 31), Times),
        ("iat", json!(NOW - 241), Times),
        ("nbf", json!(NOW + 31), Times),
        ("jti", json!(""), Garbled),
        ("jti", json!("x".repeat(129)), Garbled),
        ("sub", json!("did:key:z6MkOther"), Key),
        ("iss", json!("did:key:z6MkOther"), Key),
    ] {
        assert_eq!(put(claim, value.clone()), Err(why), "{claim} = {value}");
    }
    for claim in ["iss", "sub", "aud", "htm", "htu", "iat", "exp", "jti"] {
        let without = with(|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        });
        assert_eq!(without, Err(Garbled), "{claim}");
    }
    put("aud", json!("https://pins.example/")).unwrap();
    let (one, two) = (with(|_| ()).unwrap(), put("jti", json!("two")).unwrap());
    assert_ne!(one.used.digest, two.used.digest);
}

#[test]
fn keys_that_are_none_are_refused() {
    let (_, good) = ed25519();
    let point = ed25519().0.verifying_key();
    let short = did([0xed, 0x01], &point.as_bytes()[..31]);
    let long = did([0xed, 0x01], &[point.as_bytes().as_slice(), &[0]].concat());
    let off_curve = did([0xe7, 0x01], &[&[2][..], &[0xff; 32]].concat());
    let uncompressed = did([0xe7, 0x01], &[4; 65]);
    let other_codec = did([0xec, 0x01], &[7; 32]);
    let bare = "did:key:".to_owned();
    for did in [short, long, off_curve, uncompressed, other_codec, bare] {
        assert!(PublicKey::of_did(&did).is_none(), "{did}");
    }
    assert!(PublicKey::of_did(&good).is_some());
    assert!(PublicKey::of_did("did:web:pins.example").is_none());
}

/// The eight points whose order divides eight, and the other spellings that some readers take for
/// them. Of such a key everybody can make signatures: for the neutral element, any.
#[test]
fn keys_of_small_order_are_refused_in_every_spelling() {
    const OF_ORDER_EIGHT: [&str; 2] = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let of = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let read = |text: &str| {
        let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        std::array::from_fn(byte)
    };
    let signed = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        bytes
    };
    let with_zero_sign = [
        of(0x01, 0x00, 0x00),
        of(0xec, 0xff, 0x7f),
        of(0x00, 0x00, 0x00),
        read(OF_ORDER_EIGHT[0]),
        read(OF_ORDER_EIGHT[1]),
        // Beside the prime, not below it.
        of(0xed, 0xff, 0x7f),
        of(0xee, 0xff, 0x7f),
    ];
    let mut of_small_order = 0;
    for bytes in with_zero_sign.iter().flat_map(|one| [*one, signed(*one)]) {
        let name = did([0xed, 0x01], &bytes);
        assert!(PublicKey::of_did(&name).is_none(), "{bytes:02x?}");
        let point = ed25519_dalek::VerifyingKey::from_bytes(&bytes);
        of_small_order += usize::from(point.is_ok_and(|point| point.is_weak()));
    }
    // They are points, and refused for their order, not for their spelling.
    assert!(of_small_order >= 8, "{of_small_order}");
}

#[test]
fn headers_and_bytes_that_are_not_right_are_refused() {
    let (key, did) = ed25519();
    let now = UnixMillis::from_seconds(NOW);
    let payload = URL_SAFE_NO_PAD.encode(claims(&did).to_string());
    for (header, why) in [
        (json!({"alg": "none", "typ": "JWT"}), DidError::Header),
        (json!({"alg": "ES256"}), DidError::Header),
        (json!({"alg": "EdDSA", "crit": ["b64"]}), DidError::Header),
        (json!({"alg": "EdDSA", "typ": "at+jwt"}), DidError::Header),
        (json!({"typ": "JWT"}), DidError::Garbled),
    ] {
        let said = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let signature = key.sign(said.as_bytes()).to_bytes();
        let refused = verify(&signed(&said, &signature), BOUND, now);
        assert_eq!(refused, Err(why), "{header}");
    }
    let said = said("EdDSA", &claims(&did));
    let signature = key.sign(b"something else").to_bytes();
    let refused = verify(&signed(&said, &signature), BOUND, now);
    assert_eq!(refused, Err(DidError::Signature));
    for garbled in ["", ".", "a.b", "a.b.c", "....", &said] {
        assert!(verify(garbled, BOUND, now).is_err(), "{garbled}");
    }
    assert_eq!(
        issuer(&signed(&said, &signature)).as_deref(),
        Some(did.as_str())
    );
    assert_eq!(issuer("a.b.c"), None);
}

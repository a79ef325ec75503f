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
    // The neutral element, of order one.
    let mut small = [0; 32];
    small[0] = 1;
    let small = did([0xed, 0x01], &small);
    let off_curve = did([0xe7, 0x01], &[&[2][..], &[0xff; 32]].concat());
    let uncompressed = did([0xe7, 0x01], &[4; 65]);
    let other_codec = did([0xec, 0x01], &[7; 32]);
    let bare = "did:key:".to_owned();
    for did in [
        short,
        long,
        small,
        off_curve,
        uncompressed,
        other_codec,
        bare,
    ] {
        assert!(PublicKey::of_did(&did).is_none(), "{did}");
    }
    assert!(PublicKey::of_did(&good).is_some());
    assert!(PublicKey::of_did("did:web:pins.example").is_none());
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

//! The grammar, and every way in which a message can be wrong.

use super::*;
use k256::ecdsa::SigningKey;

const NOW: &str = "2026-11-21T09:00:00Z";

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn sign(message: &str) -> Vec<u8> {
    let (signature, id) = key().sign_prehash_recoverable(&hash_of(message)).unwrap();
    [&signature.to_bytes()[..], &[27 + id.to_byte()]].concat()
}

fn address() -> Address {
    signer_of("", &sign("")).unwrap()
}

fn text() -> String {
    format!(
        "pins.example wants you to sign in with your Ethereum account:\n{}\n\nPin things.\n\n\
         URI: https://pins.example/v1/login/wallet\nVersion: 1\nChain ID: 1\nNonce: abcdefgh1\n\
         Issued At: 2026-11-21T08:59:30Z\nExpiration Time: 2026-11-21T09:05:00Z",
        address().checksummed()
    )
}

fn check(text: &str) -> Result<(), SiweError> {
    let url = Url::parse("https://pins.example").unwrap();
    let now = UnixMillis::parse(NOW).unwrap();
    Message::parse(text)?.check(&url, &[1, 137], now)
}

#[test]
fn a_message_is_taken_apart() {
    let message = Message::parse(&text()).unwrap();
    assert_eq!(message.domain, "pins.example");
    assert_eq!(message.address, address());
    assert_eq!((message.chain, message.nonce.as_str()), (1, "abcdefgh1"));
    check(&text()).unwrap();
    for (from, to) in [
        ("pins.example wants", "https://pins.example wants"),
        ("Pin things.\n", ""),
        ("Chain ID: 1\n", "Chain ID: 137\n"),
        ("09:05:00Z", "09:05:00Z\nNot Before: 2026-11-21T09:00:00Z"),
        ("09:05:00Z", "09:05:00Z\nRequest ID: some"),
        (
            "09:05:00Z",
            "09:05:00Z\nResources:\n- https://a.example/x\n- ipfs://bafy",
        ),
        ("09:05:00Z", "09:05:00.123+00:00"),
    ] {
        assert!(text().contains(from), "{from}");
        let changed = text().replacen(from, to, 1);
        assert_eq!(check(&changed), Ok(()), "{changed}");
    }
    let lower = text().replace(&address().checksummed(), &address().to_string());
    assert_eq!(check(&lower), Ok(()));
}

#[test]
fn what_is_not_right_is_refused() {
    use SiweError::{Chain, Other, Times};
    for (from, to, why) in [
        ("pins.example wants", "evil.example wants", Other("domain")),
        (
            "pins.example wants",
            "pins.example:8443 wants",
            Other("domain"),
        ),
        (
            "pins.example wants",
            "http://pins.example wants",
            Other("scheme"),
        ),
        (
            "URI: https://pins.example/",
            "URI: https://evil.example/",
            Other("URI"),
        ),
        (
            "URI: https://pins.example/",
            "URI: http://pins.example/",
            Other("URI"),
        ),
        ("Chain ID: 1\n", "Chain ID: 10\n", Chain),
        ("\nExpiration Time: 2026-11-21T09:05:00Z", "", Times),
        ("Time: 2026-11-21T09:05", "Time: 2026-11-21T08:59", Times),
        ("Time: 2026-11-21T09:05", "Time: 2026-11-21T09:10", Times),
        (
            "At: 2026-11-21T08:59:30Z",
            "At: 2026-11-21T09:00:31Z",
            Times,
        ),
        (
            "09:05:00Z",
            "09:05:00Z\nNot Before: 2026-11-21T09:01:00Z",
            Times,
        ),
    ] {
        assert!(text().contains(from), "{from}");
        assert_eq!(check(&text().replacen(from, to, 1)), Err(why), "{to}");
    }
}

#[test]
fn what_does_not_follow_the_grammar_is_refused() {
    for (from, to) in [
        ("pins.example wants", " wants"),
        ("pins.example wants", "user@pins.example wants"),
        ("sign in with", "sign into"),
        ("\n\nPin things.\n\n", "\nPin things.\n\n"),
        ("\nPin things.\n", ""),
        ("Pin things.", "Pin\tthings."),
        ("Pin things.", "Pin\nthings."),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1\n", "Chain ID: \n"),
        ("Chain ID: 1\n", "Chain ID: +1\n"),
        ("Nonce: abcdefgh1", "Nonce: abcdefg"),
        ("Nonce: abcdefgh1", "Nonce: abcdefgh-_!"),
        ("08:59:30Z", "8:59"),
        ("\nExpiration", "\r\nExpiration"),
        ("09:05:00Z", "09:05:00Z\n"),
        ("09:05:00Z", "09:05:00Z\nResources:\n- no address"),
        ("09:05:00Z", "09:05:00Z\nmore"),
        ("URI: ", "Uri: "),
    ] {
        assert!(text().contains(from), "{from}");
        let changed = text().replacen(from, to, 1);
        let said = Message::parse(&changed);
        assert!(
            matches!(said, Err(SiweError::Garbled(_))),
            "{to:?}: {said:?}"
        );
    }
    let right = address().checksummed();
    let flipped: String = right.chars().map(flip).collect();
    for wrong in [flipped.as_str(), "0x12", &right[2..], &format!("{right}0")] {
        let changed = text().replace(&right, wrong);
        assert!(Message::parse(&changed).is_err(), "{wrong}");
    }
    assert!(Message::parse(&"x".repeat(MESSAGE_BYTES_MAX + 1)).is_err());
}

fn flip(c: char) -> char {
    match c {
        'x' => 'x',
        c if c.is_ascii_uppercase() => c.to_ascii_lowercase(),
        c => c.to_ascii_uppercase(),
    }
}

#[test]
fn only_the_addresss_own_signature_names_it() {
    let good = sign(&text());
    assert_eq!(signer_of(&text(), &good), Some(address()));
    assert_ne!(signer_of("another message", &good), Some(address()));
    let with_v = |v: u8| [&good[..64], &[v]].concat();
    assert_eq!(signer_of(&text(), &with_v(good[64] - 27)), Some(address()));
    for v in [2, 26, 29, 99, 255] {
        assert_eq!(signer_of(&text(), &with_v(v)), None, "{v}");
    }
    for length in [0, 1, 64, 66] {
        assert_eq!(signer_of(&text(), &vec![1; length]), None, "{length}");
    }
    // The other form of the same signature.
    let signature = k256::ecdsa::Signature::from_slice(&good[..64]).unwrap();
    let (r, s) = signature.split_scalars();
    let high = k256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let high = [&high.to_bytes()[..], &[55 - good[64]]].concat();
    assert_eq!(signer_of(&text(), &high), None);
}

/// Of EIP-55 itself.
#[test]
fn addresses_are_spelled_as_eip_55_says() {
    for spelled in [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
    ] {
        let address = Address::parse(spelled).unwrap();
        assert_eq!(address.checksummed(), spelled);
        assert_eq!(
            address.did(1),
            format!("did:pkh:eip155:1:{}", spelled.to_lowercase())
        );
    }
}

#[test]
fn a_cacao_is_the_message_that_was_signed() {
    let cacao = |kind: &str, version: serde_json::Value| {
        let cacao = serde_json::json!({
            "h": { "t": kind },
            "p": {
                "iss": format!("did:pkh:eip155:1:{}", address().checksummed()),
                "domain": "pins.example", "aud": "https://pins.example/v1/login/wallet",
                "version": version, "nonce": "abcdefgh1", "iat": "2026-11-21T08:59:30Z",
                "exp": "2026-11-21T09:05:00Z", "statement": "Pin things.",
            },
            "s": { "t": "eip191", "s": "0x00" },
        });
        serde_json::from_value::<Cacao>(cacao).unwrap().into_parts()
    };
    let (message, signature) = cacao("caip122", "1".into()).unwrap();
    assert_eq!((message, signature.as_str()), (text(), "0x00"));
    cacao("eip4361", 1.into()).unwrap();
    assert!(cacao("other", "1".into()).is_err());
    assert!(cacao("eip4361", "2".into()).is_err());
}

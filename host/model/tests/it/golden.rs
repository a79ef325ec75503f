//! Pins as IPFS Cluster itself wrote them.

use holdfast_model::{Cid, Pin, PinType};

const PINS: &str = include_str!("../golden/pins.txt");

struct Golden {
    name: &'static str,
    proto: Vec<u8>,
    fresh: &'static str,
    stored: &'static str,
}

/// The file's pins: blocks of `pin`, `proto`, `fresh` and `stored` lines.
fn all() -> Vec<Golden> {
    let lines: Vec<_> = PINS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let pins: Vec<_> = lines
        .chunks(4)
        .map(|block| {
            let field = |n: usize, key: &str| block[n].strip_prefix(key).unwrap().trim();
            Golden {
                name: field(0, "pin "),
                proto: bytes_of(field(1, "proto ")),
                fresh: field(2, "fresh "),
                stored: field(3, "stored "),
            }
        })
        .collect();
    assert_eq!(pins.len(), 3, "the file has lost a pin");
    pins
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

/// A protobuf field of bytes; `tag` is its number, below 16.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 0x80, "one byte of length is enough here");
    [&[tag << 3 | 2, length], bytes].concat()
}

fn cid_field() -> Vec<u8> {
    field(1, &Cid::parse("bafkqaaa").unwrap().to_bytes())
}

fn refused_field(bytes: &[u8]) -> String {
    Pin::from_proto(bytes).unwrap_err().what
}

#[test]
fn protobuf_is_byte_for_byte_what_ipfs_cluster_writes() {
    for golden in all() {
        let pin = Pin::from_proto(&golden.proto).unwrap();
        assert_eq!(pin.to_proto(), golden.proto, "{}", golden.name);
        let fresh: Pin = serde_json::from_str(golden.fresh).unwrap();
        if golden.name.starts_with('C') {
            // The one pin whose `mode` and `max_depth` disagree: the depth is what is stored.
            assert!(fresh.max_depth.is_direct());
        }
        assert_eq!(fresh.to_proto(), golden.proto, "{}", golden.name);
    }
}

#[test]
fn json_is_letter_for_letter_what_ipfs_cluster_answers() {
    for golden in all() {
        let pin = Pin::from_proto(&golden.proto).unwrap();
        let text = serde_json::to_string(&pin).unwrap();
        assert_eq!(text, golden.stored, "{}", golden.name);
        let again: Pin = serde_json::from_str(golden.stored).unwrap();
        assert_eq!(again, pin, "{}", golden.name);
    }
}

#[test]
fn a_fresh_pin_reads_as_a_stored_one_once_it_is_stored() {
    for golden in all() {
        let fresh: Pin = serde_json::from_str(golden.fresh).unwrap();
        let stored: Pin = serde_json::from_str(golden.stored).unwrap();
        assert_eq!(fresh.into_stored(), stored, "{}", golden.name);
    }
}

#[test]
fn a_fresh_pin_keeps_its_fraction_of_a_second_in_json() {
    let all = all();
    let fresh: Pin = serde_json::from_str(all[0].fresh).unwrap();
    let text = serde_json::to_string(&fresh).unwrap();
    assert!(
        text.contains(r#""timestamp":"2023-11-14T22:13:20.123Z""#),
        "{text}"
    );
    let tenth = Pin::recursive(fresh.cid, "2023-11-14T22:13:20.100Z".parse().unwrap());
    let text = serde_json::to_string(&tenth).unwrap();
    assert!(
        text.contains(r#""timestamp":"2023-11-14T22:13:20.1Z""#),
        "{text}"
    );
}

#[test]
fn keys_may_be_missing_null_or_empty() {
    let short: Pin = serde_json::from_str(r#"{"cid":"bafkqaaa"}"#).unwrap();
    assert_eq!(short.pin_type, PinType::Bad);
    assert!(short.max_depth.is_direct(), "as Go's zero value");
    let nulls = r#"{"cid":"bafkqaaa","origins":null,"allocations":null,"metadata":null,
        "user_allocations":null,"reference":null,"pin_update":null,"expire_at":null,
        "timestamp":null,"type":null,"mode":null,"max_depth":null,"name":null,"later":1}"#;
    assert_eq!(serde_json::from_str::<Pin>(nulls).unwrap(), short);
    let empty = r#"{"cid":"bafkqaaa","origins":[],"allocations":[],"metadata":{},
        "user_allocations":[],"expire_at":"0001-01-01T00:00:00Z"}"#;
    assert_eq!(serde_json::from_str::<Pin>(empty).unwrap(), short);
    let mode: Pin = serde_json::from_str(r#"{"cid":"bafkqaaa","mode":"recursive"}"#).unwrap();
    assert!(!mode.max_depth.is_direct());
}

#[test]
fn json_that_is_no_pin_is_refused_with_its_mend() {
    for (text, mend) in [
        ("{}", "write a CID"),
        (r#"{"cid":null}"#, "write a CID"),
        (r#"{"cid":"hello"}"#, "write a CID"),
        (
            r#"{"cid":"bafkqaaa","type":"all"}"#,
            "write one of bad-type, pin",
        ),
        (r#"{"cid":"bafkqaaa","type":2}"#, "expected a string"),
        (
            r#"{"cid":"bafkqaaa","mode":"deep"}"#,
            "write recursive or direct",
        ),
        (r#"{"cid":"bafkqaaa","timestamp":"now"}"#, "write RFC 3339"),
        (r#"{"cid":"bafkqaaa","origins":["/ip4/1.2.3.4"]}"#, "/p2p/"),
        (
            r#"{"cid":"bafkqaaa","allocations":["x"]}"#,
            "write a peer id",
        ),
    ] {
        let refused = serde_json::from_str::<Pin>(text).unwrap_err().to_string();
        assert!(refused.contains(mend), "{text}: {refused}");
    }
}

#[test]
fn metadata_of_old_peers_is_read_and_the_newer_field_wins() {
    let pair = |key: &[u8], value: &[u8]| [field(1, key), field(2, value)].concat();
    let options = [
        field(6, &pair(b"old", b"1")),
        field(6, &pair(b"both", b"old")),
        field(10, &pair(b"both", b"new")),
        field(10, &pair(b"a", b"2")),
    ]
    .concat();
    let old = Pin::from_proto(&[cid_field(), field(6, &options)].concat()).unwrap();
    let metadata = old.options.metadata.clone().into_iter();
    let told: Vec<_> = metadata.map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(told, ["a=2", "both=new", "old=1"]);
    let new = Pin::from_proto(&old.to_proto()).unwrap();
    assert_eq!(
        new, old,
        "what is written again is written in the newer field"
    );
}

#[test]
fn protobuf_that_is_no_pin_is_refused_by_field() {
    let with = |bytes: &[u8]| [&cid_field(), bytes].concat();
    assert_eq!(refused_field(&[]), "pin.cid");
    assert_eq!(refused_field(&field(1, b"x")), "pin.cid");
    assert_eq!(refused_field(&[0xff]), "pin");
    assert_eq!(refused_field(&with(&[0x10, 9])), "pin.type");
    assert_eq!(refused_field(&with(&field(3, b"x"))), "pin.allocations[0]");
    assert_eq!(refused_field(&with(&field(5, b"x"))), "pin.reference");
    assert_eq!(
        refused_field(&with(&field(6, &field(7, b"x")))),
        "pin.pin_update"
    );
    assert_eq!(
        refused_field(&with(&field(6, &field(9, b"x")))),
        "pin.origins[0]"
    );
    let year_36812 = [&[0x38][..], &[0xff; 5], &[0x7f]].concat();
    assert_eq!(refused_field(&with(&year_36812)), "pin.timestamp");
    let heavy = vec![0; holdfast_model::limits::PIN_BYTES_MAX + 1];
    let refused = Pin::from_proto(&heavy).unwrap_err();
    assert!(refused.why.contains("at most"), "{refused}");
}

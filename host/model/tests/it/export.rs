//! IPFS Cluster's exports, as its releases wrote them.

use crate::round_trip::any_pin;
use holdfast_model::PinType;
use holdfast_model::pin::MaxDepth;
use holdfast_model::pin::PinReader;
use holdfast_model::pin::export::{parse_line, read_entry, write_entry};
use proptest::collection::vec;
use proptest::prelude::*;

/// A snapshot with one pin, as IPFS Cluster 1.1's `dsstate` marshals it.
const SNAPSHOT: &str = "82a16bda00374349514157484c4e5357564f443745324b535757354d4d4e53324650454f5a\
    48595550334d334d4c59494f4d5447504b353451494f3241a176da003a0a2212200b1d6d95aae1fc9a54ad6eb18d96\
    8af23b27c51fb66d8bc21cc999eaef20876810012001320a080110011a04746573743880e2cfaa06";

fn snapshot() -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&SNAPSHOT[at..at + 2], 16).unwrap();
    (0..SNAPSHOT.len()).step_by(2).map(digit).collect()
}

#[test]
fn a_snapshot_is_byte_for_byte_what_ipfs_cluster_writes() {
    let bytes = snapshot();
    let (pin, length) = read_entry(&bytes).unwrap().unwrap();
    let pin = pin.unwrap();
    assert_eq!(length, bytes.len());
    assert_eq!(pin.options.name, "test");
    let mut written = Vec::new();
    write_entry(&pin, &mut written);
    assert_eq!(written, bytes);
}

#[test]
fn an_entry_that_is_not_all_there_is_waited_for() {
    let bytes = snapshot();
    for end in 0..bytes.len() {
        assert_eq!(read_entry(&bytes[..end]).unwrap(), None, "{end}");
    }
}

#[test]
fn what_is_no_entry_ends_the_reading_and_a_bad_pin_does_not() {
    assert!(read_entry(b"{\"cid\":1}").is_err());
    assert!(read_entry(&[0x82, 0xa1, b'x', 0xa1, b'y', 0xa1, b'v', 0xa0]).is_err());
    let no_pin = [0x82, 0xa1, b'k', 0xa1, b'y', 0xa1, b'v', 0xa1, 0xff];
    let (pin, length) = read_entry(&no_pin).unwrap().unwrap();
    assert!(pin.is_err());
    assert_eq!(length, no_pin.len());
}

const CID: &str = "QmP63DkAFEnDYNjDYBpyNDfttu1fvUw99x1brscPzpqmmq";

#[test]
fn lines_of_before_1_0_are_read_as_what_they_meant() {
    let line = format!(
        r#"{{"replication_factor_min":-1,"replication_factor_max":-1,"name":"old","mode":1,
        "shard_size":0,"user_allocations":null,"expire_at":"0001-01-01T00:00:00Z","metadata":{{}},
        "pin_update":{{"/":"{CID}"}},"cid":{{"/":"{CID}"}},"type":2,"allocations":[],
        "max_depth":0,"reference":{{"/":"{CID}"}}}}"#
    );
    let (pin, is_old) = parse_line(line.as_bytes()).unwrap();
    assert!(is_old);
    assert_eq!(pin.cid.to_string(), CID);
    assert_eq!(pin.pin_type, PinType::Data);
    assert_eq!(pin.max_depth, MaxDepth::DIRECT);
    assert_eq!(pin.reference, Some(pin.cid));
    assert_eq!(pin.options.pin_update, Some(pin.cid));
    assert_eq!(pin.options.name, "old");
    for (flag, pin_type) in [1, 2, 4, 8, 16].into_iter().zip(PinType::ALL) {
        let line = format!(r#"{{"cid":"{CID}","type":{flag},"max_depth":-1}}"#);
        assert_eq!(parse_line(line.as_bytes()).unwrap().0.pin_type, pin_type);
    }
    let older = format!(r#"{{"cid":"{CID}","replication_factor":3,"recursive":false}}"#);
    let (pin, _) = parse_line(older.as_bytes()).unwrap();
    assert_eq!(pin.options.replication_factor_min, 3);
    assert_eq!(pin.options.replication_factor_max, 3);
    assert_eq!(pin.max_depth, MaxDepth::DIRECT);
}

#[test]
fn what_a_line_leaves_out_is_as_a_plain_pin_has_it() {
    let (pin, is_old) = parse_line(format!(r#"{{"cid":"{CID}"}}"#).as_bytes()).unwrap();
    assert!(is_old);
    assert_eq!(
        (pin.pin_type, pin.max_depth),
        (PinType::Data, MaxDepth::RECURSIVE)
    );
    let direct = format!(r#"{{"cid":"{CID}","type":"pin","mode":"direct"}}"#);
    let (pin, is_old) = parse_line(direct.as_bytes()).unwrap();
    assert!(!is_old);
    assert_eq!(pin.max_depth, MaxDepth::DIRECT);
}

#[test]
fn bad_lines_are_refused_by_name() {
    let with = |rest: &str| format!(r#"{{"cid":"{CID}",{rest}}}"#);
    for (line, word) in [
        ("".to_owned(), "EOF"),
        ("{\"cid\":\"Qm".to_owned(), "EOF"),
        ("[]".to_owned(), "object"),
        ("{}".to_owned(), "cid"),
        (r#"{"cid":"Qm1"}"#.to_owned(), "cid"),
        (with(r#""type":3"#), "3"),
        (with(r#""type":"zebra""#), "zebra"),
        (with(r#""type":"pin","mode":"sideways""#), "sideways"),
        (with(r#""max_depth":"deep""#), "deep"),
        (with(r#""metadata":{"a":1}"#), "string"),
    ] {
        let why = parse_line(line.as_bytes()).unwrap_err().to_string();
        assert!(why.contains(word), "{line}: {why}");
    }
}

proptest! {
    #[test]
    fn a_line_of_today_is_read_as_the_pin_it_was(pin in any_pin()) {
        let line = serde_json::to_vec(&pin).unwrap();
        let (read, is_old) = parse_line(&line).unwrap();
        prop_assert!(!is_old);
        prop_assert_eq!(&read, &pin);
        prop_assert_eq!(PinReader::default().line(&line), Ok((pin, false)));
    }

    /// A snapshot of several is read one by one, and the rest is left alone.
    #[test]
    fn snapshots_survive(pins in vec(any_pin(), 0..4), beyond in vec(any::<u8>(), 0..4)) {
        let mut bytes = Vec::new();
        for pin in &pins {
            write_entry(pin, &mut bytes);
        }
        bytes.extend(&beyond);
        let mut rest = bytes.as_slice();
        for pin in &pins {
            let (read, length) = read_entry(rest).unwrap().unwrap();
            prop_assert_eq!(read.unwrap(), pin.clone().into_stored());
            rest = &rest[length..];
        }
        prop_assert_eq!(rest, beyond);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..256)) {
        let _ = (parse_line(&bytes), read_entry(&bytes));
    }

    #[test]
    fn no_damage_makes_a_reader_panic(pin in any_pin(), at in any::<usize>(), byte: u8) {
        let mut line = serde_json::to_vec(&pin).unwrap();
        let place = at % line.len();
        line[place] = byte;
        prop_assert_eq!(PinReader::default().line(&line), parse_line(&line));
        let mut entry = Vec::new();
        write_entry(&pin, &mut entry);
        let place = at % entry.len();
        entry[place] = byte;
        let _ = read_entry(&entry);
    }
}

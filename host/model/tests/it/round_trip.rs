//! Any pin comes back as it went, and no bytes or text make a reader panic.

use holdfast_model::pin::MaxDepth;
use holdfast_model::{Asked, Cid, Origin, PeerId, Pin, PinOptions, PinType, UnixMillis};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn any_cid() -> impl Strategy<Value = Cid> {
    let raw =
        |digest: [u8; 32]| Cid::from_bytes(&[&[0x01, 0x55, 0x12, 0x20], &digest[..]].concat());
    let v0 = |digest: [u8; 32]| Cid::from_bytes(&[&[0x12, 0x20], &digest[..]].concat());
    prop_oneof![
        any::<[u8; 32]>().prop_map(move |digest| raw(digest).unwrap()),
        any::<[u8; 32]>().prop_map(move |digest| v0(digest).unwrap()),
        vec(any::<u8>(), 0..=36).prop_map(|content| {
            let length = u8::try_from(content.len()).unwrap();
            Cid::from_bytes(&[&[0x01, 0x55, 0x00, length], &content[..]].concat()).unwrap()
        }),
    ]
}

fn any_peer() -> impl Strategy<Value = PeerId> {
    any::<[u8; 32]>()
        .prop_map(|digest| PeerId::from_bytes(&[&[0x12, 0x20], &digest[..]].concat()).unwrap())
}

fn any_origin() -> impl Strategy<Value = Origin> {
    (any::<[u8; 4]>(), any::<u16>(), any_peer()).prop_map(|([a, b, c, d], port, peer)| {
        Origin::parse(&format!("/ip4/{a}.{b}.{c}.{d}/tcp/{port}/p2p/{peer}")).unwrap()
    })
}

fn any_instant() -> impl Strategy<Value = Option<UnixMillis>> {
    let instant = (0..=UnixMillis::MAX.as_millis()).prop_map(UnixMillis::new);
    proptest::option::of(prop_oneof![
        instant,
        (0_u64..3_000).prop_map(UnixMillis::new)
    ])
}

fn any_options() -> impl Strategy<Value = PinOptions> {
    (
        (any::<i32>(), any::<i32>(), any::<String>(), any::<u64>()),
        vec(any_peer(), 0..3),
        any_instant(),
        btree_map(any::<String>(), any::<String>(), 0..4),
        proptest::option::of(any_cid()),
        vec(any_origin(), 0..3),
    )
        .prop_map(
            |(plain, user_allocations, expire_at, metadata, pin_update, origins)| {
                let (replication_factor_min, replication_factor_max, name, shard_size) = plain;
                PinOptions {
                    replication_factor_min,
                    replication_factor_max,
                    name,
                    shard_size,
                    user_allocations,
                    expire_at,
                    metadata,
                    pin_update,
                    origins,
                }
            },
        )
}

pub(crate) fn any_pin() -> impl Strategy<Value = Pin> {
    (
        any_cid(),
        proptest::sample::select(&PinType::ALL[..]),
        vec(any_peer(), 0..4),
        any::<i32>(),
        proptest::option::of(any_cid()),
        any_instant(),
        any_options(),
    )
        .prop_map(
            |(cid, pin_type, allocations, depth, reference, timestamp, options)| Pin {
                cid,
                pin_type,
                allocations,
                max_depth: MaxDepth(depth),
                reference,
                timestamp,
                options,
            },
        )
}

proptest! {
    #[test]
    fn a_pin_survives_protobuf_but_for_what_is_not_stored(pin in any_pin()) {
        let bytes = pin.to_proto();
        let read = Pin::from_proto(&bytes).unwrap();
        prop_assert_eq!(read.to_proto(), bytes);
        prop_assert_eq!(read, pin.into_stored());
    }

    #[test]
    fn a_pin_survives_json_whole(pin in any_pin()) {
        let text = serde_json::to_string(&pin).unwrap();
        prop_assert_eq!(serde_json::from_str::<Pin>(&text).unwrap(), pin);
    }

    #[test]
    fn no_bytes_make_protobuf_panic(bytes in vec(any::<u8>(), 0..256)) {
        if let Ok(pin) = Pin::from_proto(&bytes) {
            prop_assert_eq!(Pin::from_proto(&pin.to_proto()).unwrap(), pin);
        }
    }

    /// Bytes near a real pin come further into the reader than random ones.
    #[test]
    fn no_damage_makes_protobuf_panic(pin in any_pin(), at in any::<usize>(), byte: u8) {
        let mut bytes = pin.to_proto();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(pin) = Pin::from_proto(&bytes) {
            prop_assert_eq!(Pin::from_proto(&pin.to_proto()).unwrap(), pin);
        }
    }

    #[test]
    fn no_text_makes_a_cid_panic(text in any::<String>(), bytes in vec(any::<u8>(), 0..64)) {
        for cid in [Cid::parse(&text), Cid::from_bytes(&bytes)].into_iter().flatten() {
            prop_assert_eq!(Cid::parse(&cid.to_string()).unwrap(), cid);
            prop_assert_eq!(Cid::from_bytes(&cid.to_bytes()).unwrap(), cid);
        }
    }

    #[test]
    fn no_body_makes_a_request_panic(cid in ".{0,20}", key in ".{0,9}", value in ".{0,9}") {
        let body = serde_json::json!({"cid": cid, "meta": {key: value}}).to_string();
        let _ = Asked::parse(body.as_bytes()).unwrap().check();
    }
}

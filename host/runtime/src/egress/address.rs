//! Which addresses plugins may reach: public ones, and private ones that the operator names.
//!
//! The tables follow the IANA special-purpose address registries (RFC 6890 and its successors),
//! with the addresses at which clouds answer for a machine's credentials.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a range is for, and whether an operator can open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Somebody's own network: `allow_private` may open it.
    Private(&'static str),
    /// Nothing that a plugin could have business with.
    Never(&'static str),
}

use Use::{Never, Private};

/// Special IPv4 ranges; the first that has the address tells what it is.
const V4: [(Ipv4Addr, u8, Use); 19] = [
    (Ipv4Addr::new(169, 254, 169, 254), 32, Never("metadata")),
    (Ipv4Addr::new(169, 254, 170, 2), 32, Never("metadata")),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Never("metadata")),
    (Ipv4Addr::new(100, 100, 100, 200), 32, Never("metadata")),
    (Ipv4Addr::new(192, 0, 0, 192), 32, Never("metadata")),
    (Ipv4Addr::new(0, 0, 0, 0), 8, Never("unspecified")),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private("private")),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private("shared")),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Private("loopback")),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Private("link-local")),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private("private")),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Never("reserved")),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Never("documentation")),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Never("6to4")),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private("private")),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Private("benchmarking")),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Never("documentation")),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Never("documentation")),
    // Multicast, what is reserved above it, and broadcast.
    (
        Ipv4Addr::new(224, 0, 0, 0),
        3,
        Never("multicast or reserved"),
    ),
];

/// Special IPv6 ranges, likewise. Those that carry an IPv4 address hide where they lead, so they
/// are closed as they are.
const V6: [(Ipv6Addr, u8, Use); 17] = [
    (
        v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]),
        128,
        Never("metadata"),
    ),
    (
        v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),
        128,
        Never("metadata"),
    ),
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 128, Never("unspecified")),
    (v6([0, 0, 0, 0, 0, 0, 0, 1]), 128, Private("loopback")),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0]), 96, Never("IPv4-mapped")),
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 96, Never("IPv4-compatible")),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96, Never("NAT64")),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, Never("NAT64")),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, Never("Teredo")),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, Never("reserved")),
    (
        v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]),
        32,
        Never("documentation"),
    ),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, Never("6to4")),
    (
        v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]),
        20,
        Never("documentation"),
    ),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, Private("private")),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, Private("link-local")),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, Private("site-local")),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, Never("multicast")),
];

/// All of IPv6 that is given out to the public so far (RFC 4291, RFC 3587).
const V6_PUBLIC: (Ipv6Addr, u8) = (v6([0x2000, 0, 0, 0, 0, 0, 0, 0]), 3);

const fn v6(parts: [u16; 8]) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, h] = parts;
    Ipv6Addr::new(a, b, c, d, e, f, g, h)
}

/// Names that lead to such addresses by what they are (RFC 6761, and the clouds' manuals). They are
/// judged by their addresses like all others; here they are known before anybody looks them up.
const NAMES: [(&str, Use); 5] = [
    ("localhost", Private("loopback")),
    ("metadata.google.internal", Never("metadata")),
    ("metadata.goog", Never("metadata")),
    ("instance-data.ec2.internal", Never("metadata")),
    ("metadata.tencentyun.com", Never("metadata")),
];

/// Why an address is closed. What it says never has a line that opens it: who sent the plugin there
/// may be somebody who hopes for just that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    place: String,
    what: &'static str,
    can_be_opened: bool,
}

impl Closed {
    fn of(place: impl fmt::Display, by: Use) -> Self {
        let (what, can_be_opened) = match by {
            Private(what) => (what, true),
            Never(what) => (what, false),
        };
        Self {
            place: place.to_string(),
            what,
            can_be_opened,
        }
    }

    /// Whether a rule can open it at all.
    pub(crate) const fn can_be_opened(&self) -> bool {
        self.can_be_opened
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what, .. } = self;
        match self.can_be_opened {
            true => write!(
                f,
                "{place} ({what}), where plugins may not go unless allow_private in a rule of its \
                 own opens it"
            ),
            false => write!(f, "{place} ({what}), where plugins may never go"),
        }
    }
}

/// Why a host is closed to whoever has only its name in a rule, if its address or its name tells.
pub(crate) fn closed_host(host: &str) -> Option<Closed> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(host).parse() {
        return judge(address, &[]).err();
    }
    let is_named = |name: &str| {
        let below = host.strip_suffix(name);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    };
    let by = NAMES.into_iter().find(|(name, _)| is_named(name));
    by.map(|(_, by)| Closed::of(host, by))
}

/// Whether an address may be connected to, where `open` are the private ranges that a rule opens.
pub(crate) fn judge(address: IpAddr, open: &[IpNet]) -> Result<(), Closed> {
    match use_of(address) {
        None => Ok(()),
        Some(Private(_)) if open.iter().any(|range| range.contains(&address)) => Ok(()),
        Some(by) => Err(Closed::of(address, by)),
    }
}

/// Reads a range that `allow_private` names: an address alone, or with a length.
pub(crate) fn private_range(text: &str) -> Result<IpNet, String> {
    let range = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| {
            format!("{text:?} is no range of addresses; write one such as \"10.1.0.0/16\"")
        })?,
    };
    let range = range.trunc();
    // A range must lie within one special range as a whole: the two ends alone may be of two.
    let whole =
        |what: Option<Use>| matches!(what, Some(Private(_))) && what == use_of(range.broadcast());
    if whole(use_of(range.network())) {
        return Ok(range);
    }
    Err(format!(
        "{text:?} is no private range (10.0.0.0/8, 127.0.0.0/8, fc00::/7, …) or part of one; \
         public addresses need no leave, and metadata addresses get none"
    ))
}

fn use_of(address: IpAddr) -> Option<Use> {
    match address {
        IpAddr::V4(address) => V4.iter().find_map(|(range, length, what)| {
            let is_in = prefix(u32::from(address).into(), 32, *length)
                == prefix(u32::from(*range).into(), 32, *length);
            is_in.then_some(*what)
        }),
        IpAddr::V6(address) => {
            let is_in = |range: Ipv6Addr, length: u8| {
                prefix(address.into(), 128, length) == prefix(range.into(), 128, length)
            };
            V6.iter()
                .find_map(|(range, length, what)| is_in(*range, *length).then_some(*what))
                .or_else(|| (!is_in(V6_PUBLIC.0, V6_PUBLIC.1)).then_some(Never("reserved")))
        }
    }
}

/// The first bits of an address of so many bits.
fn prefix(address: u128, bits: u8, length: u8) -> u128 {
    address
        .checked_shr(u32::from(bits.saturating_sub(length)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(address: &str, open: &[&str]) -> bool {
        let open: Vec<IpNet> = open.iter().map(|r| private_range(r).unwrap()).collect();
        judge(address.parse().unwrap(), &open).is_ok()
    }

    #[test]
    fn public_addresses_are_open() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "223.255.255.255",
            "2606:4700::1111",
        ] {
            assert!(is_open(address, &[]), "{address}");
        }
    }

    #[test]
    fn special_addresses_are_closed() {
        for address in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "100::1",
        ] {
            assert!(!is_open(address, &[]), "{address}");
        }
    }

    #[test]
    fn a_host_that_is_closed_by_what_it_is_is_known_without_a_look_up() {
        for (host, said) in [
            ("169.254.169.254", "(metadata), where plugins may never go"),
            ("[fd00:ec2::254]", "(metadata), where plugins may never go"),
            (
                "[::ffff:a00:1]",
                "(IPv4-mapped), where plugins may never go",
            ),
            ("metadata.google.internal", "(metadata), where plugins"),
            ("10.0.0.1", "(private), where plugins may not go unless"),
            ("[::1]", "(loopback), where plugins may not go unless"),
            ("localhost", "(loopback), where plugins may not go unless"),
            ("a.localhost", "(loopback), where plugins may not go unless"),
        ] {
            let closed = closed_host(host).unwrap().to_string();
            assert!(closed.contains(said), "{host}: {closed}");
            // No line that opens it, and no address in quotes to copy.
            assert!(!closed.contains(['"', '=', '[']), "{host}: {closed}");
        }
        for open in [
            "api.example.com",
            "notlocalhost",
            "1.1.1.1",
            "[2606:4700::1]",
        ] {
            assert_eq!(closed_host(open), None, "{open}");
        }
    }

    #[test]
    fn an_operator_opens_what_is_private_and_nothing_else() {
        assert!(is_open("10.1.2.3", &["10.1.0.0/16"]));
        assert!(!is_open("10.2.2.3", &["10.1.0.0/16"]));
        assert!(is_open("127.0.0.1", &["127.0.0.1"]));
        assert!(is_open("::1", &["::1"]));
        // The metadata address stays closed within a range that is open.
        assert!(is_open("169.254.1.1", &["169.254.0.0/16"]));
        assert!(!is_open("169.254.169.254", &["169.254.0.0/16"]));
        assert!(!is_open("fd00:ec2::254", &["fc00::/7"]));
        for range in [
            "0.0.0.0/0",
            "8.8.8.0/24",
            "169.254.169.254",
            "::ffff:10.0.0.1",
            "10.0.0.0/7",
            "::/0",
            "x",
        ] {
            assert!(private_range(range).is_err(), "{range}");
        }
    }
}

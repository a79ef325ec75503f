//! How far an address reaches.

use holdfast_model::{Origin, PeerId};
use std::net::{IpAddr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Everybody,
    ThisNetwork,
    ThisMachine,
}

/// Addresses by their reach, the widest first; those of this machine only if there are no others.
pub(super) fn by_reach<'a>(addresses: impl Iterator<Item = &'a Origin>) -> Vec<Origin> {
    let mut ranked: Vec<(Reach, &Origin)> = Vec::new();
    for origin in addresses {
        if origin.ends_in_peer() && !ranked.iter().any(|(_, known)| *known == origin) {
            ranked.push((reach(origin), origin));
        }
    }
    ranked.sort_by_key(|(reach, _)| *reach);
    if ranked.iter().any(|(reach, _)| *reach != Reach::ThisMachine) {
        ranked.retain(|(reach, _)| *reach != Reach::ThisMachine);
    }
    ranked
        .into_iter()
        .map(|(_, origin)| origin.clone())
        .collect()
}

/// The address that is nothing but a peer's id.
pub(super) fn bare(peer: &PeerId) -> Option<Origin> {
    Origin::parse(&format!("/p2p/{peer}")).ok()
}

fn reach(origin: &Origin) -> Reach {
    let text = origin.to_string();
    let mut parts = text.split('/').skip(1);
    let (Some(kind), Some(host)) = (parts.next(), parts.next()) else {
        return Reach::ThisNetwork;
    };
    let ip = match kind {
        "ip4" | "ip6" => host.parse::<IpAddr>().ok(),
        _ => return Reach::Everybody,
    };
    match ip {
        Some(ip) if ip.is_loopback() || ip.is_unspecified() => Reach::ThisMachine,
        Some(IpAddr::V4(ip)) if ip.is_private() || ip.is_link_local() => Reach::ThisNetwork,
        Some(IpAddr::V6(ip)) if is_local(ip) => Reach::ThisNetwork,
        Some(_) => Reach::Everybody,
        None => Reach::ThisNetwork,
    }
}

const fn is_local(ip: Ipv6Addr) -> bool {
    ip.is_unique_local() || ip.is_unicast_link_local()
}

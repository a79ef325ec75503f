//! What a client chooses for a pin, as the query parameters of IPFS Cluster (`api.PinOptions`).
//!
//! All of it is read before anything is done, and what cannot be read is refused: a mistyped mode
//! or peer would pin otherwise than was asked. Parameters that are not known here are passed over,
//! as clients of all versions send some.

use crate::api::query::Query;
use holdfast_model::limits::{META_BYTES_MAX, META_PAIRS_MAX, NAME_CHARS_MAX, ORIGINS_MAX};
use holdfast_model::pin::MaxDepth;
use holdfast_model::{Cid, Invalid, Origin, PeerId, PinOptions, UnixMillis};
use std::collections::BTreeMap;

/// What free pairs begin with.
const META: &str = "meta-";

/// The shortest span until a pin expires, in milliseconds: IPFS Cluster's.
const EXPIRE_IN_MIN_MILLIS: u64 = 1_000;

/// Peers that can be named: far more than any cluster has.
const ALLOCATIONS_MAX: usize = 1_000;

/// How deep a pin is to reach, and all else.
pub(super) fn read(query: &Query, now: UnixMillis) -> Result<(MaxDepth, PinOptions), Invalid> {
    let max_depth = match query.first("mode") {
        None | Some("") => MaxDepth::RECURSIVE,
        Some(mode) => MaxDepth::of_mode(mode)?,
    };
    let both = factor(query, "replication")?;
    let min = factor(query, "replication-min")?;
    let max = factor(query, "replication-max")?;
    let name = query.first("name").unwrap_or_default();
    if name.chars().count() > NAME_CHARS_MAX {
        let why = format!("is longer than {NAME_CHARS_MAX} characters; send a shorter one");
        return Err(Invalid::new("name", why));
    }
    let options = PinOptions {
        replication_factor_min: both.or(min).unwrap_or(0),
        replication_factor_max: both.or(max).unwrap_or(0),
        name: name.to_owned(),
        shard_size: number(query, "shard-size")?.unwrap_or(0),
        user_allocations: peers(query)?,
        expire_at: expiry(query, now)?,
        metadata: metadata(query)?,
        pin_update: match query.first("pin-update") {
            None | Some("") => None,
            Some(cid) => Some(Cid::parse(cid).map_err(|e| Invalid::new("pin-update", e.why))?),
        },
        origins: origins(query)?,
    };
    Ok((max_depth, options))
}

fn factor(query: &Query, name: &str) -> Result<Option<i32>, Invalid> {
    number(query, name)
}

/// A number that may be there.
pub(super) fn number<T: std::str::FromStr>(
    query: &Query,
    name: &str,
) -> Result<Option<T>, Invalid> {
    match query.first(name) {
        None | Some("") => Ok(None),
        Some(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Invalid::new(
                name,
                "is no number that can be used here; send digits",
            )),
        },
    }
}

/// A switch as Go reads it (`strconv.ParseBool`).
pub(super) fn switch(query: &Query, name: &str) -> Result<Option<bool>, Invalid> {
    match query.first(name) {
        None | Some("") => Ok(None),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(Some(true)),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(Some(false)),
        Some(_) => Err(Invalid::new(name, "is no switch; send true or false")),
    }
}

fn peers(query: &Query) -> Result<Vec<PeerId>, Invalid> {
    let mut all = Vec::new();
    for text in members(query.first("user-allocations")) {
        let peer = PeerId::parse(text.trim());
        all.push(
            peer.map_err(|e| Invalid::new("user-allocations", format!("{text:?}: {}", e.why)))?,
        );
        if all.len() > ALLOCATIONS_MAX {
            let why = format!("names more than {ALLOCATIONS_MAX} peers");
            return Err(Invalid::new("user-allocations", why));
        }
    }
    Ok(all)
}

fn origins(query: &Query) -> Result<Vec<Origin>, Invalid> {
    let mut all = Vec::new();
    for text in members(query.first("origins")) {
        all.push(Origin::parse(text).map_err(|e| Invalid::new("origins", e.why))?);
        if all.len() > ORIGINS_MAX {
            let why = format!("names more than {ORIGINS_MAX} addresses");
            return Err(Invalid::new("origins", why));
        }
    }
    Ok(all)
}

/// The members of a list with commas; none of an empty one.
pub(super) fn members(list: Option<&str>) -> impl Iterator<Item = &str> {
    let list = list.filter(|list| !list.is_empty());
    list.into_iter().flat_map(|list| list.split(','))
}

fn metadata(query: &Query) -> Result<BTreeMap<String, String>, Invalid> {
    let mut all = BTreeMap::new();
    let mut bytes = 0_usize;
    for (name, value) in query.pairs() {
        let Some(key) = name.strip_prefix(META).filter(|key| !key.is_empty()) else {
            continue;
        };
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        // Go's `Get`: the first of several counts.
        all.entry(key.to_owned())
            .or_insert_with(|| value.to_owned());
        if all.len() > META_PAIRS_MAX || bytes > META_BYTES_MAX {
            let why = format!("is more than {META_PAIRS_MAX} pairs or {META_BYTES_MAX} bytes");
            return Err(Invalid::new("meta-…", why));
        }
    }
    Ok(all)
}

fn expiry(query: &Query, now: UnixMillis) -> Result<Option<UnixMillis>, Invalid> {
    if let Some(text) = query.first("expire-at").filter(|text| !text.is_empty()) {
        let at = UnixMillis::parse(text).map_err(|e| Invalid::new("expire-at", e.why))?;
        return Ok(Some(at));
    }
    let Some(text) = query.first("expire-in").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let millis = span(text).ok_or_else(|| {
        let why = "cannot be parsed; send a span such as 90s, 1h30m or 720h";
        Invalid::new("expire-in", why)
    })?;
    if millis < EXPIRE_IN_MIN_MILLIS {
        return Err(Invalid::new(
            "expire-in",
            "duration too short; send 1s or more",
        ));
    }
    Ok(Some(now.plus_millis(millis)))
}

/// Milliseconds of a span as Go writes it (`time.ParseDuration`): `1h30m`, `1.5h`, `200ms`.
fn span(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(of_unit(number, unit)?)?;
        rest = next;
    }
    u64::try_from(nanos / 1_000_000).ok()
}

/// So many units, of which there may be a fraction.
fn of_unit(number: &str, unit: u128) -> Option<u128> {
    /// Digits behind the point that count; more are finer than a nanosecond of an hour.
    const DIGITS_MAX: usize = 13;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u128 = match whole {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let fraction = fraction.get(..fraction.len().min(DIGITS_MAX))?;
    let part = match fraction {
        "" => 0,
        digits => {
            let scale = 10_u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
            digits.parse::<u128>().ok()?.checked_mul(unit)? / scale
        }
    };
    whole.checked_mul(unit)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWGHTKzeT4KaLGLrbKKyT8zKrBPXAUBRzCAN6ZMDMo4M6M";
    const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);

    fn of(query: &str) -> Result<(MaxDepth, PinOptions), Invalid> {
        read(&Query::all(Some(query)), NOW)
    }

    #[test]
    fn what_ctl_sends_for_a_plain_pin_is_all_defaults() {
        let sent = "replication-min=0&replication-max=0&name=&mode=recursive&shard-size=0&user-allocations=";
        assert_eq!(
            of(sent).unwrap(),
            (MaxDepth::RECURSIVE, PinOptions::default())
        );
    }

    #[test]
    fn every_option_is_read() {
        let sent = format!(
            "replication=2&name=a%20b&mode=direct&shard-size=7&user-allocations={PEER}&expire-in=1h30m\
             &meta-x=1&meta-=no&meta-x=2&pin-update=bafkqaaa&origins=/ip4/1.2.3.4/tcp/1/p2p/{PEER}&local=true"
        );
        let (depth, options) = of(&sent).unwrap();
        assert_eq!(depth, MaxDepth::DIRECT);
        assert_eq!(options.replication_factor_min, 2);
        assert_eq!(options.replication_factor_max, 2);
        assert_eq!(options.name, "a b");
        assert_eq!(options.expire_at, Some(NOW.plus_millis(5_400_000)));
        assert_eq!(options.metadata, BTreeMap::from([("x".into(), "1".into())]));
        assert_eq!(options.pin_update.unwrap().to_string(), "bafkqaaa");
        assert_eq!(
            (options.user_allocations.len(), options.origins.len()),
            (1, 1)
        );
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (sent, named) in [
            ("mode=sideways", "mode"),
            ("replication-min=two", "replication-min"),
            ("replication-max=9999999999", "replication-max"),
            ("shard-size=-1", "shard-size"),
            ("user-allocations=nobody", "user-allocations"),
            ("expire-at=tomorrow", "expire-at"),
            ("expire-in=1ms", "expire-in"),
            ("expire-in=-1h", "expire-in"),
            ("expire-in=1", "expire-in"),
            ("pin-update=Qm", "pin-update"),
            ("origins=/ip4/1.2.3.4/tcp/1", "origins"),
        ] {
            assert_eq!(of(sent).unwrap_err().what, named, "{sent}");
        }
    }

    #[test]
    fn spans_are_gos() {
        for (text, millis) in [
            ("1s", 1_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("1m0.25s", 60_250),
            ("720h0m0s", 2_592_000_000),
        ] {
            assert_eq!(span(text), Some(millis), "{text}");
        }
        for text in [
            "",
            "1",
            "h",
            "1d",
            "1..5s",
            ".s",
            "999999999999999999999999999999999999999h",
        ] {
            assert_eq!(span(text), None, "{text}");
        }
    }
}

//! When a certificate ends: the one field of X.509 that the TLS library checks and does not tell.
//!
//! RFC 5280, section 4.1: a certificate is a sequence that begins with the `TBSCertificate`, in
//! which an optional version, the serial number, the signature's algorithm and the issuer stand
//! before the validity, a sequence of two times.

use holdfast_model::UnixMillis;

/// DER tags.
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity; nothing if the bytes are no certificate.
pub(super) fn not_after(der: &[u8]) -> Option<UnixMillis> {
    let (SEQUENCE, certificate, _) = value(der)? else {
        return None;
    };
    let (SEQUENCE, mut rest, _) = value(certificate)? else {
        return None;
    };
    if let (VERSION, _, after) = value(rest)? {
        rest = after;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        (_, _, rest) = value(rest)?;
    }
    let (SEQUENCE, validity, _) = value(rest)? else {
        return None;
    };
    let (_, _, end) = value(validity)?;
    let (tag, end, _) = value(end)?;
    time(tag, std::str::from_utf8(end).ok()?)
}

/// The first value: its tag, its content, and what follows it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<UnixMillis> {
    let digits = text.strip_suffix('Z')?;
    let (century, digits) = match tag {
        // RFC 5280, section 4.1.2.5.1: 50 and above are of the last century. It has ended.
        UTC_TIME if digits.get(..2)? < "50" => ("20", digits),
        UTC_TIME => return Some(UnixMillis::new(0)),
        GENERALIZED_TIME => digits.split_at_checked(2)?,
        _ => return None,
    };
    let part = |from: usize| digits.get(from..from + 2);
    let (year, month, day) = (part(0)?, part(2)?, part(4)?);
    let (hour, minute, second) = (part(6)?, part(8)?, part(10)?);
    UnixMillis::parse(&format!(
        "{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        // openssl x509 -enddate
        let pem = include_bytes!("../../../tests/it/ops/tls/one.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let ends = not_after(&certificate).unwrap();
        assert_eq!(ends.shortest().to_string(), "2126-10-28T00:10:57Z");
        for cut in 0..certificate.len().min(120) {
            assert_eq!(not_after(&certificate[..cut]), None);
        }
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let of = |tag, text| time(tag, text).map(|t| t.shortest().to_string());
        assert_eq!(
            of(UTC_TIME, "491231235959Z").as_deref(),
            Some("2049-12-31T23:59:59Z")
        );
        assert_eq!(
            of(GENERALIZED_TIME, "20500101000000Z").as_deref(),
            Some("2050-01-01T00:00:00Z")
        );
        assert_eq!(
            of(UTC_TIME, "500101000000Z").as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        for bad in ["", "Z", "4912312359Z", "491331235959Z", "490230000000Z"] {
            assert_eq!(of(UTC_TIME, bad), None, "{bad}");
        }
    }
}

//! A compressed bomb: a quarter of a megabyte that unpacks to a quarter of a gigabyte.
//!
//! It is a gzip file like any other (RFC 1952), its checksum included, so that whoever unpacks it
//! has no reason to stop. Deflate (RFC 1951) can say "the byte before, 258 times" in two bits of a
//! code made for it, which is 1,032 to one and the most that it can do.

/// How often the byte is repeated 258 times.
const TIMES: usize = 1_040_000;

/// What it unpacks to: thirty times what a call may send and fetch unless it is given more.
const UNPACKED_BYTES: u32 = 268_320_001;

/// The checksum of so many noughts (CRC-32).
const CHECKSUM: u32 = 0xabaf_55b9;

/// Of the head of a gzip file: deflate, no flags, no time, packed as small as can be, no system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];

/// The lengths of the codes in which the lengths of the codes are written, in deflate's own order:
/// one bit for "so many noughts" (the third), two bits for each of the lengths 2 and 1.
const LENGTHS_OF_LENGTHS: [u32; 18] = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2];

/// A whole answer over HTTP/1.1 with the bomb for its body.
pub(super) fn answer() -> Vec<u8> {
    let bomb = bomb();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    answer.extend(bomb);
    answer
}

/// A gzip file of one nought and so many times 258 more.
pub(super) fn bomb() -> Vec<u8> {
    let mut bits = Bits::default();
    code(&mut bits);
    // A nought, then 258 times (0) what is one back (0), and the end.
    bits.push("10");
    bits.push_noughts(2 * TIMES);
    bits.push("11");
    let mut bytes = GZIP_HEAD.to_vec();
    bytes.extend(bits.bytes);
    bytes.extend(CHECKSUM.to_le_bytes());
    bytes.extend(UNPACKED_BYTES.to_le_bytes());
    bytes
}

/// The head of the one block: the last, with a code of its own. That has a nought (10), the end
/// (11), 258 times (0), and of distances one back (0).
fn code(bits: &mut Bits) {
    bits.push("1");
    bits.push_number(2, 2);
    // All 286 symbols for bytes and lengths, of which the last is 258; one distance; 18 lengths.
    bits.push_number(29, 5);
    bits.push_number(0, 5);
    bits.push_number(14, 4);
    for length in LENGTHS_OF_LENGTHS {
        bits.push_number(length, 3);
    }
    // Two bits (11) for a nought; none for the 255 other bytes, which are 138 and 117 symbols, 11
    // being the fewest.
    bits.push("11");
    for unused in [138 - 11, 117 - 11] {
        bits.push("0");
        bits.push_number(unused, 7);
    }
    // Two bits for the end; none for 28 lengths; one bit (10) for 258, and one for the distance.
    bits.push("11");
    bits.push("0");
    bits.push_number(28 - 11, 7);
    bits.push("10");
    bits.push("10");
}

/// Bits on their way into bytes, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    /// A code, as it is written.
    fn push(&mut self, code: &str) {
        for digit in code.bytes() {
            self.push_bit(digit == b'1');
        }
    }

    /// A number of so many bits, its lowest first.
    fn push_number(&mut self, number: u32, bits: u32) {
        for place in 0..bits {
            self.push_bit(number >> place & 1 == 1);
        }
    }

    fn push_noughts(&mut self, count: usize) {
        self.count = self.count.saturating_add(count);
        self.bytes.resize(self.count.div_ceil(8), 0);
    }

    fn push_bit(&mut self, bit: bool) {
        let place = self.count % 8;
        self.push_noughts(1);
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    /// The machine's own gzip unpacks it and has nothing to complain of.
    #[test]
    fn it_is_a_gzip_file_that_unpacks_to_what_it_claims() {
        let mut gzip = Command::new("gzip")
            .args(["-d", "-c"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let bomb = bomb();
        let (mut stdin, mut stdout) = (gzip.stdin.take().unwrap(), gzip.stdout.take().unwrap());
        let fed = bomb.clone();
        let feeding = std::thread::spawn(move || stdin.write_all(&fed));
        let mut unpacked = 0;
        let (mut piece, noughts) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        loop {
            let count = stdout.read(&mut piece).unwrap();
            if count == 0 {
                break;
            }
            assert!(piece[..count] == noughts[..count]);
            unpacked += count;
        }
        feeding.join().unwrap().unwrap();
        assert!(gzip.wait().unwrap().success());
        assert_eq!(unpacked, usize::try_from(UNPACKED_BYTES).unwrap());
        assert!(unpacked / bomb.len() >= 1_030);
    }
}

//! A compressed bomb: a few kilobytes that unpack to a thousand times as much and more.
//!
//! Deflate (RFC 1951) says "the byte before, 258 times" in 13 bits of its fixed code, which is 158
//! to one; and what says nothing else can itself be packed by the same means, but one layer is
//! enough to tell whether anybody unpacks.

/// How often the byte is repeated 258 times: 25 KiB that would become 4 MiB.
const TIMES: usize = 16_256;

/// Of the head of a gzip file (RFC 1952): deflate, no flags, no time, no system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A whole answer over HTTP/1.1 with the bomb for its body.
pub(super) fn answer() -> Vec<u8> {
    let bomb = bomb(TIMES);
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
         content-length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    answer.extend(bomb);
    answer
}

/// A gzip file with one nought and so many times 258 more. Its checksum is left blank: whoever
/// unpacks has the noughts before looking at it.
fn bomb(times: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    // The last block, in the fixed code.
    bits.push(&[true, true, false]);
    // The code of a nought, 0011 0000.
    bits.push(&[false, false, true, true, false, false, false, false]);
    for _ in 0..times {
        // 258 times (1100 0101) what is one back (0 0000).
        bits.push(&[true, true, false, false, false, true, false, true]);
        bits.push(&[false; 5]);
    }
    // The end, 000 0000.
    bits.push(&[false; 7]);
    let mut bytes = GZIP_HEAD.to_vec();
    bytes.extend(bits.bytes);
    bytes.extend([0; 8]);
    bytes
}

/// Bits on their way into bytes, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn push(&mut self, bits: &[bool]) {
        for bit in bits {
            let place = self.count % 8;
            if place == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(*bit) << place;
            }
            self.count = self.count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// The machine's own gzip says what it is, but for the checksum, of which it complains.
    #[test]
    fn it_unpacks_to_what_it_claims() {
        let mut gzip = Command::new("gzip")
            .args(["-d", "-c", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let bomb = bomb(TIMES);
        let mut stdin = gzip.stdin.take().unwrap();
        let feeding = {
            let bomb = bomb.clone();
            std::thread::spawn(move || stdin.write_all(&bomb))
        };
        let unpacked = gzip.wait_with_output().unwrap().stdout;
        feeding.join().unwrap().unwrap();
        assert_eq!(unpacked.len(), 1 + 258 * TIMES);
        assert!(unpacked.iter().all(|byte| *byte == 0));
        assert!(bomb.len() < 64 * 1024 && unpacked.len() / bomb.len() > 150);
    }
}

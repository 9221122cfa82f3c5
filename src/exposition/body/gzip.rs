//! One gzip member in two parts that are compressed at different times.

use std::fmt;
use std::io::{BufWriter, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc, CrcWriter};

/// The first part: text goes in, compressed bytes come out.
pub struct Gzip {
    // Text comes in pieces of a few bytes, which the compressor handles slowly.
    out: BufWriter<CrcWriter<DeflateEncoder<Vec<u8>>>>,
}

/// Without name and time, made by Unix (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
const BUFFER: usize = 32 << 10;
/// Expositions repeat themselves so much that more effort gains little.
const LEVEL: Compression = Compression::new(4);

impl Gzip {
    /// Starts a member.
    pub fn new() -> Self {
        let deflate = DeflateEncoder::new(HEADER.to_vec(), LEVEL);
        Self {
            out: BufWriter::with_capacity(BUFFER, CrcWriter::new(deflate)),
        }
    }

    /// What has been compressed since the last call.
    pub fn take_compressed(&mut self) -> Vec<u8> {
        std::mem::take(self.out.get_mut().get_mut().get_mut())
    }

    /// Compresses all that is left, up to a byte boundary, so that [`finish`] can go on from there.
    pub fn sync(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    /// The checksum of the text that was compressed.
    pub fn crc(&self) -> &Crc {
        self.out.get_ref().crc()
    }
}

impl fmt::Write for Gzip {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.write_all(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// The second part: the rest of the text, and what ends the member.
pub fn finish(text: &str, first: &Crc) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::new(), LEVEL);
    deflate
        .write_all(text.as_bytes())
        .expect("a vector takes everything");
    let mut bytes = deflate.finish().expect("a vector takes everything");
    let mut last = Crc::new();
    last.update(text.as_bytes());
    let mut whole = Crc::new();
    whole.combine(first);
    whole.combine(&last);
    bytes.extend(whole.sum().to_le_bytes());
    bytes.extend(whole.amount().to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn both_parts_are_one_member_with_one_checksum() {
        let mut gzip = Gzip::new();
        let mut text = String::new();
        let mut bytes = Vec::new();
        for line in 0..20_000 {
            let line = format!("odoo_users{{target=\"t{line}\"}} {line}\n");
            gzip.write_str(&line).expect("vectors take everything");
            text += &line;
            bytes.extend(gzip.take_compressed());
        }
        gzip.sync().expect("vectors take everything");
        bytes.extend(gzip.take_compressed());
        bytes.extend(finish("# EOF\n", gzip.crc()));
        text += "# EOF\n";

        let mut unzipped = String::new();
        let mut member = flate2::bufread::GzDecoder::new(bytes.as_slice());
        member
            .read_to_string(&mut unzipped)
            .expect("a valid member");
        assert_eq!(unzipped, text);
        assert!(member.into_inner().is_empty(), "a second member");
    }
}

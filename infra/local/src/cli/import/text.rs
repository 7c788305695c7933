//! A file's bytes as UTF-8, whatever they were written in, without holding the file.

use encoding_rs::{Decoder, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, Read};

/// Bytes looked at to find out the encoding.
pub(super) const SAMPLE: usize = 1024 * 1024;
const BUFFER: usize = 64 * 1024;

/// The encoding of a text that begins like this. A byte order mark decides; then whatever is sound UTF-8 is UTF-8;
/// then bytes above 127 that come in pairs are Chinese, and others Western European.
pub(super) fn detect(sample: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return encoding;
    }
    let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let some = sample.len() / 8;
    match (zeros(0), zeros(1)) {
        (even, odd) if odd > some && odd > even => return UTF_16LE,
        (even, _) if even > some => return UTF_16BE,
        _ => {}
    }
    match std::str::from_utf8(sample) {
        Ok(_) => return UTF_8,
        // Cut in the middle of a character.
        Err(error) if error.error_len().is_none() => return UTF_8,
        Err(_) => {}
    }
    if looks_chinese(sample) { GB18030 } else { WINDOWS_1252 }
}

/// GB 18030 writes a character as a byte of 0x81 to 0xFE and one of 0x40 to 0xFE, mostly above 0xA0 both; in Western
/// text a byte above 127 mostly stands between letters.
fn looks_chinese(sample: &[u8]) -> bool {
    let (mut pairs, mut lone) = (0, 0);
    let mut bytes = sample.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte < 0x80 {
            continue;
        }
        match bytes.peek() {
            Some(next) if **next >= 0x80 => {
                pairs += 1;
                bytes.next();
            }
            _ => lone += 1,
        }
    }
    pairs > lone * 4
}

/// Reads UTF-8 from a source in another encoding; what cannot be read becomes U+FFFD.
pub(super) struct Utf8<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Utf8<R> {
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { inner, decoder, raw: Vec::new(), text: Vec::new(), at: 0, ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.at == self.text.len() && !self.ended {
            self.raw.resize(BUFFER, 0);
            let got = match self.inner.read(&mut self.raw) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                got => got?,
            };
            self.ended = got == 0;
            let most = self.decoder.max_utf8_buffer_length(got).unwrap_or(BUFFER * 4);
            self.text.resize(most, 0);
            // The buffer is as long as the decoder says it may need, so all of the input is taken.
            let raw = self.raw.get(..got).unwrap_or_default();
            let (_, _, written, _) = self.decoder.decode_to_utf8(raw, &mut self.text, self.ended);
            self.text.truncate(written);
            self.at = 0;
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (&'static str, String) {
        let encoding = detect(bytes);
        let mut text = String::new();
        Utf8::new(bytes, encoding).read_to_string(&mut text).unwrap();
        (encoding.name(), text)
    }

    #[test]
    fn text_is_read_whatever_it_was_written_in() {
        let german = "name;ort\nJürgen Groß;Köln\n";
        let chinese = "姓名,公司\n王小明,海港货运\n";
        let utf16 = |text: &str, little: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
        };
        let marked = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for (bytes, encoding, text) in [
            (german.as_bytes().to_vec(), "UTF-8", german),
            (marked(b"\xef\xbb\xbf", chinese.as_bytes()), "UTF-8", chinese),
            (marked(b"\xff\xfe", &utf16(chinese, true)), "UTF-16LE", chinese),
            (marked(b"\xfe\xff", &utf16(german, false)), "UTF-16BE", german),
            (utf16(german, true), "UTF-16LE", german),
            (WINDOWS_1252.encode(german).0.into_owned(), "windows-1252", german),
            (GB18030.encode(chinese).0.into_owned(), "gb18030", chinese),
        ] {
            assert_eq!(read(&bytes), (encoding, text.to_owned()));
        }
    }

    #[test]
    fn a_long_text_comes_through_whole_in_small_pieces() {
        let long = "Größe, 海港, ok\n".repeat(20_000);
        let bytes = GB18030.encode(&long).0.into_owned();
        let mut pieces = Utf8::new(bytes.as_slice(), GB18030);
        let (mut text, mut piece) = (Vec::new(), [0; 7]);
        loop {
            match pieces.read(&mut piece).unwrap() {
                0 => break,
                n => text.extend_from_slice(&piece[..n]),
            }
        }
        assert!(String::from_utf8(text).unwrap() == long);
    }
}

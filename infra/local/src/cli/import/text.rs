//! A file's bytes as UTF-8, whatever they were written in, without holding the file.

use encoding_rs::{Decoder, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::io::{self, Read};

/// Bytes looked at to find out the encoding.
pub(super) const SAMPLE: usize = 1024 * 1024;
const BUFFER: usize = 64 * 1024;

/// The encoding of a text that begins like this. A byte order mark decides; then what is UTF-8 but for a slip here and
/// there is UTF-8; then bytes above 127 that come in pairs are Chinese, and others Western European.
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
    if is_utf8(sample) {
        return UTF_8;
    }
    if looks_chinese(sample) { GB18030 } else { WINDOWS_1252 }
}

/// The encoding of JSON that begins like this: UTF-8 (RFC 8259), unless a byte order mark says otherwise.
pub(super) fn of_json(sample: &[u8]) -> &'static Encoding {
    Encoding::for_bom(sample).map_or(UTF_8, |(encoding, _)| encoding)
}

/// Whether the characters above 127 are those of UTF-8, nearly all of them: one cell that was pasted from elsewhere does not
/// make a file of something else. In no other encoding do bytes follow each other like that but by chance.
fn is_utf8(sample: &[u8]) -> bool {
    let (mut sound, mut bad) = (0_usize, 0_usize);
    let mut chunks = sample.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        // The sample of a longer file may end in the middle of a character.
        let is_cut = sample.len() >= SAMPLE && chunks.peek().is_none();
        sound += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        bad += usize::from(!chunk.invalid().is_empty() && !is_cut);
    }
    bad == 0 || sound >= bad * 4
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
    /// Bytes read of the source, and what they came to.
    read: u64,
    decoded: u64,
}

impl<R: Read> Utf8<R> {
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { inner, decoder, raw: Vec::new(), text: Vec::new(), at: 0, ended: false, read: 0, decoded: 0 }
    }

    /// How many of the source's bytes so many bytes of the text are: by the share that those already read have.
    pub(super) fn bytes_of(&self, text: u64) -> u64 {
        let bytes = u128::from(text) * u128::from(self.read) / u128::from(self.decoded.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
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
            self.read += got as u64;
            self.decoded += written as u64;
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
    fn a_bad_byte_in_a_file_of_utf8_makes_no_other_encoding_of_it() {
        let mut bytes = "name\n".to_owned().into_bytes();
        bytes.extend("Jörg 张伟\n".repeat(20).bytes());
        bytes.extend(b"Ren\xe9\n");
        let (encoding, text) = read(&bytes);
        assert_eq!((encoding, text.matches("Jörg 张伟").count()), ("UTF-8", 20));
        assert!(text.ends_with("Ren\u{fffd}\n"));
        // Western names and Chinese ones stay what they are, long or short.
        for names in ["René", "Jörg\nÅsa\nZoë\nÉva", "naïve café, garçon"] {
            assert_eq!(read(&WINDOWS_1252.encode(names).0), ("windows-1252", names.to_owned()));
        }
        for names in ["张伟", "王小明,海港货运\n李雷,上海", "欧阳娜娜\n诸葛亮"] {
            assert_eq!(read(&GB18030.encode(names).0), ("gb18030", names.to_owned()));
        }
    }

    #[test]
    fn json_is_utf8_whatever_is_wrong_in_it() {
        assert_eq!(of_json(b"{\"name\":\"Ren\xe9\"}"), UTF_8);
        assert_eq!(of_json(&GB18030.encode("{\"name\":\"张伟\"}").0), UTF_8);
        assert_eq!(of_json(b"\xff\xfe{\0}\0"), UTF_16LE);
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

//! The `Content-Disposition` of a part (RFC 7578, section 4.2). In bytes: what it is encoded in another part may say.

use super::urlencoded::percent_decode;

/// What the header says of a part: names in lower case, and values as they are written.
pub(super) struct Disposition(Vec<(String, Vec<u8>)>);

/// The name of a file, before its encoding is known.
pub(super) struct FileName {
    pub(super) bytes: Vec<u8>,
    /// What it says itself of its encoding.
    pub(super) charset: Option<String>,
}

impl Disposition {
    /// Reads a header. What is no name and value is passed over.
    pub(super) fn of(header: &[u8]) -> Self {
        let mut parameters = Vec::new();
        let mut rest = past_semicolon(header);
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'=' | b';')) {
            let (name, sign, written) = (&rest[..end], rest[end], &rest[end + 1..]);
            rest = written;
            if sign == b'=' {
                let (value, left) = value(written);
                let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
                parameters.push((name, value.to_vec()));
                rest = past_semicolon(left);
            }
        }
        Self(parameters)
    }

    /// The name of the part's field as it is written, which [`unescaped`] reads.
    pub(super) fn name(&self) -> &[u8] {
        self.get("name").unwrap_or_default()
    }

    /// The file's name; `None` for a part that is none. Some name it only as RFC 5987 does, `filename*=UTF-8''caf%C3%A9.pdf`,
    /// which RFC 7578 forbids and which is a file all the same.
    pub(super) fn file_name(&self) -> Option<FileName> {
        if let Some(name) = self.get("filename") {
            return Some(FileName { bytes: unescaped(name), charset: None });
        }
        let extended = self.get("filename*")?;
        let mut pieces = extended.splitn(3, |byte| *byte == b'\'');
        Some(match (pieces.next(), pieces.next(), pieces.next()) {
            (Some(label), Some(_language), Some(name)) => {
                let name = String::from_utf8_lossy(name).replace('+', "%2B");
                let charset = Some(String::from_utf8_lossy(label).into_owned());
                FileName { bytes: percent_decode(name.as_bytes()), charset }
            }
            _ => FileName { bytes: extended.to_vec(), charset: None },
        })
    }

    /// The first value of that name.
    fn get(&self, wanted: &str) -> Option<&[u8]> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_slice())
    }
}

fn past_semicolon(header: &[u8]) -> &[u8] {
    header.splitn(2, |byte| *byte == b';').nth(1).unwrap_or_default()
}

/// A value without its quotes, and what comes after it.
fn value(written: &[u8]) -> (&[u8], &[u8]) {
    let written = written.trim_ascii_start();
    let Some(quoted) = written.strip_prefix(b"\"") else {
        let end = written.iter().position(|byte| *byte == b';').unwrap_or(written.len());
        return (written[..end].trim_ascii_end(), &written[end..]);
    };
    let quotes = || (0..quoted.len()).filter(move |at| quoted[*at] == b'"');
    // Programs write a quote with a backslash before it; browsers leave a backslash alone, also at the end.
    let is_last = |at: usize| matches!(quoted[at + 1..].trim_ascii_start().first(), None | Some(b';'));
    let is_end = |at: &usize| !quoted[..*at].ends_with(b"\\") || is_last(*at);
    let end = quotes().find(is_end).or_else(|| quotes().next_back()).unwrap_or(quoted.len());
    (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
}

/// What browsers write for quotes and ends of lines in names (HTML standard, "Multipart form data"), and programs for quotes.
const ESCAPES: [(&[u8], u8); 4] = [(b"%22", b'"'), (b"%0D", b'\r'), (b"%0A", b'\n'), (b"\\\"", b'"')];

/// A name without what stands for quotes and ends of lines in it.
pub(super) fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((&first, after)) = rest.split_first() {
        let escape = ESCAPES.iter().find_map(|(escape, meant)| Some((*meant, rest.strip_prefix(*escape)?)));
        let (byte, left) = escape.unwrap_or((first, after));
        name.push(byte);
        rest = left;
    }
    name
}

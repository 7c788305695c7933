//! How many text messages a text is sent and billed as (3GPP TS 23.038, and 23.040 for the parts).

use serde::Serialize;

/// A text as phones count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sms {
    /// `gsm7`, or `ucs2` as soon as one character is not in the small alphabet.
    pub encoding: &'static str,
    /// Units of the encoding: of `gsm7` some characters take two, of `ucs2` emoji do.
    pub units: usize,
    /// Messages it is sent as.
    pub segments: usize,
}

/// The default alphabet without its extension, `ESC` left out.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
    abcdefghijklmnopqrstuvwxyzäöñüà";
/// Characters of the extension: an escape and one more.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Counts a text.
pub fn sms(text: &str) -> Sms {
    let gsm = text.chars().try_fold(0, |units, c| match c {
        _ if GSM.contains(c) => Some(units + 1),
        _ if EXTENSION.contains(c) => Some(units + 2),
        _ => None,
    });
    // A message in parts needs room to say which part it is.
    let (encoding, units, whole, part) = match gsm {
        Some(units) => ("gsm7", units, 160, 153),
        None => ("ucs2", text.encode_utf16().count(), 70, 67),
    };
    let segments = if units <= whole { 1 } else { units.div_ceil(part) };
    Sms { encoding, units, segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_as_phones_do() {
        for (text, expected) in [
            ("Your code is 1234".to_owned(), ("gsm7", 17, 1)),
            ("a".repeat(160), ("gsm7", 160, 1)),
            ("a".repeat(161), ("gsm7", 161, 2)),
            ("€".repeat(80), ("gsm7", 160, 1)),
            ("Grüße".to_owned(), ("gsm7", 5, 1)),
            ("你好".to_owned(), ("ucs2", 2, 1)),
            ("好".repeat(71), ("ucs2", 71, 2)),
            ("👋".to_owned(), ("ucs2", 2, 1)),
            (String::new(), ("gsm7", 0, 1)),
        ] {
            let counted = sms(&text);
            assert_eq!((counted.encoding, counted.units, counted.segments), expected, "{text}");
        }
        assert_eq!(GSM.chars().count(), 127);
    }
}

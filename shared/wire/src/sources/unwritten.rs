//! Secrets that senders repeat in what they send: no business of who may read leads, so they are not written down.

use bytes::Bytes;
use form_urlencoded::byte_serialize;
use std::collections::BTreeSet;

/// The bytes with every `secret` in them as asterisks; none of them if it is not written as it reads.
pub(super) fn without(raw: &[u8], secret: &str) -> Bytes {
    let mut left = raw.to_vec();
    let is_found = blank(&mut left, secret.as_bytes());
    if is_found || secret.is_empty() { left.into() } else { Bytes::new() }
}

/// The bytes with this value of the query as asterisks, wherever the query is repeated: as it was sent, as it reads, and as a
/// form or an address within a form has it.
pub(super) fn without_query_value(raw: &[u8], query: &str, name: &str) -> Bytes {
    let mut left = raw.to_vec();
    // The longest first: a shorter one may be part of it.
    let mut written: Vec<String> = writings(query, name).into_iter().collect();
    written.sort_by_key(|one| std::cmp::Reverse(one.len()));
    for one in written {
        blank(&mut left, one.as_bytes());
    }
    left.into()
}

/// Every way in which the values of that name may be written.
fn writings(query: &str, name: &str) -> BTreeSet<String> {
    let mut written = BTreeSet::new();
    for pair in query.split('&') {
        let sent = pair.split_once('=').map_or("", |(_, value)| value);
        let read = form_urlencoded::parse(pair.as_bytes()).next().filter(|(called, _)| called == name);
        let Some((_, value)) = read else { continue };
        let encoded: String = byte_serialize(value.as_bytes()).collect();
        let plain = [sent.to_owned(), value.into_owned(), encoded.replace('+', "%20"), encoded];
        written.extend(plain.iter().map(|one| byte_serialize(one.as_bytes()).collect::<String>()));
        written.extend(plain);
    }
    written.remove("");
    written
}

/// Writes asterisks over every `secret`, letters of whatever case. Whether there is one.
fn blank(bytes: &mut [u8], secret: &[u8]) -> bool {
    let mut is_found = false;
    let mut at = 0;
    while !secret.is_empty() && at + secret.len() <= bytes.len() {
        if bytes[at..at + secret.len()].eq_ignore_ascii_case(secret) {
            bytes[at..at + secret.len()].fill(b'*');
            is_found = true;
        }
        at += 1;
    }
    is_found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_the_address_is_blanked_however_it_is_written() {
        let left = |raw: &str, query: &str| {
            String::from_utf8_lossy(&without_query_value(raw.as_bytes(), query, "key")).into_owned()
        };
        assert_eq!(left("u=/hooks/j?key=open1&a=b", "key=open1"), "u=/hooks/j?key=*****&a=b");
        for written in ["a%20%2Fb", "a /b", "a+%2Fb", "a%20%2fb", "a%2520%252Fb", "a%2B%252Fb", "a%20/b"] {
            for query in ["key=a%20%2Fb", "x=1&key=a+%2fb", "key=a%20/b"] {
                let raw = left(&format!("u=/hooks?key={written}&end"), query);
                let is_own = !matches!(written, "a%20/b") || query.ends_with(written);
                assert!(!is_own || !raw.contains('b'), "{written} {query}: {raw}");
            }
        }
        for query in ["", "key=", "other=u", "key"] {
            assert_eq!(left("u=/hooks/j", query), "u=/hooks/j", "{query}");
        }
    }
}

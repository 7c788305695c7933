//! `Idempotency-Key`: what it may be and how a wrong one is refused, the same at every door.

use crate::http::HttpRequest;
use crate::problem::Problem;

/// The header, as problems name it.
pub const HEADER: &str = "Idempotency-Key";

/// Longest key, in characters.
const LONGEST: usize = 255;

/// The request's key, without blanks around it.
///
/// # Errors
/// 400 if there is one that is empty or too long: whoever sends it relies on it.
pub fn key(request: &HttpRequest) -> Result<Option<&str>, Problem> {
    request.header("idempotency-key").map(|key| usable(key, HEADER)).transpose()
}

/// A key that came elsewhere than in the header, in this field.
///
/// # Errors
/// 400 if it is empty or too long.
pub fn usable<'a>(key: &'a str, field: &str) -> Result<&'a str, Problem> {
    let key = key.trim();
    if key.is_empty() || key.chars().count() > LONGEST {
        let detail = format!("An Idempotency-Key has 1 to {LONGEST} characters.");
        return Err(Problem::new(400, "idempotency-key-unusable", detail).about(field));
    }
    Ok(key)
}

/// The key was used before, for `what`, such as `another message`.
pub fn reused(what: &str) -> Problem {
    let detail = format!("This Idempotency-Key was used for {what}. Use a new key for something new.");
    Problem::new(409, "idempotency-key-reused", detail).about(HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_characters_whatever_is_around_it() {
        let of = |key: &str| {
            let headers = vec![("idempotency-key".to_owned(), key.to_owned())];
            let request = HttpRequest { headers, ..HttpRequest::default() };
            super::key(&request).map(|key| key.map(str::to_owned))
        };
        assert_eq!(of(" a "), Ok(Some("a".to_owned())));
        let longest = "é".repeat(255);
        assert_eq!(of(&longest), Ok(Some(longest.clone())));
        assert_eq!(super::key(&HttpRequest::default()), Ok(None));
        for wrong in ["", " ", &format!("{longest}é")] {
            let problem = of(wrong).unwrap_err();
            assert_eq!((problem.status, problem.name), (400, "idempotency-key-unusable"), "{wrong}");
            assert_eq!(problem.field.as_deref(), Some(HEADER));
        }
    }
}

//! What was probably meant by a word that is none of those there are.

/// A hint for a word that is none of `known`: the nearest, or all of them.
pub fn one_of<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = known.iter().copied().filter(|other| is_like(word, other));
    match near.min_by_key(|other| edits(word, other)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "known: none".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}

/// Whether one word is probably the other, mistyped. Of a single letter nobody can tell.
pub fn is_like(word: &str, other: &str) -> bool {
    let length = word.chars().count();
    edits(word, other) <= (length / 3).clamp(1, 2).min(length.saturating_sub(1))
}

fn edits(word: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&word.to_lowercase(), &other.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_or_all_of_them() {
        assert_eq!(one_of("dahc", ["sdr", "dach"]), "did you mean `dach`?");
        assert_eq!(one_of("Ann", ["bo", "ann"]), "did you mean `ann`?");
        assert_eq!(one_of("nobody", ["bo", "ann"]), "known: bo, ann");
        assert_eq!(one_of("x", ["a"]), "known: a");
        assert_eq!(one_of("ann", []), "known: none");
    }
}

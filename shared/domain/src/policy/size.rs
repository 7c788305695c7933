//! How much may be published: of each document, and of all of them together.

use super::{Document, Finding};

/// Bytes of one document as JSON at most: it is read whole, and answered in one piece.
pub const MAX_DOCUMENT: usize = 2_000_000;
/// Bytes of all documents as JSON at most: a folder goes up in one call, of which Lambda takes 6 MB with what it is wrapped in, and
/// every function holds all of them.
pub const MAX_DOCUMENTS: usize = 4_000_000;

/// Documents that are too large, else the largest of those that are too much together. Empty means that they may be kept.
pub fn too_large(documents: &[Document]) -> Vec<Finding> {
    let sizes: Vec<usize> = documents.iter().map(|document| document.to_json().to_string().len()).collect();
    let finding = |document, message| Finding {
        document,
        path: Vec::new(),
        message,
        hint: None,
        within: None,
        other: None,
    };
    let each = sizes.iter().enumerate().filter(|(_, bytes)| **bytes > MAX_DOCUMENT);
    let message = |bytes: &usize| {
        format!("the document has {bytes} bytes as JSON, and at most {MAX_DOCUMENT} are kept")
    };
    let found: Vec<Finding> = each.map(|(at, bytes)| finding(at, message(bytes))).collect();
    let all: usize = sizes.iter().sum();
    if !found.is_empty() || all <= MAX_DOCUMENTS {
        return found;
    }
    let largest = sizes.iter().enumerate().max_by_key(|(_, bytes)| **bytes);
    let message = |bytes: &usize| {
        format!(
            "all {} documents together have {all} bytes as JSON, {bytes} of them in this one, and at most {MAX_DOCUMENTS} are kept",
            documents.len()
        )
    };
    largest.map(|(at, bytes)| finding(at, message(bytes))).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Topics with so many bytes to say.
    fn topics(sizes: &[usize]) -> Vec<Document> {
        let topic = |(n, bytes): (usize, &usize)| {
            let description = json!({ "en": "x".repeat(*bytes) });
            let topic = json!({ "kind": "topic", "name": format!("t{n}"), "description": description });
            Document::from_json(topic).unwrap()
        };
        sizes.iter().enumerate().map(topic).collect()
    }

    #[test]
    fn a_document_and_all_together_have_their_size() {
        assert!(too_large(&topics(&[1_900_000, 1_900_000])).is_empty());
        let found = too_large(&topics(&[10, 2_000_000, 2_100_000]));
        assert_eq!(found.iter().map(|one| one.document).collect::<Vec<_>>(), [1, 2]);
        assert!(found[0].message.contains("has 2000052 bytes"), "{}", found[0].message);
        assert!(found[0].message.contains("at most 2000000 "), "{}", found[0].message);
        let found = too_large(&topics(&[1_300_000, 1_500_000, 1_300_000]));
        assert_eq!(found.iter().map(|one| one.document).collect::<Vec<_>>(), [1]);
        let message = &found[0].message;
        assert!(message.contains("all 3 documents") && message.contains("at most 4000000 "), "{message}");
    }
}

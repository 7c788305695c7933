//! `text/plain` as a form with that `enctype` sends it (HTML standard, "Plain text form data"): name, `=` and value of each field
//! on a line, nothing escaped. A value may have lines of its own.

use super::{MAX_NAME, Submission, charset};
use sluice_domain::lead::names::{dotted, usual};

/// Whether a text of several lines is such a form: its first line is a field, and so are most of the others, or one that is called
/// as fields usually are.
pub(super) fn is_form(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let mut lines = lines(&text);
    if lines.next().and_then(pair).is_none() {
        return false;
    }
    let (mut fields, mut others) = (0, 0);
    for line in lines.filter(|line| !line.trim().is_empty()) {
        match pair(line) {
            Some((name, _)) if usual(name).is_some() => return true,
            Some(_) => fields += 1,
            None => others += 1,
        }
    }
    fields > others
}

/// Reads every line. One that is no field goes on with the value before it.
pub(super) fn read(body: &[u8], charset: Option<&str>, longest: usize, submission: &mut Submission) {
    let said = String::from_utf8_lossy(body);
    let said = lines(&said).filter_map(pair).find(|(name, _)| *name == charset::FIELD);
    let said = said.map(|(_, label)| label.trim().to_owned());
    let text = charset::decode(body, charset.or(said.as_deref()), submission);
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines(&text) {
        if let Some((name, value)) = pair(line) {
            fields.push((dotted(name), value.to_owned()));
        } else if let Some((_, value)) = fields.last_mut() {
            value.push('\n');
            value.push_str(line);
        }
    }
    for (name, value) in fields {
        submission.push_within(&name, value, longest);
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.trim_start_matches('\u{feff}').trim().lines()
}

/// A field's name and value. What stands before the `=` in an address of a page is no name.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let is_name = !name.trim().is_empty() && !name.contains("://") && name.chars().count() <= MAX_NAME;
    is_name.then_some((name, value))
}

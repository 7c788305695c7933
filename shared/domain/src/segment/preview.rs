//! What a segment would hold, before it is published. Whether the states of people are enough to tell,
//! [`crate::live::LivePolicy::counts`] knows.

use crate::condition::Condition;
use crate::id::CustomerId;
use crate::live::View;

/// Whether a condition holds of a person. What cannot be answered is not matched.
pub fn evaluate(condition: &Condition, view: &View<'_>) -> bool {
    view.holds(condition, None).unwrap_or(false)
}

/// How many are in, of how many, and some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// People looked at.
    pub of: u64,
    /// People of whom it holds.
    pub matching: u64,
    /// People of whom it could not be told.
    pub errors: u64,
    /// Why, of the first of them.
    pub error: Option<String>,
    /// The first that were found, up to [`Preview::SAMPLE`].
    pub sample: Vec<CustomerId>,
}

impl Preview {
    /// The most that are shown.
    pub const SAMPLE: usize = 20;

    /// Looks at one more person; to go through many page by page.
    pub fn take(&mut self, condition: &Condition, view: &View<'_>) {
        self.of += 1;
        match view.holds(condition, None) {
            Ok(true) => {
                self.matching += 1;
                if self.sample.len() < Self::SAMPLE {
                    self.sample.push(view.id().clone());
                }
            }
            Ok(false) => {}
            Err(error) => {
                self.errors += 1;
                self.error.get_or_insert(error.reason);
            }
        }
    }
}

/// What a condition holds of these people.
pub fn preview<'a>(condition: &Condition, people: impl IntoIterator<Item = View<'a>>) -> Preview {
    let mut preview = Preview::default();
    people.into_iter().for_each(|view| preview.take(condition, &view));
    preview
}

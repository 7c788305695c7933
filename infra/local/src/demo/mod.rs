//! A company's day: read from files, played on a stack through the doors that everybody has, and told at the end.
//!
//! [`Script`] is what happens, [`Stage`] a stack of its own with a clock that is moved by hand, [`Player`] does what the
//! script says, [`Summary`] is what came of it.

mod door;
mod outside;
mod player;
mod script;
mod senders;
mod show;
mod stage;
mod story;
mod summary;
mod words;

pub use door::Door;
pub use outside::Outside;
pub use player::{Player, Told};
pub use script::{Deed, Line, Script};
pub use senders::Secrets;
pub use stage::Stage;
pub use story::{Step, Story};
pub use summary::{Conversion, JourneyMail, Left, SourceRow, Summary, Waited};

//! Who somebody is: e-mail addresses, phone numbers and countries, each read once at the edge.

mod country;
mod email;
mod phone;

pub use country::Country;
pub use email::{Email, EmailError};
pub use phone::{Phone, PhoneError};

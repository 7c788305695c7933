//! Who somebody is: e-mail addresses, phone numbers, company domains, countries and languages, each read once at the
//! edge.

mod company;
mod country;
mod email;
mod language;
mod phone;
mod tag;

pub use company::CompanyDomain;
pub use country::Country;
pub use email::{Email, EmailError};
pub use language::Language;
pub use phone::{Phone, PhoneError, ascii_digits};
pub use tag::LanguageTag;

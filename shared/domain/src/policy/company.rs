//! Who we are, as messages say it.

use serde::{Deserialize, Serialize};

/// The company of the stack. Templates read it as `company.name`, `company.address`, ….
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Company {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its postal address, on one line: many countries ask for it in each mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its website.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// Where customers write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where customers call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// Where its privacy policy is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<String>,
    /// Where its imprint is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imprint: Option<String>,
}

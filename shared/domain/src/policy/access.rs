//! Which facts of people which role sees.

use crate::access::{Mask, Role};
use serde::{Deserialize, Serialize};

/// What roles see of people. Only an admin publishes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// `default`.
    pub name: String,
    /// Facts that are hidden, by role.
    pub masks: Masks,
}

/// Facts that are hidden, by role. Admins see everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Masks {
    /// From managers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manager: Vec<String>,
    /// From marketers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marketer: Vec<String>,
    /// From reps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rep: Vec<String>,
}

impl Masks {
    /// The facts hidden from each role that anything can be hidden from, with the role's name.
    pub fn by_role(&self) -> [(&'static str, &Vec<String>); 3] {
        [("manager", &self.manager), ("marketer", &self.marketer), ("rep", &self.rep)]
    }
}

impl Default for Access {
    /// Without a document marketers do not see how somebody is reached.
    fn default() -> Self {
        let marketer = ["email", "phone", "wechat_id"].map(str::to_owned).to_vec();
        Self { name: "default".to_owned(), masks: Masks { marketer, ..Masks::default() } }
    }
}

impl Access {
    /// What a role does not see.
    pub fn mask(&self, role: Role) -> Mask {
        let Masks { manager, marketer, rep } = &self.masks;
        let names = match role {
            Role::Admin => return Mask::default(),
            Role::Manager => manager,
            Role::Marketer => marketer,
            Role::Rep => rep,
        };
        Mask::new(names.iter().cloned())
    }
}

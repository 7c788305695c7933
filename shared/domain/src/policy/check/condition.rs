//! Whether conditions can be read, and name only what they see.

use super::{Checker, LEAD};
use crate::condition::Condition;
use crate::policy::is_like;

impl Checker {
    /// Compiles a condition over a lead and its customer, as rules of routing have them.
    pub(super) fn condition(&mut self, at: &[&str], source: &str, roots: &[&str]) {
        let Some(condition) = self.compiled(at, source, roots) else { return };
        if let Some(ask) = condition.looks().asks.keys().next() {
            return self.add(at, format!("a condition here does not see behaviour, and no `{ask}`"));
        }
        for path in condition.reads() {
            let mut parts = path.split('.');
            let (root, member) = (parts.next().unwrap_or_default(), parts.next());
            if let Some(member) =
                member.filter(|member| root == "lead" && !LEAD.contains(member) && *member != "territory")
            {
                let mut seen = LEAD.to_vec();
                seen.push("territory");
                seen.sort_unstable();
                let hint = match seen.iter().find(|known| is_like(member, known)) {
                    Some(near) => format!("did you mean `lead.{near}`?"),
                    None => format!(
                        "a field of the form is `lead.fields.{member}`, and besides there are {}",
                        seen.join(", ")
                    ),
                };
                return self.add_hinted(at, format!("a lead has no `{member}`"), hint);
            }
        }
    }

    /// Compiles a condition that sees nothing but `roots`.
    pub(super) fn compiled(&mut self, at: &[&str], source: &str, roots: &[&str]) -> Option<Condition> {
        let error = match Condition::compile(source) {
            Err(error) => error,
            Ok(condition) => {
                let root = |path: &String| path.split('.').next().unwrap_or_default().to_owned();
                let strange = condition.reads().iter().map(root).find(|root| !roots.contains(&root.as_str()));
                if let Some(root) = strange {
                    let between = if roots.len() > 2 { "`, `" } else { "` and `" };
                    let seen = roots.join(between);
                    let hint = match roots.iter().find(|known| is_like(&root, known)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("see {} in the README", described(roots)),
                    };
                    self.add_hinted(at, format!("a condition here sees `{seen}`, and no `{root}`"), hint);
                    return None;
                }
                if let Some(why) = condition.never_holds() {
                    self.add(at, why);
                    return None;
                }
                return Some(condition);
            }
        };
        let mut reason = error.message.trim_start_matches("Syntax error: ").to_owned();
        for end in ["mismatched input '<EOF>'", "mismatched input <EOF>"] {
            reason = reason.replace(end, "it ends too early,");
        }
        let (seen, section) = (roots.join("`, `"), described(roots));
        let hint = format!("a condition is CEL over `{seen}`: see {section} in the README");
        self.add_hinted(at, format!("not a condition: {reason}"), hint);
        if let Some(finding) = self.findings.last_mut() {
            finding.within = Some((error.line, error.column));
        }
        None
    }
}

/// The section of the README with what conditions over these roots are.
fn described(roots: &[&str]) -> &'static str {
    if roots.contains(&"lead") { "Policies" } else { "Customers in motion" }
}

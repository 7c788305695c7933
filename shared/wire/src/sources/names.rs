//! What senders call the fields that have a name of ours.

/// Our name for a sender's field; a custom question keeps its own.
pub(super) fn standard(name: &str) -> String {
    ours(name).unwrap_or(name.trim()).to_owned()
}

/// Our name for a sender's field, where there is one.
pub(super) fn ours(name: &str) -> Option<&'static str> {
    let words: Vec<&str> = name
        .split(|c: char| c.is_whitespace() || matches!(c, '_' | '-'))
        .filter(|word| !word.is_empty())
        .collect();
    Some(match words.join("_").to_ascii_lowercase().as_str() {
        "email" | "e_mail" | "email_address" | "work_email" | "user_email" => "email",
        "phone" | "phone_number" | "work_phone" | "work_phone_number" | "mobile_phone" | "mobilephone"
        | "user_phone" | "telephone" | "telphone" => "phone",
        "full_name" | "fullname" => "full_name",
        "first_name" | "firstname" => "first_name",
        "last_name" | "lastname" => "last_name",
        "company" | "company_name" => "company",
        "job_title" | "jobtitle" => "job_title",
        "street" | "street_address" => "street",
        "city" => "city",
        "region" | "state" | "province" => "region",
        "postal_code" | "zip_code" | "zip" | "post_code" => "postal_code",
        "country" => "country",
        "birth_date" | "date_of_birth" => "birth_date",
        "gender" => "gender",
        "website" => "website",
        "weixin" | "wechat" | "wechat_id" => "wechat_id",
        _ => return None,
    })
}

/// Whether a field is called an e-mail address, as leads are read.
pub(super) fn says_email(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    matches!(plain.as_str(), "email" | "emailaddress" | "mail" | "workemail" | "youremail")
}

#[cfg(test)]
mod tests {
    use super::standard;

    #[test]
    fn standard_fields_get_our_name_and_questions_keep_theirs() {
        assert_eq!(standard("phone_number"), "phone");
        assert_eq!(standard("COMPANY_NAME"), "company");
        assert_eq!(standard("First Name"), "first_name");
        assert_eq!(standard(" e-mail "), "email");
        assert_eq!(standard("Which Product?"), "Which Product?");
    }
}

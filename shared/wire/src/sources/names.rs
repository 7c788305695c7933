//! What senders call the fields that have a name of ours.

/// Our name for a sender's field; a custom question keeps its own.
pub(super) fn standard(name: &str) -> String {
    let plain = name.trim().to_ascii_lowercase();
    match plain.as_str() {
        "email" | "email_address" | "work_email" => "email",
        "phone" | "phone_number" | "work_phone_number" => "phone",
        "full_name" => "full_name",
        "first_name" => "first_name",
        "last_name" => "last_name",
        "company" | "company_name" => "company",
        "job_title" => "job_title",
        "street" | "street_address" => "street",
        "city" => "city",
        "region" | "state" | "province" => "region",
        "postal_code" | "zip_code" | "zip" | "post_code" => "postal_code",
        "country" => "country",
        "birth_date" | "date_of_birth" => "birth_date",
        "gender" => "gender",
        "website" => "website",
        _ => return name.trim().to_owned(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::standard;

    #[test]
    fn standard_fields_get_our_name_and_questions_keep_theirs() {
        assert_eq!(standard("phone_number"), "phone");
        assert_eq!(standard("COMPANY_NAME"), "company");
        assert_eq!(standard("Which Product?"), "Which Product?");
    }
}

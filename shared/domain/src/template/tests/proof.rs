//! Laws: whatever people's facts are.

use super::*;
use crate::identity::Country;
use proptest::prelude::*;
use std::sync::LazyLock;

static SHOP: LazyLock<PolicySet> = LazyLock::new(shop);

fn fact() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[<>\"'&/= {}%#a-z]{0,12}",
        Just("\r\nBcc: x@person.example\r\n".to_owned()),
        Just("--></style></title><script>x</script>".to_owned()),
        Just("javascript:alert(1)".to_owned()),
        Just("https://elsewhere.example/\"".to_owned()),
        Just("{{ customer.email }}{% include 'foot' %}".to_owned()),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_subject_is_one_line_and_the_html_holds_no_fact_that_is_more_than_text(
        first in fact(), company in fact(), country in fact(), language in prop_oneof![Just("en"), Just("de"), Just("zh")],
    ) {
        let facts = [("first_name", first.as_str()), ("full_name", &first), ("company", &company), ("country", &country), ("language", language)];
        let message = render(&SHOP, "hello", &facts).unwrap();
        for line in [Some(&message.subject), message.from_name.as_ref()].into_iter().flatten() {
            prop_assert!(!line.chars().any(char::is_control) && line.lines().count() <= 1, "{:?}", line);
            prop_assert!(line.chars().count() <= 250);
        }
        // A country that is one may have a wording of its own.
        let named = Country::parse(&country).map(|country| country.to_string()).unwrap_or_default();
        let tame = [("language", language), ("country", &named), ("first_name", "a"), ("full_name", "a")];
        let tame = render(&SHOP, "hello", &tame).unwrap();
        let html = message.html.unwrap();
        prop_assert_eq!(structure(&html), structure(&tame.html.unwrap()), "{}", html);
        prop_assert!(message.links.len() <= tame.links.len() + message.text.matches("http").count());
    }
}

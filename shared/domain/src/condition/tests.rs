//! Conditions as people write them, the limits, and what must never end the process.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn scope() -> Scope {
    let lead = json!({
        "country": "DE",
        "email": "Ana@Example.COM",
        "score": 40,
        "ratio": 0.5,
        "big": 18_446_744_073_709_551_615_u64,
        "phone": null,
        "tags": ["fair", "vip"],
        "fields": {"employees": "250", "zip": "80331", "old_zip": "01067", "budget": "1500.50", "size": "50-100"},
    });
    Scope::new().with("lead", &lead).with("customer", &json!({"owner": "", "visits": 3}))
}

fn holds(source: &str) -> Result<bool, String> {
    let condition = Condition::compile(source).map_err(|error| error.to_string())?;
    condition.eval(&scope()).map_err(|error| error.reason)
}

fn all_hold(sources: &[&str]) {
    for source in sources {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

fn refused(source: &str) -> ConditionError {
    Condition::compile(source).map(|condition| condition.source).unwrap_err()
}

fn reads(source: &str) -> Vec<String> {
    Condition::compile(source).unwrap().reads().iter().cloned().collect()
}

#[test]
fn the_rules_people_write_hold() {
    all_hold(&[
        r#"lead.country in ["DE", "AT", "CH"]"#,
        r#"customer.owner == """#,
        "lead.fields.employees >= 200",
        "has(lead.email) && !has(lead.fields.phone)",
        r#"domain(lead.email) == "example.com""#,
        r#"lower(lead.email).endsWith("@example.com")"#,
        r#""vip" in lead.tags && lead.tags.exists(t, t.startsWith("f"))"#,
        "lead.score / 2 + 1 == 21 && lead.ratio < 1 && lead.big > 5",
        "customer.?visits.orValue(0) >= 3 && customer.?spent.orValue(0) == 0",
        "int(lead.fields.employees) == 250 && double(lead.fields.budget) > 1500.0",
    ]);
    assert_eq!(holds(r#"domain("nobody") == """#), Ok(true));
}

#[test]
fn a_field_is_a_number_where_it_is_set_against_one_and_text_elsewhere() {
    all_hold(&[
        "200 <= lead.fields.employees",
        r#"lead.fields["employees"] == 250"#,
        r#"lead.fields.employees == "250""#,
        "lead.fields.employees in [100, 250]",
        r#"lead.fields.employees in ["100", "250"]"#,
        "lead.fields.employees * 2 == 500",
        "lead.fields.employees > 100 * 2",
        "lead.fields.budget >= 1500.5 && lead.fields.budget < 2000",
        r#"lead.fields.zip == "80331" && lead.fields.zip.startsWith("80")"#,
        r#"lead.fields.old_zip == "01067" && lead.fields.old_zip != 1067"#,
        "lead.fields.?employees.orValue(0) >= 200",
        "lead.fields.?missing.orValue(0) < 200",
        "(has(lead.fields.missing) ? lead.fields.missing : 7) == 7",
        r#"lead.fields.exists(name, lead.fields[name] == 250)"#,
        "number(lead.fields.employees) < number(lead.fields.budget)",
    ]);
    assert_eq!(holds("lead.fields.size >= 50"), Err(">= does not apply to string and int".to_owned()));
    assert_eq!(holds("lead.fields.old_zip >= 50"), Err(">= does not apply to string and int".to_owned()));
}

#[test]
fn only_plainly_written_numbers_are_numbers() {
    for text in ["0", "7", "250", "-3", "0.5", "123456789012345", "12.50"] {
        assert!(plainly_written(text), "{text}");
    }
    for text in [
        "",
        "-",
        "-0",
        "007",
        "+49",
        " 5",
        "5 ",
        "1,5",
        "1e5",
        ".5",
        "5.",
        "1.2.3",
        "٣",
        "1234567890123456",
        "1_0",
    ] {
        assert!(!plainly_written(text), "{text}");
    }
}

#[test]
fn what_is_absent_or_does_not_fit_is_not_matched_with_the_reason() {
    for (source, reason) in [
        ("lead.company == \"x\"", "no field company"),
        ("lead.phone != \"\"", "no field phone"),
        ("deal.value > 1", "nothing is called deal here"),
        ("lead.country > 5", "> does not apply to string and int"),
        ("lead.country", "the result is a string, not a bool"),
        ("lead.score / 0 == 1", "division by zero"),
        ("int(lead.email) == 1", "int() cannot read its argument"),
        ("lead.fields[lead.email] == \"x\"", "no such field"),
    ] {
        assert_eq!(holds(source), Err(reason.to_owned()), "{source}");
    }
    assert_eq!(holds("lead.company == \"x\" || lead.country == \"DE\""), Ok(true));
    assert_eq!(holds("lead.company == \"x\" && lead.country == \"FR\""), Ok(false));
}

#[test]
fn a_reason_never_shows_what_the_lead_holds() {
    let personal = ["example", "ana", "80331", "250", "50-100"];
    for source in [
        "lead.email > 1",
        "lead.email + 1 == 2",
        "lead.fields[lead.email] == 1",
        "lead.email[0] == 1",
        "int(lead.email) > 1",
        "lead.tags[lead.email] == 1",
        "!lead.email",
        "-lead.email == 1",
        "lead.email && true",
        "lead.email ? true : false",
        "lead.email.all(x, x)",
        "lead.email.value() == 1",
        "lead.email in lead.country",
        "{lead.email: 1, lead.email: 2}.size() == 1",
        "9223372036854775807 + lead.score == 1",
        "domain(lead.fields) == ''",
        "lead.email.orValue(1) == 1",
        "bool(lead.email)",
        "lead.tags[lead.score] == ''",
    ] {
        let reason = holds(source).expect_err(source).to_lowercase();
        assert!(!personal.iter().any(|value| reason.contains(value)), "{source}: {reason}");
    }
}

#[test]
fn what_a_condition_reads_is_known_before_it_runs() {
    assert_eq!(
        reads("lead.fields.employees >= 200 && has(customer.email)"),
        ["customer.email", "lead.fields.employees"]
    );
    assert_eq!(
        reads(r#"lead.fields["x y"] == "a" || customer.?owner.orValue("") == """#),
        ["customer", "lead.fields"]
    );
    assert_eq!(
        reads("lead.tags.exists(t, t == customer.tag && t.x != lead.y)"),
        ["customer.tag", "lead.tags", "lead.y"]
    );
    assert_eq!(reads("lead.a.exists(lead, lead.b)"), ["lead.a"]);
    assert_eq!(reads("type(lead.score) == int && 1 < 2"), ["lead.score"]);
    assert_eq!(reads(r#"{"k": lead.a}.k == domain(lead.email)"#), ["lead.a", "lead.email"]);
}

#[test]
fn a_mistake_is_refused_with_its_place() {
    let error = refused("lead.country ==\n  \"DE\" &&& true");
    assert_eq!((error.line, error.column > 1), (2, true), "{error}");
    assert_eq!(
        refused("true &&\n lead.email.startWith(\"a\")").to_string(),
        "line 2 column 13: there is no function startWith"
    );
    assert_eq!(refused("Money{amount: 1} == 1").message, "there is no type Money");
    for source in
        ["", "lead.", "(", "a b", "\"", "lead.country = \"DE\"", "'\\q'", "1 +", "é ß", "a.matches(\"x\")"]
    {
        refused(source);
    }
}

#[test]
fn what_never_gives_yes_or_no_is_known_before_it_runs() {
    let given = |source: &str| Condition::compile(source).unwrap().never_holds();
    for (source, what) in [
        ("'abc'", "gives text;"),
        ("1 + 1", "gives a number;"),
        ("-lead.score", "gives a number;"),
        ("null", "gives nothing;"),
        ("lead.first_name + ' ' + lead.last_name", "gives text;"),
        ("lead.a + lead.b", "gives a sum;"),
        ("[lead.country]", "gives a list;"),
        ("{'a': true}", "gives a mapping;"),
        ("lead.tags.filter(tag, tag == 'vip')", "gives a list;"),
        ("has(lead.email) ? 'a' : 'b'", "gives text;"),
        ("has(lead.email) ? 1 : 'b'", "gives one of two values;"),
        ("size(lead.tags)", "gives a number;"),
        ("lead.tags.size()", "gives a number;"),
        ("since('order_completed')", "gives a number;"),
    ] {
        assert!(given(source).is_some_and(|said| said.contains(what)), "{source}: {:?}", given(source));
    }
    for source in [
        "true",
        "lead.fields.agreed",
        "lead.fields['agreed']",
        "bool(lead.fields.agreed)",
        "number(lead.fields.agreed)",
        "lead.fields.?agreed.orValue(false)",
        "has(lead.email) ? 1 : lead.fields.agreed",
        "lead.tags.exists(tag, tag == 'vip')",
        "lead.tags.all(tag, tag == 'vip')",
        "lead.tags.exists_one(tag, tag == 'vip')",
        "1 + 1 == 2",
        "!(1 == 2)",
        "silent_for('90d')",
    ] {
        assert_eq!(given(source), None, "{source}");
    }
}

#[test]
fn what_could_cost_too_much_is_refused() {
    assert!(refused(&format!("1 == {}", ["1"; 1000].join("+"))).message.contains("deep"));
    assert!(refused(&["lead"; 400].join(".")).message.contains("deep"));
    assert!(refused(&format!("lead.x{}", "[0]".repeat(600))).message.contains("deep"));
    assert!(refused(&format!("x{}", ".size()".repeat(280))).message.contains("deep"));
    assert!(refused(&format!("true{}", " ".repeat(2048))).message.contains("bytes"));
    for opening in ["(", "[", "!", "-", "{1:", "a?", "a.all(x,"] {
        refused(&opening.repeat(2000 / opening.len()));
    }
    let nested =
        |depth: usize| (0..depth).fold("x0 == 1".to_owned(), |inner, i| format!("[1].exists(x{i}, {inner})"));
    assert_eq!(holds(&nested(2)), Ok(true));
    assert!(refused(&nested(3)).message.contains("loops"));
    assert_eq!(holds("[1].map(x, x).filter(x, x > 0).map(x, x + 1).exists(x, x == 2)"), Ok(true));
}

#[test]
fn what_the_limits_allow_is_evaluated_without_running_out_of_stack() {
    let deep = format!("{} == 99", ["1"; 99].join("+"));
    let small_stack = std::thread::Builder::new().stack_size(1 << 20);
    assert_eq!(small_stack.spawn(move || holds(&deep)).unwrap().join().unwrap(), Ok(true));
    let long = format!("lead.country == \"x\"{}", " || lead.score == 40".repeat(95));
    assert_eq!(holds(&long), Ok(true));
}

#[test]
fn every_function_that_may_be_called_exists() {
    let functions = tree::FUNCTIONS.map(|name| format!("{name}(lead) == 1"));
    let methods = tree::METHODS.map(|name| format!("lead.{name}(lead) == 1"));
    for call in functions.iter().chain(&methods) {
        let condition = Condition::compile(call).unwrap();
        let reason = condition.eval(&scope()).map_or_else(|error| error.reason, |_| String::new());
        assert!(!reason.contains("nothing is called"), "{call}: {reason}");
    }
}

/// The tree as the library's other parser makes it, without the numbers of its nodes.
fn unnumbered(tree: &Expression) -> String {
    let text = format!("{tree:?}");
    let parts = text.split("id: ").map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    parts.collect()
}

#[test]
fn both_parsers_of_the_library_read_a_condition_alike() {
    let atoms = [
        "1",
        "-2",
        "1.5e3",
        "2u",
        "\"a\"",
        "'b'",
        "r\"\\x\"",
        "b'c'",
        "true",
        "null",
        "a",
        "a.b",
        "a.?b",
        "a[0]",
        "a[?0]",
        "[1, 2]",
        "[?a]",
        "{\"k\": 1}",
        "(a)",
        "!a",
        "-a",
        "a.f(1)",
        "size(a)",
        "has(a.b)",
        "a.all(x, x > 1)",
        "a.exists_one(x, x)",
        "a.map(x, x > 1, x * 2)",
        ".a.b",
    ];
    let operators = ["&&", "||", "==", "!=", "<", ">=", "+", "-", "*", "/", "%", "in"];
    let mut sources: Vec<String> = atoms.map(str::to_owned).to_vec();
    for (i, first) in atoms.iter().enumerate() {
        for (j, operator) in operators.iter().enumerate() {
            let (second, third) = (atoms[(i + j) % atoms.len()], atoms[(i * 7 + j * 3) % atoms.len()]);
            let last = operators[(i * 5 + j) % operators.len()];
            sources.push(format!("{first} {operator} {second} {last} {third}"));
            sources.push(format!("a ? {first} : {second} {operator} {third}"));
        }
    }
    for source in &sources {
        let pratt = PrattParser::new().enable_optional_syntax(true).parse(source);
        let standard = cel::parser::Parser::new().enable_optional_syntax(true).parse(source);
        match (pratt, standard) {
            (Ok(pratt), Ok(standard)) => assert_eq!(unnumbered(&pratt), unnumbered(&standard), "{source}"),
            (pratt, standard) => assert_eq!(pratt.is_ok(), standard.is_ok(), "{source}"),
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(source in any::<String>()) {
        let _ = holds(&source);
    }

    #[test]
    fn no_condition_makes_it_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "lead", ".", "fields", "employees", "[", "]", "(", ")", "{", "}", ":", ",", "?", "==", "&&", "||", "!",
                "-", "+", "%", "in", "\"a\"", "'", "1", "9223372036854775808", "1e999", "0x", "u", "has", "all", "x",
                "exists", "map", "number", "domain", "\n", "\\", "`", "é", "//", "null", "true", " ", ".?", "[?",
            ]),
            0..40,
        ),
    ) {
        if let Err(error) = Condition::compile(&parts.concat()) {
            prop_assert!(error.line >= 1 && error.column >= 1 && !error.to_string().is_empty());
        }
        let _ = holds(&parts.join(" "));
    }
}

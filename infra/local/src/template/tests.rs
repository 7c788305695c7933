//! The project's own template is read whole; anything unknown is refused where it stands.

use super::*;
use std::collections::BTreeSet;

const REAL: &str = include_str!("../../../template.yaml");

fn real() -> Template {
    parse(REAL)
}

fn parse(text: &str) -> Template {
    Template::parse(text, "template.yaml").unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// The real template with one text replaced; its problems as lines.
fn refused(from: &str, to: &str) -> Vec<String> {
    assert!(REAL.contains(from), "the template no longer contains {from}");
    let errors = Template::parse(&REAL.replacen(from, to, 1), "template.yaml").expect_err("not refused");
    errors.iter().map(ToString::to_string).collect()
}

/// Position of a text in the real template, as an error writes it.
fn place(text: &str) -> String {
    let before = REAL.split(text).next().unwrap();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("template.yaml:{line}:{column}: ")
}

/// A host that knows every reference and attribute by an invented name.
fn host(id: &str, attribute: &str) -> Option<String> {
    Some(match attribute {
        "Ref" => id.to_owned(),
        _ => format!("{id}.{attribute}"),
    })
}

fn function<'a>(template: &'a Template, name: &str) -> &'a Function {
    template.functions.iter().find(|function| function.name == name).unwrap()
}

#[test]
fn every_function_folder_is_described_once() {
    let template = real();
    let described: Vec<&str> = template.functions.iter().map(|function| function.name.as_str()).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../functions");
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().join("Cargo.toml").exists() {
            folders.insert(entry.file_name().into_string().unwrap());
        }
    }
    assert_eq!(described.len(), folders.len());
    assert_eq!(described.iter().map(ToString::to_string).collect::<BTreeSet<_>>(), folders);
}

#[test]
fn every_resource_of_a_kind_is_found() {
    // Counted in the text, so that nothing can be lost between the file and the model.
    let template = real();
    let written = |kind: &str| REAL.lines().filter(|line| line.trim() == format!("Type: {kind}")).count();
    assert_eq!(template.queues.len(), written("AWS::SQS::Queue"));
    assert_eq!(template.tables.len(), written("AWS::DynamoDB::Table"));
    assert_eq!(template.routes.len(), written("AWS::ApiGatewayV2::Route"));
    assert_eq!(template.schedules.len(), written("AWS::Scheduler::Schedule"));
    assert_eq!(template.secrets.len(), written("AWS::SecretsManager::Secret"));
    assert_eq!(template.roles.len(), written("AWS::IAM::Role"));
    assert_eq!(template.functions.iter().map(|f| f.sources.len()).sum::<usize>(), written("SQS"));
    assert_eq!(template.resources.len(), REAL.matches("\n    Type: AWS::").count());
}

#[test]
fn the_table_has_its_keys_its_sparse_index_and_its_end_of_life() {
    let table = &real().tables[0];
    let key = |name: &str| KeyAttribute { name: name.to_owned(), kind: "S".to_owned() };
    assert_eq!((&table.partition, &table.sort), (&key("pk"), &Some(key("sk"))));
    assert_eq!(table.ttl.as_deref(), Some("ttl"));
    let index = &table.indexes[0];
    assert_eq!((index.name.as_str(), index.projection.as_str()), ("open", "KEYS_ONLY"));
    assert_eq!((&index.partition, &index.sort), (&key("ix"), &Some(key("ia"))));
}

#[test]
fn a_queue_gives_up_into_its_own_dead_letters() {
    let template = real();
    for name in ["Lead", "Enrich", "Notice"] {
        let queue = template.queues.iter().find(|queue| queue.id == format!("{name}Queue")).unwrap();
        let redrive = Redrive { dead_letters: format!("{name}DeadLetters"), max_receives: 5 };
        assert_eq!(queue.redrive, Some(redrive));
        assert_eq!((queue.retention_seconds, queue.delay_seconds), (345_600, 0));
    }
}

#[test]
fn a_queue_that_a_function_reads_is_invisible_for_six_timeouts() {
    let template = real();
    for function in &template.functions {
        for source in &function.sources {
            let queue = template.queues.iter().find(|queue| queue.id == source.queue).unwrap();
            assert!(queue.visibility_seconds >= 6 * function.timeout_seconds + source.window_seconds);
        }
    }
    let source = &function(&template, "route-lead").sources[0];
    assert_eq!(
        (source.queue.as_str(), source.batch_size, source.max_concurrency),
        ("LeadQueue", 10, Some(10))
    );
}

#[test]
fn routes_lead_to_the_functions_that_answer_them() {
    let template = real();
    let answers = |method: &str, path: &str| {
        let route =
            template.routes.iter().find(|route| route.method == method && route.path == path).unwrap();
        route.function.clone()
    };
    assert_eq!(answers("POST", "/f/{form}"), "CaptureLead");
    assert_eq!(answers("OPTIONS", "/f/{form}"), "CaptureLead");
    assert_eq!(answers("GET", "/hooks/{source}"), "CaptureLead");
    assert_eq!(answers("POST", "/api/leads/{id}/accept"), "ServeConsole");
    assert_eq!(answers("PUT", "/api/policies/{kind}/{name}"), "ServeConsole");
    assert_eq!(answers("ANY", DEFAULT_ROUTE), "ServeConsole");
}

#[test]
fn the_timers_run_each_minute() {
    let schedule = &real().schedules[0];
    assert_eq!((schedule.function.as_str(), schedule.every_seconds), ("FireTimers", 60));
    assert_eq!(schedule.input.as_deref(), Some("{\"scheduledTime\":\"<aws.scheduler.scheduled-time>\"}"));
}

#[test]
fn the_hash_key_is_64_hexadecimal_digits_beside_its_version() {
    let template = real();
    let secret = template.secrets.iter().find(|secret| secret.id == "HashKeySecret").unwrap();
    assert_eq!((secret.alphabet.as_str(), secret.length), ("abcdef0123456789", 64));
    let inside = SecretTemplate { document: "{\"version\":\"1\"}".to_owned(), key: "current".to_owned() };
    assert_eq!(secret.inside, Some(inside));
    let token = template.secrets.iter().find(|secret| secret.id == "AdminTokenSecret").unwrap();
    assert_eq!((token.alphabet.len(), token.length, token.inside.clone()), (62, 48, None));
}

#[test]
fn variables_are_those_of_all_functions_and_its_own() {
    let template = real();
    let variables = template.environment(function(&template, "enrich-lead"), &host).unwrap();
    let expected = [
        ("SLUICE_GRAPH_URL", ""),
        ("SLUICE_LEAD_QUEUE_URL", "LeadQueue"),
        ("SLUICE_LINKEDIN_URL", "https://api.linkedin.com/rest"),
        ("SLUICE_LINKEDIN_VERSION", ""),
        ("SLUICE_LOG", "info"),
        ("SLUICE_SECRET_PREFIX", "AWS::StackName/sources"),
        ("SLUICE_STACK", "AWS::StackName"),
        ("SLUICE_TABLE", "Table"),
    ];
    assert_eq!(variables, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect());
}

#[test]
fn a_parameter_without_a_value_is_named() {
    let mut template = real();
    let unset = template.environment(function(&template, "send-message"), &host);
    assert_eq!(unset, Err(ResolveError::Parameter("MailFrom".to_owned())));
    template.set("MailFrom", "sales@example.com").unwrap();
    let variables = template.environment(function(&template, "send-message"), &host).unwrap();
    assert_eq!(variables["SLUICE_MAIL_FROM"], "sales@example.com");
}

#[test]
fn links_name_the_api_unless_a_domain_is_given() {
    let mut template = real();
    template.set("MailFrom", "sales@example.com").unwrap();
    let named = |template: &Template| {
        let variables = template.environment(function(template, "send-message"), &host).unwrap();
        variables["SLUICE_PUBLIC_URL"].clone()
    };
    assert_eq!(named(&template), "Api.ApiEndpoint");
    template.set("PublicUrl", "https://sluice.example.com").unwrap();
    assert_eq!(named(&template), "https://sluice.example.com");
}

#[test]
fn a_parameter_takes_only_what_it_allows() {
    let mut template = real();
    template.set("LogLevel", "debug").unwrap();
    assert_eq!(
        template.set("LogLevel", "loud").unwrap_err().to_string(),
        "the parameter LogLevel is one of error, warn, info, debug, trace"
    );
    assert_eq!(template.set("Loglevel", "info"), Err(ParameterError::Unknown("Loglevel".to_owned())));
}

#[test]
fn mail_is_from_the_sender_or_its_domain_and_may_go_to_identities_of_the_account() {
    let template = real();
    let role = template.roles.iter().find(|role| role.id == "SendMessageRole").unwrap();
    let mail = role.statements.iter().find(|it| it.actions == ["ses:SendEmail", "ses:SendRawEmail"]).unwrap();
    let on = mail.resources.iter().map(|it| template.resolve(it, &host).unwrap().unwrap());
    let on: Vec<_> = on.filter(|arn| !arn.contains(":configuration-set/")).collect();
    let arn = "arn:AWS::Partition:ses:AWS::Region:AWS::AccountId:identity/";
    assert_eq!(on, [format!("{arn}*")]);
    let only = "StringLike:\n                    ses:FromAddress: [!Ref MailFrom, !Join [\"@\", [\"*\", !Select [1, !Split [\"@\", !Ref MailFrom]]]]]";
    assert!(REAL.contains(only), "whose mail it may be is a condition");
}

#[test]
fn what_the_host_does_not_know_is_named() {
    let template = real();
    let expr = Expr::GetAtt { resource: "Table".to_owned(), attribute: "Arn".to_owned() };
    assert_eq!(template.resolve(&expr, &|_, _| None).unwrap_err().to_string(), "Table has no Arn here");
}

#[test]
fn a_condition_decides_between_two_values() {
    let mut template = real();
    let expr = Expr::If {
        condition: "HasAlarmTopic".to_owned(),
        then: Box::new(Expr::Ref("AlarmTopicArn".to_owned())),
        otherwise: Box::new(Expr::NoValue),
    };
    assert_eq!(template.resolve(&expr, &host), Ok(None));
    template.set("AlarmTopicArn", "arn:topic").unwrap();
    assert_eq!(template.resolve(&expr, &host), Ok(Some("arn:topic".to_owned())));
}

#[test]
fn the_long_form_of_an_intrinsic_is_the_same() {
    let long = REAL.replacen("SLUICE_TABLE: !Ref Table", "SLUICE_TABLE: { \"Fn::GetAtt\": [Table, Arn] }", 1);
    let template = parse(&long);
    let variables = template.environment(function(&template, "fire-timers"), &host).unwrap();
    assert_eq!(variables["SLUICE_TABLE"], "Table.Arn");
}

#[test]
fn an_unknown_property_is_refused_where_it_stands() {
    let found = refused("      VisibilityTimeout: 180", "      VisibilityTimout: 180");
    let at = place("VisibilityTimeout: 180");
    let problem = "the property of AWS::SQS::Queue VisibilityTimout is not supported";
    assert_eq!(found, [format!("{at}{problem} (did you mean VisibilityTimeout?)")]);
}

#[test]
fn no_key_of_a_resource_is_skipped() {
    // Each key is misspelt once, at its first place for each depth; names that the author chooses are left out.
    let start = REAL.find("\nResources:").unwrap();
    let end = REAL.find("\nOutputs:").unwrap();
    let (mut seen, mut offset) = (BTreeSet::new(), start + 1);
    for line in REAL[start + 1..end].split('\n') {
        let code = line.split(" #").next().unwrap();
        let depth = code.len() - code.trim_start().len();
        let mut at = 0;
        for word in code.split([' ', '{']) {
            let names_its_queue = depth == 8 && ["Queue:", "Notices:", "Messages:", "Bulk:"].contains(&word);
            let chosen = depth < 4 || word.starts_with("SLUICE_") || names_its_queue;
            let conditions = [
                "StringEquals:",
                "StringLike:",
                "aws:SourceAccount:",
                "ArnEquals:",
                "ArnLike:",
                "aws:SourceArn:",
                "ses:FromAddress:",
            ];
            let free = conditions.contains(&word) || code.contains("Description:");
            if word.ends_with(':') && word.len() > 1 && !chosen && !free && seen.insert((word, depth)) {
                let place = offset + at + word.len() - 1;
                let broken = format!("{}X{}", &REAL[..place], &REAL[place..]);
                let errors = Template::parse(&broken, "").expect_err(line);
                let number = REAL[..place].matches('\n').count() + 1;
                assert!(errors.iter().any(|error| error.at.line == number), "{line}: {errors:#?}");
            }
            at += word.len() + 1;
        }
        offset += line.len() + 1;
    }
    assert!(seen.len() > 100, "only {} keys were tried", seen.len());
}

#[test]
fn an_unknown_type_is_refused_where_it_stands() {
    let found = refused("Type: AWS::Scheduler::Schedule", "Type: AWS::Events::Connection");
    assert_eq!(found.len(), 1, "{found:#?}");
    let at = place("AWS::Scheduler::Schedule");
    assert!(
        found[0].starts_with(&format!("{at}the resource type AWS::Events::Connection is not supported")),
        "{found:#?}"
    );
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let broken = REAL
        .replacen("BillingMode: PAY_PER_REQUEST", "BillingMode: PROVISIONED", 1)
        .replacen("maxReceiveCount: 5", "maxReceiveCount: five", 1)
        .replacen("Type: SQS", "Type: SNS", 1);
    let errors = Template::parse(&broken, "template.yaml").unwrap_err();
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "\"PROVISIONED\" is not supported here",
            "a plain whole number is needed here, not \"five\"",
            "\"SNS\" is not supported here"
        ]
    );
}

#[test]
fn known_bad_templates_are_refused() {
    let cases = [
        // A typo in an intrinsic, its target or its attribute.
        ("!Ref EnrichQueue", "!Reff EnrichQueue", "!Reff is not supported here (did you mean Ref?)"),
        (
            "!Ref EnrichQueue",
            "!Ref EnrichQueu",
            "no parameter or resource EnrichQueu (did you mean EnrichQueue?)",
        ),
        ("!GetAtt Api.ApiEndpoint", "!GetAtt Api.Endpoint", "the attribute Endpoint of Api is not supported"),
        ("!GetAtt Api.ApiEndpoint", "!GetAtt Apis.ApiEndpoint", "no resource Apis (did you mean Api?)"),
        (
            "/aws/lambda/${AWS::StackName}/route-lead",
            "/aws/lambda/${AWS::StackNam}",
            "did you mean AWS::StackName?",
        ),
        (
            "/aws/lambda/${AWS::StackName}/route-lead",
            "/aws/lambda/${AWS::StackName",
            "!Sub has a ${ without its }",
        ),
        (
            "!If [HasAlarmTopic,",
            "!If [HasAlarmTopics,",
            "no condition HasAlarmTopics (did you mean HasAlarmTopic?)",
        ),
        ("!Not [!Equals", "!Nor [!Equals", "!Nor is not supported in a condition (did you mean Not?)"),
        ("!Select [1, !Split", "!Select [!Split", "the form is !Select [index, list]"),
        // What one machine does otherwise than AWS.
        (
            "Transform: AWS::Serverless-2016-10-31",
            "Transform: AWS::Include",
            "\"AWS::Include\" is not supported",
        ),
        ("Conditions:\n", "Mappings: {}\nConditions:\n", "the key Mappings is not supported"),
        ("RouteKey: POST /f/{form}", "RouteKey: $default", "$default is routed twice"),
        (
            "RouteKey: GET /api/leads/{id}\n",
            "RouteKey: GET /api/{all+}\n",
            "the route GET /api/{all+} is not supported",
        ),
        ("RouteKey: GET /api/leads/{id}\n", "RouteKey: GET /api/leads\n", "GET /api/leads is routed twice"),
        (
            "integrations/${CaptureLeadIntegration}",
            "integrations/${CaptureLead}",
            "the target is no integration",
        ),
        ("PayloadFormatVersion: \"2.0\"", "PayloadFormatVersion: \"1.0\"", "\"1.0\" is not supported here"),
        ("rate(1 minute)", "cron(* * * * ? *)", "the schedule cron(* * * * ? *) is not supported"),
        ("rate(1 minute)", "rate(0 minutes)", "the schedule rate(0 minutes) is not supported"),
        (
            "MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 }",
            "MaximumRetryAttempts: 0 }",
            "MaximumEventAgeInSeconds is missing",
        ),
        ("MaximumEventAgeInSeconds: 60 }", "MaximumEventAgeInSeconds: 59 }", "59 is not from 60 to 21600"),
        (
            "      RecursiveLoop: Allow\n",
            "      RecursiveLoop: Terminate\n",
            "\"Terminate\" is not supported here",
        ),
        ("VisibilityTimeout: 180", "VisibilityTimeout: 43201", "43201 is not from 0 to 43200"),
        ("VisibilityTimeout: 180", "VisibilityTimeout: !Ref LogLevel", "is needed here, not !Ref"),
        (
            "!GetAtt LeadDeadLetters.Arn",
            "!GetAtt Table.Arn",
            "!GetAtt …Arn of an AWS::SQS::Queue is needed here",
        ),
        ("Queue: !GetAtt EnrichQueue.Arn", "Queue: !Ref EnrichQueue", "of an AWS::SQS::Queue is needed here"),
        ("[ReportBatchItemFailures]", "[]", "failures are always reported by record"),
        ("AttributeName: ia, KeyType", "AttributeName: ib, KeyType", "the attribute ib is not defined"),
        (
            "    DeletionPolicy: RetainExceptOnCreate",
            "    DependsOn: Api",
            "DependsOn of a resource is not supported",
        ),
        ("../target/lambda/route-lead/bootstrap.zip", "./route", "the CodeUri ./route is not supported"),
        ("    Handler: bootstrap\n", "", "Handler of CaptureLead is missing"),
        ("'{\"version\":\"1\"}'", "'version'", "SecretStringTemplate is not a JSON object"),
        ("    Default: arm64\n", "    Default: [arm64]\n", "a plain text is needed here, not a list"),
        ("      GenerateStringKey", "        GenerateStringKey", "not YAML"),
        ("      Timeout: 10\n", "      Timeout: 10\n      Timeout: 11\n", "duplicated key in mapping"),
    ];
    for (from, to, problem) in cases {
        let found = refused(from, to);
        assert!(found.iter().any(|line| line.contains(problem)), "{to}: {found:#?}");
    }
}

#[test]
fn a_configuration_set_publishes_what_its_destinations_say_and_a_rule_leads_to_its_queue() {
    let template = real();
    let [set] = template.mail_sets.as_slice() else { panic!("one set") };
    assert_eq!(template.resolve(&set.name, &host).unwrap().unwrap(), "AWS::StackName-mail");
    for kind in ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT"] {
        assert!(set.events.iter().any(|event| event == kind), "{:?}", set.events);
    }
    let [rule] = template.rules.as_slice() else { panic!("one rule") };
    assert_eq!(rule.queues, ["FeedbackQueue"]);
    let about = template.resolve(&rule.resources[0], &host).unwrap().unwrap();
    assert!(about.ends_with(":configuration-set/MailSet"), "{about}");
    let queue = "Arn: !GetAtt FeedbackQueue.Arn }";
    assert_eq!(
        refused(queue, "Arn: !GetAtt RecordFeedback.Arn }"),
        [format!(
            "{}!GetAtt …Arn of an AWS::SQS::Queue is needed here",
            place("!GetAtt FeedbackQueue.Arn }")
        )]
    );
    assert!(refused("DELIVERY_DELAY, ", "OPEN, ")[0].contains("\"OPEN\" is not supported here"));
    let elsewhere = refused("EventBridgeDestination:", "SnsDestination:");
    assert!(elsewhere.iter().any(|line| line.contains("SnsDestination is not supported")), "{elsewhere:#?}");
}
